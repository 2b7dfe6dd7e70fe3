/*
 * aead_gcm.c: AES-256-GCM with wide vectors (VAES, VPCLMULQDQ), by Intel's library.
 *
 * OpenSSL 3.0 has no kernel for these instructions and takes three times as long.  The library is
 * an option of the build, and used where the processor has them; everywhere else, and when it has
 * not been seen to agree with OpenSSL, OpenSSL does the work.
 *
 * Owns the addresses of six functions of the library, found once in a process.  Those functions
 * have no state.
 */
#include "crypto/aead_gcm.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <intel-ipsec-mb.h>

#include "base/wipe.h"
#include "cpu/cpu.h"
#include "crypto/result.h"

static struct {
    aes_gcm_pre_t expand;
    aes_gcm_init_t init;
    aes_gcm_enc_dec_update_t encrypt, decrypt;
    aes_gcm_enc_dec_finalize_t end_encrypt, end_decrypt;
} gcm;

/* ------------------------------------------------------------------------------------- keys -- */

enum { KEY_ALIGNMENT = 64 };

/* context is that much longer than a key, so that there is an aligned one in it. */
static struct gcm_key_data *key_of(const struct aead_key *k)
{
    uintptr_t at = (uintptr_t)k->context;

    return (void *)((uint8_t *)k->context + (KEY_ALIGNMENT - at % KEY_ALIGNMENT) % KEY_ALIGNMENT);
}

static enum helio_err gcm_start(struct aead_key *k)
{
    k->context = calloc(1, sizeof(struct gcm_key_data) + KEY_ALIGNMENT);
    return k->context ? HELIO_OK : HELIO_E_MEMORY;
}

static void gcm_end(struct aead_key *k)
{
    if (k->context)
        wipe(k->context, sizeof(struct gcm_key_data) + KEY_ALIGNMENT);
    free(k->context);
}

static enum helio_err gcm_set_key(struct aead_key *k, const uint8_t *key)
{
    gcm.expand(key, key_of(k));
    return HELIO_OK;
}

/* ---------------------------------------------------------------------------------- records -- */

static void run(const struct aead_key *k, const struct aead_record *r,
                aes_gcm_enc_dec_update_t update, aes_gcm_enc_dec_finalize_t end,
                uint8_t tag[AEAD_TAG_SIZE])
{
    struct gcm_context_data state;
    uint8_t nonce[AEAD_IV_SIZE];

    aead_nonce(k, r->number, nonce);
    gcm.init(key_of(k), &state, nonce, r->ad, r->ad_n);
    if (r->in_n > 0)
        update(key_of(k), &state, r->out, r->in, r->in_n);
    if (r->n > r->in_n)
        update(key_of(k), &state, r->out + r->in_n, r->out + r->in_n, r->n - r->in_n);
    end(key_of(k), &state, tag, AEAD_TAG_SIZE);
    wipe(&state, sizeof state);
    wipe(nonce, sizeof nonce);
}

static enum helio_err gcm_seal(struct aead_key *k, const struct aead_record *r,
                               uint8_t tag[AEAD_TAG_SIZE])
{
    run(k, r, gcm.encrypt, gcm.end_encrypt, tag);
    return HELIO_OK;
}

static enum helio_err gcm_open(struct aead_key *k, const struct aead_record *r,
                               const uint8_t tag[AEAD_TAG_SIZE])
{
    uint8_t expected[AEAD_TAG_SIZE];
    bool held;

    run(k, r, gcm.decrypt, gcm.end_decrypt, expected);
    held = equal_secret(expected, tag, sizeof expected);
    wipe(expected, sizeof expected); /* of a forged record it would be the tag to send next */
    return held ? HELIO_OK : HELIO_E_BROKEN;
}

static const struct aead_ops ops = {
    .cipher = AEAD_AES_256_GCM,
    .key_size = 32,
    .iv_size = AEAD_IV_SIZE,
    .start = gcm_start,
    .end = gcm_end,
    .set_key = gcm_set_key,
    .seal = gcm_seal,
    .open = gcm_open,
};

