#include <string.h>

#include "cli/cli.h"

static void print_row(FILE *out, const struct option_row *row)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
    if (row->letter)
        fprintf(out, "  -%c, ", row->letter);
    else
        fputs("      ", out);
    fprintf(out, "%-25s %s\n", left, row->help);
}

void usage_verb(FILE *out, const struct verb *verb)
{
    fprintf(out, "usage: helio %s [options]%s%s\n\n%s\noptions:\n", verb->name,
            verb->usage[0] ? " " : "", verb->usage, verb->text);
    for (const struct option_row *row = option_rows; row->name; row++)
        if (row->verbs & verb->bit)
            print_row(out, row);
    fputs("  -h, --help                    this text\n\nhelio(1) says it all: man helio\n", out);
}

void usage_overview(FILE *out, const struct verb *verbs, size_t n)
{
    fputs("usage: helio VERB [options] ...\n\n"
          "Joins two stations by an authenticated and encrypted line.\n\n",
          out);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "  %-8s %-28s %s\n", verbs[i].name, verbs[i].usage, verbs[i].summary);
    fputs("\nhelio VERB --help shows a verb's options, helio --version the version.\n", out);
}
