#!/usr/bin/python3
"""Writes whole helio/1 sessions, with every input and every byte on the wire, from the Python station.

../vectors/helio1.json has both stations well-behaved (an attacker may sit between them); in ../vectors/helio1-peers.json one of them is
said by the file: it breaks one rule, or does what is rare and allowed, and the other has to answer as written.

Run it again only when the wire changes; without a change it writes the same bytes (test_helio1.py checks that).  How a case is read:

    I, R      a station: key file, name and service (hex), suites, draws (hex, what its random calls give, in order).
              "engine": false is a station that is not run: what it says is in the steps.
    steps     in order; each is one of
      start                         I sends HELLO
      wire    from, frames          all that this station has to send now is exactly these frames (hex); they are delivered
              from, size, sha256    the same for bulk: how many bytes, and their hash
              deliver               what is delivered in their place (hex), where an attacker is at work
      event   at, event, ...        what the station reports, in order: peer (fingerprint, and at R name and service), waiting, open (at I name),
                                    data, message, pong, result (each with data, or size and sha256), closed
      trust   at                    the answer to peer: yes
      refuse  at, reason            the answer to peer: no (at I: LEAVE)
      wait    at                    the answer to peer: later (only at R; trust or refuse follows)
      send    at, kind, data        kind message, data, ping or result; "fill": n in place of data is n bytes, the i-th being i mod 251
      close   at
      confirm at                    all that came before the peer's close is where it should be: the receipt
      fail    at                    the station gives up for a reason of its own
      export  label, context, out   both stations export this
      end     at, why               the session is over there: done, untrusted (it refused), refused (with reason), returning (LEAVE 5 came), no-common,
                                    violation, alert (authenticated), alert-clear
    values    (in helio1-peers.json only the session id) intermediate values (hex): h_t1, h_t2, h_t3 are H(T1) ...; the rest are named as in protocol.md 4.3; last traffic secrets
              and epochs are those when the case ends
"""

import hashlib
import json
import pathlib
import sys

import helio1
from helio1 import ASK, SUITES, Identity, Session, Violation

ROOT = pathlib.Path(__file__).resolve().parent.parent / "vectors"
KEYS = {letter: "test-only-%s-%d.pem" % (letter, bits) for letter, bits in (("a", 2048), ("b", 2048), ("c", 3072), ("d", 2049),
                                                                          ("e", 1024))}
IDEA, CHACHA, AES = SUITES
SMALL = 512  # content and frames longer than this stand as size and hash


