"""Those who are measured: how each is started with its best settings, keys included.

A line is two ends and what was started for them.  It offers its two mouths in one of two ways: as pipes (programs that move
stdin and stdout) or as ports (programs that move connections: somebody connects to `port`, and the far end connects to our
listener).  What all its processes used of the processor is known once it has ended.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess

from stand import HOST, free_port, listening, wait_until

TLS_BITS = "3072"  # as long as the keys of our stations
SUITES = ("idea-ctr-poly1305", "chacha20-poly1305", "aes-256-gcm")


class Keys:
    """Certificates (RSA-3072, self-signed, each side pins the other's), ssh keys and a shared secret."""

    def __init__(self, directory):
        self.directory = directory
        for name in "server", "client":
            self.quietly("openssl", "req", "-x509", "-newkey", f"rsa:{TLS_BITS}", "-nodes", "-days", "30", "-subj", f"/CN={name}",
                         "-addext", f"subjectAltName=DNS:{name},DNS:localhost", "-keyout", self.key(name), "-out", self.cert(name))
            self.quietly("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / f"ssh_{name}")
            (directory / f"{name}.both.pem").write_bytes(self.key(name).read_bytes() + self.cert(name).read_bytes())
            (directory / f"{name}.both.pem").chmod(0o600)
        self.secret = directory / "spiped.key"
        self.secret.write_bytes(os.urandom(32))
        self.secret.chmod(0o600)

    @staticmethod
    def quietly(*command):
        subprocess.run(command, check=True, capture_output=True)

    def key(self, name):
        return self.directory / f"{name}.key.pem"

    def cert(self, name):
        return self.directory / f"{name}.cert.pem"

    def both(self, name):
        return self.directory / f"{name}.both.pem"


class Process:
    """A child, and in the end what it and its own children used of the processor (wait4)."""

    def __init__(self, stand, command, **kwargs):
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        kwargs.setdefault("stdout", subprocess.DEVNULL)
        kwargs.setdefault("stderr", (stand.directory / "stderr").open("ab"))
        self.popen = stand.start(command, **kwargs)
        self.cpu = None
        if kwargs["stderr"] not in (subprocess.PIPE, subprocess.DEVNULL):
            kwargs["stderr"].close()

    @property
    def pid(self):
        return self.popen.pid

    def ended(self):
        if self.popen.returncode is None:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                self.note(status, usage)
        return self.popen.returncode is not None

    def note(self, status, usage):
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        self.cpu = usage.ru_utime + usage.ru_stime

    def wait(self, seconds=60):
        wait_until(self.ended, f"the end of {self.popen.args}", seconds)
        return self.popen.returncode

    def stop(self):
        if not self.ended():
            self.popen.terminate()
            try:
                self.wait(10)
            except RuntimeError:
                self.popen.kill()
                self.wait(10)


class Peer:
    """One kind of line.  Subclasses say how the ends are started."""

    ours = False
    settings = ""

    def __init__(self, name, stand, keys):
        self.name, self.stand, self.keys = name, stand, keys
        self.pump = stand.tools / "pump"

    def process(self, command, **kwargs):
        return Process(self.stand, command, **kwargs)

    def listener(self, command, port, **kwargs):
        process = self.process(command, **kwargs)
        wait_until(lambda: listening(port) or process.ended(), f"{self.name} on port {port}")
        if process.popen.returncode is not None:
            raise RuntimeError(f"{self.name}: {command} ended with {process.popen.returncode}: "
                               f"{(self.stand.directory / 'stderr').read_text(errors='replace')[-800:]}")
        return process


# ------------------------------------------------------------------ two programs, each with stdin and stdout


class Pipes(Peer):
    """serve and call give the commands; the far end's pump works on the server's stdin and stdout."""

    def serve(self, port, one_way):
        raise NotImplementedError

    def call(self, port, one_way):
        raise NotImplementedError

    env = {"server": None, "client": None}

    def bulk(self, source, sink):
        """source: arguments of pump source; sink: of pump sink.  Returns the sink's report and the processor time of both ends."""
        port = free_port()
        out_read, out_write = os.pipe()
        in_read, in_write = os.pipe()
        server = self.listener(self.serve(port, True), port, stdout=out_write, env=self.env["server"])
        os.close(out_write)
        drain = self.process([self.pump, "sink", *sink], stdin=out_read, stdout=subprocess.PIPE)
        os.close(out_read)
        client = self.process(self.call(port, True), stdin=in_read, env=self.env["client"])
        os.close(in_read)
        fill = self.process([self.pump, "source", *source], stdout=in_write)
        os.close(in_write)
        report = json.loads(drain.popen.stdout.read())
        for process in fill, drain, client, server:
            process.wait()
        return report, client.cpu + server.cpu

    def talk(self, rounds, size):
        """Round trips of so many bytes; returns the report of pump ask."""
        port = free_port()
        pipes = [os.pipe() for _ in range(4)]
        (far_in, to_far), (from_far, far_out), (near_in, to_near), (from_near, near_out) = pipes
        report = self.stand.directory / "round-trips"
        server = self.listener(self.serve(port, False), port, stdin=far_in, stdout=far_out, env=self.env["server"])
        answer = self.process([self.pump, "answer"], stdin=from_far, stdout=to_far)
        client = self.process(self.call(port, False), stdin=near_in, stdout=near_out, env=self.env["client"])
        ask = self.process([self.pump, "ask", str(rounds), str(size), report], stdin=from_near, stdout=to_near)
        for pipe in pipes:
            os.close(pipe[0])
            os.close(pipe[1])
        if ask.wait(300) != 0:
            raise RuntimeError(f"{self.name}: the round trips failed")
        for process in client, server, answer:
            process.stop()
        return json.loads(report.read_text(encoding="ascii"))


class Helio(Pipes):
    ours = True

    def __init__(self, stand, keys, suite):
        super().__init__(f"helio {suite}", stand, keys)
        self.suite = suite
        self.env = {"server": stand.server.env, "client": stand.client.env}
        self.settings = f"helio listen and helio connect --suite {suite}; keys RSA-3072 on both sides"

    def serve(self, port, one_way):
        return [self.stand.helio, "listen", f"{HOST}:{port}", "-q", "--suite", self.suite]

    def call(self, port, one_way):
        return [self.stand.helio, "connect", f"{HOST}:{port}", "-q", "--suite", self.suite, "--peer", self.stand.server.fingerprint]


class Socat(Pipes):
    def __init__(self, stand, keys, buffer):
        super().__init__(f"socat OPENSSL -b {buffer}" if buffer else "socat OPENSSL, default", stand, keys)
        self.buffer = ["-b", str(buffer)] if buffer else []
        self.settings = "TLS 1.3, AES-256-GCM, both certificates RSA-3072 and verified, nodelay; " + (
            "128 KiB buffers" if buffer else "8 KiB buffers, its default")

    def join(self, one_way, source, sink):
        if one_way:
            return ["socat", "-u", *self.buffer, source, sink]
        return ["socat", *self.buffer, *(end.replace("STDIN", "STDIO").replace("STDOUT", "STDIO") for end in (source, sink))]

    def tls(self, name, other):
        return (f"cert={self.keys.cert(name)},key={self.keys.key(name)},cafile={self.keys.cert(other)},verify=1,"
                "openssl-min-proto-version=TLS1.3,nodelay")

    def serve(self, port, one_way):
        return self.join(one_way, f"OPENSSL-LISTEN:{port},bind={HOST},reuseaddr,{self.tls('server', 'client')}", "STDOUT")

    def call(self, port, one_way):
        return self.join(one_way, "STDIN", f"OPENSSL:{HOST}:{port},commonname=server,{self.tls('client', 'server')}")


class SocatPlain(Socat):
    """Not a secure line: what two programs that only copy can do."""

    def __init__(self, stand, keys):
        super().__init__(stand, keys, 131072)
        self.name, self.settings = "socat TCP (no security)", "128 KiB buffers; for orientation"

    def serve(self, port, one_way):
        return self.join(one_way, f"TCP-LISTEN:{port},bind={HOST},reuseaddr,nodelay", "STDOUT")

    def call(self, port, one_way):
        return self.join(one_way, "STDIN", f"TCP:{HOST}:{port},nodelay")


class Ncat(Pipes):
    settings = "TLS 1.3, AES-256-GCM, server's certificate RSA-3072 and verified (ncat has no client certificates to check)"

    def serve(self, port, one_way):
        return ["ncat", *(["--recv-only"] if one_way else []), "--ssl", "-l", HOST, str(port), "--ssl-cert", self.keys.cert("server"), "--ssl-key", self.keys.key("server")]

    def call(self, port, one_way):
        return ["ncat", *(["--send-only"] if one_way else []), "--ssl", "--ssl-verify", "--ssl-trustfile", self.keys.cert("server"), "-4", "localhost",
                str(port)]


class Ssh(Peer):
    """The far end's pump is the command that ssh runs."""

    settings = "aes256-gcm@openssh.com, no compression, an sshd of its own as it comes (privilege separation on)"

    def start_server(self):
        port, directory = free_port(), self.stand.directory
        config = directory / "sshd_config"
        keys = self.keys.directory
        (keys / "authorized_keys").write_bytes((keys / "ssh_client.pub").read_bytes())
        config.write_text(f"Port {port}\nListenAddress {HOST}\nHostKey {keys / 'ssh_server'}\nAuthorizedKeysFile {keys / 'authorized_keys'}\n"
                          "StrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile none\nCiphers aes256-gcm@openssh.com\n", encoding="ascii")
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        return self.listener([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", config], port), port

    def command(self, port, *far):
        known = self.stand.directory / "ssh_known"
        host = (self.keys.directory / "ssh_server.pub").read_text(encoding="ascii")
        known.write_text(f"[{HOST}]:{port} {host}", encoding="ascii")
        return ["ssh", "-F", "none", "-p", str(port), "-i", self.keys.directory / "ssh_client", "-o", f"UserKnownHostsFile={known}", "-o",
                "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "Compression=no", "-o", "LogLevel=ERROR", "-c",
                "aes256-gcm@openssh.com", HOST, *map(str, far)]

    def bulk(self, source, sink):
        server, port = self.start_server()
        in_read, in_write = os.pipe()
        client = self.process(self.command(port, self.pump, "sink", *sink), stdin=in_read, stdout=subprocess.PIPE)
        os.close(in_read)
        fill = self.process([self.pump, "source", *source], stdout=in_write)
        os.close(in_write)
        report = json.loads(client.popen.stdout.read())
        fill.wait()
        client.wait()
        wait_until(lambda: not children(server.pid), "the end of sshd's session")
        server.stop()
        # The sink was a grandchild of sshd's.
        return report, client.cpu + server.cpu - report["cpu_s"]

    def talk(self, rounds, size):
        server, port = self.start_server()
        (near_in, to_near), (from_near, near_out) = os.pipe(), os.pipe()
        report = self.stand.directory / "round-trips"
        client = self.process(self.command(port, self.pump, "answer"), stdin=near_in, stdout=near_out)
        ask = self.process([self.pump, "ask", str(rounds), str(size), report], stdin=from_near, stdout=to_near)
        for fd in near_in, to_near, from_near, near_out:
            os.close(fd)
        if ask.wait(300) != 0:
            raise RuntimeError("ssh: the round trips failed")
        client.stop()
        server.stop()
        return json.loads(report.read_text(encoding="ascii"))


def children(pid):
    try:
        return [int(child) for task in os.listdir(f"/proc/{pid}/task")
                for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


# ------------------------------------------------------------------ a pair that moves connections


class Ports(Peer):
    """start(target) starts both ends and returns the port to connect to and the processes, server first."""

    def start(self, target):
        raise NotImplementedError

    def bulk(self, source, sink):
        with socket.create_server((HOST, 0)) as listener:
            port, processes = self.start(listener.getsockname()[1])
            near = socket.create_connection((HOST, port))
            fill = self.process([self.pump, "source", *source], stdout=near)
            near.close()
            listener.settimeout(20)
            far, _ = listener.accept()
        drain = self.process([self.pump, "sink", *sink], stdin=far, stdout=subprocess.PIPE)
        report = json.loads(drain.popen.stdout.read())
        fill.wait()
        drain.wait()
        far.close()
        for process in processes:
            process.stop()
        return report, sum(process.cpu for process in processes)

    def talk(self, rounds, size):
        target = Target(self)
        port, processes = self.start(target.port)
        report = self.stand.directory / "round-trips"
        with socket.create_connection((HOST, port)) as near:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            ask = self.process([self.pump, "ask", str(rounds), str(size), report], stdin=near, stdout=near)
        if ask.wait(300) != 0:
            raise RuntimeError(f"{self.name}: the round trips failed")
        for process in *processes, target.process:
            process.stop()
        return json.loads(report.read_text(encoding="ascii"))

    def knock(self, seconds, at_once):
        """New connections for so long; returns the report of pump knock and the processor time of both ends."""
        target = Target(self)
        port, processes = self.start(target.port)
        done = self.process([self.pump, "knock", str(port), str(seconds), str(at_once)], stdout=subprocess.PIPE)
        report = json.loads(done.popen.stdout.read())
        done.wait()
        for process in *processes, target.process:
            process.stop()
        return report, sum(process.cpu for process in processes)


class Target:
    """What stands behind the far end of a pair: it says again what it hears."""

    def __init__(self, peer):
        self.port = free_port()
        self.process = peer.listener([peer.pump, "target", str(self.port)], self.port)


class HelioPair(Ports):
    ours = True
    settings = "helio forward and helio serve --forward; keys RSA-3072 on both sides"

    def start(self, target):
        far, near = free_port(), free_port()
        server = self.listener([self.stand.helio, "serve", f"{HOST}:{far}", "--forward", f"{HOST}:{target}", "-q"], far,
                               env=self.stand.server.env)
        client = self.listener([self.stand.helio, "forward", f"{HOST}:{near}", f"{HOST}:{far}", "-q", "--peer", self.stand.server.fingerprint],
                               near, env=self.stand.client.env)
        return near, [server, client]


class StunnelPair(Ports):
    settings = "TLS 1.3, AES-256-GCM, both certificates RSA-3072 and verified (verifyPeer), no resumption, TCP_NODELAY"

    def config(self, name, other, accept, connect):
        path = self.stand.directory / f"stunnel-{name}.conf"
        path.write_text(
            f"foreground = yes\npid =\nsyslog = no\ndebug = err\nsocket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n[line]\n"
            f"client = {'yes' if name == 'client' else 'no'}\naccept = {HOST}:{accept}\nconnect = {HOST}:{connect}\n"
            f"cert = {self.keys.cert(name)}\nkey = {self.keys.key(name)}\nCAfile = {self.keys.cert(other)}\nverifyPeer = yes\n"
            "sslVersionMin = TLSv1.3\nsessionResume = no\noptions = NO_TICKET\n", encoding="ascii")
        return path

    def start(self, target):
        far, near = free_port(), free_port()
        server = self.listener(["stunnel", self.config("server", "client", far, target)], far)
        client = self.listener(["stunnel", self.config("client", "server", near, far)], near)
        return near, [server, client]


class SpipedPair(Ports):
    settings = "a shared secret (no RSA), AES-256-CTR with HMAC-SHA-256, perfect forward secrecy on, up to 20000 connections"

    def start(self, target):
        far, near = free_port(), free_port()
        common = ["-F", "-k", self.keys.secret, "-n", "20000"]
        server = self.listener(["spiped", "-d", "-s", f"[{HOST}]:{far}", "-t", f"[{HOST}]:{target}", *common], far)
        client = self.listener(["spiped", "-e", "-s", f"[{HOST}]:{near}", "-t", f"[{HOST}]:{far}", *common], near)
        return near, [server, client]


def versions(stand):
    """What was measured."""
    def line(word, *command):
        """The first line of what it says that has the word in it."""
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
        except (FileNotFoundError, ProcessLookupError):
            return f"{word}: not there"
        return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if word in line), f"{word}: unknown version")

    return [line("helio", stand.helio, "--version"), line("socat version", "socat", "-V"), line("Ncat", "ncat", "--version"), line("OpenSSH", "ssh", "-V"),
            line("stunnel", "stunnel", "-version"), line("spiped", "spiped", "-v"), line("OpenSSL", "openssl", "version")]
