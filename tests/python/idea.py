"""IDEA (Lai, Massey 1991), written from the cipher's description, twice.

`encrypt_block` is the plain cipher: one block, one step after the other, nothing clever.  `keystream` is counter mode over many blocks
at once: the same steps, but each 16-bit word of all blocks stands in one long Python integer, 64 bits apart, so that one operation works
on every block.  The tests hold the second against the first.  Neither is constant-time: this is a test's oracle, not a product.
"""

import struct

ROUNDS = 8


def multiply(a, b):
    """Multiplication modulo 2^16 + 1, where the word 0 stands for 2^16."""
    return (a or 0x10000) * (b or 0x10000) % 0x10001 & 0xFFFF


def expand_key(key):
    """The 52 subkeys: the key's eight words, then those of the key rotated left by 25 bits, and so on."""
    if len(key) != 16:
        raise ValueError("an IDEA key has 16 bytes")
    k = int.from_bytes(key, "big")
    words = []
    while len(words) < 6 * ROUNDS + 4:
        words += [k >> (112 - 16 * i) & 0xFFFF for i in range(8)]
        k = (k << 25 | k >> 103) & (1 << 128) - 1
    return words[:6 * ROUNDS + 4]


def encrypt_block(key, block):
    k = expand_key(key)
    a, b, c, d = (int.from_bytes(block[i:i + 2], "big") for i in (0, 2, 4, 6))
    for r in range(ROUNDS):
        k1, k2, k3, k4, k5, k6 = k[6 * r:6 * r + 6]
        a, b, c, d = multiply(a, k1), b + k2 & 0xFFFF, c + k3 & 0xFFFF, multiply(d, k4)
        e = multiply(a ^ c, k5)
        f = multiply((b ^ d) + e & 0xFFFF, k6)
        e = e + f & 0xFFFF
        a, b, c, d = a ^ f, c ^ f, b ^ e, d ^ e
    k1, k2, k3, k4 = k[6 * ROUNDS:]
    out = multiply(a, k1), c + k2 & 0xFFFF, b + k3 & 0xFFFF, multiply(d, k4)
    return b"".join(w.to_bytes(2, "big") for w in out)


# Many blocks at once.  A lane is 64 bits, of which a product needs at most 33 (2^16 x 2^16), so no lane ever carries into the next.

LANE = 64
_ones = {}


def ones(n):
    """The integer with a 1 in each of n lanes."""
    if n not in _ones:
        _ones[n] = ((1 << LANE * n) - 1) // ((1 << LANE) - 1)
    return _ones[n]


def _multiply_lanes(x, k, one):
    """multiply(x, k) in every lane.  With x k = hi 2^16 + lo, and 2^16 = -1 modulo 2^16 + 1, the product is lo - hi."""
    low = one * 0xFFFF
    nonzero = (x + low) >> 16 & one
    product = (x + ((one - nonzero) << 16)) * (k or 0x10000)
    # 1 <= d <= 2^17: never 0 modulo the prime, as neither factor is, and at most one subtraction away from being reduced.
    d = (product & low) + one * 0x10001 - (product >> 16 & one * 0x1FFFF)
    reduce = (d + one * (2**32 - 0x10001)) >> 32 & one
    return (d - reduce * 0x10001) & low


def keystream(key, number, first, count):
    """Blocks first .. first + count - 1 of record `number`: IDEA(key, u48 number || u16 block), joined (protocol.md 7)."""
    if not (0 <= number < 2**48 and 0 <= first and first + count <= 2**16):
        raise ValueError("a counter block outside its field")
    if count == 0:
        return b""
    one = ones(count)
    low = one * 0xFFFF
    k = expand_key(key)
    a, b, c = (one * (number >> s & 0xFFFF) for s in (32, 16, 0))
    d = int.from_bytes(struct.pack("<%dQ" % count, *range(first, first + count)), "little")
    for r in range(ROUNDS):
        k1, k2, k3, k4, k5, k6 = k[6 * r:6 * r + 6]
        a, b, c, d = (_multiply_lanes(a, k1, one), b + one * k2 & low, c + one * k3 & low, _multiply_lanes(d, k4, one))
        e = _multiply_lanes(a ^ c, k5, one)
        f = _multiply_lanes((b ^ d) + e & low, k6, one)
        e = e + f & low
        a, b, c, d = a ^ f, c ^ f, b ^ e, d ^ e
    k1, k2, k3, k4 = k[6 * ROUNDS:]
    a, b, c, d = _multiply_lanes(a, k1, one), c + one * k2 & low, b + one * k3 & low, _multiply_lanes(d, k4, one)
    lanes = (a << 48 | b << 32 | c << 16 | d).to_bytes(8 * count, "little")
    return struct.pack(">%dQ" % count, *struct.unpack("<%dQ" % count, lanes))
