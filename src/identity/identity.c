#include "identity/identity.h"

#include <stdlib.h>

#include "base/wipe.h"
#include "identity/file.h"

/* An 8192-bit key, encrypted, takes 6.5 KB; the rest is room for comments around the PEM. */
enum { IDENTITY_FILE_MAX = 65536 };

struct helio_identity {
    struct rsa_key *key;
    uint8_t der[RSA_PUBLIC_DER_MAX];
    size_t der_n;
    helio_fingerprint fingerprint;
    char *pem;
};

/* Takes the key over, also when it fails. */
static enum helio_err identity_from_key(helio_identity **out, struct rsa_key *key)
{
    enum helio_err err = HELIO_E_MEMORY;
    helio_identity *id = calloc(1, sizeof *id);

    if (!id) {
        rsa_free(key);
        return HELIO_E_MEMORY;
    }
    id->key = key;
    err = rsa_public_der(key, id->der, &id->der_n);
    if (err)
        goto out;
    err = fingerprint_of_der(&id->fingerprint, id->der, id->der_n);
    if (err)
        goto out;
    err = rsa_public_pem(key, &id->pem);
    if (err)
        goto out;
    *out = id;
    id = NULL;
out:
    helio_identity_free(id);
    return err;
}

enum helio_err helio_identity_generate(helio_identity **out, unsigned bits)
{
    struct rsa_key *key;
    enum helio_err err;

    *out = NULL;
    err = rsa_generate(&key, bits);
    if (err)
        return err;
    return identity_from_key(out, key);
}

enum helio_err helio_identity_load(helio_identity **out, const char *path, helio_passphrase_fn *ask,
                                   void *context)
{
    struct buffer pem;
    struct rsa_key *key;
    enum helio_err err;

    *out = NULL;
    err = file_read(path, FILE_OPEN_TO_OTHERS, IDENTITY_FILE_MAX, &pem, NULL);
    if (err)
        goto out;
    if (buffer_size(&pem) == 0) {
        err = HELIO_E_FORMAT;
        goto out;
    }
    err = rsa_from_private_pem(&key, (const char *)buffer_front(&pem), buffer_size(&pem), ask,
                               context);
    if (err)
        goto out;
    err = identity_from_key(out, key);
out:
    buffer_clear(&pem);
    return err;
}

enum helio_err helio_identity_save(const helio_identity *id, const char *path,
                                   const char *passphrase, size_t n)
{
    char *pem;
    size_t pem_n;
    enum helio_err err;

    /* With a longer one the file could be written, but nobody could hand it in to read it again. */
    if (n > HELIO_PASSPHRASE_MAX)
        return HELIO_E_ARGUMENT;
    err = rsa_private_pem(id->key, passphrase, n, &pem, &pem_n);
    if (err)
        return err;
    err = file_create(path, pem, pem_n);
    wipe(pem, pem_n);
    free(pem);
    return err;
}

void helio_identity_free(helio_identity *id)
{
    if (!id)
        return;
    rsa_free(id->key);
    free(id->pem);
    /* Nothing secret is left in it; wiped because every _free of the library does. */
    wipe(id, sizeof *id);
    free(id);
}

unsigned helio_identity_bits(const helio_identity *id)
{
    return rsa_bits(id->key);
}

const helio_fingerprint *helio_identity_fingerprint(const helio_identity *id)
{
    return &id->fingerprint;
}

const char *helio_identity_public_pem(const helio_identity *id)
{
    return id->pem;
}

const struct rsa_key *identity_key(const helio_identity *id)
{
    return id->key;
}

const uint8_t *identity_der(const helio_identity *id, size_t *n)
{
    *n = id->der_n;
    return id->der;
}
