/*
 * text.h: what may be shown to a person.
 *
 * Names come from the network and end up on a terminal: whoever chooses one must not move the
 * cursor, hide text or turn its direction.
 */
#ifndef HELIO_BASE_TEXT_H
#define HELIO_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reads one code point of UTF-8 (RFC 3629: shortest form, no surrogates, at most U+10FFFF) from
 * p[0..n), n > 0.  Returns how many bytes it took and the code point, or 0 when p does not begin
 * with one.
 */
size_t utf8_decode(const uint8_t *p, size_t n, uint32_t *code);

/*
 * False for C0 and C1 controls, DEL, line separators, bidirectional controls and what has no width
 * at all (protocol.md 5.3).
 */
bool text_code_shown(uint32_t code);

/* True when all of p[0..n) is UTF-8 whose every code point text_code_shown allows. */
bool text_is_name(const uint8_t *p, size_t n);

/* True when all of p[0..n) is 0x21 to 0x7e. */
bool text_is_token(const uint8_t *p, size_t n);

#endif