/* ------------------------------------------------------------------------------------ trial -- */

enum { TRIAL_SIZE = 1100 }; /* two turns of the longest loop, and a block that is not whole */

/* One record sealed by both, the text in two pieces, and opened again by the one on trial. */
static bool agrees_on(struct aead_key *tried, struct aead_key *known, size_t first, size_t n)
{
    uint8_t in[TRIAL_SIZE], out[TRIAL_SIZE], expected[TRIAL_SIZE];
    uint8_t tag[AEAD_TAG_SIZE], expected_tag[AEAD_TAG_SIZE];
    struct aead_record r = {n, in, n % 21, in, first, n, out};

    for (size_t i = 0; i < n; i++)
        in[i] = out[i] = expected[i] = (uint8_t)(i * 167);
    if (ops.seal(tried, &r, tag))
        return false;
    r.out = expected;
    if (aead_aes_256_gcm.seal(known, &r, expected_tag) || memcmp(out, expected, n) != 0 ||
        memcmp(tag, expected_tag, sizeof tag) != 0)
        return false;
    r.in = r.out = out;
    r.in_n = n;
    r.ad = in;
    return ops.open(tried, &r, tag) == HELIO_OK && memcmp(in, out, n) == 0;
}

static bool agrees(struct aead_key *tried, struct aead_key *known)
{
    static const size_t sizes[][2] = {{0, 0},   {0, 1},     {15, 16},          {17, 49},
                                      {63, 64}, {256, 257}, {1000, TRIAL_SIZE}};
    uint8_t key[32];
    bool good = true;

    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (uint8_t)(i * 59 + 7);
    if (ops.start(tried) || ops.set_key(tried, key) || aead_aes_256_gcm.start(known) ||
        aead_aes_256_gcm.set_key(known, key))
        return false;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        good = good && agrees_on(tried, known, sizes[i][0], sizes[i][1]);
    return good;
}

static bool trial(void)
{
    struct aead_key tried = {.ops = &ops, .iv = {1, 2, 3}};
    struct aead_key known = {.ops = &aead_aes_256_gcm, .iv = {1, 2, 3}};
    bool good = agrees(&tried, &known);

    aead_clear(&tried);
    aead_clear(&known);
    return good;
}

/* ----------------------------------------------------------------------------------- choice -- */

/* The library's manager is of no use once it has said which functions are this processor's. */
static bool find_functions(void)
{
    const uint64_t needs = IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
    IMB_MGR *manager = alloc_mb_mgr(0);
    IMB_ARCH arch = IMB_ARCH_NONE;
    bool found;

    if (!manager)
        return false;
    init_mb_mgr_auto(manager, &arch);
    found = imb_get_errno(manager) == 0 && arch == IMB_ARCH_AVX512 &&
            (manager->features & needs) == needs;
    gcm.expand = manager->gcm256_pre;
    gcm.init = manager->gcm256_init;
    gcm.encrypt = manager->gcm256_enc_update;
    gcm.decrypt = manager->gcm256_dec_update;
    gcm.end_encrypt = manager->gcm256_enc_finalize;
    gcm.end_decrypt = manager->gcm256_dec_finalize;
    free_mb_mgr(manager);
    return found;
}

const struct aead_ops *aead_gcm_wide(void)
{
    enum { UNTRIED, ON_TRIAL, GOOD, BAD };
    static atomic_int verdict;
    int seen = UNTRIED;

    /* The library looks at the processor alone: not every system keeps registers so wide. */
    if (!(cpu_features() & CPU_AVX512BW))
        return NULL;
    /* Who comes while another thread tries it takes OpenSSL for this key. */
    if (atomic_compare_exchange_strong(&verdict, &seen, ON_TRIAL)) {
        seen = find_functions() && trial() ? GOOD : BAD;
        atomic_store_explicit(&verdict, seen, memory_order_release);
    }
    return seen == GOOD ? &ops : NULL;
}
