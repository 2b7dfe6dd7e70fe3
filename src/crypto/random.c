#include <openssl/rand.h>

#include "base/wipe.h"
#include "crypto/result.h"

enum helio_err helio_random_system(void *context, uint8_t *out, size_t n)
{
    (void)context;
    /* The private generator: what it gives may become a key, and public draws stay out of its
     * state. */
    enum helio_err err = crypto_result(RAND_priv_bytes_ex(NULL, out, n, 0) == 1, HELIO_E_CRYPTO);

    if (err != HELIO_OK)
        wipe(out, n);
    return err;
}
