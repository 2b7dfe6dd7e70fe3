"""What the measurements of lines and servers stand on: programs, keys, processes, and what the kernel says of them."""

import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("BUILD", ROOT / "build")).resolve()
HOST = "127.0.0.1"


def machine():
    cpu = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "processors": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory), "kernel": platform.release()}


def free_port(family=socket.AF_INET):
    with socket.socket(family) as s:
        s.bind(("::1" if family == socket.AF_INET6 else HOST, 0))
        return s.getsockname()[1]


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} seconds")
        time.sleep(0.01)


def listening(port):
    """Whether somebody listens there; a connection would already be a call."""
    wanted = f":{port:04X}"
    for name in "/proc/net/tcp", "/proc/net/tcp6":
        for row in pathlib.Path(name).read_text(encoding="ascii").splitlines()[1:]:
            fields = row.split()
            if fields[1].endswith(wanted) and fields[3] == "0A":
                return True
    return False


class Station:
    """A HELIO_HOME with an identity."""

    def __init__(self, helio, home):
        self.helio, self.home = helio, home
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("HELIO_", "XDG_"))}
        self.env["HELIO_HOME"] = str(home)
        home.mkdir(mode=0o700)
        self.run("keygen", "-q")
        self.identity = home / "identity.pem"
        self.fingerprint = self.run("id").strip()

    def run(self, *args):
        return subprocess.run([self.helio, *args], env=self.env, check=True, capture_output=True, text=True).stdout

    def trust(self, name, other):
        self.run("trust", "add", name, other.fingerprint)


class Stand:
    """A scratch directory, two stations that know each other, and every process that was started."""

    def __init__(self, helio=None, tools=None):
        self.helio = pathlib.Path(helio or os.environ.get("HELIO_BIN") or BUILD / "src" / "cli" / "helio").resolve()
        self.tools = pathlib.Path(tools or BUILD / "bench").resolve()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="helio-bench-"))
        self.running = []
        self.server, self.client = (Station(self.helio, self.directory / name) for name in ("server", "client"))
        self.server.trust("client", self.client)
        self.client.trust("server", self.server)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.end_all()
        shutil.rmtree(self.directory)

    def end_all(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        self.running.clear()

    def start(self, command, **kwargs):
        process = subprocess.Popen([str(word) for word in command], **kwargs)
        self.running.append(process)
        return process

    def stations(self, mode, port, *args, **kwargs):
        """Our load generator; each line that it prints is a JSON object."""
        command = [self.tools / "stations", mode, f"{HOST}:{port}"]
        if mode == "flood":
            # Elsewhere a flood has processors of its own; here it takes what the server leaves.
            command = ["nice", "-n", "19", *command]
        else:
            command += ["--identity", self.client.identity, "--peer", self.server.fingerprint]
        return self.start([*command, *args], stdout=subprocess.PIPE, text=True, **kwargs)

    def serve(self, *args, log=subprocess.DEVNULL):
        """helio serve on a free port; returns the process and the port once it listens."""
        port = free_port()
        process = self.start([self.helio, "serve", f"{HOST}:{port}", *args], env=self.server.env,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)
        self.wait_listening(process, port)
        return process, port

    @staticmethod
    def wait_listening(process, port):
        wait_until(lambda: listening(port) or process.poll() is not None, f"port {port}")
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")


def stop(process, seconds=20):
    """Ends a process as its operator would; returns its status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    return process.wait(seconds)


def memory(pid):
    """VmRSS and RssAnon in KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return tuple(int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M).group(1)) for name in ("VmRSS", "RssAnon"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid):
    """Of all its threads, and of its children that have ended and been waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def save_json(path, found):
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
