"""listen and connect, from one command line to the other, over real sockets."""
import fcntl
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import threading
import time

import pexpect
import pytest

from conftest import Finished
from proxy import DOWN, UP, Proxy

SUITES = ["idea-ctr-poly1305", "chacha20-poly1305", "aes-256-gcm"]
BULK = int(os.environ.get("HELIO_TEST_BULK", 4 << 20))
DONE, LOCAL, USAGE, NO_CONNECTION, TRUST, LINE, RESULT = range(7)


def noise(n, seed=2):
    return random.Random(seed).randbytes(n)


def file_of(data):
    file = os.fdopen(os.memfd_create("stdin"), "w+b")
    file.write(data)
    file.seek(0)
    return file


class Listener:
    """A running helio listen without a terminal, and the port that it has.

    Its stdout is a pipe to child.stdout, or, into_file, a file that end() reads: a pipe that nobody
    reads holds up more than its 64 KiB.
    """

    def __init__(self, station, *args, place="127.0.0.1:0", into_file=False, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        self.station = station
        self.file = file_of(b"") if into_file else None
        if self.file:
            kwargs["stdout"] = self.file
        self.child = station.start("listen", *args, place, bufsize=0, **kwargs)
        self.said = b""
        self.port = int(self.wait_for(rb"listening on port (\d+)[^\n]*\n[^\n]*\n")[1])

    def wait_for(self, pattern):
        """Reads stderr line by line until the pattern is in it."""
        while not (found := re.search(pattern, self.said)):
            line = self.child.stderr.readline()
            assert line, f"no {pattern} in {self.said} (status {self.child.wait()})"
            self.said += line
        return found

    def end(self):
        done = self.station.end(self.child)
        if self.file:
            self.file.seek(0)
        return Finished(done.args, done.status, self.file.read() if self.file else done.raw,
                        self.said + done.err.encode())


def call(caller, port, *args, **kwargs):
    return caller.run("connect", *args, f"127.0.0.1:{port}", **kwargs)


def assert_statuses(listener, caller, expected):
    assert (listener.status, caller.status) == expected, (listener, caller)


# -------------------------------------------------------------------------------------- the pipe --

@pytest.mark.parametrize("suite", SUITES)
def test_bytes_arrive_whole_in_both_directions(friends, suite):
    alice, bob = friends
    there, back = noise(BULK, 1), noise(BULK - 12345, 2)
    listener = Listener(alice, stdin=file_of(back), into_file=True)
    b = call(bob, listener.port, "--suite", suite, input=there)
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert a.raw == there and b.raw == back
    assert f"connected: bob, {bob.fingerprint()}, {suite}, X25519" in a.err
    assert f"connected: alice, {alice.fingerprint()}, {suite}, X25519" in b.err


@pytest.mark.parametrize("n", [0, 1, 65535, 65536, 65537])
def test_sizes_around_a_record(friends, n):
    alice, bob = friends
    listener = Listener(alice, into_file=True)
    b = call(bob, listener.port, input=noise(n))
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert a.raw == noise(n)


def test_a_late_reply_is_delivered(friends):
    alice, bob = friends
    listener = Listener(alice, stdin=subprocess.PIPE)
    heard = []

    def answer():
        heard.append(listener.child.stdout.read())  # to its end: the question's half is closed
        time.sleep(0.2)
        listener.child.stdin.write(b"answer to " + heard[0])
        listener.child.stdin.close()
        listener.child.stdin = None

    thread = threading.Thread(target=answer)
    thread.start()
    b = call(bob, listener.port, input=b"question")
    thread.join()
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert heard == [b"question"] and b.raw == b"answer to question"


def test_a_slow_reader_holds_the_writer_back(friends):
    alice, bob = friends
    n = 64 << 20
    listener = Listener(alice)
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", bufsize=0,
                       stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    sent = [0]

    def feed():
        piece = bytes(1 << 16)
        while sent[0] < n:
            sent[0] += caller.stdin.write(piece)
        caller.stdin.close()
        caller.stdin = None

    thread = threading.Thread(target=feed)
    thread.start()
    before = -1
    while sent[0] != before:  # until nothing moves any more
        before = sent[0]
        time.sleep(0.3)
    assert sent[0] < n
    for child in (listener.child, caller):
        status = pathlib.Path(f"/proc/{child.pid}/status").read_text()
        assert int(re.search(r"VmRSS:\s*(\d+) kB", status)[1]) < 64 << 10, status
    got = 0
    while piece := listener.child.stdout.read(1 << 20):
        assert not piece.strip(b"\0")
        got += len(piece)
    thread.join()
    assert got == n
    assert_statuses(listener.end(), bob.end(caller), (DONE, DONE))


def test_shared_pipes_keep_their_flags(friends):
    alice, bob = friends
    listener = Listener(alice)
    ends = [*os.pipe(), *os.pipe()]
    before = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in ends]
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", stdin=ends[0], stdout=ends[3])
    os.write(ends[1], b"x")
    assert listener.child.stdout.read(1) == b"x"  # so it is open, and reading
    assert [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in ends] == before
    os.close(ends[1])
    assert_statuses(listener.end(), bob.end(caller), (DONE, DONE))
    for fd in (ends[0], ends[2], ends[3]):
        os.close(fd)


