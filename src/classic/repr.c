#include "classic/repr.h"

#include <assert.h>
#include <string.h>

#include "classic/hex.h"

/* The bytes that have an escape of their own.  The quote, which has one at times, is apart. */
static const struct escape {
    uint8_t byte;
    uint8_t letter;
} escapes[] = {
    {'\t', 't'},
    {'\n', 'n'},
    {'\r', 'r'},
    {'\\', '\\'},
};

static const struct escape *escape_of_byte(uint8_t byte)
{
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (escapes[i].byte == byte)
            return &escapes[i];
    return NULL;
}

static const struct escape *escape_of_letter(uint8_t letter)
{
    for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++)
        if (escapes[i].letter == letter)
            return &escapes[i];
    return NULL;
}

static bool printable(uint8_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

/* Double quotes are taken only where they save an escape: for a ' in the value and no ". */
static uint8_t quote_for(const uint8_t *value, size_t n)
{
    return n > 0 && memchr(value, '\'', n) && !memchr(value, '"', n) ? '"' : '\'';
}

/* One byte between quotes; at most four characters. */
static size_t write_byte(uint8_t *out, uint8_t byte, uint8_t quote)
{
    const struct escape *e = escape_of_byte(byte);

    if (e || byte == quote) {
        out[0] = '\\';
        out[1] = e ? e->letter : quote;
        return 2;
    }
    if (printable(byte)) {
        out[0] = byte;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    hex_write_lower(out + 2, &byte, 1);
    return 4;
}

size_t repr_write(uint8_t out[REPR_TEXT_MAX], const uint8_t *value, size_t n)
{
    uint8_t quote = quote_for(value, n);
    size_t at = 0;

    assert(n <= REPR_VALUE_MAX);
    out[at++] = '(';
    out[at++] = quote;
    for (size_t i = 0; i < n; i++)
        at += write_byte(out + at, value[i], quote);
    out[at++] = quote;
    out[at++] = ',';
    out[at++] = ')';
    return at;
}

/* Where the parser stands: what the next character is. */
enum step {
    STEP_OPEN,
    STEP_QUOTE,
    STEP_BODY,
    STEP_ESCAPE,
    STEP_HIGH,
    STEP_LOW,
    STEP_COMMA,
    STEP_CLOSE
};

static enum repr_status go(struct repr_parser *p, enum step next)
{
    p->step = next;
    return REPR_MORE;
}

static enum repr_status take_value(struct repr_parser *p, uint8_t byte)
{
    if (p->n == sizeof p->value)
        return REPR_BAD;
    p->value[p->n++] = byte;
    return go(p, STEP_BODY);
}

static enum repr_status at_open(struct repr_parser *p, uint8_t c)
{
    return c == '(' ? go(p, STEP_QUOTE) : REPR_BAD;
}

static enum repr_status at_quote(struct repr_parser *p, uint8_t c)
{
    p->quote = c;
    return c == '\'' || c == '"' ? go(p, STEP_BODY) : REPR_BAD;
}

static enum repr_status at_body(struct repr_parser *p, uint8_t c)
{
    if (c == p->quote) /* which quotes Python takes is known only now, with the whole value seen */
        return c == quote_for(p->value, p->n) ? go(p, STEP_COMMA) : REPR_BAD;
    if (c == '\\')
        return go(p, STEP_ESCAPE);
    return printable(c) ? take_value(p, c) : REPR_BAD;
}

static enum repr_status at_escape(struct repr_parser *p, uint8_t c)
{
    const struct escape *e = escape_of_letter(c);

    if (e)
        return take_value(p, e->byte);
    if (c == 'x')
        return go(p, STEP_HIGH);
    /* Inside double quotes neither quote is ever escaped: ' needs it not, and " is not there. */
    return c == '\'' && p->quote == '\'' ? take_value(p, c) : REPR_BAD;
}

static bool lower_hex(uint8_t c)
{
    return hex_value(c) >= 0 && !(c >= 'A' && c <= 'F');
}

static enum repr_status at_high(struct repr_parser *p, uint8_t c)
{
    p->high = c;
    return lower_hex(c) ? go(p, STEP_LOW) : REPR_BAD;
}

static enum repr_status at_low(struct repr_parser *p, uint8_t c)
{
    if (!lower_hex(c))
        return REPR_BAD;
    uint8_t byte = (uint8_t)(hex_value(p->high) << 4 | hex_value(c));
    /* A byte that has a shorter form is never written as \xNN. */
    return printable(byte) || escape_of_byte(byte) ? REPR_BAD : take_value(p, byte);
}

static enum repr_status at_comma(struct repr_parser *p, uint8_t c)
{
    return c == ',' ? go(p, STEP_CLOSE) : REPR_BAD;
}

static enum repr_status at_close(struct repr_parser *p, uint8_t c)
{
    (void)p;
    return c == ')' ? REPR_DONE : REPR_BAD;
}

static enum repr_status (*const steps[])(struct repr_parser *, uint8_t) = {
    [STEP_OPEN] = at_open,     [STEP_QUOTE] = at_quote, [STEP_BODY] = at_body,
    [STEP_ESCAPE] = at_escape, [STEP_HIGH] = at_high,   [STEP_LOW] = at_low,
    [STEP_COMMA] = at_comma,   [STEP_CLOSE] = at_close,
};

void repr_begin(struct repr_parser *p)
{
    *p = (struct repr_parser){.step = STEP_OPEN};
}

enum repr_status repr_add(struct repr_parser *p, uint8_t c)
{
    if (p->taken == REPR_READ_MAX)
        return REPR_BAD;
    p->taken++;
    return steps[p->step](p, c);
}
