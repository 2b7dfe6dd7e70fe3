/*
 * result.h: how a failure inside OpenSSL becomes an error of ours.  For src/crypto alone.
 *
 * OpenSSL keeps a queue of errors for each thread.  Every function of this room that has failed
 * leaves it empty: an embedder that uses OpenSSL, too, must not find our leftovers in it.
 */
#ifndef HELIO_CRYPTO_RESULT_H
#define HELIO_CRYPTO_RESULT_H

#include <stdbool.h>

#include "helio.h"

/*
 * HELIO_OK when ok.  Else HELIO_E_MEMORY when the queue tells of a failed allocation, or otherwise.
 * The queue is empty afterwards.
 */
HELIO_MUST_CHECK enum helio_err crypto_result(bool ok, enum helio_err otherwise);

#endif