def test_a_fifo_whose_writer_has_left(friends, tmp_path):
    """It is at its end, although poll would never say so of a description opened later."""
    alice, bob = friends
    os.mkfifo(tmp_path / "fifo")
    fd = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    os.close(os.open(tmp_path / "fifo", os.O_WRONLY))
    listener = Listener(alice)
    b = call(bob, listener.port, stdin=fd)
    os.close(fd)
    assert_statuses(listener.end(), b, (DONE, DONE))


def test_a_socket_as_standard_input_and_output(friends):
    alice, bob = friends
    listener = Listener(alice, stdin=file_of(b"from alice"))
    ours, theirs = socket.socketpair()
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", stdin=theirs, stdout=theirs)
    theirs.close()
    ours.sendall(b"from bob")
    ours.shutdown(socket.SHUT_WR)
    assert b"".join(iter(lambda: ours.recv(100), b"")) == b"from alice"
    ours.close()
    a = listener.end()
    assert_statuses(a, bob.end(caller), (DONE, DONE))
    assert a.out == "from bob"


def test_two_stations_of_one_user(alice):
    listener = Listener(alice, stdin=file_of(b"to myself"))
    b = call(alice, listener.port, input=b"from myself")
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert (a.out, b.out) == ("from myself", "to myself")
    assert "our own key" in a.err and "our own key" in b.err


# ----------------------------------------------------------------------------- cut and altered --

SIZE = 150_000


def run_through(friends, **attack):
    """One run through a proxy: the listener's end, the caller's, and the proxy's counts.

    Both read files, so that every record but the last is full and each run has the same lengths.
    """
    alice, bob = friends
    listener = Listener(alice, stdin=file_of(noise(SIZE, 3)), into_file=True)
    with Proxy(listener.port, **attack) as proxy:
        b = call(bob, proxy.port, "--peer", "alice", stdin=file_of(noise(SIZE, 4)))
    return listener.end(), b, proxy.count


@pytest.fixture(scope="module")
def lengths():
    """Bytes each way of a whole run, and of its handshake; filled in by the first that runs."""
    return {}


def measured(friends, lengths):
    if not lengths:
        a, b, count = run_through(friends)
        assert_statuses(a, b, (DONE, DONE))
        assert a.raw == noise(SIZE, 4) and b.raw == noise(SIZE, 3)
        lengths.update(count)
    return lengths


def places(total, n, seed):
    """The first bytes, the last ones, and n others."""
    some = random.Random(seed).sample(range(5, total - 2), n)
    return [0, 1, 4, *sorted(some), total - 1]


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_cut_is_never_taken_for_an_end(friends, lengths, way):
    total = measured(friends, lengths)[way]
    for at in places(total, 8, seed=5):
        a, b, _ = run_through(friends, cut=(way, at))
        reader, other = (a, b) if way == UP else (b, a)
        assert reader.status == LINE, (way, at, a, b)
        assert other.status in (DONE, LINE), (way, at, a, b)
        assert noise(SIZE, 4).startswith(a.raw), (way, at)
        assert noise(SIZE, 3).startswith(b.raw), (way, at)


