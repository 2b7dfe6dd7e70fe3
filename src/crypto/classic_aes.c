#include "crypto/classic_aes.h"

#include <string.h>

#include <openssl/evp.h>

#include "base/wipe.h"
#include "crypto/result.h"

enum helio_err classic_aes_encrypt(uint8_t out[CLASSIC_AES_BLOCK],
                                   const uint8_t in[CLASSIC_AES_BLOCK],
                                   const uint8_t key[CLASSIC_AES_KEY])
{
    uint8_t block[CLASSIC_AES_BLOCK];
    int n = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool done = context && EVP_EncryptInit_ex2(context, EVP_aes_128_ecb(), key, NULL, NULL) == 1 &&
                EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                EVP_EncryptUpdate(context, block, &n, in, CLASSIC_AES_BLOCK) == 1 &&
                n == CLASSIC_AES_BLOCK;
    enum helio_err err = crypto_result(done, HELIO_E_CRYPTO);

    if (err == HELIO_OK)
        memcpy(out, block, sizeof block);
    wipe(block, sizeof block);
    EVP_CIPHER_CTX_free(context);
    return err;
}
