#include <cryptopp/idea.h>
#include <cryptopp/modes.h>

#include "others.h"

static const uint8_t iv[8] = {0};
static CryptoPP::CTR_Mode<CryptoPP::IDEA>::Encryption *cipher;

void cryptopp_set_key(const uint8_t key[16])
{
    cipher = new CryptoPP::CTR_Mode<CryptoPP::IDEA>::Encryption(key, 16, iv);
}

void cryptopp_ctr(uint8_t *out, const uint8_t *in, size_t n)
{
    cipher->Resynchronize(iv, sizeof iv);
    cipher->ProcessData(out, in, n);
}
