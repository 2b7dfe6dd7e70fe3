"""helio forward: what goes in at a local port comes out at a station, or the client is told that it did not."""
import errno
import os
import pathlib
import random
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import DEADLINE
from proxy import DOWN, UP, Proxy
from server import HERE, Server, wait_until
from test_python_station import Naive
from test_services import Target, echo, is_sanitized, read_all, reset, target

DONE, LOCAL, USAGE = range(3)
TEN_MB = 10_000_000
FIELDS = {"client", "peer", "fingerprint", "address", "sent", "received", "milliseconds", "cause", "status"}
ECHO_PROCESS = """
import socketserver, sys
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def noise(n, seed=6):
    return random.Random(seed).randbytes(n)


class Forward(Server):
    """A running helio forward.  What it says is read as a server's."""

    def __init__(self, station, where, *args, local="0", **kwargs):
        self.station = station
        self.log_path = station.home.parent / f"forward-{station.home.name}-{time.monotonic_ns()}.log"
        with self.log_path.open("ab") as log:
            self.child = station.start("forward", local, where, *args, "--log", "json", stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=log, **kwargs)
        self.port = self.wait_event("forwarding")["port"]

    def connect(self, host=HERE):
        client = socket.create_connection((host, self.port), DEADLINE)
        client.settimeout(DEADLINE)
        return client

    def ask(self, data):
        """Says data, ends, and returns the answer."""
        with self.connect() as client:
            return converse(client, data)

    def is_reset(self, data=b""):
        """Whether a connection ends with a reset and not with an end."""
        with self.connect() as client:
            return ends_with_a_reset(client, data)


def converse(client, data):
    """Sends all of data on a thread of its own and returns all that comes."""
    def send():
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    answer = read_all(client)
    sender.join()
    return answer


def ends_with_a_reset(client, data=b""):
    try:
        if data:
            client.sendall(data)
        while client.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


def floods_into_a_reset(client):
    """The same while more than fits anywhere is being sent.  A reset is told once: to the writer or to the reader."""
    told = []

    def send():
        try:
            client.sendall(bytes(TEN_MB))
        except OSError as error:
            told.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    reset_here = ends_with_a_reset(client)
    sender.join()
    return reset_here or any(isinstance(error, ConnectionResetError) for error in told)


@pytest.fixture
def running():
    """Servers and forwards to be stopped at the end: they must end in order."""
    made = []
    yield made
    for one in reversed(made):
        if one.child.poll() is None:
            one.send(signal.SIGTERM)
            try:
                one.end(0.5)
            except subprocess.TimeoutExpired:  # whoever is left is not waited for
                one.send(signal.SIGTERM)
            assert one.end() in (DONE, 128 + signal.SIGTERM), one.text()
        assert "Sanitizer" not in one.text(), one.text()


@pytest.fixture
def serve(friends, running):
    """serve(place): alice, who knows bob, joins stations with the target there."""
    def start(place, *args, **kwargs):
        running.append(Server(friends[0], "--forward", place, "--no-penalties", *args, **kwargs))
        return running[-1]
    return start


@pytest.fixture
def forward(friends, running):
    """forward(server): bob's, who trusts her by --peer unless peer says otherwise."""
    def start(server, *args, peer=True, where=None, station=None, **kwargs):
        who = ["--peer", server.fingerprint] if peer else []
        running.append(Forward(station or friends[1], where or server.place(), *who, *args, **kwargs))
        return running[-1]
    return start


@pytest.fixture
def joined(serve, forward, target):
    """joined(behave): a forward all the way to a target that behaves so."""
    def start(behave, *args):
        there = target(behave)
        server = serve(there.place)
        return forward(server, *args), server, there
    return start


# ------------------------------------------------------------------------------------------- what it carries

def test_ten_megabytes_both_ways(joined):
    there, server, behind = joined(echo)
    data = noise(TEN_MB)
    assert there.ask(data) == data
    assert behind.result() == TEN_MB
    closed = there.wait_closed("done")
    assert FIELDS <= closed.keys(), closed
    assert (closed["sent"], closed["received"], closed["status"]) == (TEN_MB, TEN_MB, DONE)
    assert (closed["fingerprint"], closed["address"]) == (server.fingerprint, server.place())
    assert closed["client"].startswith(HERE + ":"), closed
    assert server.wait_closed("done", "bob")["received"] == TEN_MB