@pytest.mark.parametrize("way", [UP, DOWN])
def test_an_altered_byte_ends_the_line_on_both_sides(friends, lengths, way):
    total = measured(friends, lengths)[way]
    # Bytes 2 and 3 are a length's: altered upward it means a longer wait, and is no question here.
    for at in [0, 1, 4, 60, *random.Random(6).sample(range(2000, total - 100), 8), total - 1]:
        a, b, _ = run_through(friends, flip=(way, at))
        reader, other = (a, b) if way == UP else (b, a)
        assert reader.status == LINE, (way, at, a, b)
        # The last byte is a receipt's: who sent it was done before it was altered.
        assert other.status == LINE or at == total - 1, (way, at, a, b)
        assert noise(SIZE, 4).startswith(a.raw), (way, at)
        assert noise(SIZE, 3).startswith(b.raw), (way, at)


def test_garbage_and_silence_to_a_listener(friends):
    alice, _ = friends
    for said, expected in [(b"GET / HTTP/1.0\r\n\r\n", LINE), (b"", LINE), (b"\x01\0\0", LINE)]:
        listener = Listener(alice)
        with socket.create_connection(("127.0.0.1", listener.port)) as s:
            s.sendall(said)
            s.shutdown(socket.SHUT_WR)
            a = listener.end()
        assert a.status == expected and a.raw == b"", (said, a)
    listener = Listener(alice, "--timeout", "1")
    with socket.create_connection(("127.0.0.1", listener.port)):
        a = listener.end()
    assert a.status == NO_CONNECTION and "in time" in a.err, a


def test_garbage_and_silence_from_a_listener(friends):
    _, bob = friends
    for answer, args, expected in [(b"SSH-2.0-x\r\n", (), LINE), (b"", (), LINE),
                                   (None, ("--timeout", "1"), NO_CONNECTION)]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            def serve():
                s, _ = server.accept()
                if answer is None:
                    time.sleep(2)
                else:
                    s.recv(10)
                    s.sendall(answer)
                    s.shutdown(socket.SHUT_WR)
                    s.recv(1000)
                s.close()

            thread = threading.Thread(target=serve)
            thread.start()
            b = call(bob, server.getsockname()[1], *args)
            thread.join()
        assert b.status == expected and b.raw == b"", (answer, b)


# ----------------------------------------------------------------------------------------- trust --

def trust_nobody(alice, bob):
    return (), ()


def trust_listener_only(alice, bob):
    bob.trust("alice", alice.fingerprint())
    return (), ()


def trust_caller_only(alice, bob):
    alice.trust("bob", bob.fingerprint())
    return (), ()


def trust_another_peer(alice, bob):
    trust_listener_only(alice, bob)
    trust_caller_only(alice, bob)
    return (), ("--peer", bob.fingerprint())


def trust_a_changed_caller(alice, bob):
    trust_listener_only(alice, bob)
    alice.trust("bobby", alice.fingerprint())
    return (), ("--name", "bobby")


@pytest.mark.parametrize("arrange, a_says, b_says", [
    (trust_nobody, "does not trust our key", "is not known, and there is no terminal"),
    (trust_caller_only, "does not trust our key", "is not known, and there is no terminal"),
    (trust_listener_only, "is not known, and there is no terminal", "does not trust our key"),
    (trust_another_peer, "does not trust our key", "is not the one that --peer asks for"),
    (trust_a_changed_caller, "HAS CHANGED", "does not trust our key"),
])
def test_a_station_that_is_not_trusted(alice, bob, arrange, a_says, b_says):
    a_args, b_args = arrange(alice, bob)
    listener = Listener(alice, *a_args, stdin=file_of(b"secret"))
    b = call(bob, listener.port, *b_args, input=b"secret")
    a = listener.end()
    assert_statuses(a, b, (TRUST, TRUST))
    assert a.raw == b"" and b.raw == b""
    assert a_says in a.err and b_says in b.err, (a, b)
    assert "connected" not in a.err + b.err


def test_a_changed_listener(alice, bob, port):
    bob.trust(f"127.0.0.1:{port}", bob.fingerprint())
    listener = Listener(alice, place=f"127.0.0.1:{port}")
    b = call(bob, port, "--accept-new", input=b"secret")
    a = listener.end()
    assert_statuses(a, b, (TRUST, TRUST))
    assert a.raw == b""
    for part in ("HAS CHANGED", alice.fingerprint(), bob.fingerprint(), f"{bob.known}:",
                 f"helio trust remove 127.0.0.1:{port}"):
        assert part in b.err, (part, b)


