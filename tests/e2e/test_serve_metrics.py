"""helio serve --metrics: the numbers are right, the page is where it was asked for, and who pesters it hurts nobody."""
import http.client
import os
import pathlib
import re
import signal
import socket
import time

import pytest

from conftest import program
from server import HERE, Server, wait_until
from test_line import needs_ipv6

DONE, LOCAL, USAGE, NO_CONNECTION, TRUST, LINE = range(6)
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\]|\\.)*",?)+)\})? (\S+)')


class Page:
    """The metrics of a Server that runs with --metrics."""

    def __init__(self, server, host=HERE):
        self.host, self.port = host, server.wait_event("metrics")["port"]

    def ask(self, method="GET", path="/metrics", **kwargs):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        try:
            connection.request(method, path, **kwargs)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def values(self):
        """{'helio_sessions{state="open"}': 1.0, …}"""
        answer, body = self.ask()
        assert answer.status == 200, body
        found = {}
        for line in body.decode().splitlines():
            if not line.startswith("#"):
                match = SAMPLE.fullmatch(line)
                assert match, f"no sample: {line!r}"
                assert line.split(" ")[0] not in found, f"twice: {line!r}"
                found[line.rsplit(" ", 1)[0]] = float(match[3])
        return found

    def wait(self, **wanted):
        """Until the values, by names as in handshakes_opened=1 below, are as wanted; then all values."""
        seen = {}

        def as_wanted():
            seen.update(self.values())
            return all(seen.get(NAMES[name]) == value for name, value in wanted.items())

        try:
            wait_until(str(wanted), as_wanted)
        except AssertionError as error:
            raise AssertionError(f"{error}; seen { {n: seen.get(NAMES[n]) for n in wanted} }") from None
        return seen


NAMES = {
    "handshaking": 'helio_sessions{state="handshake"}',
    "open": 'helio_sessions{state="open"}',
    "accepted": "helio_connections_accepted_total",
    "received": 'helio_bytes_total{direction="received"}',
    "sent": 'helio_bytes_total{direction="sent"}',
    "epochs_received": 'helio_epochs_total{direction="received"}',
    "epochs_sent": 'helio_epochs_total{direction="sent"}',
    "reloads": "helio_roll_reloads_total",
    "dropped_penalty": 'helio_connections_dropped_total{reason="penalty"}',
    "dropped_share": 'helio_connections_dropped_total{reason="share"}',
    "penalized": "helio_penalized_sources",
    "opened": 'helio_handshakes_total{result="opened"}',
    "refused": 'helio_handshakes_total{result="refused"}',
    "left": 'helio_handshakes_total{result="left"}',
    "timed_out": 'helio_handshakes_total{result="timed-out"}',
    "violated": 'helio_handshakes_total{result="violated"}',
    "shaken": "helio_handshake_seconds_count",
    "ended": "helio_line_seconds_count",
    "done": 'helio_lines_closed_total{cause="done"}',
}


@pytest.fixture
def serve(friends):
    """serve(...): alice, who knows bob, serves echo with metrics; returns server and page."""
    servers = []

    def start(*args, metrics=f"{HERE}:0", **kwargs):
        server = Server(friends[0], "--echo", "--metrics", metrics, *args, **kwargs)
        servers.append(server)
        return server, Page(server, metrics.rsplit(":", 1)[0].strip("[]"))

    yield start
    for server in servers:
        if server.child.poll() is None:
            assert server.stop() == DONE, server.text()


# ------------------------------------------------------------------------------------------------------ the numbers

def test_before_anybody_has_called(serve):
    server, page = serve()
    seen = page.values()
    assert all(seen[name] == 0 for name in NAMES.values() if name in seen), seen
    assert seen["process_open_fds"] == pytest.approx(server.descriptors(), abs=3)
    assert seen["process_resident_memory_bytes"] == pytest.approx(1024 * server.memory(), rel=0.2)
    assert abs(seen["process_start_time_seconds"] - time.time()) < 30
    assert len([name for name in seen if name.startswith("helio_build_info{version=")]) == 1


