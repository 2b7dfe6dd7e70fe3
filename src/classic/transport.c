#include "classic/transport.h"

#include "base/wipe.h"
#include "classic/hex.h"
#include "crypto/classic_aes.h"
#include "crypto/hash.h"

enum helio_err transport_from_random(uint8_t t[TRANSPORT_KEY], const uint8_t k[TRANSPORT_KEY])
{
    uint8_t block[CLASSIC_AES_BLOCK];
    enum helio_err err = classic_aes_encrypt(block, k, k);

    if (err == HELIO_OK)
        for (size_t i = 0; i < TRANSPORT_KEY; i++)
            t[i] = k[i] ^ block[i];
    wipe(block, sizeof block);
    return err;
}

enum helio_err digest_text(uint8_t out[DIGEST_TEXT], const void *p, size_t n)
{
    uint8_t hash[SHA1_SIZE];
    enum helio_err err = sha1(hash, p, n);

    if (err == HELIO_OK)
        hex_write_lower(out, hash, sizeof hash);
    wipe(hash, sizeof hash);
    return err;
}
