/*
 * pem.h: one block of PEM (RFC 7468) and nothing else in a text.  For src/crypto alone.
 *
 * What is inside may be a private key: the memory is wiped when it is given back.
 */
#ifndef HELIO_CRYPTO_PEM_H
#define HELIO_CRYPTO_PEM_H

#include "helio.h"

struct pem_block {
    char *label;
    uint8_t *der;
    size_t n;
};

/*
 * Reads the one block of text[0..n).  HELIO_E_FORMAT when there is none, more than one, anything
 * before it, anything but line ends behind it, or a header inside it.  On success end it with
 * pem_clear.
 */
HELIO_MUST_CHECK enum helio_err pem_read(struct pem_block *out, const char *text, size_t n);
/* Wipes and frees; a zeroed block is fine. */
void pem_clear(struct pem_block *block);

#endif
