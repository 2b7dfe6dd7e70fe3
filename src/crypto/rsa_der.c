/*
 * Keys as DER, taken apart by hand.  The forms are fixed and short, and OpenSSL's decoders do not
 * suit what is in them: they try many kinds of keys on a stranger's bytes, cannot tell that they
 * ran out of memory from a key that is none, and leave private numbers in memory that they free.
 * Its encoder does the last, too, so private keys are written by hand as well.
 */
#include "crypto/rsa_key.h"

#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/wipe.h"
#include "crypto/result.h"

enum {
    /* SubjectPublicKeyInfo of a 2048-bit key with e = 65537. */
    PUBLIC_DER_MIN = 294,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_SEQUENCE = 0x30,
    PUBLIC_NUMBERS = 2,
    PRIVATE_NUMBERS = 8,
    /* der_number lets none be longer than the longest modulus and a zero before it. */
    NUMBER_SIZE = RSA_SIGNATURE_MAX + 1,
    NUMBERS_SIZE = PRIVATE_NUMBERS * NUMBER_SIZE,
    HEAD_MAX = 4, /* tag and length */
    VERSION_SIZE = 3,
    PRIVATE_DER_MAX = HEAD_MAX + VERSION_SIZE + PRIVATE_NUMBERS * (HEAD_MAX + NUMBER_SIZE)
};

