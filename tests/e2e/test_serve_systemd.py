"""helio serve as systemd starts and watches it: sockets that are open already, and word of how it goes."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import ROOT
from server import HERE, Server, wait_until
from test_line import needs_ipv6

DONE, LOCAL, USAGE, NO_CONNECTION, TRUST, LINE = range(6)
UNITS = ROOT / "packaging" / "systemd"

# What systemd does between fork and exec: the sockets become descriptors 3, 4, …, and the process learns that they are its own.
STARTER = """#!/usr/bin/python3
import os, sys
fds = [os.dup(int(fd)) for fd in os.environ.pop("TEST_FDS").split()]
high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(high), 200)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid() + int(os.environ.pop("TEST_OFF", 0))))
os.execv(os.environ["TEST_BIN"], [os.environ.pop("TEST_BIN"), *sys.argv[1:]])
"""


@pytest.fixture
def activated(friends, tmp_path):
    """activated(station, [sockets]): from now on the station's program starts with them."""
    starter = tmp_path / "starter"
    starter.write_text(STARTER)
    starter.chmod(0o755)

    def prepare(station, sockets, **env):
        fds = [s if isinstance(s, int) else s.fileno() for s in sockets]
        return {"env": {"TEST_FDS": " ".join(map(str, fds)), "TEST_BIN": station.bin, **env}, "pass_fds": fds,
                "bin": str(starter)}

    def start(station, sockets, *args, env=None, **kwargs):
        how = prepare(station, sockets, **(env or {}))
        was, station.bin = station.bin, how.pop("bin")
        try:
            return Server(station, "--echo", *args, where=None, **how, **kwargs)
        finally:
            station.bin = was

    def run(station, sockets, *args, **env):
        how = prepare(station, sockets, **env)
        was, station.bin = station.bin, how.pop("bin")
        try:
            return station.run("serve", *args, **how)
        finally:
            station.bin = was

    start.run = run
    return start


@pytest.fixture
def notices(tmp_path):
    """What is told to systemd, each with the time it came: notices.said is a list of (seconds, {name: value})."""

    class Notices:
        def __init__(self):
            self.path = tmp_path / "notify"
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.socket.bind(str(self.path))
            self.env = {"NOTIFY_SOCKET": str(self.path)}
            self.said = []
            self.thread = threading.Thread(target=self.hear, daemon=True)
            self.thread.start()

        def hear(self):
            while (text := self.socket.recv(4096).decode()) != "end":
                self.said.append((time.monotonic(), dict(line.split("=", 1) for line in text.splitlines())))

        def having(self, name):
            return [(at, said) for at, said in list(self.said) if name in said]

        def wait(self, name, n=1, timeout=10):
            return wait_until(f"{n} of {name} in {self.said}",
                              lambda: len(seen := self.having(name)) >= n and seen, timeout)

        def end(self):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
                s.sendto(b"end", str(self.path))
            self.thread.join()
            self.socket.close()

    made = Notices()
    yield made
    made.end()


# ------------------------------------------------------------------------------------------------ sockets handed over

def test_one_socket(activated, friends):
    alice, bob = friends
    with socket.create_server((HERE, 0)) as door:
        server = activated(alice, [door])
        assert server.port == door.getsockname()[1]
        assert server.call(bob, input=b"hello").raw == b"hello"
        assert server.stop() == DONE


@needs_ipv6
def test_a_socket_of_each_family(activated, friends):
    alice, bob = friends
    with socket.create_server((HERE, 0)) as four, socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        server = activated(alice, [four, six])
        for place in (f"{HERE}:{four.getsockname()[1]}", f"[::1]:{six.getsockname()[1]}"):
            done = bob.run("connect", "--peer", server.fingerprint, place, input=place)
            assert done.out == place, done
        assert server.stop() == DONE


def test_who_called_before_it_was_started(activated, friends):
    """That is what sockets are handed over for: no caller is refused, neither at the start nor between two."""
    alice, bob = friends
    with socket.create_server((HERE, 0)) as door:
        place = f"{HERE}:{door.getsockname()[1]}"
        for word in (b"first", b"second"):
            call = bob.start("connect", "--peer", alice.fingerprint(), place)
            time.sleep(0.2)
            assert call.poll() is None
            server = activated(alice, [door])
            out, err = call.communicate(word, timeout=20)
            assert (call.returncode, out) == (DONE, word), err
            assert server.stop() == DONE


def test_a_blocking_socket_blocks_nobody(activated, friends):
    alice, bob = friends
    with socket.create_server((HERE, 0)) as door:
        door.setblocking(True)
        server = activated(alice, [door], "--threads", "1")
        for _ in range(3):
            assert server.call(bob, input=b"x").raw == b"x"
        assert server.stop() == DONE


def udp(path):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((HERE, 0))
    return s


def not_listening(path):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.bind((HERE, 0))
    return s


def unix(path):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.bind(str(path / "s"))
    s.listen()
    return s


def a_file(path):
    return os.open(path / "f", os.O_CREAT | os.O_RDWR)


@pytest.mark.parametrize("kind", [udp, not_listening, unix, a_file])
def test_what_is_no_listening_tcp_socket(activated, alice, tmp_path, kind):
    with socket.create_server((HERE, 0)) as door:
        wrong = kind(tmp_path)
        done = activated.run(alice, [door, wrong], "--echo")
    assert done.status == LOCAL, done
    assert "descriptor 4, handed over by systemd, is not a listening TCP socket" in done.err, done


