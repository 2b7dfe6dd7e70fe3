#include "cli/station.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/say.h"

enum io_family station_family(const struct options *options)
{
    if (options->ipv4)
        return IO_FAMILY_4;
    return options->ipv6 ? IO_FAMILY_6 : IO_FAMILY_ANY;
}

uint64_t station_handshake_ms(const struct options *options)
{
    return 1000 * (uint64_t)(options->timeout ? options->timeout : HELIO_HANDSHAKE_SECONDS);
}

helio_config station_config(const struct options *options, const helio_identity *identity)
{
    return (helio_config){
        .protocol = options->classic ? HELIO_PROTOCOL_CLASSIC : HELIO_PROTOCOL_HELIO1,
        .identity = identity,
        .name = options->name,
        .suites = options->suite ? &options->suite : NULL,
        .suite_count = options->suite ? 1 : 0,
        .classic_offset = options->classic_offset,
        .classic_counter = options->classic_counter,
    };
}

const char *station_account(const struct io_line_account *account, char out[STATION_ACCOUNT_SIZE])
{
    snprintf(out, STATION_ACCOUNT_SIZE,
             "sent %" PRIu64 " bytes, received %" PRIu64 " bytes, %" PRIu64 ".%" PRIu64 " s",
             account->sent, account->received, account->duration / 1000,
             account->duration % 1000 / 100);
    return out;
}

static const char *const advice[IO_FAULT_COUNT] = {
    [IO_FAULT_NO_HOST] = "Look at the spelling of the host, and at -4 and -6.",
    [IO_FAULT_IN_USE] = "Another program has it: choose another port.",
    [IO_FAULT_NOT_HERE] = "HOST is an address of this machine; without it, all of them are taken.",
    [IO_FAULT_NOT_ALLOWED] = "Ports below 1024 are the superuser's: choose a higher one.",
};

int station_not_listening(const struct io_place *place, const struct io_report *report)
{
    const char *detail = report->detail, *help = advice[report->fault];
    char where[STATION_PLACE_SIZE];

    if (*place->host)
        io_place_format(place, where, sizeof where);
    else
        snprintf(where, sizeof where, "port %u", place->port);
    size_t n = strlen(where);
    /* One address, as it was given: it has been said. */
    if (strncmp(detail, where, n) == 0 && detail[n] == ' ' && !strchr(detail, ','))
        detail = "";
    say_fields(SAY_ERROR, "cannot-listen",
               (const struct say_field[]){{.key = "address", .text = where},
                                          {.key = "reason", .text = io_fault_text(report->fault)},
                                          {.key = NULL}},
               "cannot listen on %s: %s%s%s%s%s%s", where, io_fault_text(report->fault),
               *detail ? " (" : "", detail, *detail ? ")" : "", help ? "\n" : "", help ? help : "");
    return report->fault == IO_FAULT_NO_HOST ? STATUS_NO_CONNECTION : STATUS_LOCAL;
}

void station_command(const struct options *options, const helio_identity *identity,
                     const struct io_place *place, const char *how, char out[STATION_COMMAND_SIZE])
{
    struct io_place there = *place;
    char text[STATION_PLACE_SIZE], fingerprint[HELIO_FINGERPRINT_TEXT] = "";

    if (!*there.host)
        io_own_address(station_family(options), there.host);
    io_place_format(&there, text, sizeof text);
    if (identity)
        helio_fingerprint_format(helio_identity_fingerprint(identity), fingerprint);
    snprintf(out, STATION_COMMAND_SIZE, "%s %s %s%s", how, text, identity ? "--peer " : "--classic",
             fingerprint);
}