def fill(n):
    return (bytes(range(251)) * (n // 251 + 1))[:n]


def described(data):
    if len(data) <= SMALL:
        return {"data": data.hex()}
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def frames(data):
    out = []
    while data:
        n = 4 + int.from_bytes(data[1:4], "big")
        out.append(data[:n])
        data = data[n:]
    return out


class Draws:
    """SHA-256 over a seed and a counter, and a record of what was drawn."""

    def __init__(self, seed):
        self.seed, self.log = seed.encode(), []

    def __call__(self, n):
        assert n == 32
        self.log.append(hashlib.sha256(self.seed + b" %d" % len(self.log)).digest())
        return self.log[-1]


class Case:
    """Runs a session and writes down what was done and seen."""

    def __init__(self, name, suites=(CHACHA,), r_suites=tuple(SUITES), keys="ab", names=("alice", "bob"), service="line", i_verdict=0,
                 r_verdict=0, engines="IR", faults=(None, None), confirm=True):
        self.name, self.steps, self.verdict, self.engines, self.over = name, [], {"I": i_verdict, "R": r_verdict}, engines, set()
        self.confirms = confirm
        self.config, self.sessions, self.draws = {}, {}, {}
        for role, key, own, allowed, fault in zip("IR", keys, names, (suites, r_suites), faults):
            draws = self.draws[role] = Draws("%s %s" % (name, role))
            identity = Identity.load(ROOT / "keys" / KEYS[key], lenient=role not in engines)
            asked = service.encode() if role == "I" else b""
            self.config[role] = {"key": KEYS[key], "name": own.encode().hex(), "service": asked.hex(), "suites": list(allowed)}
            self.sessions[role] = Session(role, identity, draws, own.encode(), asked, allowed, lambda *_, role=role: self.verdict[role],
                                          fault)

    def step(self, do, **what):
        self.steps.append({"do": do, **what})

    def start(self):
        if "I" in self.engines:
            self.step("start")
        self.sessions["I"].start()
        return self

    def handshake(self):
        return self.start().pump()

    def wire(self, role, deliver=None):
        data = self.sessions[role].pull()
        if len(data) > (4096 if self.engines == "IR" else SMALL) and role in self.engines:
            self.step("wire", **{"from": role}, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        else:
            self.step("wire", **{"from": role}, frames=[f.hex() for f in frames(data)])
        if deliver:
            data = deliver(data)
            self.steps[-1]["deliver"] = data.hex()
        self.deliver("R" if role == "I" else "I", data)

    def deliver(self, role, data):
        try:
            self.sessions[role].feed(data)
        except Violation:
            pass
        self.report(role)

    def pump(self):
        while any(s.output for s in self.sessions.values()):
            for role, session in self.sessions.items():
                if session.output:
                    self.wire(role)
        return self

    def report(self, role):
        """Turns what the Python session says into the steps of the vectors."""
        session = self.sessions[role]
        if role not in self.engines:
            session.events.clear()
            self.confirm_if_due(role)
        while session.events:
            kind, *rest = session.events.pop(0)
            if kind == "peer":
                claims = {} if role == "I" else {"name": rest[1].hex(), "service": rest[2].hex()}
                self.step("event", at=role, event="peer", fingerprint=helio1.fingerprint(rest[0]), **claims)
                self.decide(role)
            elif kind == "wait" and role == "I":
                self.step("event", at=role, event="waiting")
            elif kind == "open":
                self.step("event", at=role, event="open", **({"name": session.peer_name.hex()} if role == "I" else {}))
            elif kind == "data" and not rest[0]:
                continue  # nothing to report: a stream does not show where its records end
            elif kind in ("data", "message", "pong"):
                self.step("event", at=role, event=kind, **described(rest[0]))
            elif kind == "result":
                self.step("event", at=role, event=kind, **described(bytes(rest)))
            elif kind == "close":
                self.step("event", at=role, event="closed")
                self.confirm_if_due(role)
            elif kind in ("refused", "left", "alert"):
                self.reason = rest[0]
            elif kind == "end":
                self.end(role, rest[0])

    def decide(self, role):
        verdict = self.verdict[role]
        if verdict == 0:
            self.step("trust", at=role)
        elif verdict != ASK:
            self.step("refuse", at=role, reason=verdict)
        elif role == "I":
            self.step("refuse", at=role, reason=5)
        else:
            self.step("wait", at=role)

    def end(self, role, outcome):
        self.over.add(role)
        why, reason = outcome, {}
        if outcome == "left":
            why = "untrusted" if role == "I" else "returning" if self.reason == 5 else "refused"
            reason = {"reason": 1} if why == "refused" else {}
        elif outcome == "refused":
            why, reason = ("refused", {"reason": self.reason}) if role == "I" else ("untrusted", {})
        elif outcome == "alert" and self.sessions[role].state != "open":
            why = "no-common" if self.reason == 2 else "alert-clear"
        elif outcome == "failed":
            return  # the step before says so
        self.step("end", at=role, why=why, **reason)

    def answer(self, reason):
        if "R" in self.engines:
            self.step("refuse", at="R", reason=reason) if reason else self.step("trust", at="R")
        self.sessions["R"].answer(reason)
        self.report("R")
        return self.pump()

    def send(self, role, kind, data, pump=True, filled=False):
        if role in self.engines:
            self.step("send", at=role, kind=kind, **({"fill": len(data)} if filled else {"data": data.hex()}))
        session = self.sessions[role]
        if kind == "ping":
            session.ping(data)
        elif kind == "result":
            session.result(data[0])
        else:
            session.send(data, kind)
        return self.pump() if pump else self

    def bulk(self, role, kind, n):
        return self.send(role, kind, fill(n), filled=True)

    def close(self, role, pump=True):
        if role in self.engines:
            self.step("close", at=role)
        self.sessions[role].close()
        self.report(role)
        return self.pump() if pump else self

    def confirm_if_due(self, role):
        session = self.sessions[role]
        if self.confirms and session.peer_closed and not session.confirmed and not session.outcome:
            self.confirm(role, pump=False)

    def confirm(self, role, pump=True):
        if role in self.engines:
            self.step("confirm", at=role)
        self.sessions[role].confirm()
        if not pump:  # whoever reports what the session says goes on doing so
            return self
        self.report(role)
        return self.pump()

    def fail(self, role):
        self.step("fail", at=role)
        self.sessions[role].fail()
        self.report(role)
        return self.pump()

    def export(self, label, context, n):
        out = {s.export(label.encode(), context, n) for s in self.sessions.values()}
        assert len(out) == 1
        self.step("export", label=label, context=context.hex(), out=out.pop().hex())
        return self

    def done(self):
        """The case as it goes into the file."""
        assert self.over >= set(self.engines) or any(s["do"] == "fail" for s in self.steps), self.name
        values = {}
        for role in self.engines:
            session = self.sessions[role]
            for name, value in session.values.items():
                assert values.setdefault(name, value.hex()) == value.hex() or "tampered" in self.name, (self.name, name)
            if session.sender:
                letter = role.lower()
                values[letter + "_traffic_last"], values[letter + "_epoch"] = session.sender.secret.hex(), session.sender.epoch
            self.config[role]["draws"] = [d.hex() for d in self.draws[role].log]
        for role in "IR":
            if role not in self.engines:
                self.config[role] = {"engine": False}
                values = {k: v for k, v in values.items() if k == "session_id"}
        return {"name": self.name, **self.config, "steps": self.steps, "values": values}


def whole(case):
    case.handshake()
    case.export("test", b"", 32).export("another label", b"context", 64)
    case.send("I", "message", b"hello").send("R", "message", "grüß dich".encode()).send("I", "message", b"")
    for n in (7, 8, 9, 100, 200):
        case.bulk("R", "message", n)
    case.send("I", "data", b"stream\0\0").send("I", "data", b"beginning, ", pump=False).send("I", "message", b"end")
    case.send("I", "ping", b"are you there").send("R", "ping", b"")
    case.bulk("I", "data", 65536).bulk("I", "message", 65536)
    return case.close("I").send("R", "message", b"still talking").send("R", "data", b"\0").close("R").done()


def epochs(case):
    """16 records of 65537 bytes of plaintext bring 131152 blocks of 131072; 26215 would be needed of the smallest."""
    case.handshake()
    for _ in range(17):
        case.bulk("I", "data", 65536)
    case.send("I", "message", b"in epoch 1")
    for _ in range(32):
        case.bulk("R", "message", 65536)
    case.send("R", "data", b"in epoch 2").send("R", "ping", b"and the pong in epoch 1")
    return case.close("R").close("I").done()


def flip(at):
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def tampered(name, after, at):
    """One bit of the frame numbered `after` (0: HELLO) is changed on the way."""
    case = Case("tampered " + name)
    case.start()
    for n, role in enumerate("IRIR"[:after]):
        case.wire(role)
    case.wire("IRIR"[after], deliver=flip(at))
    return case.pump().done()


def tampered_record(at):
    case = Case("tampered record", suites=[IDEA]).handshake()
    case.send("I", "message", b"before").send("I", "message", b"altered", pump=False)
    case.wire("I", deliver=flip(at))
    return case.pump().done()


def spoken(name, said):
    """A peer that is no engine says these bytes to a responder."""
    case = Case(name, engines="R")
    case.step("wire", **{"from": "I"}, frames=[said.hex()])
    case.deliver("R", said)
    case.wire("R")
    return case.done()


def hello(version, suites, share):
    body = bytes([version]) + bytes(range(32)) + bytes([len(suites)]) + b"".join(map(helio1.u16, suites)) + helio1.opaque16(share)
    return helio1.header(helio1.HELLO, len(body)) + body


def together():
    """ACCEPT and the first records in one go, and both close at once."""
    case = Case("records behind ACCEPT", suites=[AES])
    case.start()
    for role in "IRI":
        case.wire(role)
    case.send("R", "message", b"first", pump=False).close("R", pump=False).pump()
    return case.close("I").done()


def slow():
    """Both close first; the receipts come later, one by one."""
    case = Case("late receipts", confirm=False).handshake().send("I", "data", b"for the disk").close("R").close("I")
    return case.confirm("R").confirm("I").done()


def commands():
    """Both ran a command for the other: one of them ended badly.  Between result and close only pings go."""
    case = Case("results", suites=[CHACHA]).handshake().send("R", "data", b"its output").send("R", "result", b"\x8f")
    case.send("I", "data", b"still talking").send("R", "ping", b"after it").send("I", "ping", b"and back")
    return case.close("R").send("I", "message", b"bye").send("I", "result", b"\0").close("I").done()


def disk_full():
    """The responder has closed, and then fails where its receipt should come."""
    return Case("a failure after close", confirm=False).handshake().close("R").send("I", "data", b"for the disk").close("I").fail("R").done()


def cases():
    for suite in SUITES:
        yield whole(Case(SUITES[suite][0], suites=[suite], r_suites=[suite]))
    yield whole(Case("keys of 3072 and 2049 bits, long names", suites=[AES], keys="cd", names=("ü" * 32, "n" * 64), service="s" * 64))
    yield whole(Case("oneself, no names", suites=list(SUITES), keys="aa", names=("", ""), service=""))
    yield Case("the initiator's order counts", suites=[AES, CHACHA, IDEA], r_suites=[IDEA, CHACHA]).handshake().close("I").close("R").done()
    yield together()
    for suite in SUITES:
        yield epochs(Case("epochs, " + SUITES[suite][0], suites=[suite]))
    yield Case("the initiator does not trust", i_verdict=1).handshake().done()
    yield Case("the initiator asks its user", i_verdict=ASK).handshake().done()
    for reason in (1, 2, 3, 4):
        yield Case("refused, reason %d" % reason, r_verdict=reason, suites=[IDEA]).handshake().done()
    yield Case("wait, then accepted", r_verdict=ASK).handshake().answer(0).send("I", "message", b"thanks").close("I").close("R").done()
    yield Case("wait, then refused", r_verdict=ASK).handshake().answer(4).done()
    yield Case("no suite in common", suites=[IDEA], r_suites=[AES]).handshake().done()
    yield spoken("version 2", hello(2, [IDEA], b"\x09" + bytes(31)))
    yield spoken("another key exchange", hello(1, [0x0201], b"\x09" + bytes(200)))
    yield spoken("two key exchanges", hello(1, [IDEA, 0x0201], b"\x09" + bytes(31)))
    yield spoken("a share of low order", hello(1, [IDEA], b"\x01" + bytes(31)))
    yield tampered("HELLO", 0, 10)
    yield tampered("REPLY", 1, 600)
    yield tampered("AUTH", 2, 600)
    yield tampered("ACCEPT", 3, 8)
    yield tampered_record(6)
    yield slow()
    yield disk_full()
    yield commands()
    yield Case("a failure of its own").handshake().send("I", "data", b"up to here").fail("R").done()


# Peers that the file plays: one rule broken, or something rare and allowed.

OTHER = {"I": "R", "R": "I"}


def peer(name, bad, prepare=lambda session: None, **options):
    """A handshake with a peer in the role `bad`, which prepare() has tampered with."""
    case = Case(name, engines=OTHER[bad], **options)
    prepare(case.sessions[bad])
    return case.handshake()


def says(case, bad, data):
    """The peer has these bytes to say, whatever they are."""
    case.sessions[bad].output += data
    return case.pump()


def sealed(case, bad, plain):
    """The peer says a record with this plaintext, sealed as it should be."""
    head = helio1.header(helio1.RECORD, len(plain) + 16)
    return says(case, bad, head + case.sessions[bad].sender.seal(head, plain))


def key_as(change):
    """A key in another encoding, over which the signature is right."""
    def prepare(session):
        session.identity.key = change(session.identity.key)
    return prepare


def signs(how):
    def prepare(session):
        session.identity.sign = lambda message, salt, own=session.identity: how(own, message, salt)
    return prepare


def raw_signature(own, message, salt):
    m = int.from_bytes(helio1.emsa_pss(message, salt, own.n.bit_length() - 1), "big")
    return pow(m, own.d, own.n).to_bytes(helio1.modulus_bytes(own.n), "big")


def extra_as(extra):
    """AUTH or REPLY with another extra, which the confirmation covers."""
    def prepare(session):
        proof_size, make_proof = session._proof_size, session._make_proof
        session._proof_size = lambda _: proof_size(extra)
        session._make_proof = lambda who, _: make_proof(who, extra)
    return prepare


def longer_by(n):
    """The proof with n zeros more behind it."""
    def prepare(session):
        proof_size, make_proof = session._proof_size, session._make_proof
        session._proof_size = lambda extra: proof_size(extra) + n
        session._make_proof = lambda who, extra: make_proof(who, extra) + bytes(n)
    return prepare


PROOFS = {
    "key without NULL": key_as(lambda k: k[:2] + helio1.u16(len(k) - 6) + k[4:5] + b"\x0b" + k[6:17] + k[19:]),
    "key with a byte behind it": key_as(lambda k: k + b"\0"),
    "key with a long length": key_as(lambda k: b"\x30\x83\0" + k[2:]),
    "key for PSS": key_as(lambda k: k.replace(b"\x01\x01\x01\x05\0", b"\x01\x01\x0a\x05\0")),
    "salt of 20 bytes": signs(lambda own, message, salt: raw_signature(own, message, salt[:20])),
    "salt of 33 bytes": signs(lambda own, message, salt: raw_signature(own, message, salt + b"\0")),
    "signature of the other role": signs(lambda own, message, salt: raw_signature(own, swapped(message), salt)),
    "a multiple of 512 more": longer_by(512),
    "not a multiple of 512": longer_by(1),
}
AUTH_EXTRAS = {
    "name of 65 bytes": b"\x41" + b"n" * 65 + b"\0", "name not UTF-8": b"\2\xc0\xaf\0", "name with a surrogate": b"\3\xed\xa0\x80\0",
    "name with DEL": b"\1\x7f\0", "name with U+009F": b"\2\xc2\x9f\0", "name with U+2028": b"\3\xe2\x80\xa8\0",
    "name with U+200E": b"\3\xe2\x80\x8e\0", "name with U+2069": b"\3\xe2\x81\xa9\0",
    "service with a space": b"\0\1 ", "service of 65 bytes": b"\0\x41" + b"s" * 65, "extra with a byte behind it": b"\0\0\0",
    "extra empty": b"",
}
ACCEPTS = {"name cut": b"\0\3ab", "name and more": b"\0\1ab", "name with a newline": b"\0\1\n", "nothing behind 0": b"\0", "no reason": b"\1",
           "reason 0": b"\1\0", "reason 5": b"\1\5", "refused and more": b"\1\1\0", "wait and more": b"\2\0", "answer 3": b"\3"}
RECORDS = {
    "only zeros": bytes(9), "kind 9": b"x\x09", "kind 255": b"\xff", "receipt, but nothing is closed": b"\7", "close with content": b"x\3", "close with a zero before it": b"\0\3",
    "ping of 65 bytes": b"p" * 65 + b"\4", "pong of 65 bytes": b"p" * 65 + b"\5", "alert without a reason": b"\6", "alert 0": b"\0\6", "alert 3": b"\3\6",
    "alert and more": b"\1\1\6", "alert 2": b"\2\6", "result without a byte": b"\x08", "result of two bytes": b"\0\1\x08",
}
ALLOWED_RECORDS = [b"\1", b"\2", b"padded\1\0\0\0", b"not padded as it should be\2", b"two\0\0\2", b"no ping of yours\5",
                   b"p" * 64 + b"\4\0\0", b"\4"]
AFTER_CLOSE = {"data": b"\1", "message": b"x\2", "close": b"\3", "ping": b"\4", "pong": b"\5", "receipt, but we have not closed": b"\7", "alert": b"\1\6",
               "result": b"\0\x08"}
AFTER_RESULT = {"data": b"more\1", "message": b"\2", "result, the same": b"\0\x08", "result, another": b"\1\x08"}
HEADERS = {"ALERT": "07000001", "HELLO": "01000046", "ACCEPT": "04000011", "type 0": "00000011", "length 16": "05000010", "length 67601": "05010811"}


def swapped(message):
    """The context of the other role; both are equally long."""
    i, r = b"initiator", b"responder"
    return message.replace(i, b"?").replace(r, i).replace(b"?", r)


def peers():
    for fault in ("signature", "confirmation", "padding"):
        yield peer("AUTH: " + fault, "I", faults=(fault, None)).done()
        yield peer("REPLY: " + fault, "R", faults=(None, fault)).done()
    yield peer("REPLY: suite not offered", "R", faults=(None, "suite")).done()
    yield peer("REPLY: share of low order", "R", faults=(None, "share")).done()
    yield peer("REPLY: extra not empty", "R", extra_as(b"\0\0")).done()
    for name, prepare in PROOFS.items():
        yield peer("AUTH: " + name, "I", prepare).done()
    yield peer("REPLY: " + "signature of the other role", "R", PROOFS["signature of the other role"]).done()
    for name, extra in AUTH_EXTRAS.items():
        yield peer("AUTH: " + name, "I", extra_as(extra)).done()
    yield peer("AUTH: a key of 1024 bits", "I", keys="eb").done()
    yield peer("REPLY: a key of 1024 bits", "R", keys="ae").done()
    yield peer("LEAVE: why 2", "I", lambda session: setattr(session, "_send_auth", lambda: session._send_leave(2))).done()
    for name, plain in ACCEPTS.items():
        case = peer("ACCEPT: " + name, "R", lambda s: setattr(s, "answer", lambda reason, s=s: s._send_accept(plain)))
        yield case.done()
    case = peer("ACCEPT: wait twice", "R", r_verdict=ASK)
    case.sessions["R"]._send_accept(b"\2")
    yield case.pump().done()
    for reason in (1, 2, 3, 0, 4):
        case = Case("ALERT %d for REPLY" % reason, engines="I")
        case.start().wire("I")
        yield says_and_ends(case, "R", b"\7\0\0\1" + bytes([reason]))
    yield says(peer("RECORD before ACCEPT", "I", r_verdict=ASK), "I", bytes.fromhex("05000011")).done()
    for name, plain in RECORDS.items():
        yield sealed(peer("record: " + name, "I"), "I", plain).done()
    for name, head in HEADERS.items():
        yield says(peer("once open: header of " + name, "I"), "I", bytes.fromhex(head)).done()
    case = peer("a byte behind close and receipt", "R", confirm=False).close("I").close("R")
    case.sessions["R"].confirm()
    yield says(case, "R", b"\5").done()
    yield says(peer("once closed: a violation, and an alert behind our close", "R").close("I"), "R", bytes.fromhex("07000001")).done()
    for name, plain in AFTER_CLOSE.items():
        yield sealed(peer("once closed: " + name, "R", confirm=False).close("R"), "R", plain).done()
    for name, plain in AFTER_RESULT.items():
        yield sealed(sealed(peer("after the result: " + name, "R"), "R", b"\0\x08"), "R", plain).done()
    case = peer("padded result, pong, close", "R")
    for plain in (b"\xff\x08\0\0", b"no ping of yours\5"):
        sealed(case, "R", plain)
    yield case.send("I", "ping", b"there").close("I").close("R").done()
    yield sealed(peer("once both closed: receipt with content", "R", confirm=False).close("I").close("R"), "R", b"x\7").done()
    yield sealed(peer("receipt twice", "R").close("I"), "R", b"\7").done()
    yield sealed(peer("padded receipt after close", "R", confirm=False).close("I").close("R").confirm("I"), "R", b"\7\0\0").done()
    yield says(peer("violation behind our receipt", "R").close("R"), "R", bytes.fromhex("07000001")).done()
    yield says(peer("violation behind our close and receipt: no alert", "R", confirm=False).close("R").confirm("I").close("I"), "R", bytes.fromhex("07000001")).done()
    case = peer("rare and allowed", "R")
    for plain in ALLOWED_RECORDS:
        sealed(case, "R", plain)
    yield case.send("I", "message", b"bye").close("I").close("R").done()


def says_and_ends(case, bad, data):
    case.sessions[bad].output = bytearray(data)
    case.wire(bad)
    return case.pump().done()


def text(which):
    about = "helio/1, whole sessions; written by tests/python/make_vectors.py, whose opening comment says how to read this"
    body = ",\n".join(one(case) for case in which())
    return '{"about": %s,\n"cases": [\n%s\n]}\n' % (json.dumps(about), body)


def one(case):
    """A case with one step a line: long enough to be small, short enough to diff."""
    head = ",\n ".join("%s: %s" % (json.dumps(k), json.dumps(v)) for k, v in case.items() if k != "steps")
    steps = ",\n  ".join(json.dumps(s) for s in case["steps"])
    return '{%s,\n "steps": [\n  %s]}' % (head, steps)


FILES = {"helio1.json": cases, "helio1-peers.json": peers}

if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT
    for name, which in FILES.items():
        (target / name).write_text(text(which))