def test_a_line_from_begin_to_end(serve, bob):
    server, page = serve()
    call = server.start_call(bob)
    call.stdin.write(b"x" * 1000)
    assert call.stdout.read(1) == b"x"
    seen = page.wait(open=1, handshaking=0, accepted=1, opened=1, received=1000, sent=1000)
    assert seen[NAMES["shaken"]] == 1 and seen[NAMES["ended"]] == 0
    assert 0 <= seen["helio_handshake_seconds_sum"] < 10
    assert seen['helio_handshake_seconds_bucket{le="10"}'] == 1
    call.stdin.close()
    call.stdout.read()
    assert call.wait(timeout=20) == DONE
    page.wait(open=0, done=1, ended=1, accepted=1, received=1000, sent=1000)


def test_the_sum_of_many_lines(serve, bob):
    server, page = serve("--threads", "2")
    for n in (1, 10, 5_000_000):
        assert server.call(bob, input=b"x" * n).status == DONE
    seen = page.wait(done=3, open=0, opened=3, received=5_000_011, sent=5_000_011)
    # IDEA changes its key after each MiB: 5 million bytes are 4 of them.
    assert seen[NAMES["epochs_received"]] == seen[NAMES["epochs_sent"]] == 4


def test_handshakes_that_come_to_nothing(serve, bob, carol):
    server, page = serve()
    assert server.call(carol).status == TRUST  # nobody knows her
    page.wait(refused=1)
    socket.create_connection((HERE, server.port)).close()
    page.wait(left=1)
    with socket.create_connection((HERE, server.port)) as stranger:
        page.wait(handshaking=1)
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: you\r\n\r\n" + bytes(100))
        page.wait(violated=1, handshaking=0)
    seen = page.wait(accepted=3)
    assert seen[NAMES["opened"]] == seen[NAMES["shaken"]] == seen[NAMES["open"]] == 0


def test_penalties_show(serve, bob):
    server, page = serve()
    for n in (1, 2):
        with socket.create_connection((HERE, server.port)) as stranger:
            stranger.sendall(bytes(1000))
            page.wait(violated=n)
    with socket.create_connection((HERE, server.port)) as again:
        assert again.recv(1) == b""
    page.wait(dropped_penalty=1, penalized=1, accepted=2)


def test_one_source_has_its_share(serve, bob):
    server, page = serve("--max-handshakes", "8")
    idle = [socket.create_connection((HERE, server.port)) for _ in range(6)]
    page.wait(handshaking=4, dropped_share=2)
    for one in idle:
        one.close()
    page.wait(handshaking=0, left=4)


def test_reading_the_roll_again_counts_when_it_was_read(serve, friends):
    server, page = serve()
    server.reload()
    page.wait(reloads=1)
    friends[0].known.write_text("not a line of it\n")
    server.reload()
    page.wait(reloads=1)


# --------------------------------------------------------------------------------------------------------- the page

def test_what_the_page_answers(serve):
    _, page = serve()
    answer, body = page.ask()
    assert (answer.status, answer.getheader("Content-Type")) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert answer.getheader("Content-Length") == str(len(body)) and body.endswith(b"\n")
    answer, body = page.ask("HEAD")
    assert answer.status == 200 and int(answer.getheader("Content-Length")) > 1000 and body == b""
    assert page.ask(path="/metrics?name[]=helio_sessions")[0].status == 200
    for path in ("/", "/metrics/", "/metric", "/metrics/../metrics", "//metrics"):
        assert page.ask(path=path)[0].status == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "NONSENSE"):
        answer, _ = page.ask(method, body=b"x" * 10)
        assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD"), method


def test_one_connection_asks_twice(serve):
    _, page = serve()
    connection = http.client.HTTPConnection(HERE, page.port, timeout=10)
    for _ in range(3):
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()
        assert connection.sock, "the connection was to stay"
    connection.close()


def test_it_is_where_it_was_asked_for_and_nowhere_else(serve):
    _, page = serve()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", page.port), timeout=5).close()


