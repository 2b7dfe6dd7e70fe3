/* Keys as PEM: those of identities in PKCS#8, plain or encrypted, and public halves. */
#include "crypto/rsa_key.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs12err.h>
#include <openssl/proverr.h>
#include <openssl/x509.h>

#include "base/wipe.h"
#include "crypto/pem.h"
#include "crypto/result.h"

/*
 * scrypt's price of one guess: 16 MiB (128 N r bytes), five times over.  More memory at once would
 * pass the 32 MiB that OpenSSL, here and in its own program, lets a file ask for.
 */
enum { SCRYPT_N = 1 << 14, SCRYPT_R = 8, SCRYPT_P = 5, SCRYPT_SALT_SIZE = 16 };

/* ----------------------------------------------------------------------------------- reading -- */

struct asker {
    helio_passphrase_fn *ask; /* may be NULL */
    void *context;
};

static enum helio_err open_plain(PKCS8_PRIV_KEY_INFO **out, const struct pem_block *block,
                                 const struct asker *asker)
{
    (void)asker;
    const unsigned char *end = block->der;

    *out = d2i_PKCS8_PRIV_KEY_INFO(NULL, &end, (long)block->n);
    return crypto_result(*out && end == block->der + block->n, HELIO_E_FORMAT);
}

/* Empties the error queue and says what kept PKCS8_decrypt from its work. */
static enum helio_err decrypt_error(void)
{
    enum helio_err err = HELIO_E_FORMAT;
    unsigned long e;

    while (err != HELIO_E_MEMORY && (e = ERR_get_error()) != 0) {
        int lib = ERR_GET_LIB(e), reason = ERR_GET_REASON(e);

        if (reason == ERR_R_MALLOC_FAILURE)
            err = HELIO_E_MEMORY;
        /* Under a wrong passphrase the padding is wrong or, once in 256 times, what it encloses. */
        else if ((lib == ERR_LIB_PROV && reason == PROV_R_BAD_DECRYPT) ||
                 (lib == ERR_LIB_PKCS12 && reason == PKCS12_R_DECODE_ERROR))
            err = HELIO_E_PASSPHRASE;
    }
    ERR_clear_error();
    return err;
}

static enum helio_err decrypt_asking(PKCS8_PRIV_KEY_INFO **out, const X509_SIG *sealed,
                                     const struct asker *asker)
{
    char passphrase[HELIO_PASSPHRASE_MAX];
    size_t n = 0;
    enum helio_err err = HELIO_E_PASSPHRASE;

    if (asker->ask && asker->ask(asker->context, passphrase, sizeof passphrase, &n) == HELIO_OK &&
        n > 0 && n <= sizeof passphrase) {
        *out = PKCS8_decrypt(sealed, passphrase, (int)n);
        err = *out ? HELIO_OK : decrypt_error();
    }
    wipe(passphrase, sizeof passphrase);
    return err;
}

static enum helio_err open_encrypted(PKCS8_PRIV_KEY_INFO **out, const struct pem_block *block,
                                     const struct asker *asker)
{
    const unsigned char *end = block->der;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &end, (long)block->n);
    enum helio_err err = crypto_result(sealed && end == block->der + block->n, HELIO_E_FORMAT);
    const X509_ALGOR *scheme = NULL;
    const ASN1_OBJECT *name = NULL;

    if (err == HELIO_OK) {
        X509_SIG_get0(sealed, &scheme, NULL);
        X509_ALGOR_get0(&name, NULL, NULL, scheme);
        /* The schemes before PBES2 hash once and encrypt with DES or RC2. */
        if (OBJ_obj2nid(name) != NID_pbes2)
            err = HELIO_E_FORMAT;
    }
    if (err == HELIO_OK)
        err = decrypt_asking(out, sealed, asker);
    X509_SIG_free(sealed);
    return err;
}

static const struct form {
    const char *label;
    enum helio_err (*open)(PKCS8_PRIV_KEY_INFO **out, const struct pem_block *block,
                           const struct asker *asker);
} forms[] = {
    {PEM_STRING_PKCS8INF, open_plain},
    {PEM_STRING_PKCS8, open_encrypted},
};

static const struct form *form_of(const struct pem_block *block)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(block->label, forms[i].label) == 0)
            return &forms[i];
    return NULL;
}

static enum helio_err key_of(struct rsa_key **out, const PKCS8_PRIV_KEY_INFO *info)
{
    const ASN1_OBJECT *algorithm = NULL;
    const unsigned char *der = NULL;
    EVP_PKEY *pkey;
    int n = 0;

    if (PKCS8_pkey_get0(&algorithm, &der, &n, NULL, info) != 1 ||
        OBJ_obj2nid(algorithm) != NID_rsaEncryption)
        return crypto_result(false, HELIO_E_KEY);
    enum helio_err err = rsa_read_private(&pkey, der, (size_t)n);

    return err == HELIO_OK ? rsa_adopt(out, pkey, &rsa_rule_station) : err;
}

