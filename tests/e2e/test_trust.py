"""Whom a station trusts: the question at the terminal on both sides, and every way to be refused."""
import json
import shlex
import subprocess

import pexpect
import pytest

from conftest import wait_for_port


def listen(station, port, *options):
    # Nothing to say: stdin is at its end, so the listener's direction closes at once.
    child = station.start("listen", *options, f"127.0.0.1:{port}", stdin=subprocess.DEVNULL)
    wait_for_port(port)
    return child


def connect(station, port, *options, input=b"hello\n"):
    return station.run("connect", *options, f"127.0.0.1:{port}", input=input)


def at_terminal(station, *args):
    """helio at a terminal, but with stdin empty and stdout in a file: a pipe that can still ask."""
    words = " ".join(shlex.quote(str(a)) for a in [station.bin, *args])
    out = station.home / "stdout"
    return pexpect.spawn("/bin/sh", ["-c", f"exec {words} </dev/null >{shlex.quote(str(out))}"], env=station.env,
                         timeout=30, encoding="utf-8", codec_errors="surrogateescape", dimensions=(24, 300))


def ended(child):
    child.expect(pexpect.EOF)
    text = child.before
    child.close()
    return child.exitstatus, text


def names(station):
    return [row.split()[0] for row in station.run("trust").out.splitlines()]


# ------------------------------------------------------------------------------------ no terminal --

def test_unknown_station_is_refused_on_both_ends(alice, bob, port):
    child = listen(alice, port)
    done = connect(bob, port)
    assert done.status == 4 and done.out == "", done
    assert "no terminal to ask at" in done.err, done
    assert f"helio trust add 127.0.0.1:{port} {alice.fingerprint()}" in done.err, done
    heard = alice.end(child)
    assert heard.status == 4 and heard.out == "", heard
    assert "does not trust our key" in heard.err, heard
    assert names(alice) == names(bob) == []


def test_unknown_initiator_is_refused_on_both_ends(alice, bob, port):
    bob.trust("alice", alice.fingerprint())
    child = listen(alice, port)
    done = connect(bob, port, "--name", "bob")
    heard = alice.end(child)
    assert done.status == 4 and done.out == "" and "does not trust our key" in done.err, done
    assert heard.status == 4 and heard.out == "", heard
    assert "calls itself \"bob\"" in heard.err and f"helio trust add bob {bob.fingerprint()}" in heard.err, heard
    assert names(alice) == []


def test_accept_new_trusts_and_remembers(alice, bob, port):
    child = listen(alice, port, "--accept-new")
    done = connect(bob, port, "--accept-new", "--name", "bob")
    heard = alice.end(child)
    assert done.status == 0 and heard.status == 0 and heard.out == "hello\n", (done, heard)
    assert alice.run("trust").out == f"bob {bob.fingerprint()}\n"
    assert bob.run("trust").out == f"127.0.0.1:{port} {alice.fingerprint()}\n"
    child = listen(alice, port)
    assert connect(bob, port, "--name", "robert").status == 0
    assert alice.end(child).status == 0
    assert names(alice) == ["bob"]


CLAIMS = ["two words", "#comment", "bank.example:7000", "SHA256:" + "A" * 43, ""]


@pytest.mark.parametrize("claimed", CLAIMS)
def test_claims_that_are_no_names_are_remembered_by_fingerprint(alice, bob, port, claimed):
    child = listen(alice, port, "--accept-new")
    done = connect(bob, port, "--peer", alice.fingerprint(), "--name", claimed)
    heard = alice.end(child)
    assert done.status == 0 and heard.status == 0, (done, heard)
    assert alice.run("trust").out == f"{bob.fingerprint()} {bob.fingerprint()}\n"


