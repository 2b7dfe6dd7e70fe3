/*
 * aead_gcm.h: a faster AES-256-GCM than OpenSSL's, where there is one.  For src/crypto alone, and
 * its tests.
 */
#ifndef HELIO_CRYPTO_AEAD_GCM_H
#define HELIO_CRYPTO_AEAD_GCM_H

#include "crypto/aead_ops.h"

#ifdef HELIO_IPSEC_MB
/* NULL when the processor lacks what it needs, or it does not agree with OpenSSL. */
const struct aead_ops *aead_gcm_wide(void);
#else
static inline const struct aead_ops *aead_gcm_wide(void)
{
    return NULL;
}
#endif

#endif
