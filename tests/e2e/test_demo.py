"""helio demo: that it works unattended, that what it shows is real, and that it leaves nothing."""
import hashlib
import os
import re
import signal
import time

import pexpect
import pytest

PEM = re.compile(r"-----BEGIN PUBLIC KEY-----\n.*?-----END PUBLIC KEY-----", re.S)
KNOWN = b"alice : hi bob, it is me"
TOLD = [
    "1. HELLO   alice -> bob, 78 bytes", "2. REPLY   bob -> alice", "3. AUTH    alice -> bob",
    "4. ACCEPT  bob -> alice, 25 bytes", "The line is open.", "idea-ctr-poly1305, key exchange X25519",
    "bob's stdout:  hi bob", "alice's stdout:  hello alice", "ended with status 0",
    "CLASSIC IS INSECURE", "alice -> bob: a public key", "alice -> bob: its SHA-1",
    "bob -> alice: a key, encrypted with hers", "on both sides: the session key", "SECRET",
    "what an eavesdropper makes of it", "Both lines worked.",
]


@pytest.fixture
def scene(new_station, tmp_path):
    """A station that has nothing yet, and an empty TMPDIR."""
    station = new_station("onlooker")
    where = tmp_path / "scene"
    where.mkdir()
    station.env["TMPDIR"] = str(where)
    return station, where


def test_demo_runs_and_tells_all(scene):
    station, where = scene
    begin = time.monotonic()
    done = station.run("demo", timeout=60)
    assert done.status == 0 and done.err == "", done
    at = 0
    for words in TOLD:
        assert words in done.out[at:], (words, done)
        at = done.out.index(words, at)
    assert "\x1b" not in done.out
    for row in done.out.splitlines():
        assert len(row) <= 80, row
    assert list(where.iterdir()) == [], "it leaves a directory behind"
    assert list(station.home.iterdir()) == [], "it touches the user's own station"
    assert time.monotonic() - begin < 40


def test_what_the_demo_shows_is_real(scene):
    station, _ = scene
    first, second = (station.run("demo", timeout=60) for _ in range(2))
    for done in (first, second):
        assert done.status == 0, done
        text = re.sub(r"(?m)^ +", "", done.out)
        pem = PEM.search(text).group(0)
        assert hashlib.sha1(pem.encode()).hexdigest() in text
        fingerprints = set(re.findall(r"SHA256:[A-Za-z0-9+/]{43}", text))
        assert len(fingerprints) == 2, done
        for fingerprint in fingerprints:
            assert text.count(fingerprint) == 2
        wire = [bytes.fromhex(h) for h in re.findall(r"on the wire +([0-9A-F]+)", text)]
        stream = bytes(a ^ b for a, b in zip(wire[0], KNOWN))[:16]
        said = [bytes(c ^ stream[i % 16] for i, c in enumerate(w)).decode() for w in wire]
        assert said == [KNOWN.decode(), "good to hear you", "alice : pay carol 100", "done"]
    sessions = [re.search(r"session id +([0-9a-f]+)", d.out).group(1) for d in (first, second)]
    assert sessions[0] != sessions[1]


@pytest.mark.parametrize("env,coloured", [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                                          ({"TERM": "xterm", "NO_COLOR": "1"}, False)])
def test_demo_at_a_terminal(scene, env, coloured):
    station, _ = scene
    child = station.spawn("demo", env=env, dimensions=(24, 80), timeout=60)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0, child.before
    assert "Both lines worked." in child.before
    assert ("\x1b[" in child.before) == coloured


def test_demo_without_a_place(scene):
    station, where = scene
    done = station.run("demo", env={"TMPDIR": str(where / "missing")})
    assert done.status == 1 and "cannot make a directory" in done.err, done


def test_demo_with_a_full_stdout(scene):
    station, where = scene
    with open("/dev/full", "wb") as full:
        done = station.run("demo", stdout=full, timeout=60)
    assert done.status == 1 and "cannot write to stdout" in done.err, done
    assert list(where.iterdir()) == []


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(word) for word in f.read().split()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_demo_interrupted_cleans_up(scene, number):
    station, where = scene
    child = station.start("demo")
    end = time.monotonic() + 20
    while not children_of(child.pid) and time.monotonic() < end:
        time.sleep(0.002)
    children = children_of(child.pid)
    assert children, "it never started a station"
    child.send_signal(number)
    done = station.end(child)
    assert done.status == 1 and "interrupted" in done.err, done
    assert list(where.iterdir()) == []
    for pid in children:
        assert not os.path.exists(f"/proc/{pid}"), "a station outlives the demonstration"