def test_accept_new_remembers(alice, bob):
    for args in (("--accept-new",), ()):  # the second time they know each other
        listener = Listener(alice, *args)
        b = call(bob, listener.port, *args, "--name", "bob", input=b"hello")
        a = listener.end()
        assert_statuses(a, b, (DONE, DONE))
        assert a.out == "hello" and "connected: bob" in a.err
    assert f"bob {bob.fingerprint()}" in alice.known.read_text()


def test_the_command_that_a_listener_prints(alice, bob):
    alice.trust("bob", bob.fingerprint())
    listener = Listener(alice)
    words = listener.wait_for(rb"helio (connect .*)\n")[1].decode().split()
    b = bob.run(*words, input=b"pasted")
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert a.out == "pasted"


def test_suites_without_a_common_one(friends):
    alice, bob = friends
    listener = Listener(alice, "--suite", SUITES[0])
    b = call(bob, listener.port, "--suite", SUITES[1])
    a = listener.end()
    assert_statuses(a, b, (LINE, LINE))
    assert "--suite" in a.err and "--suite" in b.err, (a, b)


# ----------------------------------------------------------------------------------- connections --

def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


@pytest.mark.parametrize("listen, connect", [
    (("0",), ("127.0.0.1:PORT",)),
    (("-4", "0"), ("-4", "localhost:PORT")),
    (("localhost:0",), ("localhost:PORT",)),
    pytest.param(("0",), ("[::1]:PORT",), marks=needs_ipv6),
    pytest.param(("-6", "0"), ("-6", "[::1]:PORT"), marks=needs_ipv6),
    pytest.param(("[::1]:0",), ("[::1]:PORT",), marks=needs_ipv6),
])
def test_addresses_that_meet(friends, listen, connect):
    alice, bob = friends
    listener = Listener(alice, *listen[:-1], place=listen[-1])
    b = bob.run("connect", *(w.replace("PORT", str(listener.port)) for w in connect), input=b"hello")
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert a.out == "hello"


@pytest.mark.parametrize("listen, connect", [
    (("-4", "0"), ("[::1]:PORT",)),
    (("-6", "0"), ("127.0.0.1:PORT",)),
])
@needs_ipv6
def test_addresses_that_do_not_meet(friends, listen, connect):
    alice, bob = friends
    listener = Listener(alice, *listen[:-1], place=listen[-1])
    b = bob.run("connect", *(w.replace("PORT", str(listener.port)) for w in connect))
    assert b.status == NO_CONNECTION and "cannot connect" in b.err, b


@pytest.mark.parametrize("args, status, said", [
    (("127.0.0.1:PORT",), NO_CONNECTION, "127.0.0.1:PORT: connection refused"),
    (("localhost:PORT",), NO_CONNECTION, "localhost:PORT: connection refused"),
    (("no-such-host.invalid:1",), NO_CONNECTION, "no such host"),
    (("-6", "127.0.0.1:PORT"), NO_CONNECTION, "no such host"),
    (("127.0.0.1",), USAGE, "port is missing"),
    (("127.0.0.1:",), USAGE, "port is missing"),
    ((":4000",), USAGE, "host is missing"),
    (("127.0.0.1:http",), USAGE, "not a number"),
    (("127.0.0.1:65536",), USAGE, "over 65535"),
    (("127.0.0.1:0",), USAGE, "port 0"),
    (("::1:4000",), USAGE, "brackets"),
    (("[::1:4000",), USAGE, "after ["),
    (("[cheese]:4000",), USAGE, "no IPv6 address"),
    (("h" * 300 + ":1",), USAGE, "too long"),
])
def test_places_that_cannot_be_called(bob, port, args, status, said):
    b = bob.run("connect", *(w.replace("PORT", str(port)) for w in args))
    assert b.status == status and said.replace("PORT", str(port)) in b.err, b


@pytest.mark.parametrize("args, status, said", [
    (("192.0.2.1:0",), LOCAL, "192.0.2.1:0: this machine has no such address\nHOST is an address of"),
    (("no-such-host.invalid:0",), NO_CONNECTION, "no-such-host.invalid:0: no such host\nLook at"),
    (("x",), USAGE, "not a number"),
    (("70000",), USAGE, "over 65535"),
    (("--timeout", "1", "0"), NO_CONNECTION, "nobody opened a line within 1 second"),
])
def test_places_that_cannot_be_listened_on(alice, args, status, said):
    a = alice.run("listen", *args)
    assert a.status == status and said in a.err, a