def test_too_many(activated, alice):
    doors = [socket.create_server((HERE, 0)) for _ in range(17)]
    done = activated.run(alice, doors, "--echo")
    assert done.status == LOCAL and "17 sockets" in done.err, done


def test_sockets_that_are_another_process(activated, alice):
    """LISTEN_PID is somebody else's: an environment that came down to us, and not our sockets."""
    with socket.create_server((HERE, 0)) as door:
        done = activated.run(alice, [door], "--echo", TEST_OFF="1")
    assert done.status == USAGE and "[HOST:]PORT is missing" in done.err, done


# -------------------------------------------------------------------------------------------------- how it goes

@pytest.fixture
def watched(friends, notices):
    """watched(...): alice serves echo and tells notices how it goes."""
    servers = []

    def start(*args, **env):
        servers.append(Server(friends[0], "--echo", *args, env={**notices.env, **env}))
        return servers[-1]

    yield start
    for server in servers:
        if server.child.poll() is None:
            assert server.stop() == DONE, server.text()


def test_ready_when_it_serves(watched, notices, bob):
    server = watched()
    _, said = notices.wait("READY")[0]
    assert said["READY"] == "1" and said["STATUS"].startswith("serving echo"), said
    assert len(notices.having("READY")) == 1
    call = server.start_call(bob)
    wait_until("the status follows", lambda: notices.having("STATUS")[-1][1]["STATUS"].endswith("to 1 stations"))
    call.stdin.close()
    assert call.wait(timeout=20) == DONE
    assert not notices.having("WATCHDOG")


def test_not_ready_when_it_does_not_serve(alice, notices):
    with socket.create_server((HERE, 0)) as other:
        done = alice.run("serve", "--echo", f"{HERE}:{other.getsockname()[1]}", env=notices.env)
    assert done.status == LOCAL and not notices.said, done


def test_reloading_and_ready_again(watched, notices, friends):
    server = watched()
    notices.wait("READY")
    for n, text in ((1, friends[0].known.read_text()), (2, "a line that is none\n")):
        friends[0].known.write_text(text)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        server.reload()
        at, said = notices.wait("RELOADING", n)[-1]
        assert said["RELOADING"] == "1"
        assert before <= int(said["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert notices.wait("READY", n + 1)[-1][0] >= at


def test_stopping_before_the_lines_have_finished(watched, notices, bob):
    server = watched("--grace", "20")
    call = server.start_call(bob)
    server.wait_event("open")
    server.send(signal.SIGTERM)
    assert notices.wait("STOPPING")[-1][1]["STOPPING"] == "1"
    assert server.child.poll() is None
    call.stdin.close()
    assert call.wait(timeout=20) == DONE
    assert server.end() == DONE


def test_the_watchdog_is_fed(watched, notices):
    server = watched(WATCHDOG_USEC="900000")
    seen = notices.wait("WATCHDOG", 6)
    gaps = [b[0] - a[0] for a, b in zip(seen, seen[1:])]
    assert max(gaps) < 0.9, gaps
    assert seen[-1][1]["WATCHDOG"] == "1"
    os.kill(server.child.pid, signal.SIGSTOP)
    time.sleep(0.2)
    n = len(notices.having("WATCHDOG"))
    time.sleep(1)
    assert len(notices.having("WATCHDOG")) == n, "who hangs must not say that all is well"
    os.kill(server.child.pid, signal.SIGCONT)
    notices.wait("WATCHDOG", n + 1)


@pytest.mark.parametrize("env", [{"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}])
def test_a_watchdog_that_is_none(watched, notices, env):
    watched(**env)
    notices.wait("READY")
    time.sleep(1.2)
    assert not notices.having("WATCHDOG")


def test_nobody_listens_where_it_tells(friends, tmp_path):
    alice, bob = friends
    server = Server(alice, "--echo", env={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert "cannot tell systemd" in server.wait_event("systemd-notify")["message"]
    assert server.call(bob, input=b"x").raw == b"x"
    assert server.stop() == DONE
    assert len(server.events("systemd-notify")) == 1, "once is enough"


# ----------------------------------------------------------------------------------------------- the units we show

@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_understands_the_units(helio, tmp_path):
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/usr/local/bin/helio", helio)
        (tmp_path / unit.name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())], check=False, timeout=60,
                          capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def setting(name):
    return re.findall(rf"^{name}=(.*)$", (UNITS / "heliograph-serve.service").read_text(), re.M)


def test_the_unit_starts_and_reloads(activated, friends, notices, tmp_path):
    """Its command line, with its socket and with somebody watching, as far as that goes without systemd."""
    alice, bob = friends
    allow = tmp_path / "stations"
    allow.write_text(alice.known.read_text())
    command = setting("ExecStart")[0].replace("/etc/heliograph/stations", str(allow)).replace("localhost:9464", f"{HERE}:0")
    service = dict(pair.split("=", 1) for pair in setting("Environment"))["SERVICE"]
    program, verb, *args = command.replace("$SERVICE", service).split()
    assert (pathlib.Path(program).name, verb, args.pop(0)) == ("helio", "serve", "--echo")
    assert setting("ExecReload")[0].endswith("-HUP $MAINPID") and setting("Type") == ["notify"]
    with socket.create_server((HERE, 0)) as door:
        server = activated(alice, [door], *args, env={**notices.env, "WATCHDOG_USEC": f"{int(setting('WatchdogSec')[0])}000000"})
        notices.wait("READY")
        assert server.call(bob, input=b"x").raw == b"x"
        server.reload()
        notices.wait("READY", 2)
        assert server.stop() == DONE
