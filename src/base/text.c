#include "base/text.h"

/* Lead bytes by how many bytes follow; minimum rules out longer forms of smaller numbers. */
static const struct lead {
    uint8_t mask;
    uint8_t value;
    uint8_t length;
    uint32_t minimum;
} leads[] = {
    {0x80, 0x00, 1, 0},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static const struct lead *lead_of(uint8_t byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++)
        if ((byte & leads[i].mask) == leads[i].value)
            return &leads[i];
    return NULL;
}

size_t utf8_decode(const uint8_t *p, size_t n, uint32_t *code)
{
    const struct lead *lead = lead_of(p[0]);

    if (!lead || lead->length > n)
        return 0;
    uint32_t value = p[0] & (uint8_t)~lead->mask;
    for (size_t i = 1; i < lead->length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3f);
    }
    if (value < lead->minimum || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return lead->length;
}

static const struct range {
    uint32_t first;
    uint32_t last;
} hidden[] = {
    {0x0000, 0x001f}, {0x007f, 0x009f}, {0x061c, 0x061c}, {0x200b, 0x200b}, {0x200e, 0x200f},
    {0x2028, 0x2029}, {0x202a, 0x202e}, {0x2060, 0x2064}, {0x2066, 0x2069}, {0xfeff, 0xfeff},
};

bool text_code_shown(uint32_t code)
{
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (code >= hidden[i].first && code <= hidden[i].last)
            return false;
    return true;
}

bool text_is_name(const uint8_t *p, size_t n)
{
    while (n > 0) {
        uint32_t code;
        size_t taken = utf8_decode(p, n, &code);

        if (taken == 0 || !text_code_shown(code))
            return false;
        p += taken;
        n -= taken;
    }
    return true;
}

bool text_is_token(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0x21 || p[i] > 0x7e)
            return false;
    return true;
}
