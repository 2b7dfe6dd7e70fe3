#!/usr/bin/python3
"""helio/1 in Python: a second implementation, written from docs/protocol.md and from nothing else.

It is the oracle for the C engine: plain, slow, and strict on every rule of the text, whose sections are cited as (4.2).  It keeps secrets
in memory, takes its randomness from its caller and is not constant-time: never use it outside tests.

`Session` does no input or output: bytes in by feed(), bytes out by pull(), what happened in `events`.

Order in which randomness is drawn, the same in both roles (shared vectors depend on it):
    1. 32 bytes: the random of HELLO or REPLY
    2. 32 bytes: the X25519 private key
    3. 32 bytes: the salt of the PSS signature
The responder draws nothing before HELLO has passed every check that needs no key, and a suite is chosen.
An initiator that leaves draws no salt; nothing is drawn once the handshake is over.

As a program: helio1.py listen|connect HOST PORT --key FILE.pem [...], a pipe over TCP, for tests against other implementations.
"""

import argparse
import base64
import hashlib
import hmac
import os
import select
import socket
import struct
import sys
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.poly1305 import Poly1305

import idea


class Violation(Exception):
    """The peer broke a rule.  The text says what, for the tests' sake; the wire never does (8)."""


class Exhausted(Exception):
    """This direction has used all its epochs (4.4)."""


def require(condition, what):
    if not condition:
        raise Violation(what)


# 1. Conventions

def H(x):
    return hashlib.sha256(x).digest()


def HMAC(key, x):
    return hmac.new(key, x, hashlib.sha256).digest()


def extract(salt, ikm):
    return HMAC(salt, ikm)


def expand(secret, info, length):
    out, block, i = b"", b"", 1
    while len(out) < length:
        block = HMAC(secret, block + info + bytes([i]))
        out, i = out + block, i + 1
    return out[:length]


def u8(n):
    return struct.pack(">B", n)


def u16(n):
    return struct.pack(">H", n)


def u24(n):
    return struct.pack(">I", n)[1:]


def u48(n):
    return struct.pack(">Q", n)[2:]


def u64(n):
    return struct.pack(">Q", n)


def opaque8(x):
    return u8(len(x)) + x


def opaque16(x):
    return u16(len(x)) + x


