#include <string.h>

#include "base/text.h"
#include "cli/trust.h"

enum { NAME_SIZE = sizeof((struct trust_decision *)0)->name };

static void copy_name(char out[NAME_SIZE], const char *name)
{
    size_t n = strnlen(name, NAME_SIZE - 1);

    memcpy(out, name, n);
    out[n] = '\0';
}

/* Whether name can stand in the file: no spaces, no controls, not taken for a comment. */
static bool name_fits(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n < NAME_SIZE && *name != '#' && !strchr(name, ' ') &&
           text_is_name((const uint8_t *)name, n);
}

void trust_new_name(const struct trust_case *c, char out[256])
{
    const char *name = c->role == HELIO_INITIATOR ? c->label : c->peer->name;
    /* A claimed name must not look like an address or a fingerprint. */
    bool allowed = c->role == HELIO_INITIATOR || !strchr(name, ':');

    if (allowed && name_fits(name) && !helio_known_by_name(c->known, name))
        copy_name(out, name);
    else
        helio_fingerprint_format(&c->peer->fingerprint, out);
}

static struct trust_decision trusted_as(const char *name)
{
    struct trust_decision d = {.verdict = TRUST_TRUSTED};

    copy_name(d.name, name);
    return d;
}

static struct trust_decision changed(const helio_station *station)
{
    return (struct trust_decision){.verdict = TRUST_CHANGED, .station = station};
}

static bool is_own(const struct trust_case *c)
{
    return c->own && helio_fingerprint_equal(&c->peer->fingerprint, c->own);
}

static struct trust_decision decide_pinned(const struct trust_case *c)
{
    const helio_fingerprint *fp = &c->peer->fingerprint;
    const helio_station *station = helio_known_by_fingerprint(c->known, fp);

    if (!helio_fingerprint_equal(fp, &c->pin->fingerprint))
        return (struct trust_decision){.verdict = TRUST_WRONG_PEER};
    struct trust_decision d =
        trusted_as(c->pin->by_name || !station ? c->pin->name : station->name);
    d.own = is_own(c);
    return d;
}

static struct trust_decision decide_unknown(const struct trust_case *c)
{
    struct trust_decision d = {.verdict = c->accept_new ? TRUST_TRUSTED : TRUST_UNKNOWN,
                               .remember = c->accept_new};

    trust_new_name(c, d.name);
    return d;
}

/* The rules of trust.h, in their order. */
struct trust_decision trust_decide(const struct trust_case *c)
{
    const helio_fingerprint *fp = &c->peer->fingerprint;
    bool initiator = c->role == HELIO_INITIATOR;
    const helio_station *by_name =
        helio_known_by_name(c->known, initiator ? c->label : c->peer->name);
    const helio_station *by_key = helio_known_by_fingerprint(c->known, fp);

    if (c->pin && c->pin->set)
        return decide_pinned(c);
    if (initiator && by_name)
        return helio_fingerprint_equal(fp, &by_name->fingerprint) ? trusted_as(by_name->name)
                                                                  : changed(by_name);
    if (by_key)
        return trusted_as(by_key->name);
    if (is_own(c)) {
        struct trust_decision d = trusted_as("own station");

        d.own = true;
        return d;
    }
    if (by_name)
        return changed(by_name);
    return decide_unknown(c);
}

enum trust_reply trust_read_reply(const struct trust_case *c, const char *line)
{
    char fingerprint[HELIO_FINGERPRINT_TEXT];
    size_t n;

    helio_fingerprint_format(&c->peer->fingerprint, fingerprint);
    line += strspn(line, " \t\r");
    n = strcspn(line, " \t\r\n");
    if (line[n + strspn(line + n, " \t\r\n")] != '\0')
        return TRUST_AGAIN;
    if (n == 3 && strncasecmp(line, "yes", n) == 0)
        return TRUST_YES;
    if (n == 2 && strncasecmp(line, "no", n) == 0)
        return TRUST_NO;
    if (n == strlen(fingerprint) && strncmp(line, fingerprint, n) == 0)
        return TRUST_YES;
    return TRUST_AGAIN;
}
