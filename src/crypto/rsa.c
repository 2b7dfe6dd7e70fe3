#include "crypto/rsa_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/hash.h"
#include "crypto/result.h"

const struct rsa_rule rsa_rule_station = {HELIO_RSA_BITS_MIN, HELIO_RSA_BITS_MAX, false};

/* ------------------------------------------------------------------------------ keys as such -- */

void rsa_free(struct rsa_key *key)
{
    if (!key)
        return;
    EVP_PKEY_free(key->pkey); /* wipes the private numbers */
    free(key);
}

unsigned rsa_bits(const struct rsa_key *key)
{
    return key->bits;
}

size_t rsa_size(const struct rsa_key *key)
{
    return key->size;
}

/* The length comes from the modulus itself: EVP_PKEY_get_bits says 0 when memory was short. */
static enum helio_err check_numbers(const EVP_PKEY *pkey, const struct rsa_rule *rule, int *bits)
{
    BIGNUM *n = NULL, *e = NULL;
    bool got = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
               EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1;
    enum helio_err err = crypto_result(got, HELIO_E_CRYPTO);

    if (err == HELIO_OK) {
        bool exponent = rule->any_exponent ? BN_is_odd(e) && !BN_is_one(e) && BN_cmp(e, n) < 0
                                           : BN_is_word(e, RSA_F4);

        *bits = BN_num_bits(n);
        if (*bits < (int)rule->bits_min || *bits > (int)rule->bits_max || !BN_is_odd(n) ||
            !exponent)
            err = HELIO_E_KEY;
    }
    BN_free(n);
    BN_free(e);
    return err;
}

enum helio_err rsa_adopt(struct rsa_key **out, EVP_PKEY *pkey, const struct rsa_rule *rule)
{
    int bits = 0;
    struct rsa_key *key = NULL;
    enum helio_err err =
        EVP_PKEY_is_a(pkey, "RSA") ? check_numbers(pkey, rule, &bits) : HELIO_E_KEY;

    *out = NULL;
    if (err != HELIO_OK)
        goto out;
    key = calloc(1, sizeof *key);
    if (!key) {
        err = HELIO_E_MEMORY;
        goto out;
    }
    *key = (struct rsa_key){.pkey = pkey, .bits = (unsigned)bits, .size = ((size_t)bits + 7) / 8};
    pkey = NULL;
    *out = key;
out:
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return err;
}

enum helio_err rsa_draw(EVP_PKEY **out, unsigned bits)
{
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    bool ok = context && EVP_PKEY_keygen_init(context) == 1 &&
              EVP_PKEY_CTX_set_rsa_keygen_bits(context, (int)bits) == 1 &&
              EVP_PKEY_generate(context, &pkey) == 1;

    EVP_PKEY_CTX_free(context);
    *out = pkey;
    return crypto_result(ok, HELIO_E_CRYPTO);
}

enum helio_err rsa_generate(struct rsa_key **out, unsigned bits)
{
    EVP_PKEY *pkey;

    *out = NULL;
    if (bits < HELIO_RSA_BITS_MIN || bits > HELIO_RSA_BITS_MAX)
        return HELIO_E_ARGUMENT;
    enum helio_err err = rsa_draw(&pkey, bits);

    return err == HELIO_OK ? rsa_adopt(out, pkey, &rsa_rule_station) : err;
}

/* ---------------------------------------------------------------------------- raw operations -- */

typedef int raw_init(EVP_PKEY_CTX *context);
typedef int raw_run(EVP_PKEY_CTX *context, unsigned char *out, size_t *out_n,
                    const unsigned char *in, size_t n);

static enum helio_err raw(const struct rsa_key *key, raw_init *init, raw_run *run,
                          const uint8_t *in, uint8_t *out)
{
    size_t n = key->size;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, key->pkey, NULL);
    bool ok = context && init(context) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) == 1 &&
              run(context, out, &n, in, key->size) == 1 && n == key->size;
    bool too_large =
        !ok && ERR_GET_REASON(ERR_peek_last_error()) == RSA_R_DATA_TOO_LARGE_FOR_MODULUS;

    EVP_PKEY_CTX_free(context);
    enum helio_err err = crypto_result(ok, too_large ? HELIO_E_BROKEN : HELIO_E_CRYPTO);
    if (err != HELIO_OK)
        wipe(out, key->size);
    return err;
}

enum helio_err rsa_raw_public(const struct rsa_key *key, const uint8_t *in, uint8_t *out)
{
    return raw(key, EVP_PKEY_encrypt_init, EVP_PKEY_encrypt, in, out);
}

enum helio_err rsa_raw_private(const struct rsa_key *key, const uint8_t *in, uint8_t *out)
{
    return raw(key, EVP_PKEY_decrypt_init, EVP_PKEY_decrypt, in, out);
}

