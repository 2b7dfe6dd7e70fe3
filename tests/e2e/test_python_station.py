"""helio against the naive station of tests/python/helio1.py, written from docs/protocol.md alone: both ways, each suite, each fault."""
import json
import os
import re
import subprocess

import pytest

from conftest import ROOT
from test_line import DONE, LINE, RESULT, SUITES, TRUST, Listener, file_of, noise

STATION = str(ROOT / "tests" / "python" / "helio1.py")
KEYS = ROOT / "tests" / "vectors" / "keys"
HERE = "127.0.0.1"
BYTES = 300_000  # the station's IDEA is slow; several records in each direction


class Naive:
    """A running helio1.py; its key is a committed test key."""

    def __init__(self, verb, port, *args, key="test-only-a-2048.pem", stdin=subprocess.DEVNULL):
        command = ["/usr/bin/python3", STATION, verb, HERE, str(port), "--key", str(KEYS / key), "--name", "naive", *args]
        env = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
        self.out = file_of(b"")
        self.child = subprocess.Popen(command, env=env, stdin=stdin, stdout=self.out, stderr=subprocess.PIPE)
        self.said = b""
        self.fingerprint = self.wait_for(rb"own key (SHA256:\S+)\n")[1].decode()
        self.port = int(self.wait_for(rb"port (\d+)\n")[1]) if verb == "listen" else port

    def wait_for(self, pattern):
        while not (found := re.search(pattern, self.said)):
            line = self.child.stderr.readline()
            assert line, f"no {pattern} in {self.said} (status {self.child.wait()})"
            self.said += line
        return found

    def end(self):
        try:
            err = self.child.communicate(timeout=60)[1]
        finally:
            self.child.kill()
        self.out.seek(0)
        return self.child.returncode, self.out.read(), (self.said + err).decode()


@pytest.fixture
def bytes_file(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(noise(BYTES, 3))
    return path


@pytest.mark.parametrize("suite", SUITES)
def test_helio_calls(alice, bytes_file, suite):
    back = noise(BYTES, 4)
    naive = Naive("listen", 0, "--send-file", str(bytes_file), "--peer", alice.fingerprint(), "--suite", suite)
    a = alice.run("connect", "--peer", naive.fingerprint, f"{HERE}:{naive.port}", input=back)
    status, out, err = naive.end()
    assert (a.status, status) == (DONE, DONE), (a, err)
    assert a.raw == bytes_file.read_bytes() and out == back
    assert f"suite {suite}" in err and naive.fingerprint in a.err


@pytest.mark.parametrize("suite", SUITES)
def test_helio_is_called(alice, bytes_file, suite):
    with open(bytes_file, "rb") as back:
        listener = Listener(alice, "--accept-new", stdin=back, into_file=True)
    naive = Naive("connect", listener.port, "--send-file", str(bytes_file), "--peer", alice.fingerprint(), "--suite", suite)
    status, out, err = naive.end()
    a = listener.end()
    assert (a.status, status) == (DONE, DONE), (a, err)
    assert a.raw == out == bytes_file.read_bytes()
    assert f"suite {suite}" in err and f"naive, {naive.fingerprint}" in a.err


def test_helio_waits_while_the_other_user_is_asked(alice):
    for answer, expected in (("yes", (DONE, 0)), ("no", (TRUST, 4))):
        naive = Naive("listen", 0, "--ask", answer)
        a = alice.run("connect", "--peer", naive.fingerprint, f"{HERE}:{naive.port}")
        assert (a.status, naive.end()[0]) == expected, a
        assert "is asking its user" in a.err


def test_helio_is_not_trusted(alice):
    naive = Naive("listen", 0, "--refuse", "1")
    a = alice.run("connect", "--peer", naive.fingerprint, f"{HERE}:{naive.port}", input=b"secret")
    status, out, _ = naive.end()
    assert (a.status, status, out) == (TRUST, 4, b""), a
    assert "does not trust our key" in a.err


def test_helio_does_not_trust(alice):
    listener = Listener(alice)
    status, _, err = Naive("connect", listener.port).end()
    a = listener.end()
    assert (a.status, status, a.raw) == (TRUST, 4, b""), (a, err)


def test_a_service_that_listen_does_not_offer(alice):
    listener = Listener(alice, "--accept-new")
    status, _, err = Naive("connect", listener.port, "--service", "teapot").end()
    a = listener.end()
    assert (a.status, status) == (TRUST, 4), (a, err)
    assert "teapot" in a.err


# What helio says to each fault of a caller: nothing of it is trusted, shown, or called done.
@pytest.mark.parametrize("fault, expected", [
    ("version", LINE), ("share", LINE), ("garbage", LINE), ("proof-tag", LINE), ("signature", LINE),
    ("confirmation", LINE), ("padding", LINE), ("record-tag", LINE), ("cut", LINE), ("alert", LINE), ("kind", LINE),
    ("receipt", LINE), ("full", LINE), ("result", LINE), ("results", LINE),
])
def test_faults_of_a_caller(alice, fault, expected):
    listener = Listener(alice, "--accept-new")
    Naive("connect", listener.port, "--fault", fault).end()
    a = listener.end()
    assert a.status == expected and a.raw == b"", a


@pytest.mark.parametrize("fault", ["suite", "share", "garbage", "proof-tag", "signature", "confirmation", "padding", "accept-tag",
                                   "record-tag", "cut", "alert", "kind", "receipt", "full", "result", "results"])
def test_faults_of_a_listener(alice, fault):
    naive = Naive("listen", 0, "--fault", fault)
    # The fault "suite" is idea-ctr-poly1305, whatever was offered.
    a = alice.run("connect", "--suite", "aes-256-gcm", "--peer", naive.fingerprint, f"{HERE}:{naive.port}")
    naive.end()
    assert a.status == LINE and a.raw == b"", a


@pytest.mark.parametrize("result, expected", [(0, DONE), (1, RESULT), (143, RESULT), (255, RESULT)])
def test_the_result_of_a_command(alice, bytes_file, result, expected):
    """All of its output arrives, whatever became of the command; and a caller may have one, too."""
    naive = Naive("listen", 0, "--result", str(result), "--send-file", str(bytes_file))
    a = alice.run("connect", "--log", "json", "--peer", naive.fingerprint, f"{HERE}:{naive.port}")
    assert (a.status, naive.end()[0]) == (expected, 0) and a.raw == bytes_file.read_bytes(), a
    said = {e["event"]: e for e in map(json.loads, a.err.splitlines())}
    assert said["close"]["result"] == result and said["close"]["status"] == expected, a
    assert ("result" in said) == (result != 0) and said.get("result", said["close"])["result"] == result, a

    listener = Listener(alice, "--accept-new")
    assert Naive("connect", listener.port, "--result", str(result)).end()[0] == 0
    a = listener.end()
    assert a.status == expected and (f"ended with status {result}" in a.err) == (result != 0), a


def test_a_caller_that_says_nothing(alice):
    listener = Listener(alice, "--timeout", "1")
    naive = Naive("connect", listener.port, "--fault", "stall")
    a = listener.end()
    naive.child.kill()
    assert a.status == 3 and "in time" in a.err, a
