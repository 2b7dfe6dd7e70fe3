"""What a server does with the lines of its stations: forward, exec and room, with all that goes wrong."""
import collections
import hashlib
import os
import pathlib
import queue
import random
import re
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

import pexpect
import pytest

from conftest import DEADLINE, program
from server import Server, wait_until

DONE, LOCAL, USAGE, NO_CONNECTION, TRUST, LINE, RESULT = range(7)
TEN_MB = 10_000_000


def noise(n, seed=4):
    return random.Random(seed).randbytes(n)


def is_sanitized():
    """Such a program keeps what was freed, so its size says nothing."""
    binary = pathlib.Path(program()).read_bytes()
    return b"__asan_init" in binary or b"__tsan_init" in binary


class Services(Server):
    """A server in a directory of its own, which knows who calls."""

    def __init__(self, station, where, *args, **kwargs):
        self.cwd = where / "cwd"
        self.cwd.mkdir(exist_ok=True)
        self.calls = []
        super().__init__(station, *args, cwd=self.cwd, **kwargs)

    def start_call(self, caller, *args, **kwargs):
        self.calls.append(super().start_call(caller, *args, **kwargs))
        return self.calls[-1]

    def call_at_terminal(self, caller):
        return caller.spawn("connect", "--peer", self.fingerprint, self.place())

    def memory(self):
        return 0 if is_sanitized() else super().memory()

    def finish(self):
        """Has it stop in order.  Whoever still talks to it, now that the test is over, is killed first."""
        for call in self.calls:
            if call.poll() is None:
                call.kill()
        if self.child.poll() is None:
            self.stop()
        assert self.child.returncode == DONE, self.text()
        assert "Sanitizer" not in self.text(), self.text()


@pytest.fixture
def serve(friends, tmp_path):
    """serve("--exec", "cat") starts alice as a server that knows bob; at the end it must stop in order."""
    servers = []

    def start(*args, **kwargs):
        server = Services(friends[0], tmp_path, *args, **kwargs)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.finish()


# --------------------------------------------------------------------------------------- forward --

class Target:
    """A service behind the server: behave(connection) runs on a thread for each that comes."""

    def __init__(self, behave, path=None, backlog=64):
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            self.socket.listen(backlog)
            self.place = str(path)
        else:
            self.socket = socket.create_server(("127.0.0.1", 0), backlog=backlog)
            self.place = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.behave, self.accepted, self.errors = behave, 0, queue.Queue()
        self.ended = queue.Queue()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self.run, args=(connection,), daemon=True).start()

    def run(self, connection):
        with connection:
            connection.settimeout(DEADLINE)
            try:
                self.ended.put(self.behave(connection))
            except OSError as error:
                self.ended.put(error)

    def result(self):
        """What behave returned or raised, the next one."""
        return self.ended.get(timeout=DEADLINE)

    def close(self):
        self.socket.close()


