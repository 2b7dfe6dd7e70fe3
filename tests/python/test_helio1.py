"""Tests of the Python helio/1 station: two of them wired together in memory, and its parts against published values."""

import concurrent.futures
import hashlib
import os
import pathlib
import subprocess
import sys

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

import helio1
import idea
import make_vectors
from helio1 import ASK, CLOSE, DATA, MESSAGE, SUITES, Direction, Identity, Session, Violation, padme

KEYS = pathlib.Path(__file__).resolve().parent.parent / "vectors" / "keys"
A, B, C, D = (Identity.load(KEYS / name) for name in
              ("test-only-a-2048.pem", "test-only-b-2048.pem", "test-only-c-3072.pem", "test-only-d-2049.pem"))
IDEA, CHACHA, AES = SUITES


def stream(seed):
    """Deterministic randomness: SHA-256 over the seed and a counter."""
    pool, count = bytearray(), 0

    def draw(n):
        nonlocal count
        while len(pool) < n:
            pool.extend(hashlib.sha256(b"%s %d" % (seed.encode(), count)).digest())
            count += 1
        out = bytes(pool[:n])
        del pool[:n]
        return out
    return draw


def pair(i=(), r=()):
    i, r = dict(i), dict(r)
    initiator = Session("I", i.pop("identity", A), stream("initiator"), i.pop("name", b"alice"), **i)
    responder = Session("R", r.pop("identity", B), stream("responder"), r.pop("name", "Zoë".encode()), **r)
    return initiator, responder


def frames(data):
    out = []
    while data:
        n = 4 + int.from_bytes(data[1:4], "big")
        out.append(data[:n])
        data = data[n:]
    return out


class Wire:
    """Carries bytes between two sessions until both are quiet; keeps every frame, and lets a test change them on the way."""

    def __init__(self, i, r, change=lambda frame, number, source: frame, chunk=None, confirm=True):
        self.i, self.r, self.change, self.chunk, self.confirm = i, r, change, chunk, confirm
        self.log, self.violations = [], []

    def pump(self):
        moved = True
        while moved:
            moved = False
            for source, target, letter in ((self.i, self.r, "I"), (self.r, self.i, "R")):
                for frame in frames(source.pull()):
                    moved = True
                    frame = self.change(frame, len(self.log), letter)
                    self.log.append((letter, frame))
                    self.deliver(target, frame)
                if self.confirm and target and target.peer_closed and not target.confirmed and not target.outcome:
                    target.confirm()

    def deliver(self, target, data):
        step = self.chunk or max(1, len(data))
        try:
            for at in range(0, len(data), step):
                target.feed(data[at:at + step])
        except Violation as e:
            self.violations.append((target.role, str(e)))

    def hang_up(self):
        self.i.eof()
        self.r.eof()


def connect(i=(), r=(), **wire):
    initiator, responder = pair(i, r)
    w = Wire(initiator, responder, **wire)
    initiator.start()
    w.pump()
    return initiator, responder, w


def kinds(session):
    return [e[0] for e in session.events]


def content(session, *wanted):
    return b"".join(e[1] for e in session.events if e[0] in wanted)


# The cipher and its mode

def test_idea_published():
    cases = [("00010002000300040005000600070008", "0000000100020003", "11fbed2b01986de5"),
             ("00000000000000000000000000000000", "0000000000000000", "0001000100000000")]
    for key, plain, cipher in cases:
        assert idea.encrypt_block(bytes.fromhex(key), bytes.fromhex(plain)).hex() == cipher


def test_idea_vectors():
    path = pathlib.Path(cryptography_vectors.__file__).parent / "ciphers" / "IDEA" / "idea-ecb.txt"
    case, checked = {}, 0
    for line in path.read_text().splitlines():
        name, _, value = line.partition(" = ")
        if name == "COUNT":
            case = {}
        case[name] = value
        if "PLAINTEXT" in case and "CIPHERTEXT" in case:
            key, plain = bytes.fromhex(case["KEY"]), bytes.fromhex(case["PLAINTEXT"])
            assert idea.encrypt_block(key, plain).hex() == case["CIPHERTEXT"].lower(), case
            checked += 1
    assert checked > 1000


def test_idea_many_blocks_are_the_single_ones():
    draw = stream("idea")
    for number, first, count in ((0, 0, 70), (2**48 - 1, 2**16 - 40, 40), (0x123456789ABC, 7, 1), (5, 3, 0)):
        for key in (bytes(16), b"\xff" * 16, draw(16)):
            blocks = (number.to_bytes(6, "big") + (first + i).to_bytes(2, "big") for i in range(count))
            assert idea.keystream(key, number, first, count) == b"".join(idea.encrypt_block(key, b) for b in blocks)
    for number, first, count in ((2**48, 0, 1), (0, 2**16, 1), (0, -1, 1)):
        with pytest.raises(ValueError):
            idea.keystream(bytes(16), number, first, count)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 1000])
