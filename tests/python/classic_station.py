#!/usr/bin/python3
"""A station that follows the old teaching text to the letter, in Python 3 and nothing else.

It shares nothing with the C program, so that the two can be tested against each other: its own
IDEA, its own block of AES, pow() for RSA, its own DER.  It keeps the original's habits (one recv is
one message; what was received is not checked much) and takes over two of its faults only when told
to (original=True): a server that transports keys with a leading zero, a client that loses it.
It can also misbehave on purpose, for tests of how the other side takes it.

  classic_station.py listen [HOST:]PORT [options]      port 0: any
  classic_station.py connect HOST:PORT [options]

What happens is told on stdout, one "WORD rest" a line: PORT, KEY, HASH, DIGEST, HEARD, SAID, END.
"""
import argparse
import ast
import base64
import hashlib
import os
import re
import secrets
import socket
import sys
import time

READ_MAX = 1024
DEADLINE = 20


class Failed(Exception):
    """The other side did what the original would not have gone on with."""


# ---------------------------------------------------------------------------------------- IDEA --


def idea_subkeys(key):
    """52 words: the key's eight, then those of the key turned left by 25 bits, and so on."""
    assert len(key) == 16
    bits, words = int.from_bytes(key, "big"), []
    while len(words) < 52:
        words += [(bits >> shift) & 0xFFFF for shift in range(112, -1, -16)]
        bits = ((bits << 25) | (bits >> 103)) & ((1 << 128) - 1)
    return words[:52]


def idea_times(a, b):
    """Multiplication modulo 2^16 + 1, where 0 stands for 2^16."""
    return (a or 0x10000) * (b or 0x10000) % 0x10001 & 0xFFFF


def idea_encrypt(key, block):
    words = iter(idea_subkeys(key))
    x1, x2, x3, x4 = (int.from_bytes(block[i : i + 2], "big") for i in (0, 2, 4, 6))
    for _ in range(8):
        x1, x2 = idea_times(x1, next(words)), (x2 + next(words)) & 0xFFFF
        x3, x4 = (x3 + next(words)) & 0xFFFF, idea_times(x4, next(words))
        p = idea_times(x1 ^ x3, next(words))
        q = idea_times(((x2 ^ x4) + p) & 0xFFFF, next(words))
        p = (p + q) & 0xFFFF
        x1, x2, x3, x4 = x1 ^ q, x3 ^ q, x2 ^ p, x4 ^ p
    out = (idea_times(x1, next(words)), (x3 + next(words)) & 0xFFFF,
           (x2 + next(words)) & 0xFFFF, idea_times(x4, next(words)))
    return b"".join(x.to_bytes(2, "big") for x in out)


def idea_ctr(key, data, incrementing=False):
    """The counter is the key.  It is 16 bytes, so the library encrypts it as two blocks."""
    counter, out = int.from_bytes(key, "big"), bytearray()
    while len(out) < len(data):
        block = counter.to_bytes(16, "big")
        out += idea_encrypt(key, block[:8]) + idea_encrypt(key, block[8:])
        if incrementing:
            counter = (counter + 1) % (1 << 128)
    return bytes(a ^ b for a, b in zip(data, out))


# --------------------------------------------------------------------------------- AES, one block --


def aes_double(a):
    return (a << 1 ^ (0x11B if a & 0x80 else 0)) & 0xFF


def aes_times(a, b):
    product = 0
    for bit in range(8):
        if b >> bit & 1:
            product ^= a
        a = aes_double(a)
    return product


def aes_make_sbox():
    """FIPS 197, 5.1.1: the inverse in GF(2^8), then the affine map."""
    box = []
    for a in range(256):
        inverse = next((b for b in range(256) if aes_times(a, b) == 1), 0)
        value = 0x63
        for turn in range(5):
            value ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
        box.append(value)
    return bytes(box)


AES_SBOX = aes_make_sbox()


