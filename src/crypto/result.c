#include "crypto/result.h"

#include <openssl/err.h>

enum helio_err crypto_result(bool ok, enum helio_err otherwise)
{
    enum helio_err err = ok ? HELIO_OK : otherwise;
    unsigned long e;

    while ((e = ERR_get_error()) != 0)
        if (!ok && ERR_GET_REASON(e) == ERR_R_MALLOC_FAILURE)
            err = HELIO_E_MEMORY;
    /* An error that was read still holds its strings until its place in the queue is needed. */
    if (!ok)
        ERR_clear_error();
    return err;
}