def test_a_claim_cannot_close_its_quotes_or_reach_the_shell(alice, bob, port):
    child = listen(alice, port)
    connect(bob, port, "--peer", alice.fingerprint(), "--name", "x\"_$(id)")
    heard = alice.end(child)
    assert heard.status == 4 and "calls itself \"x'_$(id)\"" in heard.err, heard
    assert f"helio trust add 'x\"_$(id)' {bob.fingerprint()}" in heard.err, heard


def test_own_key_is_trusted_from_the_start(alice, port):
    child = listen(alice, port)
    done = connect(alice, port)
    heard = alice.end(child)
    assert done.status == 0 and heard.status == 0 and heard.out == "hello\n", (done, heard)
    assert names(alice) == []


# ------------------------------------------------------------------------------------ changed keys --

@pytest.mark.parametrize("options", [[], ["--accept-new"]])
def test_changed_key_of_a_responder(alice, bob, carol, port, options):
    name = f"127.0.0.1:{port}"
    bob.trust("first", carol.fingerprint())
    bob.trust(name, carol.fingerprint())
    child = listen(alice, port, "--accept-new")
    done = connect(bob, port, *options)
    assert done.status == 4 and done.out == "", done
    for part in ("HAS CHANGED", alice.fingerprint(), carol.fingerprint(), f"{bob.known}:2", f"helio trust remove {name}"):
        assert part in done.err, (part, done)
    assert alice.end(child).status == 4
    command = next(l for l in done.err.splitlines() if "helio trust remove" in l).split("helio ", 1)[1]
    assert bob.run(*shlex.split(command)).status == 0
    assert names(bob) == ["first"]


def test_changed_key_of_an_initiator(alice, bob, carol, port):
    path = alice.home / "other known"
    assert alice.run("trust", "add", "--known", path, "bob", carol.fingerprint()).status == 0
    child = listen(alice, port, "--accept-new", "--known", path)
    done = connect(bob, port, "--peer", alice.fingerprint(), "--name", "bob")
    heard = alice.end(child)
    assert done.status == 4 and heard.status == 4 and heard.out == "", (done, heard)
    for part in ("HAS CHANGED", bob.fingerprint(), carol.fingerprint(), f"{path}:1",
                 f"helio trust remove --known '{path}' bob"):
        assert part in heard.err, (part, heard)


def test_changed_key_as_json(alice, bob, carol, port):
    bob.trust(f"127.0.0.1:{port}", carol.fingerprint())
    child = listen(alice, port)
    done = connect(bob, port, "--log", "json")
    alice.end(child)
    rows = [json.loads(line) for line in done.err.splitlines()]
    row = next(r for r in rows if r["event"] == "changed-key")
    assert row["level"] == "error" and row["fingerprint"] == alice.fingerprint(), row
    assert row["known_fingerprint"] == carol.fingerprint() and row["line"] == 1 and row["file"] == str(bob.known), row


# ------------------------------------------------------------------------------------------- peer --

def test_peer_by_fingerprint_needs_no_known_stations(alice, bob, port):
    child = listen(alice, port, "--peer", bob.fingerprint())
    done = connect(bob, port, "--peer", alice.fingerprint())
    heard = alice.end(child)
    assert done.status == 0 and heard.status == 0 and heard.out == "hello\n", (done, heard)
    assert names(alice) == names(bob) == []


def test_peer_is_that_station_and_no_other(alice, bob, carol, port):
    alice.trust("bob", bob.fingerprint())
    alice.trust("carol", carol.fingerprint())
    child = listen(alice, port, "--peer", "carol", "--accept-new")
    done = connect(bob, port, "--peer", alice.fingerprint())
    heard = alice.end(child)
    assert done.status == 4 and heard.status == 4 and heard.out == "", (done, heard)
    assert "--peer" in heard.err and bob.fingerprint() in heard.err and carol.fingerprint() in heard.err, heard