class Reader:
    """Takes a structure apart; every length is checked before it is used, and done() demands that nothing is left."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        require(n <= len(self.data) - self.at, "structure: shorter than its lengths say")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def opaque8(self):
        return self.take(self.number(1))

    def opaque16(self):
        return self.take(self.number(2))

    def rest(self):
        return self.take(len(self.data) - self.at)

    def done(self):
        require(self.at == len(self.data), "structure: longer than its lengths say")


# 2. Frames

HELLO, REPLY, AUTH, ACCEPT, RECORD, LEAVE, ALERT = range(1, 8)
BODY_RANGE = {
    HELLO: (70, 1536), REPLY: (596, 3584), AUTH: (528, 3584), ACCEPT: (17, 82), RECORD: (17, 67600), LEAVE: (17, 17), ALERT: (1, 1),
}


def header(kind, length):
    low, high = BODY_RANGE[kind]
    assert low <= length <= high, "frame %d with a body of %d bytes" % (kind, length)
    return u8(kind) + u24(length)


# 3. Suites, and 7. idea-ctr-poly1305

TAG = 16


def pad16(x):
    return bytes(-len(x) % 16)


class IdeaCtrPoly1305:
    KEY, IV = 16, 0

    def __init__(self, key, iv):
        self.key = key

    def _crypt(self, number, data):
        blocks = (len(data) + 7) // 8
        assert blocks <= 2**16 - 4
        stream = idea.keystream(self.key, number, 0, 4 + blocks)
        text = int.from_bytes(data, "big") ^ int.from_bytes(stream[32:32 + len(data)], "big")
        return stream[:32], text.to_bytes(len(data), "big")

    def _tag(self, otk, ad, ct):
        lengths = struct.pack("<QQ", len(ad), len(ct))
        return Poly1305.generate_tag(otk, ad + pad16(ad) + ct + pad16(ct) + lengths)

    def seal(self, number, ad, plain):
        otk, ct = self._crypt(number, plain)
        return ct + self._tag(otk, ad, ct)

    def open(self, number, ad, sealed):
        ct, tag = sealed[:-TAG], sealed[-TAG:]
        otk, plain = self._crypt(number, ct)
        require(hmac.compare_digest(tag, self._tag(otk, ad, ct)), "tag")
        return plain


class Rfc8446Aead:
    """A cipher of the library, with the nonce of RFC 8446, 5.3."""
    KEY, IV, CIPHER = 32, 12, None

    def __init__(self, key, iv):
        self.cipher, self.iv = self.CIPHER(key), iv

    def _nonce(self, number):
        return bytes(a ^ b for a, b in zip(self.iv, bytes(4) + u64(number)))

    def seal(self, number, ad, plain):
        return self.cipher.encrypt(self._nonce(number), plain, ad)

    def open(self, number, ad, sealed):
        try:
            return self.cipher.decrypt(self._nonce(number), sealed, ad)
        except InvalidTag:
            raise Violation("tag") from None


class ChaCha20(Rfc8446Aead):
    CIPHER = ChaCha20Poly1305


class Aes256Gcm(Rfc8446Aead):
    CIPHER = AESGCM


SUITES = {0x0101: ("idea-ctr-poly1305", IdeaCtrPoly1305), 0x0102: ("chacha20-poly1305", ChaCha20), 0x0103: ("aes-256-gcm", Aes256Gcm)}
SUITE_NUMBERS = {name: number for number, (name, _) in SUITES.items()}
X25519 = 0x01
SHARE = 32


# 4. Keys

def expand_label(secret, label, context, length):
    return expand(secret, u16(length) + opaque8(b"helio/1 " + label.encode()) + opaque8(context), length)


def cipher_from(suite, secret):
    cipher = SUITES[suite][1]
    key = expand_label(secret, "key", b"", cipher.KEY)
    iv = expand_label(secret, "iv", b"", cipher.IV) if cipher.IV else b""
    return cipher(key, iv)


EPOCH_BLOCKS, EPOCHS = 2**17, 2**32


class Direction:
    """One direction of records: its secret, epoch, number and blocks (4.4).  `limits` exists so that tests can reach them."""

    def __init__(self, suite, secret, limits=(EPOCH_BLOCKS, EPOCHS)):
        self.suite, self.limits, self.epoch = suite, limits, 0
        self._begin(secret)

    def _begin(self, secret):
        self.secret, self.cipher, self.number, self.blocks = secret, cipher_from(self.suite, secret), 0, 0

    def _usable(self):
        if self.secret is None:
            raise Exhausted("no epochs left")

    def _count(self, plain):
        self.number += 1
        self.blocks += 4 + (len(plain) + 7) // 8
        if self.blocks >= self.limits[0]:
            self.epoch += 1
            if self.epoch < self.limits[1]:
                self._begin(expand_label(self.secret, "next epoch", b"", 32))
            else:
                self.secret = self.cipher = None

    def seal(self, ad, plain):
        self._usable()
        sealed = self.cipher.seal(self.number, ad, plain)
        self._count(plain)
        return sealed

    def open(self, ad, sealed):
        self._usable()
        plain = self.cipher.open(self.number, ad, sealed)
        self._count(plain)
        return plain


# 5.3 The proof: keys, signatures, names

RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")  # SEQUENCE { OID 1.2.840.113549.1.1.1, NULL }
E_65537 = 65537


def der(tag, content):
    n = len(content)
    length = u8(n) if n < 128 else u8(0x81) + u8(n) if n < 256 else u8(0x82) + u16(n)
    return u8(tag) + length + content


def der_integer(n):
    return der(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big"))


def der_take(data, tag):
    """The content of the element at the start of `data`, and what follows.  Need not be strict: the caller encodes again and compares."""
    r = Reader(data)
    require(r.number(1) == tag, "key: not the expected DER")
    n = r.number(1)
    if n >= 128:
        require(n in (0x81, 0x82), "key: a DER length out of reason")
        n = r.number(n - 0x80)
    return r.take(n), r.rest()


def encode_key(n, e=E_65537):
    return der(0x30, RSA_ENCRYPTION + der(0x03, b"\0" + der(0x30, der_integer(n) + der_integer(e))))


def decode_key(key):
    """The modulus of a DER SubjectPublicKeyInfo that follows every rule: canonical is what encodes to the same bytes again."""
    spki, _ = der_take(key, 0x30)
    _, bits = der_take(spki, 0x30)
    string, _ = der_take(bits, 0x03)
    pair, _ = der_take(string[1:], 0x30)
    integer, _ = der_take(pair, 0x02)
    n = int.from_bytes(integer, "big")
    require(2048 <= n.bit_length() <= 8192, "key: size of the modulus")
    require(encode_key(n) == key, "key: not canonical, or not what this protocol takes")
    return n


def modulus_bytes(n):
    return (n.bit_length() + 7) // 8


def mgf1(seed, length):
    out = b"".join(H(seed + struct.pack(">I", i)) for i in range((length + 31) // 32))
    return out[:length]


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b))


def emsa_pss(message, salt, em_bits):
    """RFC 8017, 9.1.1, SHA-256 throughout, with the salt given."""
    em_len = (em_bits + 7) // 8
    h = H(bytes(8) + H(message) + salt)
    db = bytes(em_len - 32 - len(salt) - 2) + b"\1" + salt
    masked = xor(db, mgf1(h, len(db)))
    masked = u8(masked[0] & 0xFF >> 8 * em_len - em_bits) + masked[1:]
    return masked + h + b"\xbc"


def pss_verify(n, message, signature):
    """RFC 8017, 8.1.2: the salt is taken out of the encoded message, which is then built anew and compared."""
    s, em_bits = int.from_bytes(signature, "big"), n.bit_length() - 1
    if len(signature) != modulus_bytes(n) or s >= n:
        return False
    em_len = (em_bits + 7) // 8
    m = pow(s, E_65537, n)
    if m.bit_length() > 8 * em_len:
        return False
    em = m.to_bytes(em_len, "big")
    masked, h = em[:-33], em[-33:-1]
    salt = xor(masked, mgf1(h, len(masked)))[-32:]
    return em == emsa_pss(message, salt, em_bits)


class Identity:
    """A station's RSA key, private part included.  `lenient` takes keys that nobody should take, for tests of the other end."""

    def __init__(self, pem, lenient=False):
        private = serialization.load_pem_private_key(pem, None).private_numbers()
        self.n, self.p, self.q, self.d = private.public_numbers.n, private.p, private.q, private.d
        self.key = encode_key(self.n, private.public_numbers.e)
        if not lenient:
            decode_key(self.key)

    @classmethod
    def load(cls, path, lenient=False):
        with open(path, "rb") as f:
            return cls(f.read(), lenient)

    def sign(self, message, salt):
        m = int.from_bytes(emsa_pss(message, salt, self.n.bit_length() - 1), "big")
        at_p, at_q = pow(m, self.d % (self.p - 1), self.p), pow(m, self.d % (self.q - 1), self.q)
        s = at_q + self.q * ((at_p - at_q) * pow(self.q, -1, self.p) % self.p)  # m^d modulo n, by the Chinese remainder theorem
        signature = s.to_bytes(modulus_bytes(self.n), "big")
        assert pss_verify(self.n, message, signature), "a fault in the machine: the signature does not verify"
        return signature


