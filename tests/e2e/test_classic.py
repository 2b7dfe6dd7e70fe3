"""helio --classic against a station that follows the old text to the letter.

The other side is tests/python/classic_station.py, which shares nothing with the C program.  Both
directions, both counters, slices of the digest, every split, and what it does on purpose wrong.
"""
import json
import re
import subprocess

import pytest

from conftest import DEADLINE, ROOT, wait_for_port

SCRIPT = ROOT / "tests" / "python" / "classic_station.py"
VECTORS = json.loads((ROOT / "tests" / "vectors" / "classic.json").read_text(encoding="ascii"))


class Other:
    """The Python station as a process; what it tells, word by word, once it has ended."""

    def __init__(self, verb, address, *options):
        command = ["/usr/bin/python3", str(SCRIPT), verb, str(address), *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[1]) if verb == "listen" else None

    def end(self):
        self.out, self.err = self.process.communicate(timeout=DEADLINE)
        assert self.err == "", self.err
        return self

    def told(self, word):
        return [line.split(" ", 1)[1] for line in self.out.splitlines() if line.split(" ", 1)[0] == word]

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def other():
    """A function that starts the Python station: other("listen", 0, "--echo")."""
    made = []

    def start(*args):
        made.append(Other(*args))
        return made[-1]

    yield start
    for station in made:
        station.kill()


@pytest.fixture
def station(new_station):
    """A station of ours that has no key, because classic uses none."""
    return new_station("station")


def shown(text, label):
    """What -v said under a label, to the end of its line."""
    found = re.findall(rf"^helio: {label}: (.*)$", text, re.MULTILINE)
    assert found, f"no {label!r} in:\n{text}"
    return found


def how(offset, counter):
    """The same variant for both programs."""
    ours = ["--classic-offset", str(offset), "--classic-counter", counter]
    theirs = ["--offset", offset] + (["--incrementing"] if counter == "incrementing" else [])
    return ours, theirs


def call(station, python, *options, said=b"hi there\n", name="alice"):
    return station.run("connect", "--classic", "--name", name, *options, f"127.0.0.1:{python.port}", input=said)


def listen(station, port, *options, said=b""):
    child = station.start("listen", "--classic", *options, f"127.0.0.1:{port}")
    child.stdin.write(said)
    child.stdin.close()
    child.stdin = None
    wait_for_port(port)
    return child


# -- both directions --


@pytest.mark.parametrize("counter", ["constant", "incrementing"])
@pytest.mark.parametrize("offset", [0, 1, 16, 24])
def test_we_call_the_original(station, other, offset, counter):
    ours, theirs = how(offset, counter)
    python = other("listen", 0, *theirs, "--say", "hello from server", "--say", "x" * 300)
    done = call(station, python, "-v", *ours, said=b"hi there\nsecond, which is longer than a block\n")
    python.end()
    assert done.status == 0, done
    assert done.out == "hello from server\n" + "x" * 300 + "\n", done
    assert python.told("HEARD") == ["alice : hi there", "alice : second, which is longer than a block"]
    assert python.told("END") == ["ok"]
    assert shown(done.err, "session key") == python.told("DIGEST")
    assert shown(done.err, "public key hash") == python.told("HASH")
    assert "-----BEGIN PUBLIC KEY-----\nMIG" in done.err
    assert shown(done.err, "encrypted key")[0].endswith(",)")
    assert len(shown(done.err, "ciphertext sent")) == 2
    assert all(re.fullmatch("([0-9A-F]{2})+", wire) for wire in shown(done.err, "ciphertext sent"))
    assert "".join(shown(done.err, "ciphertext received")) != ""


@pytest.mark.parametrize("counter", ["constant", "incrementing"])
@pytest.mark.parametrize("offset", [0, 1, 16, 24])
def test_the_original_calls_us(station, other, port, offset, counter):
    ours, theirs = how(offset, counter)
    child = listen(station, port, "-v", *ours, said=b"hello from server\n" + b"y" * 512 + b"\n")
    python = other("connect", f"127.0.0.1:{port}", *theirs, "--name", "bob", "--say", "hi", "--say", "z" * 200)
    done, python = station.end(child), python.end()
    assert done.status == 0, done
    assert done.out == f"bob : hi\nbob : {'z' * 200}\n", done
    assert python.told("HEARD") == ["hello from server", "y" * 512]
    assert shown(done.err, "session key") == python.told("DIGEST")
    assert len(shown(done.err, "ciphertext sent")) == 2


@pytest.mark.parametrize("key", [v["name"] for v in VECTORS])
def test_the_original_calls_us_with_a_recorded_key(station, other, port, tmp_path, key):
    vector = next(v for v in VECTORS if v["name"] == key)
    pem = tmp_path / "key.pem"
    pem.write_text(vector["private_key_pem"], encoding="ascii")
    child = listen(station, port, "-v", said=b"yes\n")
    python = other("connect", f"127.0.0.1:{port}", "--key", pem, "--original", "--say", "hi").end()
    done = station.end(child)
    assert done.status == 0 and done.out == "hi\n", done
    assert shown(done.err, "public key hash") == [vector["public_key_sha1"]]
    assert python.told("HEARD") == ["yes"]


def test_two_of_ours(new_station, port):
    server, client = new_station("server"), new_station("client")
    child = listen(server, port, "--name", "bob", said=b"fine\nbye\n")
    done = client.run("connect", "--classic", "--name", "alice", f"127.0.0.1:{port}", input=b"how are you\nah\n")
    heard = server.end(child)
    assert (done.status, done.out) == (0, "fine\nbye\n"), done
    assert (heard.status, heard.out) == (0, "alice : how are you\nalice : ah\n"), heard


# -- keys with a leading zero --