def test_unknown_peer_is_an_error_before_any_connection(alice, bob, port):
    child = listen(alice, port)
    done = connect(bob, port, "--peer", "nobody")
    assert done.status == 2 and "\"nobody\"" in done.err and "helio trust add" in done.err, done
    done = connect(bob, port, "--peer", "SHA256:abc")
    assert done.status == 2 and "not a whole fingerprint" in done.err, done
    assert child.poll() is None


# -------------------------------------------------------------------------------------- questions --

@pytest.mark.parametrize("answers", [["yes"], ["FINGERPRINT"], ["", "maybe", "y", "OTHER", "YES"]])
def test_initiator_asks_and_calls_again(alice, bob, port, answers):
    alice.trust("bob", bob.fingerprint())
    listener = listen(alice, port)
    child = at_terminal(bob, "connect", f"127.0.0.1:{port}")
    child.expect_exact("is not known here.")
    for i, answer in enumerate(answers):
        child.expect_exact("(yes/no/[fingerprint])? " if i == 0 else "Please type 'yes', 'no' or the fingerprint: ")
        if i == 0:
            assert f"the fingerprint {alice.fingerprint()}\r\n" in child.before
        child.sendline({"FINGERPRINT": alice.fingerprint(), "OTHER": bob.fingerprint()}.get(answer, answer))
    status, text = ended(child)
    heard = alice.end(listener)
    assert status == 0 and heard.status == 0, (text, heard)
    assert bob.run("trust").out == f"127.0.0.1:{port} {alice.fingerprint()}\n"


@pytest.mark.parametrize("answer", ["no", "\x04"])
def test_initiator_says_no(alice, bob, port, answer):
    alice.trust("bob", bob.fingerprint())
    listen(alice, port, "--timeout", "5")
    child = at_terminal(bob, "connect", f"127.0.0.1:{port}")
    child.expect_exact("(yes/no/[fingerprint])? ")
    if answer == "\x04":
        child.send(answer)
    else:
        child.sendline(answer)
    status, text = ended(child)
    assert status == 4 and "is not trusted: refused" in text, text
    assert names(bob) == []
    assert (bob.home / "stdout").read_bytes() == b""


def test_responder_asks_while_the_initiator_waits(alice, bob, port):
    bob.trust("alice", alice.fingerprint())
    child = at_terminal(alice, "listen", f"127.0.0.1:{port}")
    wait_for_port(port)
    caller = bob.start("connect", "--name", "bob", f"127.0.0.1:{port}", stdin=subprocess.DEVNULL)
    child.expect_exact("that calls itself \"bob\" is not known here.")
    child.expect_exact("(yes/no/[fingerprint])? ")
    assert bob.fingerprint() in child.before
    assert (alice.home / "stdout").read_bytes() == b""
    child.sendline("yes")
    done = bob.end(caller)
    status, text = ended(child)
    assert status == 0 and done.status == 0, (text, done)
    assert alice.run("trust").out == f"bob {bob.fingerprint()}\n"


def test_responder_says_no(alice, bob, port):
    bob.trust("alice", alice.fingerprint())
    child = at_terminal(alice, "listen", f"127.0.0.1:{port}")
    wait_for_port(port)
    caller = bob.start("connect", f"127.0.0.1:{port}", stdin=subprocess.DEVNULL)
    child.expect_exact("(yes/no/[fingerprint])? ")
    child.sendline("no")
    done = bob.end(caller)
    status, text = ended(child)
    assert status == 4 and "is not trusted: refused" in text, text
    assert done.status == 4 and "does not trust our key" in done.err, done
    assert names(alice) == []
    assert (alice.home / "stdout").read_bytes() == b""


def test_nobody_is_asked_about_a_changed_key(alice, bob, carol, port):
    bob.trust(f"127.0.0.1:{port}", carol.fingerprint())
    listener = listen(alice, port)
    child = at_terminal(bob, "connect", f"127.0.0.1:{port}")
    status, text = ended(child)
    assert status == 4 and "HAS CHANGED" in text and "yes/no" not in text, text
    assert alice.end(listener).status == 4
