#include "crypto/pem.h"

#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/result.h"

/* Tells OpenSSL to wipe what it holds on the way. */
enum { READ_FLAGS = PEM_FLAG_SECURE };

static bool only_line_ends(const char *p, size_t n)
{
    while (n > 0 && (*p == '\n' || *p == '\r')) {
        p++;
        n--;
    }
    return n == 0;
}

enum helio_err pem_read(struct pem_block *out, const char *text, size_t n)
{
    static const char begin[] = "-----BEGIN ";
    char *header = NULL;
    long der_n = 0;
    BIO *bio = NULL;
    enum helio_err err = HELIO_E_FORMAT;

    *out = (struct pem_block){0};
    /* OpenSSL would look for the beginning anywhere. */
    if (n < sizeof begin - 1 || n > INT_MAX || memcmp(text, begin, sizeof begin - 1) != 0)
        goto out;
    bio = BIO_new_mem_buf(text, (int)n);
    err = crypto_result(bio, HELIO_E_MEMORY);
    if (err != HELIO_OK)
        goto out;
    bool read = PEM_read_bio_ex(bio, &out->label, &header, &out->der, &der_n, READ_FLAGS) == 1;
    err = crypto_result(read, HELIO_E_FORMAT);
    if (err != HELIO_OK)
        goto out;
    out->n = (size_t)der_n;
    size_t left = BIO_ctrl_pending(bio);
    if (header[0] != '\0' || left > n || !only_line_ends(text + (n - left), left))
        err = HELIO_E_FORMAT;
out:
    OPENSSL_secure_free(header);
    BIO_free(bio);
    if (err != HELIO_OK)
        pem_clear(out);
    return err;
}

void pem_clear(struct pem_block *block)
{
    OPENSSL_secure_free(block->label);
    OPENSSL_secure_clear_free(block->der, block->n);
    *block = (struct pem_block){0};
}