@needs_ipv6
def test_on_ipv6(serve):
    server, page = serve(metrics="[::1]:0")
    assert page.values()[NAMES["open"]] == 0
    assert server.wait_event("metrics")["message"].startswith("metrics at http://[::1]:")


@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"),
                                          pytest.param(socket.AF_INET6, "::1", marks=needs_ipv6)])
def test_a_port_that_is_taken(alice, family, host):
    """On either family, also where the name means both."""
    with socket.create_server((host, 0), family=family) as other:
        port = other.getsockname()[1]
        for place in (f"[{host}]:{port}" if ":" in host else f"{host}:{port}", f"localhost:{port}"):
            done = alice.run("serve", "--echo", "--metrics", place, f"{HERE}:0")
            assert done.status == LOCAL, done
            assert "cannot listen on" in done.err and str(port) in done.err, done


@pytest.mark.parametrize("place", ["", "9464", ":9464", "localhost", "localhost:x", "localhost:65536"])
def test_a_place_that_is_none(alice, place):
    done = alice.run("serve", "--echo", "--metrics", place, f"{HERE}:0")
    assert done.status == USAGE, done
    assert "metrics" in done.err, done


# ------------------------------------------------------------------------------------------------------ the hostile

def assert_little_more(server, before, kib):
    """A sanitized program keeps what was freed, to find out who still looks at it."""
    if b"__asan_init" not in pathlib.Path(program()).read_bytes():
        assert server.memory() - before < kib


def works(server, page, caller):
    begin = time.monotonic()
    assert page.values()[NAMES["open"]] == 0
    assert time.monotonic() - begin < 2
    assert server.call(caller, input=b"still there").raw == b"still there"


def test_those_who_never_finish_asking(serve, bob):
    """Slowloris: the oldest go as others come, and the one who asks properly is answered."""
    server, page = serve()
    works(server, page, bob)  # what is opened at the first use is open now
    descriptors = server.descriptors()
    slow = []
    for _ in range(200):
        one = socket.create_connection((HERE, page.port), timeout=10)
        one.sendall(b"GET /metrics HTTP/1.1\r\nHost: ")
        slow.append(one)
        if len(slow) % 50 == 0:
            works(server, page, bob)
    wait_until("few of them are kept", lambda: server.descriptors() - descriptors <= 20)
    for one in slow[-10:]:
        try:
            one.sendall(b"x")
        except OSError:
            pass  # it was cut: fine
    works(server, page, bob)
    for one in slow:
        one.close()
    wait_until("all descriptors are given back", lambda: server.descriptors() <= descriptors)


def test_those_who_do_not_read_the_answer(serve, bob):
    server, page = serve()
    before = server.memory()
    deaf = []
    for _ in range(40):
        one = socket.create_connection((HERE, page.port), timeout=10)
        one.setblocking(False)
        try:
            while True:
                one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        except OSError:
            pass
        deaf.append(one)
    works(server, page, bob)
    assert_little_more(server, before, 8192)
    for one in deaf:
        one.close()


@pytest.mark.parametrize("request_text", [
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"a" * 1_000_000,
    b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + b"a" * 1_000_000,
    os.urandom(100_000),
    b"\0" * 100_000,
    b"\r\n" * 100_000,
], ids=["header", "path", "headers", "body", "chunk", "noise", "zeros", "blank"])
def test_requests_that_are_too_much(serve, bob, request_text):
    server, page = serve()
    before = server.memory()
    for _ in range(10):
        with socket.create_connection((HERE, page.port), timeout=10) as one:
            try:
                one.sendall(request_text)
                one.shutdown(socket.SHUT_WR)
                while one.recv(65536):
                    pass
            except OSError:
                pass  # it was cut: fine
    works(server, page, bob)
    assert_little_more(server, before, 4096)


def test_the_server_ends_while_somebody_is_asking(serve):
    server, page = serve()
    with socket.create_connection((HERE, page.port), timeout=10) as one:
        one.sendall(b"GET /metrics")
        begin = time.monotonic()
        assert server.stop(signal.SIGTERM) == DONE
        assert time.monotonic() - begin < 5
        assert one.recv(1) == b""
