#include "crypto/rsa_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/hash.h"
#include "crypto/result.h"

/* DER SubjectPublicKeyInfo of a 2048-bit key with e = 65537. */
enum { PUBLIC_DER_MIN = 294 };

const struct rsa_rule rsa_rule_station = {HELIO_RSA_BITS_MIN, HELIO_RSA_BITS_MAX, false};

/* AlgorithmIdentifier { rsaEncryption, NULL } (RFC 3279, 2.3.1). */
static const uint8_t rsa_encryption[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
/* INTEGER 65537, which ends the DER of every key of a station. */
static const uint8_t exponent_der[] = {0x02, 0x03, 0x01, 0x00, 0x01};

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

/* ------------------------------------------------------------------------------- public as DER --
 */

/* The content of the next DER value.  It takes more lengths than DER has; check_canonical does not. */
static struct span der_content(struct reader *r, unsigned tag)
{
    bool right = read_u8(r) == tag;
    size_t n = read_u8(r);

    if (n == 0x81)
        n = read_u8(r);
    else if (n == 0x82)
        n = read_u16(r);
    const uint8_t *p = read_bytes(r, n);
    if (!right)
        r->failed = true;
    return (struct span){p, p ? n : 0};
}

/*
 * Finds the two numbers of SEQUENCE { algorithm, BIT STRING { SEQUENCE { modulus, exponent } } }.
 * By hand, because strangers send it: OpenSSL's decoders try many kinds of keys, and cannot tell
 * that they ran out of memory from a key that is none.
 */
static bool split_public(const uint8_t *der, size_t n, struct span *modulus, struct span *exponent)
{
    struct reader whole = reader_over(der, n);
    struct span content = der_content(&whole, 0x30);
    struct reader info = reader_over(content.p, content.n);
    const uint8_t *algorithm = read_bytes(&info, sizeof rsa_encryption);
    struct span bits = der_content(&info, 0x03);
    struct reader string = reader_over(bits.p, bits.n);
    unsigned unused_bits = read_u8(&string);
    struct span numbers = der_content(&string, 0x30);
    struct reader key = reader_over(numbers.p, numbers.n);

    *modulus = der_content(&key, 0x02);
    *exponent = der_content(&key, 0x02);
    return reader_ended(&whole) && reader_ended(&info) && reader_ended(&string) &&
           reader_ended(&key) && unused_bits == 0 && modulus->n > 0 && exponent->n > 0 &&
           memcmp(algorithm, rsa_encryption, sizeof rsa_encryption) == 0;
}

static enum helio_err build_public(EVP_PKEY **out, struct span modulus, struct span exponent)
{
    EVP_PKEY *pkey = NULL;
    BIGNUM *n = BN_bin2bn(modulus.p, (int)modulus.n, NULL);
    BIGNUM *e = BN_bin2bn(exponent.p, (int)exponent.n, NULL);
    OSSL_PARAM_BLD *list = OSSL_PARAM_BLD_new();
    bool listed = n && e && list && OSSL_PARAM_BLD_push_BN(list, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
                  OSSL_PARAM_BLD_push_BN(list, OSSL_PKEY_PARAM_RSA_E, e) == 1;
    OSSL_PARAM *params = listed ? OSSL_PARAM_BLD_to_param(list) : NULL;
    EVP_PKEY_CTX *context = params ? EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL) : NULL;
    bool ok = context && EVP_PKEY_fromdata_init(context) == 1 &&
              EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1;

    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(list);
    BN_free(e);
    BN_free(n);
    *out = pkey;
    return crypto_result(ok, HELIO_E_CRYPTO);
}

/* One key, one encoding: else it would have many fingerprints. */
static enum helio_err check_canonical(EVP_PKEY *pkey, const uint8_t *der, size_t n)
{
    unsigned char *again = NULL;
    int again_n = i2d_PUBKEY(pkey, &again);
    enum helio_err err = crypto_result(again_n > 0, HELIO_E_CRYPTO);

    if (err == HELIO_OK && ((size_t)again_n != n || memcmp(again, der, n) != 0))
        err = HELIO_E_KEY;
    OPENSSL_free(again);
    return err;
}

enum helio_err rsa_read_public(EVP_PKEY **out, const uint8_t *der, size_t n)
{
    struct span modulus, exponent;

    *out = NULL;
    if (n > RSA_PUBLIC_DER_MAX || !split_public(der, n, &modulus, &exponent))
        return HELIO_E_KEY;
    enum helio_err err = build_public(out, modulus, exponent);
    if (err == HELIO_OK)
        err = check_canonical(*out, der, n);
    if (err != HELIO_OK) {
        EVP_PKEY_free(*out);
        *out = NULL;
    }
    return err;
}

enum helio_err rsa_from_public_der(struct rsa_key **out, const uint8_t *der, size_t n)
{
    EVP_PKEY *pkey;

    *out = NULL;
    /* What costs nothing to see comes first. */
    if (n < PUBLIC_DER_MIN ||
        memcmp(der + n - sizeof exponent_der, exponent_der, sizeof exponent_der) != 0)
        return HELIO_E_KEY;
    enum helio_err err = rsa_read_public(&pkey, der, n);

    return err == HELIO_OK ? rsa_adopt(out, pkey, &rsa_rule_station) : err;
}

enum helio_err rsa_public_der(const struct rsa_key *key, uint8_t out[RSA_PUBLIC_DER_MAX], size_t *n)
{
    unsigned char *der = NULL;
    int der_n = i2d_PUBKEY(key->pkey, &der);
    enum helio_err err =
        crypto_result(der_n > 0 && der_n <= (int)RSA_PUBLIC_DER_MAX, HELIO_E_CRYPTO);

    *n = 0;
    if (err == HELIO_OK) {
        memcpy(out, der, (size_t)der_n);
        *n = (size_t)der_n;
    }
    OPENSSL_free(der);
    return err;
}

/* ------------------------------------------------------------------------------- raw operations --
 */

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

/* ----------------------------------------------------------------------------------- signatures --
 */

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
