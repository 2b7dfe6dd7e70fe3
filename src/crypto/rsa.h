/*
 * rsa.h: RSA keys: sign and verify for helio/1, PEM in and out for identities, and the raw
 * operations that classic needs.  By OpenSSL; this header shows none of it.
 *
 * One struct holds a key pair or a public key alone.  Keys of helio/1 are checked where they enter
 * (2048 to 8192 bits, e = 65537); classic's are not identities and have their own functions.
 */
#ifndef HELIO_CRYPTO_RSA_H
#define HELIO_CRYPTO_RSA_H

#include "helio.h"

enum {
    RSA_SIGNATURE_MAX = HELIO_RSA_BITS_MAX / 8,
    RSA_SALT_SIZE = 32,
    /* DER SubjectPublicKeyInfo of an 8192-bit key takes 1060 bytes. */
    RSA_PUBLIC_DER_MAX = 1088
};

struct rsa_key;

void rsa_free(struct rsa_key *key);
/* Of the modulus. */
unsigned rsa_bits(const struct rsa_key *key);
/* Length of a signature, of the modulus in bytes. */
size_t rsa_size(const struct rsa_key *key);

/* bits: 2048 to 8192, else HELIO_E_ARGUMENT. */
HELIO_MUST_CHECK enum helio_err rsa_generate(struct rsa_key **out, unsigned bits);

/*
 * A public key from DER SubjectPublicKeyInfo.  HELIO_E_KEY unless it is rsaEncryption, 2048 to 8192
 * bits, odd modulus, e = 65537, and re-encodes to exactly der[0..n).
 */
HELIO_MUST_CHECK enum helio_err rsa_from_public_der(struct rsa_key **out, const uint8_t *der,
                                                    size_t n);
/* Writes the DER SubjectPublicKeyInfo; *n is its length, at most RSA_PUBLIC_DER_MAX. */
HELIO_MUST_CHECK enum helio_err rsa_public_der(const struct rsa_key *key,
                                               uint8_t out[RSA_PUBLIC_DER_MAX], size_t *n);
/* PEM SubjectPublicKeyInfo, NUL-terminated, newline at the end; the caller frees it with free. */
HELIO_MUST_CHECK enum helio_err rsa_public_pem(const struct rsa_key *key, char **out);

/*
 * A key pair from PKCS#8 PEM text, encrypted or not; ask may be NULL.  HELIO_E_FORMAT,
 * HELIO_E_KEY (not RSA, size, exponent), HELIO_E_PASSPHRASE (missing, wrong, or ask gave up).
 */
HELIO_MUST_CHECK enum helio_err rsa_from_private_pem(struct rsa_key **out, const char *pem,
                                                     size_t n, helio_passphrase_fn *ask,
                                                     void *context);
/*
 * PKCS#8 PEM text; with passphrase_n > 0 under PBES2 (scrypt, AES-256-CBC).  The caller wipes and
 * frees *out (*n bytes, no NUL counted) with wipe and free.
 */
HELIO_MUST_CHECK enum helio_err rsa_private_pem(const struct rsa_key *key, const char *passphrase,
                                                size_t passphrase_n, char **out, size_t *n);

/*
 * RSASSA-PSS (RFC 8017, 8.1): SHA-256 over m[0..n), MGF1 with SHA-256, the given salt.  The
 * signature, rsa_size bytes, is verified before it is returned: HELIO_E_CRYPTO when that fails.
 * The salt is handed in so that a handshake can be replayed in a test.
 */
HELIO_MUST_CHECK enum helio_err rsa_sign(const struct rsa_key *key,
                                         const uint8_t salt[RSA_SALT_SIZE], const uint8_t *m,
                                         size_t n, uint8_t out[RSA_SIGNATURE_MAX]);
/* HELIO_E_BROKEN unless signature[0..signature_n) is one of m[0..n) with a 32-byte salt. */
HELIO_MUST_CHECK enum helio_err rsa_verify(const struct rsa_key *key, const uint8_t *m, size_t n,
                                           const uint8_t *signature, size_t signature_n);

/* -- classic only (docs/classic.md): keys without an owner, RSA without padding -- */

enum { RSA_CLASSIC_BITS = 1024, RSA_CLASSIC_BYTES_MAX = 2048 / 8 };

HELIO_MUST_CHECK enum helio_err rsa_classic_generate(struct rsa_key **out);
/* From PKCS#1 or PKCS#8 PEM, not encrypted: tests replay recorded keys. */
HELIO_MUST_CHECK enum helio_err rsa_classic_from_private_pem(struct rsa_key **out, const char *pem,
                                                             size_t n);
/* From PEM SubjectPublicKeyInfo text; 1024 to 2048 bits, odd modulus, odd e >= 3, else HELIO_E_KEY. */
HELIO_MUST_CHECK enum helio_err rsa_classic_from_public_pem(struct rsa_key **out, const char *pem,
                                                            size_t n);
/* m^e mod N: in and out are big-endian, rsa_size bytes; HELIO_E_BROKEN when in is not below N. */
HELIO_MUST_CHECK enum helio_err rsa_classic_encrypt(const struct rsa_key *key, const uint8_t *in,
                                                    uint8_t *out);
/* c^d mod N, likewise. */
HELIO_MUST_CHECK enum helio_err rsa_classic_decrypt(const struct rsa_key *key, const uint8_t *in,
                                                    uint8_t *out);

#endif