def test_a_hundred_at_once(joined):
    there, server, behind = joined(echo)
    clients = [there.connect() for _ in range(100)]
    for i, client in enumerate(clients):
        client.sendall(noise(1000, i))
    for i, client in enumerate(clients):  # all of them are joined before the first one leaves
        assert client.recv(1000, socket.MSG_WAITALL) == noise(1000, i)
    assert behind.accepted == 100
    for i, client in enumerate(clients):
        assert converse(client, noise(5000, 100 + i)) == noise(5000, 100 + i)
        client.close()
    there.wait_events(100, "closed", cause="done", sent=6000, received=6000)


def test_the_clients_end_and_then_the_answer(joined):
    there, server, _ = joined(lambda connection: connection.sendall(b"%d bytes" % len(read_all(connection))))
    assert there.ask(b"x" * 100_000) == b"100000 bytes"
    assert there.ask(b"") == b"0 bytes"  # an end with nothing before it is no hang-up
    there.wait_events(2, "closed", cause="done")


def test_the_targets_end_while_the_client_goes_on(joined):
    def behave(connection):
        connection.sendall(b"that is all")
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)

    there, server, behind = joined(behave)
    with there.connect() as client:
        assert read_all(client) == b"that is all"
        client.sendall(noise(1_000_000))
        client.shutdown(socket.SHUT_WR)
        assert behind.result() == noise(1_000_000)
    there.wait_closed("done")


def test_a_slow_target_costs_no_memory_and_loses_nothing(joined):
    go_on = threading.Event()

    def behave(connection):
        go_on.wait(DEADLINE)
        return len(read_all(connection))

    there, server, behind = joined(behave)
    size, before = 64 << 20, there.memory()
    with there.connect() as client:
        sender = threading.Thread(target=lambda: (client.sendall(bytes(size)), client.shutdown(socket.SHUT_WR)))
        sender.start()
        wait_until("joined", lambda: behind.accepted == 1)
        time.sleep(1)
        grown = there.memory() - before
        assert sender.is_alive(), "the client got rid of everything although nobody reads"
        go_on.set()
        sender.join(DEADLINE)
        assert behind.result() == size
        assert read_all(client) == b""
    if not is_sanitized():
        assert grown < 8 * 1024, f"{grown} KiB more"


def test_a_slow_client_costs_no_memory_and_loses_nothing(joined):
    size = 64 << 20

    def behave(connection):
        connection.sendall(bytes(size))

    there, server, behind = joined(behave)
    before = there.memory()
    with there.connect() as client:
        wait_until("joined", lambda: behind.accepted == 1)
        time.sleep(1)
        grown = there.memory() - before
        assert behind.ended.empty(), "the target got rid of everything although nobody reads"
        client.shutdown(socket.SHUT_WR)
        assert len(read_all(client)) == size
    if not is_sanitized():
        assert grown < 8 * 1024, f"{grown} KiB more"


def test_a_stopped_target_holds_up_nobody_else(serve, forward):
    stopped, alive = [subprocess.Popen(["/usr/bin/python3", "-c", ECHO_PROCESS], stdout=subprocess.PIPE) for _ in "ab"]
    try:
        ports = [int(child.stdout.readline()) for child in (stopped, alive)]
        # One station with two services: the same key at two ports.
        there, other = [forward(serve(f"{HERE}:{port}")) for port in ports]
        with there.connect() as first:
            first.sendall(b"x")
            assert first.recv(1) == b"x"
            os.kill(stopped.pid, signal.SIGSTOP)
            waiting = [there.connect() for _ in range(5)]  # accepted by the kernel, and never served
            for client in waiting:
                client.sendall(b"y")
            began = time.monotonic()
            for i in range(5):
                assert other.ask(noise(100_000, i)) == noise(100_000, i)
            assert time.monotonic() - began < 10
            os.kill(stopped.pid, signal.SIGCONT)
            for client in waiting:
                assert client.recv(1) == b"y"
                client.close()
            first.sendall(b"z")
            assert first.recv(1) == b"z"
    finally:
        for child in (stopped, alive):
            child.kill()
            child.wait()
            child.stdout.close()


# ------------------------------------------------------------------------------------- what goes wrong behind it