@pytest.mark.parametrize("offset", [0, 24])
def test_a_transported_key_with_a_leading_zero(station, other, offset):
    vector = next(v for v in VECTORS if v["transported_hex"].startswith("00"))
    ours, theirs = how(offset, "constant")
    python = other("listen", 0, *theirs, "--original", "--random", vector["random_key_hex"], "--say", "good")
    done = call(station, python, "-v", *ours)
    assert (done.status, done.out) == (0, "good\n"), done
    assert shown(done.err, "session key") == [vector["session_digest"]]
    assert python.end().told("HEARD") == ["alice : hi there"]


# -- splits --


@pytest.mark.parametrize("split", [1, 2, 3, 40, 100])
def test_every_piece_of_the_original_comes_split(station, other, port, split):
    python = other("listen", 0, "--split", split, "--say", "split answer")
    done = call(station, python)
    assert (done.status, done.out) == (0, "split answer\n"), done
    assert python.end().told("HEARD") == ["alice : hi there"]

    child = listen(station, port, said=b"answer\n")
    python = other("connect", f"127.0.0.1:{port}", "--split", split, "--say", "a split text of some length")
    heard = station.end(child)
    assert (heard.status, heard.out) == (0, "a split text of some length\n"), heard
    assert python.end().told("HEARD") == ["answer"]


def test_pieces_may_be_slow(station, other):
    python = other("listen", 0, "--split", "7", "--delay", "0.01", "--say", "slow answer")
    done = call(station, python)
    assert (done.status, done.out) == (0, "slow answer\n"), done


# -- misbehaviour: nothing comes out, and status 5 --


@pytest.mark.parametrize("what", ["no", "cut-yes", "garbage-reply", "code-reply", "two-reply", "unicode-reply",
                                  "long-reply", "large-reply", "other-reply", "cut-reply"])
def test_a_server_that_misbehaves(station, other, what):
    python = other("listen", 0, "--misbehave", what, "--say", "never heard")
    done = call(station, python)
    assert (done.status, done.out) == (5, ""), done
    assert "Traceback" not in python.end().out


@pytest.mark.parametrize("what", ["wrong-hash", "upper-hash", "cut-hash", "garbage-key", "endless-key", "not-a-key",
                                  "small-key", "cut-key"])
def test_a_client_that_misbehaves(station, other, port, what):
    child = listen(station, port, said=b"never sent\n")
    python = other("connect", f"127.0.0.1:{port}", "--misbehave", what, "--say", "never heard")
    done = station.end(child)
    assert (done.status, done.out) == (5, ""), done
    assert python.end().told("HEARD") == []


# What was right before the fault comes out; a message that is not whole is no reason to hide it.
TALK = {
    "odd-hex": (5, "some tex"),
    "not-hex": (5, ""),
    "newline": (5, "some text"),
    "lower-hex": (0, "some text"),
}


@pytest.mark.parametrize("what", TALK)
def test_messages_that_are_wrong(station, other, port, what):
    status, text = TALK[what]
    child = listen(station, port, said=b"answer\n")
    python = other("connect", f"127.0.0.1:{port}", "--misbehave", what, "--say", "some text")
    done = station.end(child)
    assert done.status == status, done
    assert done.out in (text, text + "\n"), done
    python.end()

    python = other("listen", 0, "--misbehave", what, "--say", "some text")
    done = call(station, python, said=b"hi\n")
    assert done.status == status, done
    assert done.out in (text, text + "\n"), done


def test_a_message_of_more_than_1024_digits(station, other, port):
    child = listen(station, port)
    python = other("connect", f"127.0.0.1:{port}", "--misbehave", "long-message", "--say", "x")
    done = station.end(child)
    assert done.status == 5, done
    assert len(done.raw.rstrip(b"\n")) <= 512
    python.end()


# -- what we refuse to send --


@pytest.mark.parametrize("length, status", [(504, 0), (505, 1)])
def test_the_longest_message(station, other, length, status):
    python = other("listen", 0, "--say", "good")
    done = call(station, python, said=b"m" * length + b"\n")
    python.end()
    assert done.status == status, done
    assert python.told("HEARD") == (["alice : " + "m" * 504] if status == 0 else [])
    if status:
        assert "512" in done.err


# -- what classic must not touch --


def test_no_identity_is_used_or_made(station, other):
    python = other("listen", 0, "--say", "good")
    done = call(station, python)
    assert done.status == 0, done
    assert not station.identity.exists() and not station.known.exists()


def test_it_says_that_it_is_insecure(station, other):
    python = other("listen", 0, "--say", "good")
    assert "INSECURE" in call(station, python).err


def test_helio1_never_falls_back(alice, other, station, port):
    python = other("listen", 0, "--say", "never heard")
    done = alice.run("connect", "--timeout", "1", f"127.0.0.1:{python.port}", input=b"secret\n")
    assert (done.status, done.out) == (3, ""), done  # both wait for the other's first word

    child = listen(station, port)
    done = alice.run("connect", f"127.0.0.1:{port}", input=b"secret\n")
    assert (done.status, done.out) == (5, ""), done
    assert station.end(child).status == 5


def test_the_original_gets_nothing_from_helio1(alice, other, port):
    child = alice.start("listen", f"127.0.0.1:{port}")
    wait_for_port(port)
    python = other("connect", f"127.0.0.1:{port}", "--say", "never heard").end()
    done = alice.end(child)
    assert (done.status, done.out) == (5, ""), done
    assert python.told("HEARD") == [] and python.told("DIGEST") == []


def test_variants_that_differ_show_noise(station, other):
    python = other("listen", 0, "--offset", "16", "--say", "plain words")
    done = call(station, python)
    assert python.end().told("HEARD") != ["alice : hi there"]
    assert "plain words" not in done.out