def aes_round_keys(key):
    words, constant = [key[i : i + 4] for i in range(0, 16, 4)], 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = bytes(AES_SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = aes_double(constant)
        words.append(bytes(a ^ b for a, b in zip(words[-4], word)))
    return [b"".join(words[i : i + 4]) for i in range(0, 44, 4)]


def aes_mix(column):
    return bytes(aes_double(column[i]) ^ aes_double(column[(i + 1) % 4]) ^ column[(i + 1) % 4]
                 ^ column[(i + 2) % 4] ^ column[(i + 3) % 4] for i in range(4))


def aes_encrypt(key, block):
    """AES-128, FIPS 197, 5.1."""
    keys = aes_round_keys(key)
    state = bytes(a ^ b for a, b in zip(block, keys[0]))
    for number in range(1, 11):
        state = bytes(AES_SBOX[b] for b in state)
        state = bytes(state[(i + 4 * (i % 4)) % 16] for i in range(16))
        if number < 10:
            state = b"".join(aes_mix(state[i : i + 4]) for i in range(0, 16, 4))
        state = bytes(a ^ b for a, b in zip(state, keys[number]))
    return state


# ----------------------------------------------------------------------------------------- RSA --


def der_read(data):
    """One DER element: its tag, its content, and what follows."""
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        at += length & 0x7F
        length = int.from_bytes(data[2:at], "big")
    if len(data) < at + length:
        raise ValueError("DER is cut")
    return tag, data[at : at + length], data[at + length :]


def der_write(tag, content):
    n = len(content)
    length = bytes([n]) if n < 0x80 else bytes([0x80 | (n.bit_length() + 7) // 8]) + number_bytes(n)
    return bytes([tag]) + length + content


def der_integer(value):
    return der_write(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def der_integers(data):
    tag, rest, _ = der_read(data)
    if tag != 0x30:
        raise ValueError("not a SEQUENCE")
    numbers = []
    while rest:
        tag, content, rest = der_read(rest)
        numbers.append(int.from_bytes(content, "big"))
    return numbers


def number_bytes(value):
    """As the original's library makes a string of a number: no zeros before it, but never empty."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")


def pem_write(label, der):
    text = base64.b64encode(der).decode()
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----"])


def pem_read(label, text):
    found = re.fullmatch(rf"-----BEGIN {label}-----\n([A-Za-z0-9+/=\n]+)\n-----END {label}-----\n?", text)
    if not found:
        raise ValueError(f"not a PEM of {label}")
    return base64.b64decode(found[1], validate=False)


def is_prime(n):
    """Miller-Rabin with 24 random bases."""
    if any(n % p == 0 for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)):
        return False
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    for _ in range(24):
        x = pow(secrets.randbelow(n - 3) + 2, (n - 1) >> twos, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def random_prime(bits, e):
    while True:
        n = secrets.randbits(bits) | 3 << (bits - 2) | 1
        if n % e != 1 and is_prime(n):
            return n


class Key:
    """RSA without padding: numbers to numbers."""

    def __init__(self, n, e, d=None):
        self.n, self.e, self.d = n, e, d

    @classmethod
    def generate(cls, bits=1024, e=65537):
        p, q = random_prime(bits // 2, e), random_prime(bits // 2, e)
        return cls(p * q, e, pow(e, -1, (p - 1) * (q - 1)))

    @classmethod
    def from_private_pem(cls, text):
        _, n, e, d, *_ = der_integers(pem_read("RSA PRIVATE KEY", text))
        return cls(n, e, d)

    @classmethod
    def from_public_pem(cls, text):
        tag, content, _ = der_read(pem_read("PUBLIC KEY", text))
        if tag != 0x30 or not content.startswith(RSA_ALGORITHM):
            raise ValueError("not an RSA key")
        tag, bits, _ = der_read(content[len(RSA_ALGORITHM) :])
        if tag != 0x03 or bits[0] != 0:
            raise ValueError("not a BIT STRING of whole bytes")
        return cls(*der_integers(bits[1:]))

    def public_pem(self):
        numbers = der_write(0x30, der_integer(self.n) + der_integer(self.e))
        return pem_write("PUBLIC KEY", der_write(0x30, RSA_ALGORITHM + der_write(0x03, b"\0" + numbers)))

    def encrypt(self, data):
        return number_bytes(pow(int.from_bytes(data, "big"), self.e, self.n))

    def decrypt(self, data):
        return number_bytes(pow(int.from_bytes(data, "big"), self.d, self.n))


# ------------------------------------------------------------------------------ what both share --


def sha1_hex(data):
    return hashlib.sha1(data).hexdigest()


def transported(k):
    """AES-CTR of k under k, with k as every counter block."""
    return bytes(a ^ b for a, b in zip(k, aes_encrypt(k, k)))


def tuple_text(value):
    """str((value,)) of Python 2; Python 3 writes bytes alike, but for the b."""
    return b"(" + repr(value)[1:].encode("ascii") + b",)"


def tuple_value(text):
    """What Python 2's eval would give, without evaluating: a literal only."""
    if not text.startswith((b"('", b'("')):
        raise ValueError("not a tuple of a string")
    value = ast.literal_eval(text.decode("ascii"))
    if not (isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], str)):
        raise ValueError("not a tuple of one string")
    return value[0].encode("latin-1")


def tuple_ended(text):
    """Whether a quote like the first, not escaped, and the end of a tuple stand last."""
    if len(text) >= 2 and not text.startswith((b"('", b'("')):
        raise Failed(f"its reply is not a tuple of a string: {text[:20]!r}")
    return re.search(rb"[^\\](\\\\)*" + re.escape(text[1:2]) + rb",\)\Z", text) is not None


# -------------------------------------------------------------------------------- misbehaviours --

# name: (which piece it changes, what becomes of it, whether the station hangs up behind it)
MISBEHAVIOURS = {
    "wrong-hash": ("hash", lambda b: sha1_hex(b).encode(), False),
    "upper-hash": ("hash", lambda b: re.sub(rb"[a-f]", lambda m: m[0].upper(), b), False),
    "cut-hash": ("hash", lambda b: b[:-1], True),
    "garbage-key": ("key", lambda b: b"\x16\x03\x01\x02\x00" + b, False),
    "endless-key": ("key", lambda b: b[:200] + b"A" * 4000, False),
    "not-a-key": ("key", lambda b: re.sub(rb"M[A-Za-z0-9+/]{40}", b"A" * 41, b, count=1), False),
    "small-key": ("key", lambda b: Key.generate(512).public_pem().encode(), False),
    "cut-key": ("key", lambda b: b[:-1], True),
    "no": ("yes", lambda b: b"NO!", False),
    "cut-yes": ("yes", lambda b: b[:-1], True),
    "garbage-reply": ("reply", lambda b: os.urandom(64) + b"\0", False),
    "code-reply": ("reply", lambda b: b"(__import__('os').system('touch /dev/null'),)", False),
    "two-reply": ("reply", lambda b: b"('x','y',)", False),
    "unicode-reply": ("reply", lambda b: b"(u" + b[1:], False),
    "long-reply": ("reply", lambda b: b"('" + b"a" * 4000 + b"',)", False),
    "large-reply": ("reply", lambda b: tuple_text(b"\xff" * 129), False),
    "other-reply": ("reply", lambda b: tuple_text(b"\x42" * 127), False),
    "cut-reply": ("reply", lambda b: b[:-1], True),
    "odd-hex": ("message", lambda b: b[:-1], True),
    "not-hex": ("message", lambda b: b"XY" + b[2:], False),
    "newline": ("message", lambda b: b + b"\n", False),
    "lower-hex": ("message", bytes.lower, False),
    "long-message": ("message", lambda b: b"A5" * 513, False),
}


# ---------------------------------------------------------------------------------- the station --


class Station:
    """One end of a line.  offset and incrementing are the text's variants; split and delay write so
    many bytes at a time, so many seconds apart."""

    def __init__(self, sock, name=None, offset=0, incrementing=False, misbehave=None, split=0, delay=0.0,
                 original=False, tell=lambda word, rest: None):
        sock.settimeout(DEADLINE)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.name, self.offset, self.incrementing = sock, name, offset, incrementing
        self.bent, self.split, self.delay = MISBEHAVIOURS.get(misbehave), split, delay
        self.original, self.tell = original, tell
        self.digest = None

    def write(self, piece, data):
        if self.bent and self.bent[0] == piece:
            data = self.bent[1](data)
        step = self.split or len(data)
        for at in range(0, len(data), step):
            if at and self.delay:
                time.sleep(self.delay)
            self.sock.sendall(data[at : at + step])
        if self.bent and self.bent[0] == piece and self.bent[2]:
            self.sock.shutdown(socket.SHUT_WR)

    def read(self, what, whole):
        """Reads until whole(data) says so; the original reads once and hopes."""
        data = b""
        while not whole(data):
            more = self.sock.recv(READ_MAX)
            if not more:
                raise Failed(f"hung up before the end of its {what}")
            data += more
            if len(data) > READ_MAX:
                raise Failed(f"its {what} is too long")
        return data

    def opened(self, t):
        self.digest = sha1_hex(t)
        self.tell("DIGEST", self.digest)

    def crypt(self, data):
        key = self.digest[self.offset : self.offset + 16].encode()
        return idea_ctr(key, data, self.incrementing)

    def say(self, text):
        whole = text if self.name is None else self.name.encode() + b" : " + text
        self.write("message", self.crypt(whole).hex().upper().encode())
        self.tell("SAID", whole.decode("utf-8", "backslashreplace"))

    def hear(self, settle=0.0):
        """One message, or None when the other side has hung up.  One read, as in the original;
        with settle, all that comes until so many seconds of silence."""
        wire = self.sock.recv(READ_MAX)
        while wire and settle:
            self.sock.settimeout(settle)
            try:
                more = self.sock.recv(READ_MAX)
                wire += more
            except socket.timeout:
                more = b""
            self.sock.settimeout(DEADLINE)
            if not more:
                break
        if not wire:
            return None
        if not re.fullmatch(rb"([0-9A-F]{2})+", wire):
            raise Failed(f"its message is not upper-case hex: {wire[:40]!r}")
        text = self.crypt(bytes.fromhex(wire.decode()))
        self.tell("HEARD", text.decode("utf-8", "backslashreplace"))
        return text


class Client(Station):
    def handshake(self, key=None):
        key = key or Key.generate()
        public = key.public_pem().encode()
        self.write("key", public)
        if self.read("answer", lambda data: len(data) >= 3) != b"YES":
            raise Failed("it did not say YES")
        self.write("hash", sha1_hex(public).encode())
        t = key.decrypt(tuple_value(self.read("reply", tuple_ended)))
        if len(t) > 16:
            raise Failed("what it transported is too long")
        self.opened(t if self.original else t.rjust(16, b"\0"))


class Server(Station):
    def handshake(self, k=None):
        public = self.read("key", lambda data: data.endswith(b"-----END PUBLIC KEY-----"))
        self.tell("KEY", base64.b64encode(public).decode())
        self.write("yes", b"YES")
        sent = self.read("hash", lambda data: len(data) >= 40)
        self.tell("HASH", sent.decode("ascii", "backslashreplace"))
        if sent.decode("ascii", "replace") != sha1_hex(public):
            raise Failed("the public key and its hash do not match")
        key = Key.from_public_pem(public.decode("ascii"))
        t = transported(k or os.urandom(16))
        while t[0] == 0 and not self.original:
            t = transported(os.urandom(16))
        self.write("reply", tuple_text(key.encrypt(t)))
        self.opened(t)


# ------------------------------------------------------------------------------ the command line --


def talk(station, first, lines, echo, settle):
    """Turns: the client begins.  lines are what there is to say; with echo the rest is repeated."""
    lines, turn = [line.encode() for line in lines], first
    while True:
        if turn:
            if not lines:
                return
            station.say(lines.pop(0))
        else:
            text = station.hear(settle)
            if text is None:
                return
            if echo:
                lines.append(text)
        turn = not turn


def tell(word, rest):
    print(word, rest.replace("\n", "\\n"), flush=True)


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("verb", choices=("listen", "connect"))
    parser.add_argument("address", metavar="[HOST:]PORT")
    parser.add_argument("--name", help="stands before what the client says")
    parser.add_argument("--offset", type=int, default=0, help="where the key starts in the digest")
    parser.add_argument("--incrementing", action="store_true", help="the counter goes up")
    parser.add_argument("--say", action="append", default=[], metavar="TEXT", help="the next message")
    parser.add_argument("--echo", action="store_true", help="say what was heard")
    parser.add_argument("--misbehave", choices=sorted(MISBEHAVIOURS))
    parser.add_argument("--split", type=int, default=0, metavar="N", help="write N bytes at a time")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="between writes")
    parser.add_argument("--settle", type=float, default=0.0, metavar="SECONDS",
                        help="a message goes on until so long a silence")
    parser.add_argument("--original", action="store_true", help="with the original's fault about leading zeros")
    parser.add_argument("--key", metavar="FILE", help="RSA private key (PKCS#1 PEM) of the client")
    parser.add_argument("--random", metavar="HEX", help="what the server draws")
    return parser.parse_args(arguments)


def meet(options):
    host, _, port = options.address.rpartition(":")
    if options.verb == "connect":
        return socket.create_connection((host or "127.0.0.1", int(port)), DEADLINE)
    with socket.create_server((host or "127.0.0.1", int(port))) as listener:
        listener.settimeout(DEADLINE)
        tell("PORT", str(listener.getsockname()[1]))
        return listener.accept()[0]


def main(arguments):
    options = parse(arguments)
    with meet(options) as sock:
        kind = Client if options.verb == "connect" else Server
        station = kind(sock, options.name, options.offset, options.incrementing, options.misbehave,
                       options.split, options.delay, options.original, tell)
        try:
            if options.verb == "connect":
                key = options.key and open(options.key, encoding="ascii").read()
                station.handshake(Key.from_private_pem(key.strip()) if key else None)
            else:
                station.handshake(bytes.fromhex(options.random) if options.random else None)
            talk(station, options.verb == "connect", options.say, options.echo, options.settle)
        except (Failed, ValueError, SyntaxError, OSError) as error:
            tell("END", f"{type(error).__name__}: {error}")
            return 1
    tell("END", "ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