def test_a_target_that_refuses_resets_the_client(serve, forward):
    with socket.socket() as taken:  # bound, but not listening
        taken.bind((HERE, 0))
        there = forward(serve("%s:%d" % taken.getsockname()))
        assert there.is_reset()
        assert there.is_reset(b"hello")
    there.wait_events(2, "closed", cause="failed there")


def test_a_target_that_takes_its_time(joined):
    def behave(connection):
        time.sleep(2)
        data = read_all(connection)
        time.sleep(1)
        connection.sendall(data)

    there, _, _ = joined(behave)
    assert there.ask(b"no hurry") == b"no hurry"


def test_a_target_that_breaks_off_resets_the_client(joined):
    def behave(connection):
        connection.sendall(b"half of it")
        connection.recv(1)
        reset(connection)

    there, _, _ = joined(behave)
    with there.connect() as client:
        assert client.recv(10, socket.MSG_WAITALL) == b"half of it"
        assert ends_with_a_reset(client, b"!")
    there.wait_closed("failed there")


def test_a_station_that_is_killed_resets_the_client(joined):
    there, server, _ = joined(echo)
    with there.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        server.child.kill()
        assert ends_with_a_reset(client)
    there.wait_closed("cut")


def test_a_client_that_still_sends_hears_of_the_cut(joined):
    """It has had the target's end already; now it must not believe that its own words have arrived."""
    heard = threading.Event()

    def behave(connection):
        connection.sendall(b"enough")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        heard.set()
        return read_all(connection)

    there, server, behind = joined(behave)
    with there.connect() as client:
        assert read_all(client) == b"enough"
        client.sendall(b"more")
        assert heard.wait(DEADLINE)
        server.child.kill()
        there.wait_closed("cut")
        # What a reset leaves in a socket that has read its end.
        assert wait_until("an error", lambda: client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)) == errno.EPIPE


@pytest.mark.parametrize("way", [UP, DOWN])
def test_a_line_that_is_cut_resets_the_client(serve, forward, target, way):
    server = serve(target(echo).place)
    with Proxy(server.port, cut=(way, 1_000_000)) as proxy:
        there = forward(server, where=f"{HERE}:{proxy.port}")
        with there.connect() as client:
            assert floods_into_a_reset(client)
        there.wait_closed("cut")


def test_a_line_that_is_altered_resets_the_client(serve, forward, target):
    server = serve(target(echo).place)
    with Proxy(server.port, flip=(DOWN, 1_000_000)) as proxy:
        there = forward(server, where=f"{HERE}:{proxy.port}")
        with there.connect() as client:
            assert floods_into_a_reset(client)
        there.wait_closed("altered")


def test_a_client_that_is_killed_is_no_end(joined):
    """The target sends on, finds out, and so does everybody on the way."""
    def behave(connection):
        connection.sendall(b"ready")
        while True:
            connection.sendall(bytes(65536))

    there, server, behind = joined(behave)
    client = there.connect()
    assert client.recv(5, socket.MSG_WAITALL) == b"ready"
    reset(client)
    assert isinstance(behind.result(), ConnectionError), "the target saw an end in order"
    closed = there.wait_closed("client broke off")
    assert closed["status"] == LOCAL, closed
    server.wait_closed("failed there", "bob")


# ---------------------------------------------------------------------------------------- the station comes and goes

def test_who_comes_while_the_station_is_down_waits_for_it(serve, forward, target, alice, port):
    there_behind = target(echo)
    there = forward(None, "--peer", alice.fingerprint(), peer=False, where=f"{HERE}:{port}")
    clients = [there.connect() for _ in range(3)]
    clients[1].sendall(b"said early")
    clients[2].sendall(b"said early, and no more")
    clients[2].shutdown(socket.SHUT_WR)
    down = there.wait_event("unreachable")
    assert down["level"] == "warning" and down["station"] == f"{HERE}:{port}" and "refused" in down["reason"], down
    time.sleep(1.2)  # it has looked whether they are there
    serve(there_behind.place, where=f"{HERE}:{port}")
    assert converse(clients[0], b"at last") == b"at last"
    assert converse(clients[1], b", and late") == b"said early, and late"
    assert read_all(clients[2]) == b"said early, and no more"
    there.wait_event("reached")
    assert len(there.events("unreachable")) == len(there.events("reached")) == 1, there.text()
    there.wait_events(3, "closed", cause="done")
    for client in clients:
        client.close()