/* AlgorithmIdentifier { rsaEncryption, NULL } (RFC 3279, 2.3.1). */
static const uint8_t rsa_encryption[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                         0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
/* INTEGER 65537, which ends the DER of every key of a station. */
static const uint8_t exponent_der[] = {0x02, 0x03, 0x01, 0x00, 0x01};

/* OpenSSL's names of the numbers in the order of RSAPrivateKey (RFC 8017, A.1.2). */
static const char *const number_names[PRIVATE_NUMBERS] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

/* The content of the next DER value; its length must be in the shortest form that holds it. */
static struct span der_content(struct reader *r, unsigned tag)
{
    bool right = read_u8(r) == tag;
    size_t n = read_u8(r), least = 0;

    if (n == 0x81) {
        n = read_u8(r);
        least = 0x80;
    } else if (n == 0x82) {
        n = read_u16(r);
        least = 0x100;
    } else {
        right = right && n < 0x80;
    }
    const uint8_t *p = read_bytes(r, n);
    if (!right || n < least)
        r->failed = true;
    return (struct span){p, p ? n : 0};
}

/* An INTEGER that is not negative, without zeros that say nothing. */
static struct span der_number(struct reader *r)
{
    struct span number = der_content(r, TAG_INTEGER);

    if (number.n == 0 || number.p[0] >= 0x80 || number.n > NUMBER_SIZE ||
        (number.n > 1 && number.p[0] == 0 && number.p[1] < 0x80))
        r->failed = true;
    return number;
}

/*
 * SEQUENCE { algorithm, BIT STRING { SEQUENCE { modulus, exponent } } }.  One key, one encoding: else
 * it would have many fingerprints.  Every length and number is in its only form and nothing is left
 * over, so there is no need to encode the key again, which in OpenSSL costs more than to verify with
 * it.
 */
static bool split_public(const uint8_t *der, size_t n, struct span numbers[PUBLIC_NUMBERS])
{
    struct reader whole = reader_over(der, n);
    struct span content = der_content(&whole, TAG_SEQUENCE);
    struct reader info = reader_over(content.p, content.n);
    const uint8_t *algorithm = read_bytes(&info, sizeof rsa_encryption);
    struct span bits = der_content(&info, TAG_BIT_STRING);
    struct reader string = reader_over(bits.p, bits.n);
    unsigned unused_bits = read_u8(&string);
    struct span inner = der_content(&string, TAG_SEQUENCE);
    struct reader key = reader_over(inner.p, inner.n);

    for (size_t i = 0; i < PUBLIC_NUMBERS; i++)
        numbers[i] = der_number(&key);
    return reader_ended(&whole) && reader_ended(&info) && reader_ended(&string) &&
           reader_ended(&key) && unused_bits == 0 &&
           memcmp(algorithm, rsa_encryption, sizeof rsa_encryption) == 0;
}

/* SEQUENCE { version 0, eight numbers }; version 1, with more than two primes, is not for us. */
static bool split_private(const uint8_t *der, size_t n, struct span numbers[PRIVATE_NUMBERS])
{
    struct reader whole = reader_over(der, n);
    struct span content = der_content(&whole, TAG_SEQUENCE);
    struct reader key = reader_over(content.p, content.n);
    struct span version = der_number(&key);

    for (size_t i = 0; i < PRIVATE_NUMBERS; i++)
        numbers[i] = der_number(&key);
    return reader_ended(&whole) && reader_ended(&key) && version.n == 1 && version.p[0] == 0;
}

/* Writes a number in the machine's byte order: what OSSL_PARAM wants. */
static bool write_native(uint8_t *out, struct span number)
{
    BIGNUM *value = BN_bin2bn(number.p, (int)number.n, NULL);
    bool ok = value && BN_bn2nativepad(value, out, (int)number.n) == (int)number.n;

    BN_clear_free(value);
    return ok;
}

/* A key of the first count numbers. */
static enum helio_err build(EVP_PKEY **out, const struct span *numbers, size_t count, int selection)
{
    uint8_t native[NUMBERS_SIZE], *at = native;
    OSSL_PARAM params[PRIVATE_NUMBERS + 1];
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    bool ok = context && EVP_PKEY_fromdata_init(context) == 1;

    for (size_t i = 0; i < count; at += numbers[i++].n) {
        ok = ok && write_native(at, numbers[i]);
        params[i] = OSSL_PARAM_construct_BN(number_names[i], at, numbers[i].n);
    }
    params[count] = OSSL_PARAM_construct_end();
    ok = ok && EVP_PKEY_fromdata(context, &pkey, selection, params) == 1;
    EVP_PKEY_CTX_free(context);
    wipe(native, sizeof native);
    *out = pkey;
    return crypto_result(ok, HELIO_E_CRYPTO);
}

enum helio_err rsa_read_public(EVP_PKEY **out, const uint8_t *der, size_t n)
{
    struct span numbers[PUBLIC_NUMBERS];

    *out = NULL;
    if (n > RSA_PUBLIC_DER_MAX || !split_public(der, n, numbers))
        return HELIO_E_KEY;
    return build(out, numbers, PUBLIC_NUMBERS, EVP_PKEY_PUBLIC_KEY);
}

enum helio_err rsa_read_private(EVP_PKEY **out, const uint8_t *der, size_t n)
{
    struct span numbers[PRIVATE_NUMBERS];

    *out = NULL;
    if (!split_private(der, n, numbers))
        return HELIO_E_KEY;
    return build(out, numbers, PRIVATE_NUMBERS, EVP_PKEY_KEYPAIR);
}

static uint8_t *put_head(uint8_t *at, unsigned tag, size_t n)
{
    *at++ = (uint8_t)tag;
    if (n >= 0x100) {
        *at++ = 0x82;
        put_u16(at, (unsigned)n);
        return at + 2;
    }
    if (n >= 0x80)
        *at++ = 0x81;
    *at++ = (uint8_t)n;
    return at;
}

/* An INTEGER out of a number in the machine's byte order.  NULL when there is no memory. */
static uint8_t *put_number(uint8_t *at, const uint8_t native[NUMBER_SIZE])
{
    BIGNUM *value = BN_native2bn(native, NUMBER_SIZE, NULL);

    if (!value)
        return NULL;
    /* Room for one bit more than there are: the first says that it is not negative. */
    int n = BN_num_bits(value) / 8 + 1;
    at = put_head(at, TAG_INTEGER, (size_t)n);
    bool ok = BN_bn2binpad(value, at, n) == n;
    BN_clear_free(value);
    return ok ? at + n : NULL;
}

/* What stands inside RSAPrivateKey, to at; returns its end, or NULL. */
static uint8_t *put_private(uint8_t *at, const struct rsa_key *key)
{
    static const uint8_t version[VERSION_SIZE] = {TAG_INTEGER, 1, 0};
    uint8_t native[PRIVATE_NUMBERS][NUMBER_SIZE];
    OSSL_PARAM params[PRIVATE_NUMBERS + 1];

    for (size_t i = 0; i < PRIVATE_NUMBERS; i++)
        params[i] = OSSL_PARAM_construct_BN(number_names[i], native[i], NUMBER_SIZE);
    params[PRIVATE_NUMBERS] = OSSL_PARAM_construct_end();
    memcpy(at, version, sizeof version);
    at = EVP_PKEY_get_params(key->pkey, params) == 1 ? at + sizeof version : NULL;
    for (size_t i = 0; at && i < PRIVATE_NUMBERS; i++)
        at = OSSL_PARAM_modified(&params[i]) ? put_number(at, native[i]) : NULL;
    wipe(native, sizeof native);
    return at;
}

enum helio_err rsa_write_private(const struct rsa_key *key, uint8_t **out, size_t *n)
{
    uint8_t *der = OPENSSL_malloc(PRIVATE_DER_MAX);
    uint8_t *end = der ? put_private(der + HEAD_MAX, key) : NULL;
    enum helio_err err = crypto_result(end, HELIO_E_CRYPTO);

    *out = NULL;
    *n = 0;
    if (!end) {
        OPENSSL_clear_free(der, PRIVATE_DER_MAX);
        return err;
    }
    /* The numbers of 2048 bits and more take the longest head, HEAD_MAX bytes. */
    put_head(der, TAG_SEQUENCE, (size_t)(end - der) - HEAD_MAX);
    *out = der;
    *n = (size_t)(end - der);
    return HELIO_OK;
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