def test_a_port_that_is_taken(alice, bob):
    listener = Listener(alice)
    for place in (f"127.0.0.1:{listener.port}", str(listener.port)):
        b = bob.run("listen", "-4", place)
        assert b.status == LOCAL and "port already in use" in b.err, b


# ----------------------------------------------------------------------------- more than one call --

def test_keep_waits_for_the_next(friends):
    alice, bob = friends
    listener = Listener(alice, "--keep")
    for text in (b"first ", b"second "):
        assert call(bob, listener.port, input=text).status == DONE
        listener.wait_for(rb"bob is gone, status 0")
        listener.said = b""
    with socket.create_connection(("127.0.0.1", listener.port)) as s:
        s.sendall(b"nonsense")
    listener.wait_for(rb"is gone, status 5")
    assert call(bob, listener.port, input=b"third").status == DONE
    listener.wait_for(rb"bob is gone, status 0")
    listener.child.terminate()
    a = listener.end()
    assert a.status == 128 + signal.SIGTERM and a.out == "first second third", a


def test_others_are_turned_away_meanwhile(friends, carol):
    alice, bob = friends
    carol.trust("alice", alice.fingerprint())
    listener = Listener(alice, "--keep")
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", bufsize=0)
    listener.wait_for(rb"connected: bob")
    c = call(carol, listener.port, input=b"me, too")
    assert c.status == NO_CONNECTION and "talking to another station" in c.err, c
    caller.stdin.write(b"still here")
    caller.stdin.close()
    caller.stdin = None
    assert bob.end(caller).status == DONE
    listener.wait_for(rb"bob is gone, status 0")
    listener.child.terminate()
    assert listener.end().out == "still here"


def test_one_shot_gives_up_its_port_when_the_line_is_open(friends, carol):
    alice, bob = friends
    listener = Listener(alice)
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", bufsize=0)
    listener.wait_for(rb"connected: bob")
    c = call(carol, listener.port)
    assert c.status == NO_CONNECTION and "refused" in c.err, c
    caller.stdin.close()
    caller.stdin = None
    assert_statuses(listener.end(), bob.end(caller), (DONE, DONE))


# --------------------------------------------------------------------------------------- signals --

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("who", ["caller", "listener"])
def test_a_signal_closes_the_line_in_order(friends, who, number):
    alice, bob = friends
    listener = Listener(alice, stdin=subprocess.PIPE if who == "listener" else subprocess.DEVNULL)
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", bufsize=0,
                       stdin=subprocess.PIPE if who == "caller" else subprocess.DEVNULL)
    target, other = (caller, listener.child) if who == "caller" else (listener.child, caller)
    target.stdin.write(b"said before")
    assert other.stdout.read(11) == b"said before"
    target.send_signal(number)
    a, b = listener.end(), bob.end(caller)
    expected = (DONE, 128 + number) if who == "caller" else (128 + number, DONE)
    assert_statuses(a, b, expected)


@pytest.mark.parametrize("who", ["caller", "listener"])
def test_a_signal_in_the_middle_of_a_stream_is_no_end(friends, who):
    alice, bob = friends
    with open("/dev/zero", "rb") as endless:
        listener = Listener(alice, stdin=endless if who == "listener" else subprocess.DEVNULL)
        caller = bob.start("connect", f"127.0.0.1:{listener.port}", bufsize=0,
                           stdin=endless if who == "caller" else subprocess.DEVNULL)
    target, other = (caller, listener.child) if who == "caller" else (listener.child, caller)
    assert other.stdout.read(1) == b"\0"
    target.terminate()
    done = {"listener": listener.end, "caller": lambda: bob.end(caller)}
    left = done["caller" if who == "listener" else "listener"]()  # first: the alert is behind what it reads
    stopped = done[who]()
    assert (stopped.status, left.status) == (128 + signal.SIGTERM, LINE), (stopped.err, left.err)
    assert "not all came" in stopped.err and "gave up" in left.err


