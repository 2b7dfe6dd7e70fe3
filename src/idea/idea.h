/*
 * idea.h: the IDEA kernels behind helio_idea_* (Lai, Massey: "A Proposal for a New Block Encryption
 * Standard", 1990, and "Markov Ciphers and Differential Cryptanalysis", 1991).
 *
 * Invariants: no branch, no table, no index depends on key or data; a key schedule is read-only
 * once set.  A kernel gets whole blocks; the ragged end of a message is helio_idea_ctr's business.
 */
#ifndef HELIO_IDEA_IDEA_H
#define HELIO_IDEA_IDEA_H

#include "helio.h"

enum { IDEA_BLOCK_SIZE = 8, IDEA_KEY_SIZE = 16, IDEA_ROUNDS = 8, IDEA_SUBKEYS = 52 };

/*
 * a * b modulo 65537 with 0 standing for 65536 on either side and in the result, for a, b below
 * 65536: IDEA's multiplication.
 */
uint16_t idea_multiply(uint16_t a, uint16_t b);
/* The x with idea_multiply(a, x) == 1, by Fermat: a^65535. */
uint16_t idea_invert(uint16_t a);

/* One block under a schedule, from the encryption or the decryption half of helio_idea. */
void idea_block_portable(const uint16_t subkeys[IDEA_SUBKEYS], uint8_t out[IDEA_BLOCK_SIZE],
                         const uint8_t in[IDEA_BLOCK_SIZE]);

/*
 * XORs whole blocks with the keystream of helio_idea_ctr, under an encryption schedule.  out is in,
 * or they do not overlap; blocks may be 0.
 */
void idea_ctr_portable(const uint16_t subkeys[IDEA_SUBKEYS], uint64_t counter, uint8_t *out,
                       const uint8_t *in, size_t blocks);

#endif