/* Whether the halves belong together: a damaged file should not wait for the first handshake. */
static enum helio_err check_pair(const struct rsa_key *key)
{
    static const uint8_t salt[RSA_SALT_SIZE], message[1];
    uint8_t signature[RSA_SIGNATURE_MAX];
    enum helio_err err = rsa_sign(key, salt, message, sizeof message, signature);

    return err == HELIO_E_CRYPTO ? HELIO_E_KEY : err;
}

enum helio_err rsa_from_private_pem(struct rsa_key **out, const char *pem, size_t n,
                                    helio_passphrase_fn *ask, void *context)
{
    const struct asker asker = {ask, context};
    struct pem_block block;
    PKCS8_PRIV_KEY_INFO *info = NULL;
    struct rsa_key *key = NULL;
    enum helio_err err = pem_read(&block, pem, n);

    *out = NULL;
    if (err != HELIO_OK)
        return err;
    const struct form *form = form_of(&block);
    err = form ? form->open(&info, &block, &asker) : HELIO_E_FORMAT;
    if (err == HELIO_OK)
        err = key_of(&key, info);
    if (err == HELIO_OK)
        err = check_pair(key);
    if (err == HELIO_OK) {
        *out = key;
        key = NULL;
    }
    rsa_free(key);
    PKCS8_PRIV_KEY_INFO_free(info);
    pem_clear(&block);
    return err;
}

/* ----------------------------------------------------------------------------------- writing -- */

/* The text of a memory BIO in memory of malloc, with a NUL behind it. */
static enum helio_err take_text(BIO *bio, char **out, size_t *n)
{
    char *text = NULL;
    long text_n = BIO_get_mem_data(bio, &text);
    char *copy = malloc((size_t)text_n + 1);

    if (!copy)
        return HELIO_E_MEMORY;
    memcpy(copy, text, (size_t)text_n);
    copy[text_n] = '\0';
    *out = copy;
    *n = (size_t)text_n;
    return HELIO_OK;
}

enum helio_err rsa_public_pem(const struct rsa_key *key, char **out)
{
    size_t n;
    BIO *bio = BIO_new(BIO_s_mem());
    enum helio_err err = crypto_result(bio, HELIO_E_MEMORY);

    *out = NULL;
    if (err == HELIO_OK)
        err = crypto_result(PEM_write_bio_PUBKEY(bio, key->pkey) == 1, HELIO_E_CRYPTO);
    if (err == HELIO_OK)
        err = take_text(bio, out, &n);
    BIO_free(bio);
    return err;
}

/* Not EVP_PKEY2PKCS8: it frees a copy of the private numbers without wiping it. */
static enum helio_err info_of(PKCS8_PRIV_KEY_INFO **out, const struct rsa_key *key)
{
    PKCS8_PRIV_KEY_INFO *info = PKCS8_PRIV_KEY_INFO_new();
    uint8_t *der = NULL;
    size_t n = 0;
    enum helio_err err = crypto_result(info, HELIO_E_MEMORY);

    *out = NULL;
    if (err == HELIO_OK)
        err = rsa_write_private(key, &der, &n);
    if (err == HELIO_OK)
        err = crypto_result(PKCS8_pkey_set0(info, OBJ_nid2obj(NID_rsaEncryption), 0, V_ASN1_NULL,
                                            NULL, der, (int)n) == 1,
                            HELIO_E_CRYPTO);
    if (err == HELIO_OK) {
        *out = info; /* has der now, and wipes it */
        return HELIO_OK;
    }
    OPENSSL_clear_free(der, n);
    PKCS8_PRIV_KEY_INFO_free(info);
    return err;
}

static bool write_encrypted(BIO *bio, PKCS8_PRIV_KEY_INFO *info, const char *passphrase, size_t n)
{
    X509_ALGOR *scheme = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, SCRYPT_SALT_SIZE, NULL,
                                               SCRYPT_N, SCRYPT_R, SCRYPT_P);
    X509_SIG *sealed = scheme ? PKCS8_set0_pbe(passphrase, (int)n, info, scheme) : NULL;
    bool ok = sealed && PEM_write_bio_PKCS8(bio, sealed) == 1;

    if (!sealed)
        X509_ALGOR_free(scheme); /* else it went into sealed */
    X509_SIG_free(sealed);
    return ok;
}

enum helio_err rsa_private_pem(const struct rsa_key *key, const char *passphrase,
                               size_t passphrase_n, char **out, size_t *n)
{
    *out = NULL;
    *n = 0;
    if (passphrase_n > HELIO_PASSPHRASE_MAX) /* nobody could read it back */
        return HELIO_E_ARGUMENT;
    PKCS8_PRIV_KEY_INFO *info;
    enum helio_err err = info_of(&info, key);
    if (err != HELIO_OK)
        return err;
    BIO *bio = BIO_new(BIO_s_secmem()); /* wipes what it held */
    bool ok = bio && (passphrase_n > 0 ? write_encrypted(bio, info, passphrase, passphrase_n)
                                       : PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio, info) == 1);

    err = crypto_result(ok, bio ? HELIO_E_CRYPTO : HELIO_E_MEMORY);
    if (err == HELIO_OK)
        err = take_text(bio, out, n);
    PKCS8_PRIV_KEY_INFO_free(info);
    BIO_free(bio);
    return err;
}
