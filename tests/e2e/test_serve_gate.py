"""helio serve's door: who floods it keeps nobody else out.  Sources are addresses of 127.0.0.0/8, which are all ours."""
import contextlib
import socket
import time

import pytest

from server import HERE, Server, wait_until
from test_serve_metrics import Page

DONE, LOCAL, USAGE, NO_CONNECTION, TRUST, LINE = range(6)


@pytest.fixture
def serve(friends):
    """serve(...): alice, who knows bob, serves echo with metrics; returns server and page."""
    servers = []

    def start(*args):
        servers.append(Server(friends[0], "--echo", "--metrics", f"{HERE}:0", *args))
        return servers[-1], Page(servers[-1])

    yield start
    for server in servers:
        if server.child.poll() is None:
            assert server.stop() == DONE, server.text()


@pytest.fixture
def flood():
    """flood(server, sources, each): so many connections of each source, which say nothing and stay."""
    with contextlib.ExitStack() as stack:
        def start(server, sources, each):
            return [stack.enter_context(socket.create_connection((HERE, server.port), timeout=10, source_address=(source, 0)))
                    for _ in range(each) for source in sources]
        yield start


def sources(n):
    return [f"127.1.{i // 250}.{1 + i % 250}" for i in range(n)]


def shaking(page):
    return page.values()['helio_sessions{state="handshake"}']


def dropped(page, reason):
    return page.values()[f'helio_connections_dropped_total{{reason="{reason}"}}']


def served(server, caller, timeout=10):
    """Whether the caller is served at the first try; how long that took."""
    begin = time.monotonic()
    done = server.call(caller, "--timeout", str(timeout), input=b"let me in")
    return done.status == DONE and done.raw == b"let me in", time.monotonic() - begin


def test_one_source_keeps_nobody_out(serve, flood, bob):
    """However many connections it has open, and however often others call."""
    server, page = serve("--max-handshakes", "32")
    flood(server, ["127.0.0.9"], 500)
    wait_until("its share is full", lambda: shaking(page) == 16 and dropped(page, "share") == 484)
    for _ in range(10):
        good, took = served(server, bob)
        assert good and took < 2, server.text()
    assert dropped(page, "early") == dropped(page, "full") == 0


def test_many_sources_do_not_keep_out_who_tries_again(serve, flood, bob):
    """At three quarters every second caller is dropped; 40 in a row are not."""
    server, page = serve("--max-handshakes", "64", "--timeout", "60")
    for source in sources(200):
        if shaking(page) >= 48:
            break
        flood(server, [source], 1)
    wait_until("it is three quarters full", lambda: shaking(page) >= 48)
    tries = [served(server, bob)[0] for _ in range(40)]
    assert 5 < sum(tries) < 35, tries
    assert dropped(page, "early") >= 40 - sum(tries)
    assert shaking(page) < 64


def test_at_the_limit_nobody_gets_in(serve, flood, bob):
    server, page = serve("--max-handshakes", "8", "--timeout", "60")
    flood(server, sources(100), 3)
    wait_until("it is full", lambda: shaking(page) == 8 and dropped(page, "early") + dropped(page, "full") == 292)
    done = server.call(bob, input=b"x")
    assert done.status in (NO_CONNECTION, LINE) and done.raw == b"", done


def test_places_are_free_again_when_the_time_is_up(serve, flood, bob):
    server, page = serve("--max-handshakes", "8", "--timeout", "1")
    flood(server, sources(100), 3)
    wait_until("their time is up", lambda: shaking(page) == 0)
    assert page.values()['helio_handshakes_total{result="timed-out"}'] == 8
    assert served(server, bob)[0]
    assert page.values()["helio_penalized_sources"] == 0  # ten seconds are not fifteen


def violate(server, source):
    """Whether the source came in: it breaks the protocol, and is told so."""
    with socket.create_connection((HERE, server.port), timeout=10, source_address=(source, 0)) as one:
        try:
            one.sendall(bytes(1000))
            one.shutdown(socket.SHUT_WR)
            return one.recv(1) != b""
        except OSError:  # it was cut before it had said all
            return False


def test_who_breaks_the_protocol_has_to_wait_alone(serve, bob):
    server, page = serve()
    for n in (1, 2):
        violate(server, "127.0.0.5")
        wait_until("it is settled", lambda n=n: page.values()['helio_handshakes_total{result="violated"}'] == n)
    for _ in range(20):
        assert not violate(server, "127.0.0.5")
    assert dropped(page, "penalty") == 20
    assert page.values()["helio_connections_accepted_total"] == 2
    for _ in range(3):
        assert served(server, bob)[0]


def test_penalties_may_be_off(serve, flood):
    server, page = serve("--no-penalties", "--max-handshakes", "8")
    for n in range(1, 6):
        violate(server, "127.0.0.5")
        wait_until("it is settled", lambda n=n: page.values()['helio_handshakes_total{result="violated"}'] == n)
    flood(server, ["127.0.0.5"], 200)
    wait_until("it has all there is", lambda: shaking(page) == 8)
    assert dropped(page, "penalty") == dropped(page, "share") == 0


def test_an_open_line_makes_good_for_what_was(serve, bob):
    """Fourteen who leave are forgiven; without the line, the next fourteen would be too many."""
    server, page = serve()
    for round_ in range(3):
        for n in range(14):
            socket.create_connection((HERE, server.port)).close()
        wait_until("they are settled", lambda r=round_: page.values()['helio_handshakes_total{result="left"}'] == 14 * (r + 1))
        assert served(server, bob)[0]
    assert dropped(page, "penalty") == 0