def test_a_station_that_stays_away(forward, alice, port):
    there = forward(None, "--peer", alice.fingerprint(), "--timeout", "1", peer=False, where=f"{HERE}:{port}")
    began = time.monotonic()
    clients = [there.connect() for _ in range(5)]
    for client in clients:
        client.sendall(b"hello")
    for client in clients:
        assert ends_with_a_reset(client)
        client.close()
    assert 0.9 < time.monotonic() - began < 5
    said = there.events("given-up")
    assert len(said) == 1 and "-v" in said[0]["message"] and said[0]["station"] == f"{HERE}:{port}", said
    assert not there.events("closed")


def test_a_station_that_says_nothing(forward, alice):
    with socket.create_server((HERE, 0)) as silent:
        place = "%s:%d" % silent.getsockname()
        there = forward(None, "--peer", alice.fingerprint(), "--timeout", "1", peer=False, where=place)
        began = time.monotonic()
        assert there.is_reset(b"hello")
        assert 0.9 < time.monotonic() - began < 5


def test_a_station_that_has_to_ask_is_not_waited_for(forward, alice):
    """That would take minutes; whoever can be asked is no server."""
    naive = Naive("listen", 0, "--ask", "yes", "--service", "forward")
    try:
        there = forward(None, "--peer", naive.fingerprint, "--timeout", "2", peer=False, where=f"{HERE}:{naive.port}")
        assert there.is_reset(b"hello")
        assert "in time" in there.wait_event("unreachable")["reason"]
    finally:
        naive.end()


def test_a_station_that_is_full(serve, forward, target):
    server = serve(target(echo).place, "--max-stations", "1")
    there = forward(server)
    with there.connect() as first:
        first.sendall(b"1")
        assert first.recv(1) == b"1"
        with there.connect() as second:
            second.sendall(b"2")
            assert there.wait_event("unreachable")["reason"] == "it is full"
            first.shutdown(socket.SHUT_WR)
            assert read_all(first) == b""
            assert second.recv(1) == b"2"
    assert len(there.events("reached")) == 1


def test_a_station_comes_back_and_so_do_we(serve, forward, target):
    behind = target(echo)
    server = serve(behind.place)
    there = forward(server)
    assert there.ask(b"1") == b"1"
    server.child.kill()
    server.end()
    client = there.connect()
    there.wait_event("unreachable")
    serve(behind.place, where=server.place())
    assert converse(client, b"2") == b"2"
    client.close()
    there.wait_event("reached")
    assert there.ask(b"3") == b"3"


def test_who_hangs_up_while_it_waits_is_not_called_for(serve, forward, target, alice, port):
    behind = target(echo)
    there = forward(None, "--peer", alice.fingerprint(), "-v", peer=False, where=f"{HERE}:{port}")
    before = there.descriptors()
    silent, hasty, patient = there.connect(), there.connect(), there.connect()
    hasty.sendall(b"never mind")
    there.wait_event("unreachable")
    silent.close()
    reset(hasty)
    there.wait_events(2, "gone")
    wait_until("their descriptors are closed", lambda: there.descriptors() <= before + 2)
    serve(behind.place, where=f"{HERE}:{port}")
    assert converse(patient, b"still here") == b"still here"
    patient.close()
    there.wait_closed("done")
    assert behind.accepted == 1 and len(there.events("closed")) == 1


