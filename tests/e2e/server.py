"""A running helio serve, and what it has said: one JSON object a line."""
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from conftest import DEADLINE

HERE = "127.0.0.1"


def wait_until(what, condition, timeout=10.0):
    """The first true value of condition(); what says in words what did not come."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if (seen := condition()):
            return seen
        time.sleep(0.02)
    raise AssertionError(f"after {timeout} s still not: {what}")


class Server:
    """Server(alice, "--echo"): the rest of the command line is ours, unless where is given (None: no argument)."""

    def __init__(self, station, *args, where=f"{HERE}:0", **kwargs):
        self.station = station
        self.log_path = station.home.parent / f"serve-{station.home.name}-{time.monotonic_ns()}.log"
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        place = [] if where is None else [where]
        with self.log_path.open("ab") as log:
            self.child = station.start("serve", *args, *place, "--log", "json", stderr=log, **kwargs)
        self.serving = self.wait_event("serving")
        self.port, self.fingerprint = self.serving["port"], self.serving["fingerprint"]

    def text(self):
        return self.log_path.read_text("utf-8", "surrogateescape")

    def events(self, name=None, **fields):
        """What was said so far, in order, by its event and the values of fields.  A line that is still being written waits."""
        said = [json.loads(line) for line in self.text().splitlines(keepends=True)
                if line.startswith("{") and line.endswith("\n")]
        return [e for e in said
                if name in (None, e["event"]) and all(e.get(key) == value for key, value in fields.items())]

    def wait_events(self, n, name, timeout=10.0, **fields):
        def enough():
            found = self.events(name, **fields)
            assert len(found) >= n or self.child.poll() is None, f"it has ended: {self.text()}"
            return found if len(found) >= n else None
        try:
            return wait_until(f"{n} of {name} {fields}", enough, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.text()}") from None

    def wait_event(self, name, timeout=10.0, **fields):
        return self.wait_events(1, name, timeout, **fields)[-1]

    def wait_closed(self, cause=None, peer=None):
        wanted = {key: value for key, value in (("cause", cause), ("peer", peer)) if value}
        return self.wait_event("closed", **wanted)

    def place(self):
        return f"{HERE}:{self.port}"

    def call(self, caller, *args, **kwargs):
        return caller.run("connect", *args, "--peer", self.fingerprint, self.place(), **kwargs)

    def start_call(self, caller, *args, **kwargs):
        kwargs.setdefault("bufsize", 0)
        return caller.start("connect", *args, "--peer", self.fingerprint, self.place(), **kwargs)

    def send(self, number):
        self.child.send_signal(number)

    def reload(self):
        """SIGHUP, and waits until the roll was read, or not."""
        before = len(self.events("roll-read") + self.events("roll-kept"))
        self.send(signal.SIGHUP)
        wait_until("the roll was read again",
                   lambda: len(self.events("roll-read") + self.events("roll-kept")) > before)

    def stop(self, number=signal.SIGTERM, timeout=DEADLINE):
        self.send(number)
        return self.end(timeout)

    def end(self, timeout=DEADLINE):
        return self.child.wait(timeout=timeout)

    # What it takes of the machine.

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    def children(self):
        tasks = pathlib.Path(f"/proc/{self.child.pid}/task")
        return "".join((task / "children").read_text() for task in tasks.iterdir()).split()

    def memory(self):
        """KiB of it that are resident."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1])

    def busy(self):
        """What it has computed so far, in the system's ticks."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