/* -------------------------------------------------------------------------------- signatures -- */

/* XORs MGF1 with SHA-256 of seed onto p[0..n) (RFC 8017, B.2.1). */
static enum helio_err mask_generate(uint8_t *p, size_t n, const uint8_t seed[SHA256_SIZE])
{
    uint8_t input[SHA256_SIZE + 4], block[SHA256_SIZE];

    memcpy(input, seed, SHA256_SIZE);
    for (size_t at = 0; at < n; at++) {
        if (at % SHA256_SIZE == 0) {
            /* At most 32 blocks for the longest modulus: u16 holds the counter. */
            put_u16(input + SHA256_SIZE, 0);
            put_u16(input + SHA256_SIZE + 2, (unsigned)(at / SHA256_SIZE));
            enum helio_err err = sha256(block, input, sizeof input);
            if (err != HELIO_OK)
                return err;
        }
        p[at] ^= block[at % SHA256_SIZE];
    }
    return HELIO_OK;
}

/*
 * EMSA-PSS (RFC 8017, 9.1.1) to the whole width of the modulus.  The encoded message has one bit
 * less than the modulus; when those bits fill whole bytes, a zero byte stands before them.
 */
static enum helio_err pss_encode(const struct rsa_key *key, const uint8_t salt[RSA_SALT_SIZE],
                                 const uint8_t *m, size_t n, uint8_t *out)
{
    unsigned em_bits = key->bits - 1;
    size_t em_n = (em_bits + 7) / 8, db_n = em_n - SHA256_SIZE - 1;
    uint8_t *em = out + (key->size - em_n), *h = em + db_n;
    uint8_t bound[8 + SHA256_SIZE + RSA_SALT_SIZE] = {0};
    enum helio_err err = sha256(bound + 8, m, n);

    if (err != HELIO_OK)
        return err;
    memset(out, 0, key->size);
    memcpy(bound + 8 + SHA256_SIZE, salt, RSA_SALT_SIZE);
    err = sha256(h, bound, sizeof bound);
    if (err != HELIO_OK)
        return err;
    em[db_n - RSA_SALT_SIZE - 1] = 0x01;
    memcpy(em + db_n - RSA_SALT_SIZE, salt, RSA_SALT_SIZE);
    err = mask_generate(em, db_n, h);
    em[0] &= (uint8_t)(0xff >> (8 * em_n - em_bits));
    em[em_n - 1] = 0xbc;
    return err;
}

enum helio_err rsa_sign(const struct rsa_key *key, const uint8_t salt[RSA_SALT_SIZE],
                        const uint8_t *m, size_t n, uint8_t out[RSA_SIGNATURE_MAX])
{
    uint8_t em[RSA_SIGNATURE_MAX];
    enum helio_err err = pss_encode(key, salt, m, n, em);

    if (err == HELIO_OK)
        err = rsa_raw_private(key, em, out);
    if (err == HELIO_OK)
        err = rsa_verify(key, m, n, out, key->size);
    if (err == HELIO_E_BROKEN) /* our own: no peer is to blame */
        err = HELIO_E_CRYPTO;
    if (err != HELIO_OK)
        wipe(out, key->size); /* a faulty signature can give the key away */
    wipe(em, sizeof em);
    return err;
}

enum helio_err rsa_verify(const struct rsa_key *key, const uint8_t *m, size_t n,
                          const uint8_t *signature, size_t signature_n)
{
    EVP_PKEY_CTX *options; /* belongs to context */
    EVP_MD_CTX *context;

    if (signature_n != key->size)
        return HELIO_E_BROKEN;
    context = EVP_MD_CTX_new();
    if (!context)
        return crypto_result(false, HELIO_E_MEMORY);
    bool ready =
        EVP_DigestVerifyInit_ex(context, &options, "SHA256", NULL, NULL, key->pkey, NULL) == 1 &&
        EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
        EVP_PKEY_CTX_set_rsa_mgf1_md_name(options, "SHA256", NULL) == 1 &&
        EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_SALT_SIZE) == 1;
    enum helio_err err = crypto_result(ready, HELIO_E_CRYPTO);

    if (err == HELIO_OK) {
        bool holds = EVP_DigestVerify(context, signature, signature_n, m, n) == 1;
        /* Who looked at the signature and did not like it is RSA; all else is a failure of ours. */
        bool judged = ERR_GET_LIB(ERR_peek_error()) == ERR_LIB_RSA;

        err = crypto_result(holds, judged ? HELIO_E_BROKEN : HELIO_E_CRYPTO);
    }
    EVP_MD_CTX_free(context);
    return err;
}
