#include "cli/cli.h"
#include "cli/home.h"
#include "cli/say.h"

static void print_json(const struct options *options, const helio_identity *id,
                       const char *fingerprint)
{
    printf("{\"fingerprint\":\"%s\",\"bits\":%u,\"file\":", fingerprint, helio_identity_bits(id));
    say_json_string(stdout, options->identity);
    fputs(",\"public\":", stdout);
    say_json_string(stdout, helio_identity_public_pem(id));
    fputs("}\n", stdout);
}

int verb_id(struct options *options, int argc, char **argv)
{
    char fingerprint[HELIO_FINGERPRINT_TEXT];
    helio_identity *id;

    (void)argc;
    (void)argv;
    enum exit_status status = home_identity(options, &id);
    if (status != STATUS_DONE)
        return (int)status;
    helio_fingerprint_format(helio_identity_fingerprint(id), fingerprint);
    if (options->json)
        print_json(options, id, fingerprint);
    else
        fputs(options->public_pem ? helio_identity_public_pem(id) : fingerprint, stdout);
    if (!options->json && !options->public_pem)
        putchar('\n');
    helio_identity_free(id);
    return STATUS_DONE;
}
