#include "helio.h"

static const char *const texts[HELIO_ERR_COUNT] = {
    [HELIO_OK] = "no error",
    [HELIO_E_ARGUMENT] = "a value is out of its range",
    [HELIO_E_MEMORY] = "out of memory",
    [HELIO_E_SYSTEM] = "the system refused",
    [HELIO_E_CRYPTO] = "the crypto library failed",
    [HELIO_E_EXISTS] = "it exists already",
    [HELIO_E_NOT_FOUND] = "there is no such name",
    [HELIO_E_FORMAT] = "the file is not in its format",
    [HELIO_E_KEY] = "the key is of the wrong kind or size",
    [HELIO_E_MODE] = "the file's owner or mode leaves it open to others",
    [HELIO_E_PASSPHRASE] = "the passphrase is missing or wrong",
    [HELIO_E_AGAIN] = "the output queue is full",
    [HELIO_E_STATE] = "the call does not fit the session's state",
    [HELIO_E_TOO_LONG] = "it is too long",
    [HELIO_E_UNTRUSTED] = "the station is not trusted",
    [HELIO_E_REFUSED] = "the station refused us",
    [HELIO_E_RETURNING] = "the station left to ask its user and will call again",
    [HELIO_E_NO_COMMON] = "no protocol version or suite in common",
    [HELIO_E_TIMEOUT] = "the station did not answer in time",
    [HELIO_E_CUT] = "the line was cut",
    [HELIO_E_BROKEN] = "the line was altered, or the station broke the protocol",
    [HELIO_E_ALERT] = "the station reported that it failed",
    [HELIO_E_EXHAUSTED] = "the session has run out of keys",
};

const char *helio_strerror(enum helio_err err)
{
    if ((unsigned)err >= HELIO_ERR_COUNT)
        return "unknown error";
    return texts[err];
}

const char *helio_version(void)
{
    return HELIO_VERSION;
}
