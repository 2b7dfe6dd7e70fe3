"""What every end-to-end test stands on: the program, and stations with a home of their own.

The program is the one that HELIO_BIN names, else build/src/cli/helio.  Nothing here reads or writes
outside of pytest's tmp_path, and every process has a deadline: a test that hangs fails.
"""
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import pexpect
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE = 30
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")

# nohup, or a shell's &, has signals ignored, and what starts with one ignored is to keep it so.  A handler is not
# inherited, and leaves us as deaf as we were meant to be.
for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
    if signal.getsignal(ignored) == signal.SIG_IGN:
        signal.signal(ignored, lambda number, frame: None)

# helio rightly refuses a config that everybody may write, and the tests write some.
os.umask(0o022)


def program():
    path = os.environ.get("HELIO_BIN") or str(ROOT / "build" / "src" / "cli" / "helio")
    if not os.access(path, os.X_OK):
        pytest.fail(f"no program at {path}: build it, or set HELIO_BIN")
    return os.path.abspath(path)


class Finished:
    """How a process ended: status, out and err (text, bad bytes as surrogates), raw (stdout's bytes)."""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.raw = args, status, out
        self.out = out.decode("utf-8", "surrogateescape")
        self.err = err.decode("utf-8", "surrogateescape")

    def __repr__(self):
        return (f"\n  command: {self.args}\n  status:  {self.status}"
                f"\n  stdout:  {self.out[:2000]!r}\n  stderr:  {self.err[:4000]!r}")


class Station:
    """A station: a HELIO_HOME, the environment that goes with it, and ways to run helio in it."""

    def __init__(self, home, key=None):
        self.home = pathlib.Path(home)
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.bin = program()
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith(("HELIO_", "XDG_", "LC_")) and k != "LANG"}
        self.env.update(HELIO_HOME=str(self.home), LC_ALL="C.UTF-8", TERM="xterm")
        self._children = []
        if key is not None:
            self.identity.write_bytes(key)
            self.identity.chmod(0o600)

    @property
    def identity(self):
        return self.home / "identity.pem"

    @property
    def known(self):
        return self.home / "known_stations"

    @property
    def config(self):
        return self.home / "config"

    def run(self, *args, input=b"", timeout=DEADLINE, env=None, **kwargs):
        """Runs helio to its end without a terminal and returns a Finished."""
        command = [self.bin, *map(os.fspath, args)]
        if isinstance(input, str):
            input = input.encode()
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
        if "stdin" not in kwargs:
            kwargs["input"] = input
        done = subprocess.run(command, env={**self.env, **(env or {})}, timeout=timeout,
                              start_new_session=True, check=False, **kwargs)
        return Finished(command, done.returncode, done.stdout or b"", done.stderr or b"")

    def start(self, *args, env=None, **kwargs):
        """Starts helio without a terminal; returns the Popen.  Killed at the end of the test."""
        for name in ("stdin", "stdout", "stderr"):
            kwargs.setdefault(name, subprocess.PIPE)
        child = subprocess.Popen([self.bin, *map(os.fspath, args)],
                                 env={**self.env, **(env or {})}, start_new_session=True, **kwargs)
        self._children.append(child)
        return child

    def spawn(self, *args, env=None, timeout=DEADLINE, **kwargs):
        """Starts helio at a terminal of its own; returns the pexpect child."""
        kwargs.setdefault("encoding", "utf-8")
        kwargs.setdefault("codec_errors", "surrogateescape")
        kwargs.setdefault("dimensions", (24, 200))
        child = pexpect.spawn(self.bin, [os.fspath(a) for a in args],
                              env={**self.env, **(env or {})}, timeout=timeout, **kwargs)
        child.delaybeforesend = 0
        self._children.append(child)
        return child

    def end(self, child, timeout=DEADLINE):
        """Waits for a Popen that start() gave and returns a Finished."""
        out, err = child.communicate(timeout=timeout)
        return Finished(child.args, child.returncode, out or b"", err or b"")

    def fingerprint(self):
        done = self.run("id")
        assert done.status == 0, done
        return done.out.strip()

    def trust(self, name, fingerprint):
        done = self.run("trust", "add", name, fingerprint)
        assert done.status == 0, done

    def finish(self):
        for child in self._children:
            if isinstance(child, subprocess.Popen):
                if child.poll() is None:
                    child.kill()
                child.wait()
                for stream in (child.stdin, child.stdout, child.stderr):
                    if stream:
                        stream.close()
            else:
                child.close(force=True)


@pytest.fixture(scope="session")
def helio():
    """The path of the program."""
    return program()


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """Three ready private keys (PEM bytes): drawing one takes time, so tests share them."""
    made = []
    for i in range(3):
        home = tmp_path_factory.mktemp(f"key{i}")
        station = Station(home)
        done = station.run("keygen", "--bits", "2048")
        assert done.status == 0, done
        made.append(station.identity.read_bytes())
    return made


@pytest.fixture
def new_station(tmp_path):
    """A function that makes a station: new_station("carol"), new_station("carol", key)."""
    made = []

    def make(name, key=None):
        station = Station(tmp_path / name, key)
        made.append(station)
        return station

    yield make
    for station in made:
        station.finish()


@pytest.fixture
def alice(new_station, keys):
    return new_station("alice", keys[0])


@pytest.fixture
def bob(new_station, keys):
    return new_station("bob", keys[1])


@pytest.fixture
def carol(new_station, keys):
    return new_station("carol", keys[2])


@pytest.fixture
def friends(alice, bob):
    """alice and bob, who know each other by these names."""
    alice.trust("bob", bob.fingerprint())
    bob.trust("alice", alice.fingerprint())
    return alice, bob


@pytest.fixture
def port():
    """A loopback port that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(number, host="127.0.0.1", timeout=10.0):
    """Waits until somebody listens on the port without connecting to it (that would be a call)."""
    family = "/proc/net/tcp6" if ":" in host else "/proc/net/tcp"
    wanted = f":{number:04X}"
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for row in pathlib.Path(family).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on port {number} after {timeout} s")
