/*
 * main.c: pump MODE [ARGUMENT...].
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pump.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    int least, most;
    const char *arguments;
} modes[] = {
    {"source", run_source, 1, 2, "SIZE [SEED]"},        {"sink", run_sink, 0, 1, "[SEED]"},
    {"ask", run_ask, 3, 3, "ROUNDS SIZE REPORT"},       {"answer", run_answer, 0, 0, ""},
    {"knock", run_knock, 3, 3, "PORT SECONDS AT-ONCE"}, {"target", run_target, 1, 1, "PORT"},
};

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (argc >= 2 && strcmp(argv[1], modes[i].name) == 0 && argc - 2 >= modes[i].least &&
            argc - 2 <= modes[i].most)
            return modes[i].run(argc - 2, argv + 2);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        fprintf(stderr, "%s pump %s %s\n", i ? "      " : "usage:", modes[i].name,
                modes[i].arguments);
    return 2;
}