def test_a_second_signal_leaves_at_once(friends):
    alice, bob = friends
    listener = Listener(alice, stdin=subprocess.PIPE)
    caller = bob.start("connect", f"127.0.0.1:{listener.port}", bufsize=0)
    caller.stdin.write(b"x")
    assert listener.child.stdout.read(1) == b"x"
    caller.terminate()
    assert listener.child.stdout.read() == b""  # our close arrived; the listener's stays out
    caller.terminate()
    started = time.monotonic()
    b = bob.end(caller)
    assert b.status == 128 + signal.SIGTERM and time.monotonic() - started < 1.5, b
    assert listener.end().status == LINE


def test_a_signal_before_anybody_called(alice):
    for number in (signal.SIGTERM, signal.SIGINT):
        listener = Listener(alice)
        listener.child.send_signal(number)
        assert listener.end().status == 128 + number


def test_a_signal_that_was_ignored_stays_ignored(friends):
    """What nohup promises."""
    alice, bob = friends
    listener = Listener(alice, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    listener.child.send_signal(signal.SIGHUP)
    b = call(bob, listener.port, input=b"still there?")
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert a.out == "still there?"


# --------------------------------------------------------------------------------- local failures --

@pytest.mark.parametrize("stdin", [subprocess.PIPE, subprocess.DEVNULL], ids=["open", "ended"])
def test_a_full_disk(friends, stdin):
    alice, bob = friends
    with open("/dev/full", "wb") as full:
        listener = Listener(alice, stdin=stdin, stdout=full)
    b = call(bob, listener.port, input=noise(SIZE))
    a = listener.end()
    assert_statuses(a, b, (LOCAL, LINE))
    assert "cannot write to stdout: No space left on device" in a.err, a


def test_a_reader_that_leaves(friends):
    alice, bob = friends
    listener = Listener(alice, stdin=subprocess.PIPE)
    listener.child.stdout.close()
    listener.child.stdout = None
    b = call(bob, listener.port, input=noise(SIZE))
    a = listener.end()
    assert_statuses(a, b, (LOCAL, LINE))
    assert "cannot write to stdout: Broken pipe" in a.err, a


def without(fd):
    return lambda: os.close(fd)


def test_closed_standard_descriptors(friends):
    alice, bob = friends
    listener = Listener(alice, stdin=None, preexec_fn=without(0))
    b = call(bob, listener.port, input=b"hello")
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert a.out == "hello"
    listener = Listener(alice, stdout=None, preexec_fn=without(1))
    b = call(bob, listener.port, input=b"hello")
    a = listener.end()
    assert_statuses(a, b, (LOCAL, LINE))
    assert "cannot write to stdout: Bad file descriptor" in a.err, a


def test_a_directory_as_stdin(friends, tmp_path):
    alice, bob = friends
    listener = Listener(alice)
    fd = os.open(tmp_path, os.O_RDONLY)
    b = call(bob, listener.port, stdin=fd)
    os.close(fd)
    a = listener.end()
    assert_statuses(a, b, (LINE, LOCAL))
    assert "cannot read from stdin: Is a directory" in b.err, b


# ------------------------------------------------------------------------------------- terminals --

def spoken(child, pattern):
    child.expect(pattern)
    return child.match


def test_two_people_who_meet_for_the_first_time(alice, bob):
    """Both are asked; the caller hangs up while it is, the listener lets the caller wait."""
    a = alice.spawn("listen", "--name", "alice", "127.0.0.1:0")
    port = spoken(a, r"listening on port (\d+)")[1]
    b = bob.spawn("connect", "--name", "bob", f"127.0.0.1:{port}")
    b.expect_exact(alice.fingerprint())
    b.expect(r"yes/no/\[fingerprint\]")
    a.expect("will call again")
    b.sendline("maybe")
    b.expect("Please type")
    b.sendline(alice.fingerprint())
    b.expect("is asking its user")
    a.expect_exact(bob.fingerprint())
    a.expect(r"yes/no/\[fingerprint\]")
    a.sendline("yes")
    a.expect_exact(f"bob, {bob.fingerprint()}, {SUITES[0]}, X25519")
    b.expect_exact(f"{alice.fingerprint()}, {SUITES[0]}, X25519")
    b.send("hello over there\r")
    a.expect("hello over there")
    a.send("hello yourself\r")
    b.expect("hello yourself")
    b.send("\x04")
    for child in (a, b):
        child.expect(pexpect.EOF)
        child.close()
    assert (a.exitstatus, b.exitstatus) == (DONE, DONE)
    assert f"127.0.0.1:{port} {alice.fingerprint()}" in bob.known.read_text()
    assert f"bob {bob.fingerprint()}" in alice.known.read_text()


def test_no_at_either_end(alice, bob):
    a = alice.spawn("listen", "127.0.0.1:0")
    port = spoken(a, r"listening on port (\d+)")[1]
    b = bob.spawn("connect", f"127.0.0.1:{port}")
    b.expect(r"yes/no/\[fingerprint\]")
    b.sendline("no")
    b.expect("is not trusted: refused")
    b.expect(pexpect.EOF)
    b.close()
    assert b.exitstatus == TRUST
    bob.trust("alice", alice.fingerprint())
    b = bob.spawn("connect", f"127.0.0.1:{port}")  # the listener waits for whoever wanted to return
    a.expect(r"yes/no/\[fingerprint\]")
    a.sendline("no")
    for child in (a, b):
        child.expect(pexpect.EOF)
        child.close()
    assert (a.exitstatus, b.exitstatus) == (TRUST, TRUST)
    assert not alice.known.exists()


def test_the_caller_leaves_while_the_listener_is_asked(alice, bob):
    bob.trust("alice", alice.fingerprint())
    a = alice.spawn("listen", "127.0.0.1:0")
    port = spoken(a, r"listening on port (\d+)")[1]
    caller = bob.start("connect", f"127.0.0.1:{port}")
    a.expect(r"yes/no/\[fingerprint\]")
    caller.terminate()
    assert bob.end(caller).status == 128 + signal.SIGTERM
    a.expect(pexpect.EOF)
    a.close()
    assert a.exitstatus == LINE


def test_a_chat_with_a_pipe(friends):
    """A message gets its newline in a pipe; a stream is shown in a chat."""
    alice, bob = friends
    a = alice.spawn("listen", "127.0.0.1:0")
    port = spoken(a, r"listening on port (\d+)")[1]
    caller = bob.start("connect", f"127.0.0.1:{port}", bufsize=0)
    a.expect("X25519")
    caller.stdin.write(b"from a pipe\n")
    a.expect("from a pipe")
    a.send("from a chat\r")
    assert caller.stdout.readline() == b"from a chat\n"
    a.send("\x03")  # Ctrl-C
    caller.stdin.close()
    caller.stdin = None
    a.expect(pexpect.EOF)
    a.close()
    assert bob.end(caller).status == DONE
    assert a.exitstatus == DONE


# --------------------------------------------------------------------------------------- classic --

def test_classic_takes_turns(alice, bob):
    listener = Listener(alice, "--classic", "-v", stdin=file_of(b"one back\ntwo back\n"))
    b = call(bob, listener.port, "--classic", "--name", "bob", input=b"one\n\ntwo\n")
    a = listener.end()
    assert_statuses(a, b, (DONE, DONE))
    assert (a.out, b.out) == ("bob : one\nbob : two\n", "one back\ntwo back\n")
    for done in (a, b):
        assert "CLASSIC IS INSECURE" in done.err and "a line that was cut looks like" in done.err
    for label in ("public key: -----BEGIN PUBLIC KEY-----", "public key hash: ", "encrypted key: (",
                  "session key: ", "ciphertext received: ", "ciphertext sent: "):
        assert label in a.err, (label, a)
    assert not alice.home.joinpath("known_stations").exists()


def test_classic_refuses_a_message_that_is_too_long(alice, bob):
    listener = Listener(alice, "--classic")
    b = call(bob, listener.port, "--classic", "--name", "bob", input=b"x" * 507 + b"\nmore\n")
    assert b.status == LOCAL and "at most 512" in b.err, b
    assert listener.end().out == ""


# ---------------------------------------------------------------------------------------- saying --

def test_quiet_says_nothing_and_verbose_more(friends):
    alice, bob = friends
    for option, expected in (("-q", False), ("-v", True)):
        listener = Listener(alice)
        b = call(bob, listener.port, option, input=b"12345")
        assert_statuses(listener.end(), b, (DONE, DONE))
        assert ("closed: alice, sent 5 bytes, received 0 bytes" in b.err) == expected, b
        assert (b.err == "") == (option == "-q"), b
