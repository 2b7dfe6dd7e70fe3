/*
 * session_new.c: the only place that knows both protocols.  Which one runs is the caller's word;
 * nothing here or on the wire ever changes it.
 */
#include "classic/classic.h"
#include "helio1/helio1.h"

enum helio_err helio_session_new(helio_session **out, const helio_config *config, helio_role role)
{
    *out = NULL;
    if (role != HELIO_INITIATOR && role != HELIO_RESPONDER)
        return HELIO_E_ARGUMENT;
    switch (config->protocol) {
    case HELIO_PROTOCOL_HELIO1:
        return helio1_new(out, config, role);
    case HELIO_PROTOCOL_CLASSIC:
        return classic_new(out, config, role);
    }
    return HELIO_E_ARGUMENT;
}