def test_seal_open(suite, n):
    draw = stream("seal %d %d" % (suite, n))
    cipher = helio1.cipher_from(suite, draw(32))
    ad, plain = draw(n % 21), draw(n)
    sealed = cipher.seal(n, ad, plain)
    assert len(sealed) == n + 16 and cipher.open(n, ad, sealed) == plain
    bad = [(n + 1, ad, sealed), (n, ad + b"\0", sealed), (n, ad, sealed + b"\0"), (n, ad, sealed[1:])]
    bad += [(n, ad, sealed[:i] + bytes([sealed[i] ^ 1 << i % 8]) + sealed[i + 1:]) for i in range(0, len(sealed), 1 + n // 16)]
    for case in bad:
        with pytest.raises(Violation):
            cipher.open(*case)


def test_idea_aead_is_rfc8439_with_another_stream(monkeypatch):
    """With ChaCha20's own keystream in IDEA's place, the construction must give what the library's ChaCha20-Poly1305 gives."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    key, nonce, plain, ad = bytes(range(32)), bytes(12), b"what is sealed" * 9, b"associated"

    def chacha(_key, number, first, count):
        whole = Cipher(algorithms.ChaCha20(key, bytes(4) + nonce), None).encryptor().update(bytes(64 + 8 * count))
        return whole[:32] + whole[64:64 + 8 * (count - 4)]

    monkeypatch.setattr(helio1.idea, "keystream", chacha)
    assert helio1.IdeaCtrPoly1305(b"", b"").seal(0, ad, plain) == ChaCha20Poly1305(key).encrypt(nonce, plain, ad)


def test_hkdf_rfc5869():
    prk = helio1.extract(bytes.fromhex("000102030405060708090a0b0c"), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    okm = helio1.expand(prk, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def test_padme():
    known = {1: 1, 2: 2, 3: 3, 4: 4, 7: 7, 8: 8, 9: 10, 10: 10, 15: 16, 16: 16, 17: 18, 33: 36, 65: 72, 100: 104, 129: 144, 1000: 1024,
             1025: 1088, 4097: 4352, 65535: 65536, 65536: 65536, 65537: 67584}
    assert {n: padme(n) for n in known} == known
    for n in range(1, 65538):
        assert n <= padme(n) <= n * 1.12 and padme(padme(n)) == padme(n)


# Keys, signatures, names

@pytest.mark.parametrize("identity", [A, C, D], ids=["2048", "3072", "2049"])
def test_pss_against_the_library(identity):
    public = serialization.load_der_public_key(identity.key)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    assert identity.key == public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = identity.sign(b"message", bytes(range(32)))
    public.verify(signature, b"message", pss, hashes.SHA256())
    n = identity.n
    assert helio1.pss_verify(n, b"message", signature)
    assert not helio1.pss_verify(n, b"messagf", signature)
    assert not helio1.pss_verify(n, b"message", signature[:-1]) and not helio1.pss_verify(n, b"message", b"\0" + signature)
    assert not helio1.pss_verify(n, b"message", (int.from_bytes(signature, "big") + n).to_bytes(len(signature) + 1, "big")[-len(signature):])
    for at in range(0, len(signature), 17):
        assert not helio1.pss_verify(n, b"message", signature[:at] + bytes([signature[at] ^ 4]) + signature[at + 1:])


@pytest.mark.parametrize("identity", [A], ids=["2048"])
def test_pss_made_by_the_library_with_other_salts(identity):
    private = serialization.load_pem_private_key((KEYS / "test-only-a-2048.pem").read_bytes(), None)
    for salt, good in ((32, True), (20, False), (0, False)):
        signature = private.sign(b"m", padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
        assert helio1.pss_verify(identity.n, b"m", signature) is good


def long_length(key):
    """The same key with a length in one byte more than it needs."""
    return b"\x30\x83\x00" + key[2:]


BAD_KEYS = {
    "empty": b"", "cut": A.key[:-1], "longer": A.key + b"\0", "long length": long_length(A.key),
    "e = 3": helio1.encode_key(A.n, 3), "2047 bits": helio1.encode_key(A.n >> 1), "8193 bits": helio1.encode_key(A.n << 8193 - 2048),
    "negative": A.key.replace(b"\x02\x82\x01\x01\x00", b"\x02\x82\x01\x01\x80"),
    "no NULL": A.key.replace(b"\x05\x00\x03", b"\x03"), "PSS": A.key.replace(b"\x01\x01\x01\x05\x00", b"\x01\x01\x0a\x05\x00"),
    "unused bits": A.key.replace(b"\x03\x82\x01\x0f\x00", b"\x03\x82\x01\x0f\x01"),
    "PKCS#1": A.key[24:], "not DER": b"\xff" * 294,
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_bad_keys(case):
    with pytest.raises(Violation):
        helio1.decode_key(BAD_KEYS[case])


def test_every_byte_of_a_key_matters():
    modulus = A.key.index(A.n.to_bytes(256, "big"))
    for at in [*range(modulus - 1), *range(modulus + 256, len(A.key))]:
        with pytest.raises(Violation):
            helio1.decode_key(A.key[:at] + bytes([A.key[at] ^ 1]) + A.key[at + 1:])


BAD_NAMES = [b"a" * 65, b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"a\0b", b"\n", b"\x1f", b"\x7f", b"\xc2\x80", b"\xc2\x9f"]
BAD_NAMES += [chr(c).encode() for c in (0x2028, 0x2029, 0x200E, 0x200F, 0x202A, 0x202E, 0x2066, 0x2069,
                                       0x061C, 0x200B, 0x2060, 0x2064, 0xFEFF)]
GOOD_NAMES = [b"", b"a" * 64, b" ", "é\xa0\u061b\u200a\u200d\u202f\u205f\u2065\u206a\U0010ffff".encode()]
BAD_SERVICES = [b"s" * 65, b" ", b"\x7f", b"a b", "é".encode(), b"\0"]
GOOD_SERVICES = [b"", b"!", b"~", b"s" * 64]


@pytest.mark.parametrize("name,service,good", [(n, b"line", False) for n in BAD_NAMES] + [(n, b"line", True) for n in GOOD_NAMES]
                         + [(b"", s, False) for s in BAD_SERVICES] + [(b"", s, True) for s in GOOD_SERVICES])
def test_names_and_services(name, service, good):
    i, r = pair()
    i.name, i.service = name, service  # past the constructor, which checks them, too
    w = Wire(i, r)
    i.start()
    w.pump()
    assert (i.state == r.state == "open") is good
    if good:
        assert (r.peer_name, r.peer_service) == (name, service)
    else:
        assert (r.outcome, i.outcome) == ("violation", "alert")
        with pytest.raises(Violation):
            Session("I", A, name=name, service=service)


# Sessions

@pytest.mark.parametrize("keys", [(A, B), (C, D), (A, A)], ids=["2048-2048", "3072-2049", "oneself"])
@pytest.mark.parametrize("suite", SUITES)
def test_whole_session(suite, keys):
    i, r, w = connect({"suites": [suite], "identity": keys[0]}, {"identity": keys[1]})
    assert not w.violations and i.state == r.state == "open" and i.suite == r.suite == suite
    assert (i.peer_key, r.peer_key) == (keys[1].key, keys[0].key)
    assert (i.peer_name, r.peer_name, r.peer_service) == ("Zoë".encode(), b"alice", b"line")
    assert i.values == r.values and len(i.values["session_id"]) == 32
    assert [f[0] for _, f in w.log] == [1, 2, 3, 4]
    long = stream("text")(200000)
    i.send(b"hello")
    i.send(long)
    i.send(b"")
    r.send(b"stream\0\0", "data")
    i.ping(b"are you there")
    w.pump()
    assert [e[1] for e in r.events if e[0] == "message"] == [b"hello", long[3 * 65536:], b""]
    assert content(r, "data", "message") == b"hello" + long
    assert content(i, "data") == b"stream\0\0" and ("pong", b"are you there") in i.events
    i.close()
    w.pump()
    assert i.outcome is None and r.outcome is None and "close" in kinds(r)
    r.send(b"still talking")
    w.pump()
    assert content(i, "message") == b"still talking"
    r.close()
    w.pump()
    w.hang_up()
    assert (i.outcome, r.outcome) == ("done", "done") and not w.violations


def test_one_suite_of_many():
    i, r, w = connect({"suites": [0x01F0, AES, CHACHA, IDEA]}, {"suites": [IDEA, CHACHA]})
    assert i.suite == r.suite == CHACHA


@pytest.mark.parametrize("suite", SUITES)
def test_byte_by_byte(suite):
    logs = []
    for chunk in (None, 1, 7):
        i, r, w = connect({"suites": [suite]}, {}, chunk=chunk)
        i.send(b"x" * 100)
        r.ping(b"?")
        w.pump()
        i.close()
        r.close()
        w.pump()
        assert (i.outcome, r.outcome) == ("done", "done")
        logs.append((w.log, i.values, r.events, i.events))
    assert logs[0] == logs[1] == logs[2]


def test_exporter():
    i, r, _ = connect()
    seen = set()
    for label, context, n in ((b"a", b"", 32), (b"a", b"x", 32), (b"b", b"", 32), (b"l" * 64, b"c" * 1000, 8160), (b"a", b"", 1)):
        assert i.export(label, context, n) == r.export(label, context, n)
        assert len(i.export(label, context, n)) == n
        seen.add(i.export(label, context, n)[:32])
    assert len(seen) == 5  # one byte of output is not the first of 32: the length is bound, too
    for label, n in ((b"", 1), (b"l" * 65, 1), (b"a", 0), (b"a", 8161)):
        with pytest.raises(ValueError):
            i.export(label, b"", n)


# Epochs

@pytest.mark.parametrize("suite", SUITES)
def test_epoch_of_one_mebibyte(suite):
    i, r, w = connect({"suites": [suite]})
    epochs, data = [], stream("bulk")(65535)
    for _ in range(36):
        i.send(data, "data")
        w.pump()
        assert (i.sender.epoch, i.sender.number, i.sender.secret) == (r.receiver.epoch, r.receiver.number, r.receiver.secret)
        epochs.append(i.sender.epoch)
    # 65536 bytes of plaintext cost 8196 blocks: the 16th record brings 131136 of 131072, and nothing of that is carried over.
    assert epochs == [0] * 15 + [1] * 16 + [2] * 5
    assert content(r, "data") == data * 36 and r.sender.epoch == 0 and not w.violations


def test_epoch_ends_exactly_at_the_limit():
    secret = bytes(32)
    d = Direction(CHACHA, secret)
    d.blocks = 2**17 - 6
    d.seal(b"", b"x")
    assert (d.epoch, d.blocks, d.secret) == (0, 2**17 - 1, secret)
    d.seal(b"", b"x")
    assert (d.epoch, d.blocks, d.number) == (1, 0, 0) and d.secret == helio1.expand_label(secret, "next epoch", b"", 32)


def test_smallest_records():
    """Five blocks are the least that a record can cost."""
    d = Direction(CHACHA, bytes(32))
    n = 0
    while d.epoch == 0:
        d.seal(b"", b"\1")
        n += 1
    assert n == 26215


def test_lowered_limits():
    limits = (100, 2**32)
    i, r, w = connect({"limits": limits}, {"limits": limits})
    for n in range(40):
        i.send(b"m" * n)
        r.send(b"r" * (40 - n), "data")
        w.pump()
    assert not w.violations and i.sender.epoch == r.receiver.epoch > 0 and r.sender.epoch == i.receiver.epoch > 0


def test_the_last_epoch():
    limits = (10, 2)
    i, r, w = connect({"limits": limits}, {"limits": limits})
    for n in range(4):
        i.send(b"%d" % n)
    with pytest.raises(helio1.Exhausted):
        i.send(b"one too many")
    w.pump()
    assert content(r, "message") == b"0123"


# Trust, refusal, waiting

def test_initiator_does_not_trust():
    for verdict, why in ((1, 1), (ASK, 5)):
        asked = []
        i, r, w = connect({"trust": lambda *a: asked.append(a) or verdict})
        assert asked == [(B.key, None, None)]
        assert (i.outcome, r.outcome) == ("left", "left") and ("left", why) in r.events
        assert "peer" not in kinds(r) and [f[0] for _, f in w.log] == [1, 2, 6]


@pytest.mark.parametrize("reason", [1, 2, 3, 4])
def test_responder_refuses(reason):
    asked = []
    i, r, w = connect({"service": b"other"}, {"trust": lambda *a: asked.append(a) or reason})
    assert asked == [(A.key, b"alice", b"other")]
    assert (i.outcome, r.outcome) == ("refused", "refused") and ("refused", reason) in i.events
    assert "open" not in kinds(i) + kinds(r)


@pytest.mark.parametrize("reason", [0, 1, 4])
def test_wait(reason):
    i, r, w = connect({}, {"trust": lambda *a: ASK})
    assert i.outcome is r.outcome is None and "wait" in kinds(i) and "open" not in kinds(i)
    r.answer(reason)
    w.pump()
    assert "open" in kinds(i) if reason == 0 else i.outcome == "refused"
    if reason == 0:
        i.send(b"at last")
        w.pump()
        assert content(r, "message") == b"at last"


def test_nothing_may_come_while_the_user_is_asked():
    i, r, w = connect({}, {"trust": lambda *a: ASK})
    with pytest.raises(Violation):
        r.feed(b"\5\0\0\x11")
    assert r.pull() == b"\7\0\0\1\1" and r.outcome == "violation"


# Closing

def test_cut():
    """The transport may end only after close and receipt."""
    i, r, w = connect(confirm=False)
    i.close()
    w.pump()
    r.eof()
    assert r.outcome == "cut"
    i.eof()
    assert i.outcome == "cut"


def test_close_alone_is_not_done():
    i, r, w = connect(confirm=False)
    r.close()
    w.pump()
    i.send(b"long story", "data")
    i.close()
    w.pump()
    assert i.outcome is r.outcome is None
    i.confirm()
    w.pump()
    assert i.outcome is r.outcome is None and ("receipt",) in r.events
    r.confirm()
    w.pump()
    assert i.outcome == r.outcome == "done"
    w.hang_up()
    assert i.outcome == r.outcome == "done"


def test_receipt_before_own_close():
    i, r, w = connect()
    i.close()
    w.pump()
    assert ("receipt",) in i.events
    r.send(b"more")
    r.close()
    w.pump()
    assert content(i, "message") == b"more" and i.outcome == r.outcome == "done"


def test_the_late_failure_is_told():
    """The disk is full after the last byte: the peer, whose own part was over long ago, learns of it."""
    i, r, w = connect(confirm=False)
    r.close()
    i.send(b"data", "data")
    i.close()
    w.pump()
    r.fail()
    w.pump()
    assert (i.outcome, r.outcome) == ("alert", "failed") and ("alert", 1) in i.events


def test_nothing_to_confirm():
    i, r, w = connect(confirm=False)
    with pytest.raises(AssertionError):
        i.confirm()
    r.close()
    w.pump()
    i.confirm()
    with pytest.raises(AssertionError):
        i.confirm()


def test_receipts_out_of_place():
    for prepare in (lambda i: None, lambda i: i.close()):
        i, r, w = connect(confirm=False)
        prepare(i)
        i.send_record(helio1.RECEIPT, b"")  # the responder has not closed
        w.pump()
        assert r.outcome == "violation" and ("alert", 2) in i.events
    i, r, w = connect(confirm=False)
    r.close()
    w.pump()
    i.confirm()
    i.send_record(helio1.RECEIPT, b"")  # a second one
    w.pump()
    assert r.outcome == "violation"


@pytest.mark.parametrize("stage", range(4))
def test_cut_in_the_handshake(stage):
    i, r = pair()
    i.start()
    for source, target in [(i, r), (r, i), (i, r)][:stage]:
        target.feed(source.pull())
    i.eof()
    r.eof()
    assert i.outcome == "cut" and r.outcome == "cut"


@pytest.mark.parametrize("kind", [DATA, MESSAGE, CLOSE, helio1.PING, helio1.PONG])
def test_after_close_only_receipt_and_alert(kind):
    i, r, w = connect()
    i.close()
    for send in (lambda: i.send(b"x"), lambda: i.ping(), i.close):
        with pytest.raises(AssertionError):
            send()
    w.pump()
    r.ping(b"no answer")
    w.pump()
    assert "ping" in kinds(i) and "pong" not in kinds(r)
    send_plain(i, bytes([kind]))
    w.pump()
    assert r.outcome == "violation"


def test_a_byte_after_close_and_receipt():
    i, r, w = connect()
    r.close()
    w.pump()
    i.close()
    r.pull()
    w.confirm = False
    w.pump()
    with pytest.raises(Violation):
        r.feed(b"\5")
    assert r.outcome == "violation" and len(r.pull()) == 4 + 2 + 16  # an alert: the responder had not sent its receipt


def test_alert_until_close_and_receipt():
    for close, receipt, alert in ((True, False, 4 + 2 + 16), (False, True, 4 + 2 + 16), (True, True, 0)):
        i, r, w = connect(confirm=False)
        if close:
            r.close()
        i.close()
        w.pump()
        if receipt:
            r.confirm()
        r.pull()
        with pytest.raises(Violation):
            r.feed(b"\7\0\0\1\1")
        assert r.outcome == "violation" and len(r.pull()) == alert


def test_own_failure():
    i, r, w = connect()
    i.fail()
    w.pump()
    assert (i.outcome, r.outcome) == ("failed", "alert") and ("alert", 1) in r.events


# Violations

def hello(version=1, random=bytes(32), suites=(IDEA,), count=None, share=b"\x09" + bytes(31), length=None, extra=b""):
    body = bytes([version]) + random + bytes([len(suites) if count is None else count])
    body += b"".join(s.to_bytes(2, "big") for s in suites) + (len(share) if length is None else length).to_bytes(2, "big") + share + extra
    return b"\1" + len(body).to_bytes(3, "big") + body


VIOLATION, NOTHING_IN_COMMON = b"\7\0\0\1\1", b"\7\0\0\1\2"
BAD_HELLOS = {
    "header of a RECORD": (b"\5\0\0\x11", VIOLATION),
    "header of a REPLY": (b"\2\0\x04\0", VIOLATION),
    "header of an AUTH": (b"\3\0\x04\0", VIOLATION),
    "type 0": (b"\0\0\0\x46", VIOLATION),
    "type 8": (b"\x08\0\0\x46", VIOLATION),
    "length 69": (b"\1\0\0\x45", VIOLATION),
    "length 1537": (b"\1\0\x06\x01", VIOLATION),
    "alert of two bytes": (b"\7\0\0\2", VIOLATION),
    "no suite": (hello(suites=(), extra=b"\0\0"), VIOLATION),
    "33 suites": (hello(suites=(IDEA,) * 33), VIOLATION),
    "fewer suites than said": (hello(count=2), VIOLATION),
    "more suites than said": (hello(suites=(IDEA, IDEA), count=1), VIOLATION),
    "longer than its lengths": (hello(extra=b"\0"), VIOLATION),
    "shorter than its lengths": (hello(length=33), VIOLATION),
    "share of 31 bytes": (hello(share=b"\1" * 31, suites=(IDEA, CHACHA)), VIOLATION),
    "share of 33 bytes": (hello(share=b"\1" * 33), VIOLATION),
    "share 0": (hello(share=bytes(32)), VIOLATION),
    "share 1": (hello(share=b"\1" + bytes(31)), VIOLATION),
    "share p": (hello(share=(2**255 - 19).to_bytes(32, "little")), VIOLATION),
    "two key exchanges": (hello(suites=(IDEA, 0x0201)), VIOLATION),
    "version 0": (hello(version=0), NOTHING_IN_COMMON),
    "version 2, the rest to come": (hello(version=2)[:5], NOTHING_IN_COMMON),
    "unknown suites": (hello(suites=(0x0104, 0x01FF)), NOTHING_IN_COMMON),
    "another key exchange": (hello(suites=(0x0201,), share=bytes(1216)), NOTHING_IN_COMMON),
}


@pytest.mark.parametrize("chunk", [1, 10000])
@pytest.mark.parametrize("case", BAD_HELLOS)
def test_bad_hello(case, chunk):
    data, alert = BAD_HELLOS[case]
    _, r = pair()
    w = Wire(None, r, chunk=chunk)
    w.deliver(r, data)
    assert r.pull() == alert and r.outcome == ("violation" if alert is VIOLATION else "no-common")
    assert bool(w.violations) is (alert is VIOLATION)


def test_alerts_are_not_answered():
    for reason, outcome in ((1, "alert"), (2, "alert"), (3, "alert"), (0, "violation"), (4, "violation")):
        i, _ = pair()
        i.start()
        i.pull()
        w = Wire(i, None)
        w.deliver(i, bytes([7, 0, 0, 1, reason]))
        assert i.outcome == outcome and i.pull() == b""
        w.deliver(i, b"more")
        assert i.outcome == outcome


def test_share_reflected():
    i, _ = pair()
    i.start()
    own = i.share
    w = Wire(i, None)
    w.deliver(i, helio1.header(helio1.REPLY, 68 + 528) + b"\1\1" + bytes(32) + b"\0\x20" + own + bytes(528))
    assert w.violations == [("I", "share: our own")]


@pytest.mark.parametrize("fault,culprit", [(f, "I") for f in ("share", "proof-tag", "signature", "confirmation", "padding")]
                         + [(f, "R") for f in ("suite", "share", "proof-tag", "signature", "confirmation", "padding", "accept-tag")])
def test_faults_in_the_handshake(fault, culprit):
    i, r, w = connect({"suites": [CHACHA], "fault": fault if culprit == "I" else None}, {"fault": fault if culprit == "R" else None})
    victim = r if culprit == "I" else i
    assert victim.outcome == "violation" and "open" not in kinds(victim)
    assert w.violations[0][0] == victim.role
    if fault != "accept-tag":
        assert (r if victim is i else i).outcome == "alert" and w.log[-1][1] == VIOLATION


BAD_ACCEPTS = {"empty name cut": b"\0", "name too short": b"\0\3ab", "name too long": b"\0\1ab", "name with a newline": b"\0\1\n", "no reason": b"\1",
               "reason 0": b"\1\0", "reason 5": b"\1\5", "refused and more": b"\1\1\0", "wait and more": b"\2\0", "answer 3": b"\3"}


@pytest.mark.parametrize("case", BAD_ACCEPTS)
def test_bad_accept(case):
    i, r, w = connect({}, {"trust": lambda *a: ASK})
    r._send_accept(BAD_ACCEPTS[case])
    w.pump()
    assert (i.outcome, r.outcome) == ("violation", "alert")


def test_second_wait():
    i, r, w = connect({}, {"trust": lambda *a: ASK})
    r._send_accept(b"\2")
    w.pump()
    assert i.outcome == "violation" and w.violations == [("I", "ACCEPT: a second wait")]


def send_plain(session, plain):
    """A record with any plaintext, correctly sealed."""
    head = b"\5" + (len(plain) + 16).to_bytes(3, "big")
    session.output += head + session.sender.seal(head, plain)


BAD_RECORDS = {
    "nothing": b"\0", "only zeros": bytes(67584), "kind 9": b"x\x09", "receipt with content": b"x\7", "receipt": b"\7", "kind 255": b"\xff", "content too long": b"x" * 65537 + b"\1",
    "close with content": b"x\3", "close with zeros before it": b"\0\3", "ping too long": b"p" * 65 + b"\4", "pong too long": b"p" * 65 + b"\5",
    "empty alert": b"\6", "alert 0": b"\0\6", "alert 3": b"\3\6", "alert of two bytes": b"\1\1\6",
}


@pytest.mark.parametrize("case", BAD_RECORDS)
def test_bad_record(case):
    i, r, w = connect()
    send_plain(i, BAD_RECORDS[case])
    w.pump()
    assert r.outcome == "violation" and ("alert", 2) in i.events and i.outcome == "alert"
    assert not content(r, "data", "message", "ping", "pong")


@pytest.mark.parametrize("plain,event", [(b"\1", ("data", b"")), (b"\2", ("message", b"")), (b"a\0\2", ("message", b"a\0")),
                                         (b"a\1" + bytes(67582), ("data", b"a")), (b"x" * 65536 + b"\1", ("data", b"x" * 65536)),
                                         (b"p\5", ("pong", b"p")), (b"\3\0", ("close",)), (b"p" * 64 + b"\4\0", ("ping", b"p" * 64))])
def test_padding_of_any_kind_is_taken(plain, event):
    i, r, w = connect(confirm=False)
    send_plain(i, plain)
    w.pump()
    assert r.events[-1] == event and not w.violations


def test_message_records_are_padded_and_others_are_not():
    i, r, w = connect()
    for kind, size, plain in ((MESSAGE, 0, 1), (MESSAGE, 8, 10), (MESSAGE, 65536, 67584), (DATA, 8, 9), (DATA, 65536, 65537), (CLOSE, 0, 1)):
        i.send_record(kind, b"x" * size)
        assert len(i.pull()) == 4 + plain + 16


@pytest.mark.parametrize("head", [b"\1\0\0\x46", b"\4\0\0\x11", b"\6\0\0\x11", b"\7\0\0\1", b"\5\0\0\x10", b"\5\x01\x08\x11"])
def test_bad_headers_once_open(head):
    i, r, w = connect()
    w.deliver(r, head)
    assert r.outcome == "violation"
    w.pump()
    assert i.outcome == "alert"


# Whoever sits on the wire

def positions(frame):
    step = max(1, len(frame) // 12)
    return sorted({*range(4), *range(4, len(frame), step), len(frame) - 1})


def clean_log(suite):
    i, r, w = connect({"suites": [suite]})
    i.send(b"to the responder")
    r.send(b"to the initiator")
    w.pump()
    return w.log


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("number", range(6))
def test_flipped_bits(suite, number):
    log = clean_log(suite)
    for at in positions(log[number][1]):
        def flip(frame, n, _source):
            return frame[:at] + bytes([frame[at] ^ 1 << at % 8]) + frame[at + 1:] if n == number else frame
        i, r, w = connect({"suites": [suite]}, change=flip)
        if number >= 4:
            i.send(b"to the responder")
            r.send(b"to the initiator")
            w.pump()
        victim = r if log[number][0] == "I" else i
        w.hang_up()
        assert i.outcome in ("violation", "alert", "cut", "no-common") and r.outcome in ("violation", "alert", "cut", "no-common"), at
        assert not content(victim, "data", "message"), at
        if number < 4:
            assert "open" not in kinds(i), at


@pytest.mark.parametrize("what", ["drop", "twice", "swap", "reflect"])
def test_records_reordered(what):
    i, r, w = connect()
    for text in (b"one", b"two", b"three"):
        i.send(text)
    one, two, three = frames(i.pull())
    sent = {"drop": [two], "twice": [one, one], "swap": [two, one], "reflect": [one]}[what]
    target = i if what == "reflect" else r
    for f in sent:
        w.deliver(target, f)
    assert target.outcome == "violation"
    assert content(target, "message") == (b"one" if what == "twice" else b"")


def test_handshake_from_another_session():
    """The REPLY of one session played into another: everything is bound to both randoms."""
    _, _, w = connect()
    i = Session("I", A, stream("someone else"))
    i.start()
    w.deliver(i, w.log[1][1])
    assert i.outcome == "violation"


def test_downgrade():
    """An attacker takes the better suite out of HELLO: the responder cannot know, the initiator sees it in the signature."""
    def strip(frame, n, _source):
        return frame if n else frame.replace(b"\2\1\2\1\3", b"\2\1\1\1\3")
    i, r, w = connect({"suites": [CHACHA, AES]}, change=strip)
    assert i.outcome == "violation" and "open" not in kinds(i)


def test_draws():
    """The order that the vectors rely on: 32 bytes of random, of private key, of salt; and no other."""
    sizes = {"I": [], "R": []}

    def counted(who, draw):
        return lambda n: sizes[who].append(n) or draw(n)
    i, r = pair()
    i.random, r.random = counted("I", stream("i")), counted("R", stream("r"))
    w = Wire(i, r)
    i.start()
    assert w.i.transcript[5:37] == stream("i")(32)
    w.pump()
    assert sizes == {"I": [32] * 3, "R": [32] * 3}


def test_default_randomness_differs():
    a, b = (Session("I", A) for _ in range(2))
    a.start()
    b.start()
    assert a.pull() != b.pull() and a.random is os.urandom


@pytest.mark.parametrize("name", make_vectors.FILES)
def test_committed_vectors(name):
    """The vectors in the tree are what this station says today: whoever changes the wire changes them, too."""
    assert (KEYS.parent / name).read_text() == make_vectors.text(make_vectors.FILES[name])


# The program

def program(verb, port, key, *options):
    command = [sys.executable, helio1.__file__, verb, "127.0.0.1", str(port), "--key", str(KEYS / key), *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def both(listen=(), connect=(), listen_says=b"", connect_says=b""):
    """Runs two of them; for each its exit status, stdout and stderr."""
    listener = program("listen", 0, "test-only-a-2048.pem", *listen)
    head = b""
    while b"port" not in head:
        line = listener.stderr.readline()
        assert line, head
        head += line
    caller = program("connect", int(head.split()[-1]), "test-only-b-2048.pem", *connect)
    # The listener waits for its input only once the line is open; a few bytes fit the pipe.
    listener.stdin.write(listen_says)
    listener.stdin.close()
    listener.stdin = None
    with concurrent.futures.ThreadPoolExecutor() as pool:
        out = list(pool.map(lambda p, data: (p, *p.communicate(data, timeout=60)), (listener, caller), (None, connect_says)))
    return [(p.returncode, stdout, stderr.decode()) for p, stdout, stderr in out]


def test_program_pipes_both_ways():
    data = stream("pipe")(300000)
    listener, caller = both((), ("--name", "alice", "--suite", "aes-256-gcm"), b"answer", data)
    assert listener[:2] == (0, data) and caller[:2] == (0, b"answer")
    assert helio1.fingerprint(A.key) in caller[2] and helio1.fingerprint(B.key) in listener[2] and "'alice'" in listener[2]


@pytest.mark.parametrize("listen,connect,status", [
    (("--peer", "SHA256:someone"), (), (4, 4)), ((), ("--peer", "SHA256:someone"), (4, 4)), (("--refuse", "3"), (), (4, 4)),
    ((), ("--service", "other"), (4, 4)), (("--ask", "no"), (), (4, 4)), (("--ask", "yes"), (), (0, 0)), ((), ("--fault", "cut"), (5, 5)),
    (("--fault", "receipt"), (), (5, 5)), (("--fault", "full"), (), (1, 5)),
    ((), ("--fault", "signature"), (5, 5)), (("--fault", "confirmation"), (), (5, 5)), (("--fault", "alert"), (), (1, 5)),
], ids=str)
def test_program_exit_status(listen, connect, status):
    seen = both(listen, connect, b"", b"data")
    assert tuple(s[0] for s in seen) == status, seen
    if status == (4, 4):
        assert seen[0][1] == seen[1][1] == b""
