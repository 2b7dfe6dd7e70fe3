/* others.h: counter mode of IDEA in libraries whose interface is C++, for idea.c. */
#ifndef HELIO_BENCH_OTHERS_H
#define HELIO_BENCH_OTHERS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set up once, before the first use; they live until the program ends. */
void botan_set_key(const uint8_t key[16]);
void cryptopp_set_key(const uint8_t key[16]);
/* From block 0; out may be in. */
void botan_ctr(uint8_t *out, const uint8_t *in, size_t n);
void cryptopp_ctr(uint8_t *out, const uint8_t *in, size_t n);

#ifdef __cplusplus
}
#endif

#endif