def fingerprint(key):
    return "SHA256:" + base64.b64encode(H(key)).decode().rstrip("=")


def check_name(raw):
    require(len(raw) <= 64, "name: longer than 64 bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Violation("name: not UTF-8") from None
    for c in map(ord, text):
        control = c <= 0x1F or 0x7F <= c <= 0x9F or c in (0x2028, 0x2029)
        bidirectional = c in (0x061C, 0x200E, 0x200F) or 0x202A <= c <= 0x202E or 0x2066 <= c <= 0x2069
        no_width = c in (0x200B, 0xFEFF) or 0x2060 <= c <= 0x2064
        require(not control and not bidirectional and not no_width, "name: a control character")
    return raw


def check_service(raw):
    require(len(raw) <= 64 and all(0x21 <= c <= 0x7E for c in raw), "service")
    return raw


# 6. Records

DATA, MESSAGE, CLOSE, PING, PONG, KIND_ALERT, RECEIPT, RESULT = range(1, 9)
KINDS = {"data": DATA, "message": MESSAGE, "close": CLOSE, "ping": PING, "pong": PONG, "alert": KIND_ALERT, "receipt": RECEIPT, "result": RESULT}
CONTENT_MAX, PLAIN_MAX, PING_MAX = 65536, 67584, 64


def padme(length):
    if length <= 1:
        return length
    e = length.bit_length() - 1
    s = e.bit_length()  # floor(log2 e) + 1
    unit = 1 << (e - s)
    return (length + unit - 1) // unit * unit


# 5. Handshake, 6. records and 8. closing: the session

ASK = "ask"
NOT_TRUSTED, NO_SERVICE, NO_ROOM, NOBODY = 1, 2, 3, 4
LEAVE_NOT_TRUSTED, LEAVE_ASKING = 1, 5
ALERT_VIOLATION, ALERT_NOTHING_IN_COMMON, ALERT_NO_ROOM = 1, 2, 3
PROOF_UNIT = 512

# What may come in, by role and state; a frame that is not here is a violation as soon as its header is there (2).
ALLOWED = {
    ("R", "hello"): (HELLO, ALERT), ("R", "auth"): (AUTH, LEAVE, ALERT), ("R", "asking"): (ALERT,),
    ("I", "reply"): (REPLY, ALERT), ("I", "accept"): (ACCEPT, ALERT),
    ("I", "open"): (RECORD,), ("R", "open"): (RECORD,),
}


class Session:
    """One end of a helio/1 connection.

    role      "I" or "R"
    trust     called with (key, name, service) once the peer has proved its key; the initiator gets None for name and service.  Returns
              0 (yes), a reason to refuse (1 to 4; an initiator leaves with 1), or ASK: an initiator leaves with 5, a responder sends
              wait and goes on when answer() is called.
    suites    numbers, in order of preference (I), or those allowed (R)
    fault     for tests of the other end: the name of one thing to do wrong, see _fault

    outcome   None while alive, then one of: done, cut, violation, alert, refused, left, no-common, failed.  The first stays.
    events    a list to read and clear: ("suite", n), ("peer", key, name, service), ("wait",), ("open",), ("data", b), ("message", b),
              ("close",), ("receipt",), ("result", n), ("ping", b), ("pong", b), ("alert", reason), ("refused", reason), ("left", why), ("end", outcome)
    values    every intermediate value, for the vectors
    """

    def __init__(self, role, identity, random=os.urandom, name=b"", service=b"line", suites=tuple(SUITES), trust=lambda *a: 0,
                 fault=None, limits=(EPOCH_BLOCKS, EPOCHS)):
        self.role, self.identity, self.random, self.trust, self.suites = role, identity, random, trust, list(suites)
        self.name, self.service = check_name(name), check_service(service)
        self.fault, self.limits = fault, limits
        self.state = "reply" if role == "I" else "hello"
        self.outcome, self.events, self.values = None, [], {}
        self.input, self.output, self.transcript = bytearray(), bytearray(), b""
        self.sender = self.receiver = None
        self.closed = self.confirmed = self.peer_closed = self.peer_confirmed = self.waited = False
        self.said_result = self.peer_said_result = False
        self.peer_key = self.peer_name = self.peer_service = self.suite = None

    # Bytes in, bytes out

    def start(self):
        """The initiator speaks first."""
        assert self.role == "I" and not self.transcript
        random = self.random(32)
        self._make_share()
        suites = b"".join(map(u16, self.suites))
        assert 1 <= len(self.suites) <= 32
        body = u8(2 if self._fault("version") else 1) + random + u8(len(self.suites)) + suites + opaque16(self.share)
        self._emit_handshake(header(HELLO, len(body)) + body)

    def feed(self, data):
        """Takes bytes from the peer.  Raises Violation if they break a rule; the alert that answers is then there to pull()."""
        if self.outcome:
            return
        self.input += data
        try:
            while self.outcome is None and self._step():
                pass
        except (Violation, Exhausted) as e:
            self._violation()
            raise e if isinstance(e, Violation) else Violation("epochs exhausted")

    def eof(self):
        """The transport from the peer has ended."""
        if not self.outcome and not (self.peer_closed and self.peer_confirmed):
            self._end("cut")

    def pull(self):
        out, self.output = bytes(self.output), bytearray()
        return out

    # What the user asks for

    def send(self, data, kind="message"):
        """Sends data, in records of at most 64 KiB.  A message's last record says that it ends there."""
        pieces = [data[i:i + CONTENT_MAX] for i in range(0, len(data), CONTENT_MAX)] or ([b""] if kind == "message" else [])
        for i, piece in enumerate(pieces):
            self.send_record(MESSAGE if kind == "message" and i == len(pieces) - 1 else DATA, piece)

    def ping(self, content=b""):
        self.send_record(PING, content)

    def result(self, n):
        """How the command that this station ran has ended; no more content follows."""
        self.send_record(RESULT, u8(n))
        self.said_result = True

    def close(self):
        """Ends this direction; the other may go on."""
        self.send_record(CLOSE, b"")
        self.closed = True
        self._done_if_all_said()

    def confirm(self):
        """All that the peer sent before its close is where it should be."""
        assert self.peer_closed and not self.confirmed, "nothing to confirm"
        self.send_record(RECEIPT, b"")
        self.confirmed = True
        self._done_if_all_said()

    def fail(self):
        """This station failed for a reason of its own."""
        if self.state == "open" and not (self.closed and self.confirmed):
            self.send_record(KIND_ALERT, u8(1))
        self._end("failed")

    def answer(self, reason=0):
        """The responder's user has been asked: 0 lets the initiator in."""
        assert self.role == "R" and self.state == "asking" and not self.outcome
        if reason:
            self._send_accept(u8(1) + u8(reason))
            self.events.append(("refused", reason))
            self._end("refused")
        else:
            self._send_accept(u8(0) + opaque8(self.name))
            self._open()

    def export(self, label, context, length):
        if not (1 <= len(label) <= 64 and 1 <= length <= 8160):
            raise ValueError("export: label of 1 to 64 bytes, 1 to 8160 bytes out")
        return expand_label(expand_label(self.values["exporter"], label.decode("latin-1"), b"", 32), "exporter", H(context), length)

    # Frames in

    def _step(self):
        require(not (self.input and self.peer_closed and self.peer_confirmed), "frame: after close and receipt")
        if len(self.input) < 4:
            return False
        kind, length = self.input[0], int.from_bytes(self.input[1:4], "big")
        require(kind in ALLOWED[self.role, self.state], "frame: type %d in state %s" % (kind, self.state))
        low, high = BODY_RANGE[kind]
        require(low <= length <= high, "frame: length")
        if kind == HELLO and len(self.input) > 4 and self.input[4] != 1:
            self._nothing_in_common()
            return False
        if len(self.input) < 4 + length:
            return False
        head, body = bytes(self.input[:4]), bytes(self.input[4:4 + length])
        del self.input[:4 + length]
        take = {HELLO: self._hello, REPLY: self._reply, AUTH: self._auth, ACCEPT: self._accept, RECORD: self._record,
                LEAVE: self._leave, ALERT: self._alert}
        take[kind](head, body)
        return True

    def _hello(self, head, body):
        r = Reader(body[1:])  # the version has been looked at
        r.take(32)
        count = r.number(1)
        require(1 <= count <= 32, "HELLO: number of suites")
        suites = [r.number(2) for _ in range(count)]
        share = r.opaque16()
        r.done()
        require(len({s >> 8 for s in suites}) == 1, "HELLO: suites of two key exchanges")
        require(suites[0] >> 8 != X25519 or len(share) == SHARE, "HELLO: share")
        common = [s for s in suites if s in self.suites]
        if not common:
            self._nothing_in_common()
            return
        self._set_suite(common[0])
        self.transcript = head + body
        random = self.random(32)
        self._make_share()
        self._send_reply(random, share)

    def _send_reply(self, random, share):
        suite = 0x0101 if self._fault("suite") else self.suite
        clear = u16(suite) + random + opaque16(self.share)
        head = header(REPLY, len(clear) + self._proof_size(b"") + TAG)
        self.transcript += head + clear
        self._handshake_secrets(share)
        proof = self._make_proof("responder", b"")
        sealed = self._seal_once("r_handshake", head + clear, proof)
        self._emit_handshake(head + clear + sealed, already=len(head + clear))
        self.state = "auth"

    def _reply(self, head, body):
        r = Reader(body)
        suite = r.number(2)
        r.take(32)
        share = r.opaque16()
        clear, sealed = body[:r.at], r.rest()
        require(suite in self.suites and suite in SUITES, "REPLY: a suite that was not offered")
        require(len(share) == SHARE, "REPLY: share")
        require(len(sealed) > TAG, "REPLY: no proof")
        self._set_suite(suite)
        self.transcript += head + clear
        self._handshake_secrets(share)
        plain = cipher_from(suite, self.values["r_handshake"]).open(0, head + clear, sealed)
        self._check_proof("responder", plain, "REPLY")
        self.transcript += sealed
        verdict = self.trust(self.peer_key, None, None)
        self._send_auth() if verdict == 0 else self._send_leave(LEAVE_ASKING if verdict == ASK else LEAVE_NOT_TRUSTED)

    def _send_auth(self):
        extra = opaque8(self.name) + opaque8(self.service)
        head = header(AUTH, self._proof_size(extra) + TAG)
        self.transcript += head
        sealed = self._seal_once("i_handshake", head, self._make_proof("initiator", extra))
        self._emit_handshake(head + sealed, already=len(head))
        self._master_secrets()
        self.state = "accept"

    def _send_leave(self, why):
        head = header(LEAVE, 1 + TAG)
        self._emit(head + self._seal_once("i_handshake", head, u8(why)))
        self.events.append(("left", why))
        self._end("left")

    def _auth(self, head, body):
        self.transcript += head
        plain = cipher_from(self.suite, self.values["i_handshake"]).open(0, head, body)
        self._check_proof("initiator", plain, "AUTH")
        self.transcript += body
        self._master_secrets()
        self.state = "asking"
        verdict = self.trust(self.peer_key, self.peer_name, self.peer_service)
        if verdict != ASK:
            self.answer(verdict)
            return
        self._send_accept(u8(2))
        self.events.append(("wait",))

    def _leave(self, head, body):
        plain = cipher_from(self.suite, self.values["i_handshake"]).open(0, head, body)
        require(plain in (u8(LEAVE_NOT_TRUSTED), u8(LEAVE_ASKING)), "LEAVE: why")
        self.events.append(("left", plain[0]))
        self._end("left")

    def _accept(self, head, body):
        plain = self.accept_cipher.open(self.accept_number, head, body)
        self.accept_number += 1
        r = Reader(plain)
        answer = r.number(1)
        require(answer <= 2, "ACCEPT: answer")
        if answer == 0:
            name = r.opaque8()
            r.done()
            self.peer_name = check_name(name)
            self._open()
        elif answer == 1:
            reason = r.number(1)
            r.done()
            require(NOT_TRUSTED <= reason <= NOBODY, "ACCEPT: reason")
            self.events.append(("refused", reason))
            self._end("refused")
        else:
            r.done()
            require(not self.waited, "ACCEPT: a second wait")
            self.waited = True
            self.events.append(("wait",))

    def _alert(self, head, body):
        self.events.append(("alert", body[0]))
        self._end("alert" if body[0] in (1, 2, 3) else "violation")
        require(body[0] in (1, 2, 3), "ALERT: reason")

    def _record(self, head, body):
        plain = self.receiver.open(head, body)
        stripped = plain.rstrip(b"\0")
        require(stripped, "record: no kind")
        content, kind = stripped[:-1], stripped[-1]
        require(len(content) <= CONTENT_MAX, "record: content too long")
        require(kind in KINDS.values(), "record: kind")
        require(not self.peer_closed or kind in (RECEIPT, KIND_ALERT), "record: after close")
        require(not self.peer_said_result or kind not in (DATA, MESSAGE, RESULT), "record: after result")
        if kind == DATA:
            self.events.append(("data", content))
        elif kind == MESSAGE:
            self.events.append(("message", content))
        elif kind == CLOSE:
            require(content == b"", "record: close with content")
            self.peer_closed = True
            self.events.append(("close",))
        elif kind == PING:
            require(len(content) <= PING_MAX, "record: ping too long")
            self.events.append(("ping", content))
            if not self.closed:
                self.send_record(PONG, content)
        elif kind == PONG:
            require(len(content) <= PING_MAX, "record: pong too long")
            self.events.append(("pong", content))
        elif kind == RECEIPT:
            require(content == b"" and self.closed and not self.peer_confirmed, "record: receipt")
            self.peer_confirmed = True
            self.events.append(("receipt",))
            self._done_if_all_said()
        elif kind == RESULT:
            require(len(content) == 1, "record: result")
            self.peer_said_result = True
            self.events.append(("result", content[0]))
        else:
            require(content in (b"\1", b"\2"), "record: alert")
            self.events.append(("alert", content[0]))
            self._end("alert")

    # Frames out

    def send_record(self, kind, content, padding=0):
        """One record; `padding` zeros stand behind a kind that is not padded by rule."""
        allowed = kind in (RECEIPT, KIND_ALERT) or not (self.closed or self.said_result and kind in (DATA, MESSAGE, RESULT))
        assert self.state == "open" and allowed and not self.outcome, "the line is not open for sending"
        assert len(content) <= CONTENT_MAX or self.fault
        plain = content + u8(kind)
        plain += bytes(padme(len(plain)) - len(plain) if kind == MESSAGE else padding)
        head = header(RECORD, len(plain) + TAG)
        sealed = self.sender.seal(head, plain)
        if self._fault("record-tag"):
            sealed = sealed[:-1] + u8(sealed[-1] ^ 1)
        self._emit(head + sealed)

    def _send_accept(self, plain):
        head = header(ACCEPT, len(plain) + TAG)
        sealed = self.accept_cipher.seal(self.accept_number, head, plain)
        if self._fault("accept-tag"):
            sealed = u8(sealed[0] ^ 1) + sealed[1:]
        self.accept_number += 1
        self._emit(head + sealed)

    def _emit(self, frame):
        self.output += frame

    def _emit_handshake(self, frame, already=0):
        """Sends a frame of the handshake; its first `already` bytes are in the transcript."""
        self._emit(frame)
        self.transcript += frame[already:]

    # Keys and proofs

    def _make_share(self):
        private = self.random(32)
        self.x25519 = X25519PrivateKey.from_private_bytes(private)
        self.share = self.x25519.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        if self._fault("share"):
            self.share = bytes(32)

    def _set_suite(self, suite):
        self.suite = suite
        self.events.append(("suite", suite))

    def _handshake_secrets(self, peer_share):
        require(peer_share != self.share, "share: our own")
        try:
            shared = self.x25519.exchange(X25519PublicKey.from_public_bytes(peer_share))
        except ValueError:  # the library refuses the all-zero result by itself
            shared = bytes(32)
        require(shared != bytes(32), "share: of low order")
        v, t1 = self.values, H(self.transcript)
        v["h_t1"], v["shared"] = t1, shared
        v["handshake"] = extract(b"helio/1 handshake", shared)
        v["i_handshake"] = expand_label(v["handshake"], "initiator handshake", t1, 32)
        v["r_handshake"] = expand_label(v["handshake"], "responder handshake", t1, 32)
        v["i_confirm"] = expand_label(v["i_handshake"], "confirmation", b"", 32)
        v["r_confirm"] = expand_label(v["r_handshake"], "confirmation", b"", 32)
        v["master"] = extract(expand_label(v["handshake"], "derived", b"", 32), bytes(32))

    def _master_secrets(self):
        v, t3 = self.values, H(self.transcript)
        v["h_t3"] = t3
        labels = {"r_accept": "responder accept", "i_traffic": "initiator traffic", "r_traffic": "responder traffic",
                  "exporter": "exporter", "session_id": "session id"}
        for name, label in labels.items():
            v[name] = expand_label(v["master"], label, t3, 32)
        self.accept_cipher, self.accept_number = cipher_from(self.suite, v["r_accept"]), 0

    def _seal_once(self, secret, ad, plain):
        """Number 0 is the only one these keys ever see."""
        sealed = cipher_from(self.suite, self.values[secret]).seal(0, ad, plain)
        if self._fault("proof-tag"):
            sealed = sealed[:-1] + u8(sealed[-1] ^ 1)
        return sealed

    def _proof_size(self, extra):
        n = 2 + len(self.identity.key) + 2 + modulus_bytes(self.identity.n) + 2 + len(extra) + 32
        return n + -n % PROOF_UNIT

    def _signed(self, who, key):
        """What the signature covers; the transcript stands at T1 for the responder, at T2 for the initiator."""
        return b"helio/1, %s, signature\0" % who.encode() + H(self.transcript) + H(key)

    def _confirmation(self, who, key, signature, extra):
        secret = self.values[who[0] + "_confirm"]
        return HMAC(secret, H(self.transcript + opaque16(key) + opaque16(signature) + opaque16(extra)))

    def _make_proof(self, who, extra):
        if who == "initiator":
            self.values["h_t2"] = H(self.transcript)
        key = self.identity.key
        signature = self.identity.sign(self._signed(who, key), self.random(32))
        if self._fault("signature"):
            signature = signature[:-1] + u8(signature[-1] ^ 1)
        confirmation = self._confirmation(who, key, signature, extra)
        if self._fault("confirmation"):
            confirmation = confirmation[:-1] + u8(confirmation[-1] ^ 1)
        proof = opaque16(key) + opaque16(signature) + opaque16(extra) + confirmation
        proof += bytes(-len(proof) % PROOF_UNIT)
        if self._fault("padding"):
            proof = proof[:-1] + b"\1"
        return proof

    def _check_proof(self, who, plain, frame):
        """The tag has held.  Structure, key, signature, confirmation, in this order (5.3)."""
        if who == "initiator":
            self.values["h_t2"] = H(self.transcript)
        r = Reader(plain)
        key, signature, extra, confirmation = r.opaque16(), r.opaque16(), r.opaque16(), r.take(32)
        zeros = r.rest()
        require(len(plain) % PROOF_UNIT == 0 and len(zeros) < PROOF_UNIT and not any(zeros), frame + ": padding")
        name = service = None
        if who == "initiator":
            e = Reader(extra)
            name, service = check_name(e.opaque8()), check_service(e.opaque8())
            e.done()
        else:
            require(extra == b"", frame + ": extra")
        n = decode_key(key)
        require(len(signature) == modulus_bytes(n), frame + ": length of the signature")
        require(pss_verify(n, self._signed(who, key), signature), frame + ": signature")
        expected = self._confirmation(who, key, signature, extra)
        require(hmac.compare_digest(confirmation, expected), frame + ": confirmation")
        self.peer_key, self.peer_name, self.peer_service = key, name, service
        self.events.append(("peer", key, name, service))

    # Opening and ending

    def _open(self):
        i, r = (Direction(self.suite, self.values[s], self.limits) for s in ("i_traffic", "r_traffic"))
        self.sender, self.receiver = (i, r) if self.role == "I" else (r, i)
        self.state = "open"
        self.events.append(("open",))

    def _end(self, outcome):
        if self.outcome is None:
            self.outcome = outcome
            self.events.append(("end", outcome))

    def _done_if_all_said(self):
        if self.closed and self.confirmed and self.peer_closed and self.peer_confirmed:
            self._end("done")

    def _send_alert(self, reason):
        self._emit(header(ALERT, 1) + u8(reason))

    def _nothing_in_common(self):
        self._send_alert(ALERT_NOTHING_IN_COMMON)
        self._end("no-common")

    def _violation(self):
        if self.outcome:
            return
        if self.state != "open":
            self._send_alert(ALERT_VIOLATION)
        elif not (self.closed and self.confirmed) and self.sender.secret is not None:
            self.send_record(KIND_ALERT, u8(2))
        self._end("violation")

    def _fault(self, name):
        return self.fault == name


# The program: a pipe over TCP, for end-to-end tests

EXIT_DONE, EXIT_LOCAL, EXIT_USAGE, EXIT_NO_CONNECTION, EXIT_TRUST, EXIT_BROKEN, EXIT_RESULT = range(7)
HANDSHAKE_SECONDS, WAIT_SECONDS = 10, 120
OUTPUT_HIGH = 1 << 20

SESSION_FAULTS = ("version", "suite", "share", "proof-tag", "signature", "confirmation", "padding", "accept-tag", "record-tag")
LINE_FAULTS = {
    "stall": "say nothing after the connection",
    "garbage": "send bytes that are no frame instead of the first one",
    "cut": "end the connection after the data, without a close record",
    "alert": "send an alert record (reason 1) once open",
    "kind": "send a record of an unknown kind once open",
    "result": "send a result without its byte once open",
    "results": "send two results once open",
    "receipt": "end the connection where the receipt should come",
    "full": "fail where the receipt should come",
}


def say(text):
    print("helio1.py: " + text, file=sys.stderr, flush=True)


class Line:
    """Moves bytes between a session, a socket, an input and stdout, until the session or the connection ends."""

    def __init__(self, session, sock, source, args):
        self.s, self.sock, self.source, self.args = session, sock, source, args
        self.out = bytearray()
        self.result = 0
        self.source_open = True
        self.deadline = time.monotonic() + HANDSHAKE_SECONDS

    def run(self):
        if self.args.fault == "stall":
            while self.sock.recv(65536):
                pass
            return EXIT_BROKEN
        if self.args.fault == "garbage":
            self.sock.sendall(b"GET / HTTP/1.0\r\n\r\n" * 8)
        elif self.s.role == "I":
            self.s.start()
        self._flush()
        while not self.s.outcome:
            self._turn()
        self._report()
        self._linger()
        return {"done": EXIT_RESULT if self.result else EXIT_DONE, "refused": EXIT_TRUST, "left": EXIT_TRUST, "failed": EXIT_LOCAL}.get(self.s.outcome, EXIT_BROKEN)

    def _turn(self):
        is_open = self.s.state == "open"
        readers = [self.sock]
        if is_open and self.source_open and len(self.out) < OUTPUT_HIGH:
            readers.append(self.source)
        timeout = None if is_open else max(0, self.deadline - time.monotonic())
        readable, writable, _ = select.select(readers, [self.sock] if self.out else [], [], timeout)
        if not readable and not writable:
            say("nothing more came in time")
            self.s._end("cut")
        if self.source in readable:
            self._read_source()
        if self.sock in readable:
            self._read_socket()
        self._flush()

    def _read_source(self):
        data = os.read(self.source.fileno(), CONTENT_MAX)
        if data:
            self.s.send(data, self.args.kind)
        else:
            self.source_open = False
            if self.args.fault == "cut":
                self._flush(everything=True)
                self.s._end("cut")
                return
            if self.args.result is not None:
                self.s.result(self.args.result)
            self.s.close()

    def _read_socket(self):
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError as e:
            say(str(e))
            self.s._end("cut")
            return
        try:
            self.s.feed(data) if data else self.s.eof()
        except Violation as e:
            say("violation: %s" % e)
        self._report()

    def _peer_closed(self):
        """What came before has been written, and flushed: the receipt may go."""
        if self.args.fault == "receipt":
            self._flush(everything=True)
            self.s._end("cut")
        elif self.args.fault == "full":
            self.s.fail()
        else:
            self.s.confirm()

    def _report(self):
        while self.s.events:
            what, *rest = self.s.events.pop(0)
            if what in ("data", "message"):
                sys.stdout.buffer.write(rest[0])
                sys.stdout.buffer.flush()
            elif what == "peer":
                say("peer " + fingerprint(rest[0]))
            elif what == "suite":
                say("suite " + (SUITES[rest[0]][0]))
            elif what == "wait":
                self.deadline = time.monotonic() + WAIT_SECONDS
                say("wait")
                if self.s.role == "R":
                    self.s.answer(0 if self.args.ask == "yes" else NOT_TRUSTED)
            elif what == "open":
                say("open, peer calls itself %r" % self.s.peer_name.decode())
                if self.args.fault == "alert":
                    self.s.fail()
                elif self.args.fault == "kind":
                    self.s.send_record(9, b"?")
                elif self.args.fault == "result":
                    self.s.send_record(RESULT, b"")
                elif self.args.fault == "results":
                    self.s.send_record(RESULT, b"\0")
                    self.s.send_record(RESULT, b"\0")
            elif what == "close":
                self._peer_closed()
            elif what == "result":
                self.result = rest[0]
                say("result %d" % rest[0])
            elif what in ("refused", "left", "alert", "end"):
                say("%s %s" % (what, rest[0]))

    def _flush(self, everything=False):
        self.out += self.s.pull()
        self.sock.setblocking(everything)
        try:
            while self.out:
                del self.out[:self.sock.send(self.out[:1 << 18])]
        except BlockingIOError:
            pass
        except ConnectionError:
            # What the peer said last (an alert, a refusal) may still be there to read; reading finds the end.
            self.out.clear()
        self.sock.setblocking(True)

    def _linger(self):
        """Lets the last bytes arrive: closing at once with unread input would make TCP reset the connection."""
        if self.args.fault in ("cut", "receipt"):
            return
        try:
            self._flush(everything=True)
            self.sock.shutdown(socket.SHUT_WR)
            self.sock.settimeout(1)
            while self.sock.recv(65536):
                pass
        except OSError:
            pass


def arguments(argv):
    p = argparse.ArgumentParser(description="a naive helio/1 station, for tests")
    p.add_argument("verb", choices=("listen", "connect"))
    p.add_argument("host")
    p.add_argument("port", type=int, help="listen: 0 takes a free one; it is printed on stderr")
    p.add_argument("--key", required=True, help="an RSA key, PKCS#8 PEM, no passphrase")
    p.add_argument("--peer", help="the only fingerprint to trust (without it: everyone)")
    p.add_argument("--suite", action="append", choices=sorted(SUITE_NUMBERS), help="may be repeated, in order of preference")
    p.add_argument("--name", default="", help="what this station calls itself")
    p.add_argument("--service", default="line", help="what connect asks for, and what listen gives")
    p.add_argument("--send-file", metavar="F", help="send this file in place of stdin")
    p.add_argument("--kind", choices=("data", "message"), default="data", help="records of a stream, or one message for each read")
    p.add_argument("--result", type=int, metavar="N", help="at the end of the input: a command ended so")
    p.add_argument("--refuse", type=int, metavar="REASON", help="listen: refuse everyone, with this reason")
    p.add_argument("--ask", choices=("yes", "no"), help="listen: say wait, and then this; connect: leave with 5")
    p.add_argument("--fault", choices=SESSION_FAULTS + tuple(LINE_FAULTS), help="do this one thing wrong")
    return p.parse_args(argv)


def connection(args):
    if args.verb == "connect":
        return socket.create_connection((args.host, args.port), HANDSHAKE_SECONDS)
    with socket.create_server((args.host, args.port), family=socket.AF_INET6 if ":" in args.host else socket.AF_INET) as server:
        say("listening on %s port %d" % (args.host, server.getsockname()[1]))
        return server.accept()[0]


def main(argv=None):
    args = arguments(argv)

    def trust(key, name, service):
        if args.peer and fingerprint(key) != args.peer:
            return NOT_TRUSTED
        if service is not None and service != args.service.encode():
            return NO_SERVICE
        return ASK if args.ask else args.refuse or 0

    suites = [SUITE_NUMBERS[s] for s in args.suite or ()] or list(SUITES)
    fault = args.fault if args.fault in SESSION_FAULTS else None
    try:
        identity = Identity.load(args.key)
        source = open(args.send_file or 0, "rb", buffering=0, closefd=bool(args.send_file))
    except (OSError, ValueError) as e:
        say(str(e))
        return EXIT_LOCAL
    session = Session("I" if args.verb == "connect" else "R", identity, os.urandom, args.name.encode(), args.service.encode(), suites,
                      trust, fault)
    say("own key " + fingerprint(identity.key))
    try:
        sock = connection(args)
    except OSError as e:
        say("no connection: %s" % e)
        return EXIT_NO_CONNECTION
    with sock, source:
        line = Line(session, sock, source, args)
        return line.run()


if __name__ == "__main__":
    sys.exit(main())
