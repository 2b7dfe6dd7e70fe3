#include <botan/stream_cipher.h>

#include "others.h"

static const uint8_t iv[8] = {0};
/* Never freed: the library's own memory goes first when the program ends. */
static Botan::StreamCipher *cipher;

void botan_set_key(const uint8_t key[16])
{
    cipher = Botan::StreamCipher::create_or_throw("CTR-BE(IDEA)").release();
    cipher->set_key(key, 16);
}

void botan_ctr(uint8_t *out, const uint8_t *in, size_t n)
{
    cipher->set_iv(iv, sizeof iv);
    cipher->cipher(in, out, n);
}
