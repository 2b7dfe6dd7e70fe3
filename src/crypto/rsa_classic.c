/* RSA as the teaching text of classic uses it: no padding, no owner. */
#include "crypto/rsa_key.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "crypto/pem.h"
#include "crypto/result.h"

const struct rsa_rule rsa_rule_classic = {RSA_CLASSIC_BITS, 8 * RSA_CLASSIC_BYTES_MAX, true};

enum helio_err rsa_classic_generate(struct rsa_key **out)
{
    EVP_PKEY *pkey;
    enum helio_err err = rsa_draw(&pkey, RSA_CLASSIC_BITS);

    *out = NULL;
    return err == HELIO_OK ? rsa_adopt(out, pkey, &rsa_rule_classic) : err;
}

enum helio_err rsa_classic_from_private_pem(struct rsa_key **out, const char *pem, size_t n)
{
    struct pem_block block;
    EVP_PKEY *pkey = NULL;
    enum helio_err err = pem_read(&block, pem, n);

    *out = NULL;
    if (err != HELIO_OK)
        return err;
    if (strcmp(block.label, PEM_STRING_RSA) == 0 || strcmp(block.label, PEM_STRING_PKCS8INF) == 0) {
        const unsigned char *end = block.der;

        pkey = d2i_PrivateKey_ex(EVP_PKEY_RSA, NULL, &end, (long)block.n, NULL, NULL);
        err = crypto_result(pkey && end == block.der + block.n, HELIO_E_KEY);
    } else {
        err = HELIO_E_FORMAT;
    }
    pem_clear(&block);
    if (err != HELIO_OK) {
        EVP_PKEY_free(pkey);
        return err;
    }
    return rsa_adopt(out, pkey, &rsa_rule_classic);
}

enum helio_err rsa_classic_from_public_pem(struct rsa_key **out, const char *pem, size_t n)
{
    struct pem_block block;
    EVP_PKEY *pkey = NULL;
    enum helio_err err = pem_read(&block, pem, n);

    *out = NULL;
    if (err == HELIO_OK) {
        err = strcmp(block.label, PEM_STRING_PUBLIC) == 0
                  ? rsa_read_public(&pkey, block.der, block.n)
                  : HELIO_E_KEY;
        pem_clear(&block);
    }
    if (err == HELIO_OK)
        return rsa_adopt(out, pkey, &rsa_rule_classic);
    /* The text comes from the peer: whatever is wrong with it is wrong with its key. */
    return err == HELIO_E_FORMAT ? HELIO_E_KEY : err;
}

enum helio_err rsa_classic_encrypt(const struct rsa_key *key, const uint8_t *in, uint8_t *out)
{
    return rsa_raw_public(key, in, out);
}

enum helio_err rsa_classic_decrypt(const struct rsa_key *key, const uint8_t *in, uint8_t *out)
{
    return rsa_raw_private(key, in, out);
}