def test_more_than_there_are_descriptors_for(serve, forward, target):
    """Those who are in stay in, and the rest hears at once."""
    server = serve(target(echo).place)
    limit = 190
    there = forward(server, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
    if there.descriptors() > 0 and int(limit_of(there)) > limit:
        pytest.skip("the superuser's limit was raised all the same")
    clients, served = [], 0
    for _ in range(60):
        try:
            clients.append(there.connect())
        except ConnectionResetError:
            pass  # it was that quick
    for client in clients:
        try:
            client.sendall(b"x")
            served += client.recv(1) == b"x"
        except OSError as error:
            assert error.errno in (errno.ECONNRESET, errno.EPIPE), error
    assert served == (limit - 128) // 3 + 1
    assert there.wait_event("full")["connections"] == served
    for client in clients:
        client.close()
    there.wait_events(served, "closed", cause="done")
    assert there.ask(b"again") == b"again"


def limit_of(process):
    for line in pathlib.Path(f"/proc/{process.child.pid}/limits").read_text().splitlines():
        if line.startswith("Max open files"):
            return line.split()[3]
    raise AssertionError("no limit")


# --------------------------------------------------------------------------------------------------------- trust

def test_an_unknown_station_and_the_way_out(serve, forward, target, bob):
    bob.known.unlink()
    behind = target(echo)
    server = serve(behind.place)
    there = forward(server, peer=False)
    assert there.is_reset(b"secret") and there.is_reset()
    said = there.events("unknown-station")
    assert len(said) == 1, "it is said once a minute"
    assert said[0]["fingerprint"] == server.fingerprint
    command = f"helio trust add {server.place()} {server.fingerprint}"
    assert command in said[0]["message"] and "terminal" not in said[0]["message"], said
    assert behind.accepted == 0
    # What the message says to do, helps, without a restart.
    done = bob.run(*command.split()[1:])
    assert done.status == DONE, done
    assert there.ask(b"now") == b"now"
    assert there.wait_closed("done")["peer"] == server.place()


def test_a_changed_key(serve, forward, target, bob, carol):
    behind = target(echo)
    server = serve(behind.place)
    bob.trust(server.place(), carol.fingerprint())
    there = forward(server, "--accept-new", peer=False)
    assert there.is_reset(b"secret")
    said = there.events("changed-key")
    assert said, there.text()
    assert server.fingerprint in said[0]["message"] and carol.fingerprint() in said[0]["message"], said
    assert behind.accepted == 0


def test_accept_new_remembers_for_all_of_them(serve, forward, target, bob):
    bob.known.unlink()
    server = serve(target(echo).place)
    there = forward(server, "--accept-new", peer=False)
    clients = [there.connect() for _ in range(10)]
    for i, client in enumerate(clients):
        assert converse(client, noise(100, i)) == noise(100, i), there.text()
        client.close()
    assert bob.known.read_text().count(server.fingerprint) == 1
    assert f"{server.place()} {server.fingerprint}" in bob.known.read_text()


def test_peer_names_one_station_and_no_other(serve, forward, target, bob, carol):
    server = serve(target(echo).place)
    bob.trust("carol", carol.fingerprint())
    there = forward(server, "--peer", "carol", peer=False)
    assert there.is_reset(b"secret")
    assert any(server.fingerprint in e["message"] for e in there.events() if e["level"] == "error"), there.text()
    there = forward(server, "--peer", "alice", peer=False)
    assert there.ask(b"yes") == b"yes"


def test_a_station_that_does_not_know_us(serve, forward, target, carol):
    behind = target(echo)
    server = serve(behind.place)
    there = forward(server, station=carol)
    assert there.is_reset(b"secret") and there.is_reset()
    said = there.events("refused")
    assert len(said) == 1 and said[0]["level"] == "error" and "helio trust add" in said[0]["message"], said
    assert "does not trust our key" in said[0]["reason"] and behind.accepted == 0
    assert carol.fingerprint() in said[0]["message"]
    assert not there.events("unreachable"), "it was reached"


def test_a_station_that_does_not_forward(forward, friends, running):
    server = Server(friends[0], "--room")
    running.append(server)
    there = forward(server)
    assert there.is_reset(b"hello")
    assert "serve --forward" in there.wait_event("refused")["message"]


def test_a_station_that_comes_back_as_another(forward, target, alice, serve, carol, bob, running, port):
    """It was away, and what is there now is not it: that is an answer, and the first comer gets it."""
    there = forward(None, "--peer", alice.fingerprint(), peer=False, where=f"{HERE}:{port}")
    with there.connect() as client:
        there.wait_event("unreachable")
        carol.trust("bob", bob.fingerprint())
        running.append(Server(carol, "--echo", where=f"{HERE}:{port}"))
        assert ends_with_a_reset(client)
    assert there.events("reached") and there.is_reset(), there.text()
    assert any(carol.fingerprint() in e["message"] for e in there.events() if e["level"] == "error"), there.text()
    running.pop().stop()
    with there.connect() as client:
        there.wait_events(2, "unreachable")
        serve(target(echo).place, where=f"{HERE}:{port}")
        assert converse(client, b"at last") == b"at last"


def test_known_stations_that_cannot_be_read(serve, forward, target, bob):
    server = serve(target(echo).place)
    there = forward(server, peer=False)
    good = bob.known.read_text()
    bob.known.write_text("nonsense\n")
    assert there.is_reset(b"hello")
    assert any(str(bob.known) in e["message"] for e in there.events() if e["level"] == "error"), there.text()
    bob.known.write_text(good)
    assert there.ask(b"hello") == b"hello"


def test_what_is_no_station_at_all(forward, target, alice):
    web = target(lambda connection: (connection.recv(1000), connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n"))[0])
    there = forward(None, "--peer", alice.fingerprint(), peer=False, where=web.place)
    assert there.is_reset(b"hello")
    assert "does not speak helio/1" in there.wait_event("refused")["reason"]


# ------------------------------------------------------------------------------------------------------- the port

FAMILIES = {"IPv4": (socket.AF_INET, HERE), "IPv6": (socket.AF_INET6, "::1")}


@pytest.mark.parametrize("taken", FAMILIES)
@pytest.mark.parametrize("local", ["{}", "localhost:{}", "*:{}"])
def test_a_port_that_is_taken_in_one_family(bob, taken, local):
    family, host = FAMILIES[taken]
    other_family, other_host = FAMILIES["IPv6" if taken == "IPv4" else "IPv4"]
    with socket.create_server((host, 0), family=family) as squatter:
        port = squatter.getsockname()[1]
        done = bob.run("forward", local.format(port), f"{HERE}:1", "--log", "json")
        assert done.status == LOCAL and "cannot-listen" in done.err and "in use" in done.err, done
        assert '"forwarding"' not in done.err, done
        with socket.create_server((other_host, port), family=other_family):
            pass  # nothing was left behind


@pytest.mark.parametrize("local, hosts, others", [
    ("0", [HERE, "::1"], False),
    (":0", [HERE, "::1"], False),
    ("localhost:0", [HERE, "::1"], False),
    ("127.0.0.1:0", [HERE], False),
    ("[::1]:0", ["::1"], False),
    ("*:0", [HERE, "::1"], True),
])
def test_where_it_listens(serve, forward, target, local, hosts, others):
    there = forward(serve(target(echo).place), local=local)
    for host in (HERE, "::1"):
        if host in hosts:
            with there.connect(host) as client:
                assert converse(client, b"here") == b"here"
        else:
            with pytest.raises(ConnectionRefusedError):
                there.connect(host)
    # Of 127.0.0.0/8 this machine has all, and a port on one of them is not on another.
    if others:
        with there.connect("127.0.0.2") as client:
            assert converse(client, b"everywhere") == b"everywhere"
    else:
        with pytest.raises(ConnectionRefusedError):
            there.connect("127.0.0.2")


@pytest.mark.parametrize("option, host, other", [("-4", HERE, "::1"), ("-6", "::1", HERE)])
def test_one_family_alone(forward, alice, option, host, other):
    there = forward(None, option, "--peer", alice.fingerprint(), peer=False, where=f"localhost:1")
    there.connect(host).close()
    with pytest.raises(ConnectionRefusedError):
        there.connect(other)


# -------------------------------------------------------------------------------------------------------- the end

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_nobody_is_there(joined, number):
    there, _, _ = joined(echo)
    assert there.stop(number) == DONE, there.text()
    with pytest.raises(ConnectionRefusedError):
        there.connect()


def test_a_signal_lets_connections_finish(joined):
    there, _, _ = joined(echo)
    with there.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        there.send(signal.SIGTERM)
        there.wait_event("stopping")
        with pytest.raises(ConnectionRefusedError):
            there.connect()
        assert converse(client, noise(1_000_000)) == noise(1_000_000)
    assert there.end() == DONE
    assert there.events("closed", cause="done") and not there.events("grace"), there.text()


@pytest.mark.parametrize("seconds", [0, 1])
def test_grace_is_an_end(joined, seconds):
    there, _, behind = joined(echo, "--grace", str(seconds))
    with there.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        began = time.monotonic()
        there.send(signal.SIGTERM)
        assert ends_with_a_reset(client)
        assert there.end() == DONE
        assert seconds - 0.1 < time.monotonic() - began < seconds + 5
    assert there.events("closed", cause="we ended") and there.events("grace")[0]["level"] == "warning"
    assert isinstance(behind.result(), ConnectionError), "the target saw an end in order"


def test_a_second_signal_ends_all_at_once(joined):
    there, _, _ = joined(echo, "--grace", "60")
    with there.connect() as client:
        client.sendall(b"x")
        assert client.recv(1) == b"x"
        there.send(signal.SIGTERM)
        there.wait_event("stopping")
        there.send(signal.SIGINT)
        assert there.end() == 128 + signal.SIGINT
        assert ends_with_a_reset(client)


def test_a_signal_ends_those_who_wait(forward, alice, port):
    there = forward(None, "--peer", alice.fingerprint(), peer=False, where=f"{HERE}:{port}")
    with there.connect() as client:
        there.wait_event("unreachable")
        there.send(signal.SIGTERM)
        assert ends_with_a_reset(client)
        assert there.end() == DONE


@pytest.mark.parametrize("accepts", [True, False])
def test_a_signal_in_the_middle_of_a_call(forward, alice, accepts):
    with socket.create_server((HERE, 0), backlog=0) as silent:
        queue = [socket.socket() for _ in range(0 if accepts else 4)]
        for waiting in queue:  # the queue is full; the kernel drops whoever comes now
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        place = "%s:%d" % silent.getsockname()
        there = forward(None, "--peer", alice.fingerprint(), "--grace", "1", peer=False, where=place)
        with there.connect() as client:
            called = silent.accept()[0] if accepts else socket.socket()
            time.sleep(0.2)
            began = time.monotonic()
            there.send(signal.SIGTERM)
            assert ends_with_a_reset(client)
            assert there.end() == DONE
            assert time.monotonic() - began < 5
        for waiting in queue + [called]:
            waiting.close()


def test_nothing_is_left_behind(joined, serve):
    there, server, _ = joined(echo)
    for i in range(5):
        assert there.ask(noise(1000, i)) == noise(1000, i)
    there.wait_events(5, "closed")
    before, memory = there.descriptors(), there.memory()
    for i in range(200):
        with there.connect() as client:
            client.sendall(noise(1000, i))
            assert client.recv(1000, socket.MSG_WAITALL) == noise(1000, i)
            if i % 3 == 0:
                reset(client)
            elif i % 3 == 1:
                client.shutdown(socket.SHUT_WR)
                assert read_all(client) == b""
    there.wait_events(205, "closed")
    wait_until("as many descriptors as before", lambda: there.descriptors() <= before)
    if not is_sanitized():
        assert there.memory() - memory < 2048


# ---------------------------------------------------------------------------------------------------- how it is called

@pytest.mark.parametrize("args, words", [
    ([], ["forward"]),
    (["7000"], ["forward"]),
    (["7000", "a:1", "b:1"], ["forward"]),
    (["x", "a:1"], ["[HOST:]PORT", "not a number"]),
    (["65536", "a:1"], ["[HOST:]PORT", "over 65535"]),
    (["::1:7000", "a:1"], ["[HOST:]PORT", "brackets"]),
    (["7000", "a"], ["STATION:PORT", "port is missing"]),
    (["7000", ":1"], ["STATION:PORT", "host is missing"]),
    (["7000", "a:0"], ["STATION:PORT", "port 0"]),
    (["7000", "a:70000"], ["STATION:PORT", "over 65535"]),
    (["7000", "a:1", "--peer", "nobody"], ["nobody"]),
    (["7000", "a:1", "--timeout", "0"], ["--timeout", "1 to 86400"]),
    (["7000", "a:1", "--grace", "-1"], ["--grace"]),
    (["7000", "a:1", "--classic"], ["--classic"]),
    (["7000", "a:1", "--echo"], ["--echo"]),
])
def test_mistakes(bob, args, words):
    done = bob.run("forward", *args)
    assert done.status == USAGE and done.out == "", done
    for word in words:
        assert word in done.err, (word, done)


def test_help(bob):
    done = bob.run("forward", "--help")
    assert done.status == DONE and done.err == "", done
    for word in ("[HOST:]PORT STATION:PORT", "serve --forward", "*:PORT", "--timeout", "--grace", "--peer"):
        assert word in done.out, word
    assert all(len(line) <= 90 for line in done.out.split("options:\n")[0].splitlines()), done.out
