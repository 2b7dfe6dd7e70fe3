// A C++ program can include helio.h and link libhelio: names, linkage and visibility are right.
#include "helio.h"

#include <cstdio>
#include <cstring>

static const unsigned char key[16] = {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8};
static const unsigned char plain[8] = {0, 0, 0, 1, 0, 2, 0, 3};
static const unsigned char cipher[8] = {0x11, 0xfb, 0xed, 0x2b, 0x01, 0x98, 0x6d, 0xe5};

int main()
{
    helio_config config = {};
    helio_session *session = nullptr;
    helio_idea idea;
    unsigned char block[8];

    helio_idea_set_key(&idea, key);
    helio_idea_encrypt(&idea, block, plain);
    helio_idea_clear(&idea);
    if (std::memcmp(block, cipher, sizeof block) != 0) {
        std::puts("IDEA: not the published ciphertext");
        return 1;
    }
    // helio/1 without an identity is refused, which takes the session engine to be linked.
    enum helio_err err = helio_session_new(&session, &config, HELIO_INITIATOR);
    if (err != HELIO_E_ARGUMENT) {
        std::printf("expected %s, seen %s\n", helio_strerror(HELIO_E_ARGUMENT),
                    helio_strerror(err));
        return 1;
    }
    return 0;
}