@pytest.fixture
def target():
    made = []

    def make(behave, **kwargs):
        made.append(Target(behave, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()


def read_all(connection):
    data = bytearray()
    while (piece := connection.recv(1 << 16)):
        data += piece
    return bytes(data)


def echo(connection):
    """Everything back as it comes, the end at the end."""
    n = 0
    while (piece := connection.recv(1 << 16)):
        connection.sendall(piece)
        n += len(piece)
    return n


def reset(connection):
    """Closes so that the other side sees a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_forward_carries_ten_megabytes_both_ways(serve, friends, target):
    there = target(echo)
    server = serve("--forward", there.place)
    data = noise(TEN_MB)
    done = server.call(friends[1], input=data)
    assert done.status == DONE, done
    assert hashlib.sha256(done.raw).digest() == hashlib.sha256(data).digest(), len(done.raw)
    assert there.result() == TEN_MB
    closed = server.wait_closed()
    assert (closed["sent"], closed["received"], closed["cause"]) == (TEN_MB, TEN_MB, "done"), closed


def test_forward_to_a_unix_socket(serve, friends, target, tmp_path):
    there = target(echo, path=tmp_path / "socket")
    server = serve("--forward", there.place)
    done = server.call(friends[1], input=noise(300_000))
    assert (done.status, done.raw) == (DONE, noise(300_000)), done.err


def test_forward_carries_the_callers_end_and_then_the_answer(serve, friends, target):
    def behave(connection):
        data = read_all(connection)
        connection.sendall(b"%d bytes" % len(data))
        return len(data)

    there = target(behave)
    done = serve("--forward", there.place).call(friends[1], input=b"x" * 100_000)
    assert (done.status, done.out) == (DONE, "100000 bytes"), done


def test_forward_carries_the_targets_end_while_the_caller_goes_on(serve, friends, target):
    def behave(connection):
        connection.sendall(b"that is all")
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)

    there = target(behave)
    server = serve("--forward", there.place)
    child = server.start_call(friends[1])
    assert child.stdout.read() == b"that is all"
    child.stdin.write(b"y" * 1_000_000)
    child.stdin.close()
    assert child.wait(DEADLINE) == DONE, child.stderr.read()
    assert there.result() == b"y" * 1_000_000


def test_forward_what_is_typed_comes_as_a_line(serve, friends, target):
    there = target(lambda connection: connection.makefile("rb").readline())
    server = serve("--forward", there.place)
    screen = server.call_at_terminal(friends[1])
    screen.expect_exact("Ctrl-D ends")
    screen.send("HELP\r")
    assert there.result() == b"HELP\n"
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == DONE, screen.before


def test_forward_joins_many_at_once(serve, friends, target):
    there = target(echo)
    server = serve("--forward", there.place)
    children = [server.start_call(friends[1]) for _ in range(8)]
    for i, child in enumerate(children):
        child.stdin.write(b"caller %d" % i)
    for i, child in reversed(list(enumerate(children))):
        done = friends[1].end(child)
        assert (done.status, done.out) == (DONE, f"caller {i}"), done
    assert there.accepted == 8


def test_forward_meets_the_target_only_after_trust(serve, friends, target, carol):
    there = target(echo)
    server = serve("--forward", there.place)
    done = server.call(carol, input=b"let me in")
    assert done.status == TRUST, done
    with socket.create_connection(("127.0.0.1", server.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        stranger.settimeout(DEADLINE)
        try:
            read_all(stranger)
        except ConnectionError:
            pass
    assert there.accepted == 0
    done = server.call(friends[1], input=b"and me")
    assert (done.status, there.accepted) == (DONE, 1), done


def test_forward_a_target_that_refuses_fails_the_line(serve, friends):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind(("127.0.0.1", 0))
        place = "127.0.0.1:%d" % taken.getsockname()[1]
        server = serve("--forward", place)
        for _ in range(2):
            done = server.call(friends[1], input=b"hello")
            assert done.status == LINE, done
    server.wait_closed("target refused")
    said = server.events("no-target")
    assert [e["target"] for e in said] == [place] * 2, said
    assert all(e["peer"] == "bob" for e in said), said


def test_forward_a_unix_socket_that_is_not_there_fails_the_line(serve, friends, tmp_path):
    server = serve("--forward", str(tmp_path / "nobody"))
    done = server.call(friends[1], input=b"hello")
    assert done.status == LINE, done
    assert str(tmp_path / "nobody") in server.text(), server.text()


def test_forward_a_target_that_never_answers_fails_the_line_in_time(serve, friends):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        address = silent.getsockname()
        waiting = []
        for _ in range(4):  # the queue is full; the kernel drops whoever comes now
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(address)
            waiting.append(s)
        server = serve("--forward", "127.0.0.1:%d" % address[1])
        began = time.monotonic()
        done = server.call(friends[1], input=b"hello")
        took = time.monotonic() - began
        for s in waiting:
            s.close()
    assert done.status == LINE, done
    assert 8 < took < 15, took
    server.wait_closed("target timed out")


def test_forward_a_target_that_resets_is_never_taken_for_an_end(serve, friends, target):
    def behave(connection):
        connection.sendall(b"half of it")
        connection.recv(1)
        reset(connection)

    server = serve("--forward", target(behave).place)
    child = server.start_call(friends[1])
    assert child.stdout.read(10) == b"half of it"
    child.stdin.write(b"!")
    assert child.wait(DEADLINE) == LINE, child.stderr.read()
    assert server.wait_closed()["cause"].startswith("target"), server.text()


def test_forward_a_target_that_leaves_early_is_a_failure(serve, friends, target):
    """What the caller still sends can no longer arrive, and it hears so."""
    def behave(connection):
        connection.sendall(b"enough")
        connection.recv(10)

    server = serve("--forward", target(behave).place)
    done = server.call(friends[1], input=noise(3_000_000))
    assert done.status == LINE, done


def test_forward_a_cut_caller_is_never_taken_for_an_end(serve, friends, target):
    there = target(lambda connection: read_all(connection))
    server = serve("--forward", there.place)
    child = server.start_call(friends[1])
    child.stdin.write(b"the beginning")
    wait_until("one accepted", lambda: there.accepted)
    time.sleep(0.2)
    child.kill()
    assert isinstance(there.result(), ConnectionError), "the target saw an end in order"
    server.wait_closed("cut")


def test_forward_a_slow_target_costs_no_memory_and_loses_nothing(serve, friends, target):
    go_on = threading.Event()
    go_on.set()
    size = 64 << 20

    def behave(connection):
        go_on.wait(DEADLINE)
        n = 0
        while (piece := connection.recv(1 << 20)):
            n += len(piece)
        return n

    there = target(behave)
    server = serve("--forward", there.place)
    assert server.call(friends[1], input=b"").status == DONE
    assert there.result() == 0
    go_on.clear()
    before = server.memory()
    with open("/dev/zero", "rb") as zeros:
        child = server.start_call(friends[1], stdin=subprocess.PIPE)
        sent = threading.Thread(target=lambda: (child.stdin.write(zeros.read(size)), child.stdin.close()))
        sent.start()
        wait_until("one accepted", lambda: there.accepted == 2)
        time.sleep(1.0)
        grown = server.memory() - before
        assert sent.is_alive(), "the caller got rid of everything although nobody reads"
        other = server.start_call(friends[1])  # and somebody else is served meanwhile
        wait_until("another accepted", lambda: there.accepted == 3)
        go_on.set()
        sent.join(DEADLINE)
    assert child.wait(DEADLINE) == DONE, child.stderr.read()
    assert there.result() == size
    assert grown < 8 * 1024, f"{grown} KiB more"
    assert friends[1].end(other).status == DONE


def test_forward_a_slow_caller_stops_the_target(serve, friends, target):
    size = 64 << 20
    sent = []

    def behave(connection):
        zeros = bytes(1 << 16)
        while sum(sent) < size:
            sent.append(connection.send(zeros))
        connection.shutdown(socket.SHUT_WR)
        return len(read_all(connection))

    server = serve("--forward", target(behave).place)
    before = server.memory()
    child = server.start_call(friends[1], stdin=subprocess.DEVNULL)
    time.sleep(1.5)
    grown, so_far = server.memory() - before, sum(sent)
    assert so_far < size, "all of it went somewhere although nobody reads"
    n = 0
    while (piece := os.read(child.stdout.fileno(), 1 << 20)):
        n += len(piece)
    assert (n, child.wait(DEADLINE)) == (sum(sent), DONE)
    assert grown < 8 * 1024, f"{grown} KiB more"


@pytest.mark.parametrize("place", ["nonsense", "host:", "host:0", ":80", "host:70000", "", "unix:"])
def test_forward_wants_a_place(alice, place):
    done = alice.run("serve", "0", "--forward", place)
    assert done.status == USAGE, done


# ------------------------------------------------------------------------------------------ exec --

def result_of(done):
    """How the command ended that the server ran, as the caller was told."""
    if done.status == DONE:
        return 0
    assert done.status == RESULT, done
    return int(re.search(r"the command at alice ended with status (\d+)\n", done.err)[1])


@pytest.mark.parametrize("command, status", [
    ("true", 0), ("exit 3", 3), ("exit 255", 255), ("kill -9 $$", 128 + 9), ("kill -15 $$", 128 + 15),
    ("/no/such/program", 127), ("exec /", 126), ("cat; exit 7", 7), ("cat >&2; echo >&2; exit 1", 1),
])
def test_exec_carries_the_status(serve, friends, command, status):
    server = serve("--exec", command)
    done = server.call(friends[1], input=b"hello")
    assert result_of(done) == status, (done, server.text())
    assert done.out == ("hello" if command.startswith("cat;") else ""), done
    server.wait_closed("done")


def test_exec_tells_who_called(serve, friends, tmp_path):
    alice, bob = friends
    secrets = {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "60000000",
               "HELIO_FORGED": "1", "HELIO_PEER": "forged", "INHERITED": "yes"}
    server = serve("--exec", "env -0", env=secrets)
    done = server.call(bob, "--name", "Bob of the hill", "--suite", "aes-256-gcm")
    assert done.status == DONE, done
    pairs = [entry.split("=", 1) for entry in done.out.split("\0") if entry]
    seen = dict(pairs)
    ours = {name: value for name, value in pairs if name.startswith("HELIO_")}
    assert len(pairs) == len(seen), "a variable comes twice"
    assert re.fullmatch("[0-9a-f]{64}", ours.pop("HELIO_SESSION")), done
    assert re.fullmatch(r"127\.0\.0\.1:\d+", ours.pop("HELIO_PEER_ADDRESS")), done
    assert ours == {"HELIO_PEER": "bob", "HELIO_PEER_FINGERPRINT": bob.fingerprint(),
                    "HELIO_PEER_CLAIMS": "Bob of the hill", "HELIO_SUITE": "aes-256-gcm"}
    assert seen["INHERITED"] == "yes"
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS", "LISTEN_PID"} & set(seen), seen


@pytest.mark.parametrize("claim", [
    "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "| touch pwned",
    "-c touch pwned", "a=b c=d", "",
])
def test_exec_a_name_is_never_a_command(serve, friends, claim):
    server = serve("--exec", 'printf %s "$HELIO_PEER_CLAIMS"; echo done >&2')
    done = server.call(friends[1], "--name", claim)
    assert (done.status, done.out) == (DONE, claim), done
    assert os.listdir(server.cwd) == []


def test_exec_a_name_on_the_roll_is_never_a_command(serve, friends):
    alice, bob = friends
    name = "$(touch${IFS}pwned);`touch`'\"|&"
    assert alice.run("trust", "remove", "bob").status == DONE
    alice.trust(name, bob.fingerprint())
    server = serve("--exec", 'printf %s "$HELIO_PEER"')
    done = server.call(bob)
    assert (done.status, done.out) == (DONE, name), done
    assert os.listdir(server.cwd) == []


def test_exec_cat_carries_ten_megabytes(serve, friends):
    data = noise(TEN_MB)
    done = serve("--exec", "cat").call(friends[1], input=data)
    assert done.status == DONE, done
    assert hashlib.sha256(done.raw).digest() == hashlib.sha256(data).digest(), len(done.raw)


def test_exec_sort_answers_after_the_end(serve, friends):
    lines = [b"%d\n" % n for n in random.Random(1).sample(range(100_000), 50_000)]
    done = serve("--exec", "LC_ALL=C sort").call(friends[1], input=b"".join(lines))
    assert (done.status, done.raw == b"".join(sorted(lines))) == (DONE, True), done.err


def test_exec_head_leaves_early(serve, friends):
    """The rest is thrown away, and nobody calls that a failure."""
    server = serve("--exec", "head -c 5")
    done = server.call(friends[1], input=b"12345" + noise(3_000_000))
    assert (done.status, done.out) == (DONE, "12345"), done
    server.wait_closed("done")


def test_exec_a_command_that_reads_nothing(serve, friends):
    server = serve("--exec", "exec <&-; echo hello; exit 4")
    done = server.call(friends[1], input=noise(1_000_000))
    assert (result_of(done), done.out) == (4, "hello\n"), done


def test_exec_output_that_ends_before_the_command_does(serve, friends):
    server = serve("--exec", "exec >&-; cat > all; exit 9")
    child = server.start_call(friends[1])
    child.stdin.write(b"written later")
    assert result_of(friends[1].end(child)) == 9
    assert (server.cwd / "all").read_bytes() == b"written later"


def test_exec_what_is_left_behind_may_still_write(serve, friends):
    """As with sshd the line stays until the output is closed by all."""
    server = serve("--exec", "(sleep 0.5; echo late) & echo early; exit 3")
    done = server.call(friends[1])
    assert (result_of(done), done.out) == (3, "early\nlate\n"), done


def test_exec_errors_are_the_servers(serve, friends):
    server = serve("--exec", "echo to the log >&2; echo to the line")
    done = server.call(friends[1])
    assert (done.status, done.out) == (DONE, "to the line\n"), done
    assert "to the log" in server.text() and "to the log" not in done.err


def test_exec_what_is_typed_comes_as_a_line(serve, friends):
    """A message has no newline of its own, and a program that reads lines waits for one."""
    server = serve("--exec", "read word; echo you said $word; exit 2")
    screen = server.call_at_terminal(friends[1])
    screen.expect_exact("Ctrl-D ends")
    screen.send("xyzzy\r")
    screen.expect_exact("you said xyzzy")
    screen.expect_exact("the command at alice ended with status 2")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == RESULT, screen.before


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # before the open, or after it
        return False


def test_exec_a_cut_line_hangs_up_the_command(serve, friends):
    server = serve("--exec", "trap 'echo hup > told; exit' HUP; echo $$; while :; do sleep 0.05; done")
    child = server.start_call(friends[1])
    pid = int(child.stdout.readline())
    child.kill()
    wait_until("SIGHUP", (server.cwd / "told").exists)
    wait_until("the command gone", lambda: not is_alive(pid))
    server.wait_closed("cut")


def test_exec_who_ignores_the_hangup_is_killed(serve, friends):
    server = serve("--exec", "trap '' HUP; echo $$; while :; do sleep 0.1; done")
    child = server.start_call(friends[1])
    pid = int(child.stdout.readline())
    child.kill()
    server.wait_closed("cut")
    began = time.monotonic()
    wait_until("the command gone", lambda: not is_alive(pid))
    assert time.monotonic() - began > 3, "SIGKILL came too early"
    wait_until("no child left", lambda: server.children() == [])


@pytest.mark.parametrize("command", ["sleep 1000", "yes"])
def test_exec_a_cut_line_hangs_up_a_command_that_does_not_read(serve, friends, command):
    """What the caller said waits for the command, and its end behind that; and yes writes on and on."""
    server = serve("--exec", f"echo $$; exec {command}")
    child = server.start_call(friends[1])
    pid = int(child.stdout.readline())
    child.stdin.write(bytes(130_000))
    time.sleep(0.5)
    child.kill()
    wait_until("the command gone", lambda: not is_alive(pid), timeout=20)
    server.wait_closed("cut")


def test_exec_leaves_nothing_behind(serve, friends):
    """200 commands of all sorts: no descriptor, no zombie, no process more than before.

    One thread: each opens something for itself with its first child, and which gets one is a matter of chance.
    """
    server = serve("--exec", "read how; case $how in cat) cat;; kill) kill -9 $$;; *) exit $how;; esac",
                   "--threads", "1")
    server.call(friends[1], input=b"0\n")
    server.wait_closed()
    wait_until("no child left", lambda: server.children() == [])
    before = server.descriptors()
    wanted = {b"0\n": 0, b"3\n": 3, b"cat\nhello": 0, b"kill\n": 137}
    words = list(wanted) * 50
    lock, seen = threading.Lock(), collections.Counter()

    def caller():
        while True:
            with lock:
                if not words:
                    return
                word = words.pop()
            seen[(word, result_of(server.call(friends[1], input=word)))] += 1

    threads = [threading.Thread(target=caller) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {item: 50 for item in wanted.items()}
    for _ in range(5):  # and some whose caller is killed
        child = server.start_call(friends[1])
        child.stdin.write(b"cat\nhello")
        assert child.stdout.read(5) == b"hello"
        child.kill()
    wait_until("all closed", lambda: len(server.events("closed")) == 206)
    wait_until("no child left", lambda: server.children() == [])
    wait_until(f"{before} descriptors, as before", lambda: server.descriptors() == before)


def test_exec_a_server_that_stops_lets_the_command_finish(serve, friends):
    server = serve("--exec", "echo begun; sleep 1; echo finished; exit 2", "--grace", "8")
    child = server.start_call(friends[1])
    assert child.stdout.readline() == b"begun\n"
    server.child.send_signal(signal.SIGTERM)
    done = friends[1].end(child)
    assert (result_of(done), done.out) == (2, "finished\n"), done
    assert server.child.wait(DEADLINE) == DONE


def test_exec_a_server_that_stops_does_not_wait_for_ever(serve, friends):
    server = serve("--exec", "trap '' HUP; trap 'echo term; exit 5' TERM; echo $$; while :; do sleep 0.1; done",
                   "--grace", "2")
    child = server.start_call(friends[1], stdin=subprocess.DEVNULL)
    pid = int(child.stdout.readline())
    began = time.monotonic()
    assert server.stop() == DONE
    assert time.monotonic() - began < 4
    done = friends[1].end(child)
    assert (result_of(done), done.out) == (5, "term\n"), done
    assert not is_alive(pid)


def test_exec_a_server_that_stops_kills_who_listens_to_nothing(serve, friends):
    server = serve("--exec", "trap '' HUP TERM; echo $$; while :; do sleep 0.1; done", "--grace", "0")
    child = server.start_call(friends[1], stdin=subprocess.DEVNULL)
    pid = int(child.stdout.readline())
    began = time.monotonic()
    assert server.stop() == DONE
    assert time.monotonic() - began < 5
    assert friends[1].end(child).status == LINE
    assert not is_alive(pid)


def test_exec_a_command_begins_with_a_clean_slate(serve, friends):
    """No descriptor but its three, no signal from 1 to 31 ignored or blocked, the limit of open files that the server found."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = serve("--exec", "ls /proc/self/fd | wc -l; "
                   "sed -nE 's/^(SigBlk|SigIgn):.*[08](.{7})$/\\1 \\2/p' /proc/self/status; ulimit -n")
    done = server.call(friends[1])
    # ls has its directory open, too.
    assert done.out.split() == ["4", "SigBlk", "0" * 7, "SigIgn", "0" * 7, str(soft)], done


# ------------------------------------------------------------------------------------------ room --

class Piped:
    """A station in the room whose words are lines of a pipe."""

    def __init__(self, server, station, *args):
        self.child = server.start_call(station, *args)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        with os.fdopen(os.dup(self.child.stdout.fileno()), "rb") as stdout:
            for line in stdout:
                self.lines.put(line.decode("utf-8", "surrogateescape"))
        self.lines.put(None)

    def say(self, text):
        self.child.stdin.write(text if isinstance(text, bytes) else text.encode())

    def next(self, timeout=10):
        line = self.lines.get(timeout=timeout)
        return None if line is None else line.rstrip("\n")

    def hears(self, *expected):
        for line in expected:
            seen = self.next()
            assert seen == line, f"expected {line!r}, heard {seen!r}"

    def hears_at_last(self, pattern, timeout=20):
        """Everything up to the first line that the pattern matches; that one is the last."""
        heard, end = [], time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                heard.append(self.next(timeout=end - time.monotonic()))
            except queue.Empty:
                break
            if heard[-1] is None or re.fullmatch(pattern, heard[-1]):
                return heard
        raise AssertionError(f"no {pattern} in {heard[-20:]}")

    def hears_nothing(self, seconds=0.3):
        try:
            raise AssertionError(f"heard {self.lines.get(timeout=seconds)!r}")
        except queue.Empty:
            pass

    def leave(self):
        self.child.stdin.close()
        return self.child.wait(DEADLINE)


@pytest.fixture
def room(serve, friends, carol):
    """A server with a room that knows bob and carol."""
    friends[0].trust("carol", carol.fingerprint())
    return lambda *args: serve("--room", *args)


def both(server, bob, carol, *args):
    """Bob in the room (with args), and then carol; both have heard all that there was."""
    bob = Piped(server, bob, *args)
    bob.hears("* you are bob; nobody else is here")
    carol = Piped(server, carol)
    carol.hears("* you are carol; here: bob")
    bob.hears("* carol has joined (2 here)")
    return bob, carol


def test_room_names_joins_and_leaves(room, friends, carol):
    server = room()
    bob, other = both(server, friends[1], carol, "--name", "mallory")
    bob.say("good morning\n")
    other.hears("bob: good morning")
    other.say("two\nlines\n\nand no end")
    bob.hears("carol: two", "carol: lines")
    bob.hears_nothing()
    assert other.leave() == DONE
    bob.hears("carol: and no end", "* carol has left (1 here)")
    assert bob.leave() == DONE


def test_room_has_the_same_station_twice(room, friends):
    server = room()
    first = Piped(server, friends[1])
    first.hears("* you are bob; nobody else is here")
    second = Piped(server, friends[1])
    second.hears("* you are bob#2; here: bob")
    first.hears("* bob#2 has joined (2 here)")
    second.say("it is me\n")
    first.hears("bob#2: it is me")
    assert second.leave() == DONE
    first.hears("* bob#2 has left (1 here)")
    third = Piped(server, friends[1])
    third.hears("* you are bob#2; here: bob")


def test_room_at_a_terminal(room, friends, carol):
    server = room()
    bob = Piped(server, friends[1])
    bob.hears("* you are bob; nobody else is here")
    screen = server.call_at_terminal(carol)
    screen.expect_exact("* you are carol; here: bob")
    bob.hears("* carol has joined (2 here)")
    screen.send("from the keyboard\r")
    bob.hears("carol: from the keyboard")
    bob.say(b"\x1b[2J\x1b]0;title\x07 colours?\n")
    screen.expect_exact(r"bob: \x1b[2J\x1b]0;title\x07 colours?")
    screen.send("\x04")
    bob.hears("* carol has left (1 here)")
    screen.expect(pexpect.EOF)
    screen.close()
    assert screen.exitstatus == DONE, screen.before


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n", b"\n\n\r"])
def test_room_nobody_speaks_for_another(room, friends, carol, end):
    """However a line is ended, what follows has the speaker's own name before it."""
    server = room()
    bob, other = both(server, friends[1], carol)
    bob.say(b"hello" + end + b"carol: I owe bob 100" + end + b"* the server is closing\n")
    other.hears("bob: hello", "bob: carol: I owe bob 100", "bob: * the server is closing")


def test_room_a_message_of_several_lines_is_several(room, friends, carol):
    """A chat client may send line ends inside a message; nothing else ends a line in a pipe."""
    server = room()
    bob = Piped(server, friends[1])
    bob.hears("* you are bob; nobody else is here")
    screen = server.call_at_terminal(carol)
    bob.hears("* carol has joined (2 here)")
    screen.send("\x1b[200~first\rbob: second\x1b[201~\r")
    heard = bob.hears_at_last(".*second")
    assert all(line.startswith("carol: ") for line in heard), heard


def test_room_a_line_that_is_too_long_is_told_and_not_passed_on(room, friends, carol):
    server = room()
    bob, other = both(server, friends[1], carol)
    limit = 64_000
    too_long = f"* not told to anybody: a line of more than {limit} bytes is too long"
    bob.say(b"a" * limit + b"\n")
    other.hears("bob: " + "a" * limit)
    for n in (limit + 1, 200_000):
        bob.say(b"b" * n + b"\nshort\n")
        bob.hears(too_long)
        other.hears("bob: short")


def test_room_who_is_killed_has_left(room, friends, carol):
    server = room()
    bob, other = both(server, friends[1], carol)
    other.child.kill()
    bob.hears("* carol has left (1 here)")
    server.wait_closed("cut", peer="carol")


def test_room_what_was_said_before_the_close_is_heard(room, friends, carol):
    server = room()
    other = Piped(server, carol)
    other.hears("* you are carol; nobody else is here")
    text = b"".join(b"line %d\n" % n for n in range(200))
    began = time.monotonic()
    done = server.call(friends[1], input=text)
    took = time.monotonic() - began
    assert done.status == DONE, done
    other.hears("* bob has joined (2 here)", *(f"bob: line {n}" for n in range(200)),
                "* bob has left (1 here)")
    assert took > 1.5, f"200 lines in {took} s: nobody holds back who says too much"


def test_room_a_stopped_reader_holds_nobody_up_and_is_told(room, friends, carol):
    alice, bob_station = friends
    server = room()
    listener, slow = both(server, bob_station, carol)
    os.kill(slow.child.pid, signal.SIGSTOP)
    before = server.memory()
    speakers = [Piped(server, bob_station) for _ in range(6)]
    for speaker in speakers:
        speaker.hears_at_last(r"\* you are .*")
    said, line = 0, b"x" * 20_000
    # More than carol's connection and its queue can hold; the listener hears everything.
    while said < 12_000_000:
        for speaker in speakers:
            speaker.say(line + b"\n")
            said += len(line)
    for n, speaker in enumerate(speakers):
        speaker.say(b"done %d\n" % n)
    waiting = {f"done {n}" for n in range(6)}
    heard = 0
    while waiting:
        text = listener.next(timeout=60)
        assert text is not None and "missed" not in text, text[:100]
        heard += text.count("x" * 20_000)
        waiting.discard(text.split(": ", 1)[-1])
    assert heard * 20_000 == said, f"the one who reads heard {heard} of {said // 20_000}"
    grown = server.memory() - before
    assert grown < 24 * 1024, f"{grown} KiB more"
    os.kill(slow.child.pid, signal.SIGCONT)
    missed = slow.hears_at_last(r"\* you missed \d+ messages?")
    speakers[0].say("now\n")
    slow.hears_at_last("bob.*: now")
    count = int(re.search(r"\d+", missed[-1])[0])
    heard_by_slow = sum("x" * 20_000 in text for text in missed)
    assert count > 0 and heard_by_slow + count >= said // 20_000, (count, heard_by_slow)


def test_room_a_server_that_stops_says_so(room, friends, carol):
    server = room()
    bob = Piped(server, friends[1])
    bob.hears("* you are bob; nobody else is here")
    screen = server.call_at_terminal(carol)
    bob.hears("* carol has joined (2 here)")
    server.child.send_signal(signal.SIGTERM)
    bob.hears("* the server is closing")
    screen.expect_exact("* the server is closing")
    screen.expect(pexpect.EOF)
    screen.close()
    assert bob.next() is None
    assert bob.leave() == DONE
    assert screen.exitstatus == DONE, screen.before
    assert server.child.wait(DEADLINE) == DONE
