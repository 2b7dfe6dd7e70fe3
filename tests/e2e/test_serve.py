"""helio serve: who comes in, who does not, and how it all ends.  The service is echo: what a station sent must come back."""
import json
import contextlib
import random
import signal
import socket
import threading
import time

import pexpect
import pytest

from proxy import DOWN, UP, Proxy
from server import HERE, Server, wait_until
from test_python_station import Naive

DONE, LOCAL, USAGE, NO_CONNECTION, TRUST, LINE = range(6)
SUITES = ["idea-ctr-poly1305", "chacha20-poly1305", "aes-256-gcm"]


def noise(n, seed=5):
    return random.Random(seed).randbytes(n)


@pytest.fixture
def serve(friends):
    """serve("--allow", file): alice, who knows bob, serves echo.  At the end she must stop in order."""
    servers = []

    def start(*args, station=None, **kwargs):
        servers.append(Server(station or friends[0], "--echo", *args, **kwargs))
        return servers[-1]

    yield start
    for server in servers:
        if server.child.poll() is None:
            assert server.stop() == DONE, server.text()


def read_exactly(stream, n):
    got = b""
    while len(got) < n and (more := stream.read(n - len(got))):
        got += more
    return got


def idle_line(server, caller, *args):
    """A line that is open and has shown it: a byte has come back."""
    call = server.start_call(caller, *args)
    call.stdin.write(b"x")
    assert call.stdout.read(1) == b"x"
    return call


def stands_still(figure, seconds=0.3):
    before = figure()
    time.sleep(seconds)
    return figure() == before


def hang_up(call):
    """The caller has no more to say; its exit status."""
    call.stdin.close()
    call.stdout.read()
    return call.wait(timeout=20)


# ------------------------------------------------------------------------------------------------------------- echo

@pytest.mark.parametrize("suite", SUITES)
def test_what_comes_goes_back(serve, bob, suite):
    server = serve("--suite", suite, "--threads", "2")
    for n in (0, 1, 65535, 65536, 65537, 3_000_001):
        done = server.call(bob, input=noise(n))
        assert done.status == DONE and done.raw == noise(n), (n, done)
        assert suite in done.err
    closed = server.wait_events(6, "closed", cause="done")
    assert sorted((e["sent"], e["received"]) for e in closed)[-1] == (3_000_001, 3_000_001)


def test_messages_stay_messages(serve, bob):
    server = serve()
    chat = bob.spawn("connect", "--peer", server.fingerprint, server.place())
    chat.expect("SHA256:")
    for text in ("one message", "and another"):
        chat.sendline(text)
        chat.expect(f"alice:[^\n]* {text}")  # a message of hers, and a line of its own
    chat.sendeof()
    chat.expect(pexpect.EOF)
    chat.close()
    assert chat.exitstatus == DONE
    assert server.wait_closed("done", "bob")["received"] == len("one messageand another")


def test_fifty_at_once(serve, bob):
    server = serve("--threads", "3")
    calls = []
    for i in range(50):
        call = server.start_call(bob, "-q")
        call.stdin.write(noise(1000, i))
        calls.append(call)
    for i, call in enumerate(calls):  # all of them are there before the first one leaves
        assert read_exactly(call.stdout, 1000) == noise(1000, i), server.text()
    for i, call in enumerate(calls):
        out, err = call.communicate(noise(100_000, 100 + i), timeout=60)
        assert (call.returncode, out) == (DONE, noise(100_000, 100 + i)), err
    closed = server.wait_events(50, "closed", cause="done")
    assert {e["received"] for e in closed} == {101_000}


def test_who_does_not_read_hurts_nobody(serve, bob):
    server = serve("--threads", "1")
    data = noise(30_000_000)
    slow = server.start_call(bob)
    feeder = threading.Thread(target=lambda: (slow.stdin.write(data), slow.stdin.close()))
    before = server.memory()
    feeder.start()
    for i in range(5):
        assert server.call(bob, input=noise(500_000, i)).raw == noise(500_000, i)
    assert feeder.is_alive(), "it was meant to be too much for all that is between"
    assert server.memory() - before < 8192, "what nobody reads is to wait where it comes from"
    assert read_exactly(slow.stdout, len(data)) == data
    feeder.join()
    assert slow.wait(timeout=20) == DONE


# ------------------------------------------------------------------------------------------------------ who is served

def test_a_stranger_is_refused(serve, alice, carol):
    server = serve("--no-penalties")
    done = server.call(carol, input=b"secret")
    assert done.status == TRUST and done.raw == b"" and "does not trust our key" in done.err, done
    said = server.wait_event("unknown-station", fingerprint=carol.fingerprint())
    assert "helio trust add" in said["command"] and "SIGHUP" in said["message"]
    assert not server.events("open")
    # What the message says to do, helps.
    alice.trust("carol", carol.fingerprint())
    assert server.call(carol).status == TRUST, "the roll is read when it is said, and not before"
    server.reload()
    assert server.call(carol, input=b"me").raw == b"me"
    assert server.wait_closed("done", "carol")


def test_nobody_on_the_roll(serve, carol):
    server = serve(station=carol)
    said = server.wait_event("nobody")
    assert said["level"] == "warning" and "NOBODY IS SERVED" in said["message"]
    assert server.call(carol).status == TRUST, "not even its own station"


def test_our_own_key_is_a_station_like_any_other(serve, alice):
    server = serve()
    assert not server.events("nobody")
    assert server.call(alice, input=b"self").raw == b"self"


def test_allow_serves_who_is_in_it_and_nobody_else(serve, alice, bob, carol, tmp_path):
    allow = tmp_path / "allowed"
    allow.write_text(f"# friends\ncaroline {carol.fingerprint()}\n")
    server = serve("--allow", allow, "--no-penalties")
    assert server.serving["roll"] == str(allow) and server.serving["stations"] == 1
    assert server.call(carol, input=b"1").raw == b"1"
    assert server.wait_event("open", peer="caroline")
    for refused in (alice, bob):  # our own key; one that is known
        assert server.call(refused).status == TRUST
    assert str(allow) in server.wait_event("unknown-station", fingerprint=bob.fingerprint())["command"]


@pytest.mark.parametrize("text", [None, "bob\n"])
def test_an_allow_file_that_cannot_be_read(alice, tmp_path, text):
    allow = tmp_path / "allowed"
    if text is not None:
        allow.write_text(text)
    done = alice.run("serve", "--echo", "--allow", allow, f"{HERE}:0")
    assert done.status == LOCAL and str(allow) in done.err, done


def test_an_empty_allow_file_warns(serve, tmp_path):
    allow = tmp_path / "allowed"
    allow.write_text("")
    assert f"--known {allow}" in serve("--allow", allow).wait_event("nobody")["message"]


def test_sighup_adds_and_removes(serve, bob, carol, tmp_path):
    allow = tmp_path / "allowed"
    allow.write_text(f"bob {bob.fingerprint()}\n")
    server = serve("--allow", allow, "--no-penalties", "--threads", "2")
    lines = [idle_line(server, bob) for _ in range(4)]  # at both posts
    allow.write_text(f"carol {carol.fingerprint()}\n")
    stays = idle_line(server, bob)  # not read yet
    server.reload()
    for line in lines + [stays]:
        line.stdout.read()
        assert line.wait(timeout=20) == LINE
    assert len(server.wait_events(5, "closed", cause="no longer allowed", peer="bob")) == 5
    assert server.call(bob).status == TRUST
    assert server.call(carol, input=b"new").raw == b"new"


def test_sighup_leaves_the_others_alone(serve, alice, bob, carol):
    server = serve()
    line = idle_line(server, bob)
    alice.trust("carol", carol.fingerprint())
    server.reload()
    line.stdin.write(b"still here")
    assert read_exactly(line.stdout, 10) == b"still here"
    assert hang_up(line) == DONE


def test_sighup_with_a_bad_file_changes_nothing(serve, bob, tmp_path):
    allow = tmp_path / "allowed"
    allow.write_text(f"bob {bob.fingerprint()}\n")
    server = serve("--allow", allow)
    line = idle_line(server, bob)
    allow.write_text("this is no roll\n")
    server.reload()
    assert server.events("roll-kept") and f"{allow}:1" in server.text()
    assert hang_up(line) == DONE
    assert server.call(bob, input=b"again").raw == b"again"


def test_peer_lets_one_station_in(serve, alice, bob, carol):
    alice.trust("carol", carol.fingerprint())
    server = serve("--peer", "carol")
    assert server.call(carol, input=b"c").raw == b"c"
    assert server.call(bob).status == TRUST
    assert server.wait_event("wrong-peer", fingerprint=bob.fingerprint())


def test_accept_new_remembers(serve, alice, carol):
    server = serve("--accept-new")
    assert server.call(carol, "--name", "caro", input=b"hello").raw == b"hello"
    assert f"caro {carol.fingerprint()}" in alice.known.read_text()
    assert server.wait_closed("done", "caro")
    assert server.call(carol, input=b"again").raw == b"again"
    assert len(server.wait_events(1, "trust-added")) == 1


def test_accept_new_never_helps_a_changed_key(serve, carol):
    server = serve("--accept-new")
    assert server.call(carol, "--name", "bob").status == TRUST
    assert server.wait_event("changed-key", fingerprint=carol.fingerprint())


def test_who_asks_its_user_first_is_no_attacker(serve, alice, carol):
    """connect hangs up to ask, and calls again: more than once, and penalties are on."""
    alice.trust("carol", carol.fingerprint())
    server = serve()
    for _ in range(4):
        carol.known.unlink(missing_ok=True)
        first = carol.spawn("connect", server.place())
        first.expect("Do you trust it")
        first.sendline("yes")
        first.expect("alice|connected|SHA256")
        first.expect("> ")
        first.sendeof()
        first.expect(pexpect.EOF)
        first.close()
        assert first.exitstatus == DONE
    assert len(server.wait_events(4, "closed", cause="done", peer="carol")) == 4


def test_a_service_that_is_not_here(serve, alice):
    server = serve("--accept-new")
    status, _, err = Naive("connect", server.port, "--service", "teapot", "--peer", server.fingerprint).end()
    assert status == 4, err
    assert server.wait_event("refused", cause="service")["service"] == "teapot"
    assert not server.events("open")


def test_no_room(serve, bob):
    server = serve("--max-stations", "2", "--threads", "2")
    lines = [idle_line(server, bob) for _ in range(2)]
    done = server.call(bob)
    assert done.status == NO_CONNECTION and "call again later" in done.err, done
    assert server.wait_event("refused", cause="busy", peer="bob")
    assert hang_up(lines[0]) == DONE
    server.wait_closed("done")
    assert server.call(bob, input=b"room").raw == b"room"
    assert hang_up(lines[1]) == DONE


# ----------------------------------------------------------------------------------------------- what can go wrong

def test_a_killed_peer_is_a_cut_line(serve, bob):
    server = serve()
    line = idle_line(server, bob)
    line.kill()
    line.wait()
    closed = server.wait_closed("cut", "bob")
    assert (closed["status"], closed["received"], closed["sent"]) == (LINE, 1, 1)
    assert server.call(bob, input=b"next").raw == b"next"


def test_a_peer_that_is_killed_while_it_does_not_read(serve, bob):
    """Neither direction moves any more; the end is noticed all the same."""
    server = serve()
    slow = server.start_call(bob)
    data = noise(30_000_000)

    def feed():
        with contextlib.suppress(BrokenPipeError):
            slow.stdin.write(data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    wait_until("all that is between is full", lambda: stands_still(lambda: server.busy()))
    slow.kill()
    feeder.join()
    closed = server.wait_closed("cut", "bob")
    assert closed["received"] < len(data)


@pytest.mark.parametrize("fault, cause", [(dict(cut=(UP, 100_000)), "cut"), (dict(cut=(DOWN, 100_000)), "cut"),
                                          (dict(flip=(UP, 100_000)), "altered")])
def test_a_line_that_is_cut_or_altered(serve, bob, fault, cause):
    server = serve()
    with Proxy(server.port, **fault) as proxy:
        done = bob.run("connect", "--peer", server.fingerprint, f"{HERE}:{proxy.port}", input=noise(1_000_000))
    assert done.status == LINE and noise(1_000_000).startswith(done.raw), done.err
    assert server.wait_closed(cause, "bob")["status"] == LINE


@pytest.mark.parametrize("place", [0, 1, 90, 600])
def test_a_handshake_that_is_cut(serve, bob, place):
    server = serve("-v")
    with Proxy(server.port, cut=(UP, place)) as proxy:
        done = bob.run("connect", "--peer", server.fingerprint, f"{HERE}:{proxy.port}")
    assert done.status == LINE
    assert "cut" in server.wait_event("no-line")["message"]
    assert not server.events("open")


def test_faults_of_stations(serve):
    """None of them comes further than it may, and the server goes on."""
    server = serve("--accept-new", "--no-penalties", "-v")
    early = ["version", "share", "garbage", "proof-tag", "signature", "confirmation", "padding"]
    late = ["record-tag", "cut", "alert", "kind", "receipt", "full"]
    for fault in early:
        Naive("connect", server.port, "--peer", server.fingerprint, "--fault", fault).end()
    assert not server.events("open")
    for fault in late:
        Naive("connect", server.port, "--peer", server.fingerprint, "--fault", fault).end()
    assert len(server.wait_events(len(late), "closed")) == len(server.events("open")) == len(late)
    assert not server.events("closed", cause="done")
    assert Naive("connect", server.port, "--peer", server.fingerprint).end()[0] == 0


def test_a_caller_that_says_nothing(serve, bob):
    server = serve("--timeout", "1")
    with socket.create_connection((HERE, server.port)) as silent:
        assert server.call(bob, input=b"meanwhile").raw == b"meanwhile"
        silent.settimeout(10)
        while silent.recv(100):
            pass
    assert "1 timed-out" in server.wait_event("turned-away")["failed_how"]


def test_a_crowd_at_the_door(serve, bob):
    """Those inside notice nothing, and the log is not filled."""
    server = serve("--max-handshakes", "4", "--no-penalties", "--timeout", "3")
    line = idle_line(server, bob)
    crowd = [socket.create_connection((HERE, server.port)) for _ in range(60)]
    line.stdin.write(b"still served")
    assert read_exactly(line.stdout, 12) == b"still served"
    said = server.wait_event("turned-away")
    assert said["dropped"] >= 50 and " full" in said["dropped_why"]
    for one in crowd:
        one.close()
    wait_until("a place at the door", lambda: server.call(bob, input=b"in").raw == b"in", 20)
    assert hang_up(line) == DONE
    assert len(server.events("turned-away")) < 15, server.text()


def test_a_source_that_fails_again_and_again_has_to_wait(serve, bob):
    server = serve()
    for _ in range(2):
        with socket.create_connection((HERE, server.port)) as mad:
            mad.sendall(b"GET / HTTP/1.0\r\n\r\n" + bytes(100))
            mad.recv(100)
    wait_until("a penalty", lambda: server.call(bob).status != DONE)
    assert "1 penalty" in server.wait_event("turned-away", dropped=1)["dropped_why"]


def test_options_in_the_config_file(serve, alice, bob, carol):
    """A relative roll stands beside the config file."""
    (alice.home / "staff").write_text(f"c {carol.fingerprint()}\n")
    alice.config.write_text("allow = staff\nmax-stations = 1\nthreads = 2\ngrace = 1\n")
    server = serve("--no-penalties")
    assert server.serving["threads"] == 2 and server.serving["roll"] == str(alice.home / "staff")
    assert server.call(bob).status == TRUST
    assert server.call(carol, input=b"c").raw == b"c"


# --------------------------------------------------------------------------------------------------------- the port

@pytest.mark.parametrize("family, taken", [(socket.AF_INET, HERE), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::")])
def test_the_port_is_taken(alice, family, taken):
    with socket.socket(family) as other:
        if family == socket.AF_INET6:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind((taken, 0))
        other.listen()
        done = alice.run("serve", "--echo", str(other.getsockname()[1]))
    assert done.status == LOCAL and "in use" in done.err and "choose another port" in done.err, done


def test_an_address_that_is_not_ours(alice):
    done = alice.run("serve", "--echo", "192.0.2.1:0")
    assert done.status == LOCAL and "192.0.2.1" in done.err, done


@pytest.mark.parametrize("args, hint", [
    ([], "say what the stations get"),
    (["--echo", "--room"], "only one of them"),
    (["--exec", "cat", "--forward", "localhost:1"], "only one of them"),
    (["--echo", "--metrics", "9100"], "on which address"),
    (["--echo", "--threads", "0"], "from 1 to 64"),
    (["--echo", "--allow", "f", "--accept-new"], "exclude each other"),
    (["--echo", "--allow", "f", "--peer", "bob"], "exclude each other"),
    (["--echo", "--keep"], "not for this verb"),
    (["--echo", "--classic"], "not for this verb"),
    (["--echo", "--peer", "nobody"], "no station \"nobody\""),
])
def test_wrong_usage(alice, args, hint):
    done = alice.run("serve", *args, f"{HERE}:0")
    assert done.status == USAGE and hint in done.err, done


def test_the_port_is_missing(alice):
    done = alice.run("serve", "--echo")
    assert done.status == USAGE and "[HOST:]PORT is missing" in done.err, done


# -------------------------------------------------------------------------------------------------------- stopping

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_with_nobody_there(serve, number):
    server = serve("--grace", "60")
    before = time.monotonic()
    assert server.stop(number) == DONE
    assert time.monotonic() - before < 5


def test_lines_finish(serve, bob):
    """The peer hears of the end of our direction, ends its own, and all is well at both ends."""
    server = serve("--threads", "2")
    lines = [idle_line(server, bob) for _ in range(4)]
    server.send(signal.SIGTERM)
    for line in lines:
        assert line.stdout.read() == b""
        assert server.child.poll() is None, "it waits for all"
        assert hang_up(line) == DONE
    assert server.end() == DONE
    assert len(server.events("closed", cause="done")) == 4 and not server.events("grace")


def test_nobody_new_while_stopping(serve, bob):
    server = serve()
    line = idle_line(server, bob)
    server.send(signal.SIGTERM)
    server.wait_event("stopping")
    assert server.call(bob).status == NO_CONNECTION
    assert hang_up(line) == DONE
    assert server.end() == DONE


def test_what_came_too_late_is_not_swallowed(serve, bob):
    server = serve()
    line = idle_line(server, bob)
    server.send(signal.SIGTERM)
    assert line.stdout.read() == b""
    line.stdin.write(b"is anybody there?")
    assert line.wait(timeout=20) == LINE, "nobody sent it back, and nobody says so"
    assert server.end() == DONE and server.events("closed", cause="stopped")


def test_the_grace_is_over(serve, bob):
    server = serve("--grace", "1")
    line = idle_line(server, bob)
    before = time.monotonic()
    assert server.stop() == DONE
    assert 0.9 < time.monotonic() - before < 8
    assert line.wait(timeout=20) == LINE
    assert ": 1;" in server.wait_event("grace")["message"] and server.events("closed", cause="stopped")


def test_a_second_signal(serve, bob):
    server = serve("--grace", "600")
    line = idle_line(server, bob)
    server.send(signal.SIGTERM)
    server.wait_event("stopping")
    assert server.stop(signal.SIGINT, timeout=10) == 128 + signal.SIGINT
    assert line.wait(timeout=20) == LINE


def test_stopping_in_the_middle_of_handshakes(serve, bob):
    server = serve("--grace", "600")
    with socket.create_connection((HERE, server.port)):
        time.sleep(0.1)
        assert server.stop(timeout=10) == DONE


# --------------------------------------------------------------------------------------------------------- the log

def test_every_line_of_the_log_is_json(serve, bob):
    server = serve("-v", "--threads", "2")
    assert server.call(bob, "--name", "Bob \N{SNOWMAN} \"B\"", input=b"abc").raw == b"abc"
    opened, closed = server.wait_event("open"), server.wait_closed()
    assert server.stop() == DONE
    for line in server.text().splitlines():
        json.loads(line)
    assert opened["claims"] == "Bob \N{SNOWMAN} \"B\""
    for key, value in {"peer": "bob", "fingerprint": bob.fingerprint(), "service": "echo", "sent": 3, "received": 3,
                       "cause": "done", "status": 0, "address": opened["address"], "level": "note"}.items():
        assert closed[key] == value, (key, closed)
    assert 0 <= closed["milliseconds"] < 20_000


def test_the_log_for_people(friends):
    alice, bob = friends
    child = alice.start("serve", "--echo", f"{HERE}:0")
    head = [child.stderr.readline().decode() for _ in range(2)]
    assert head[0].startswith("helio: serving echo on port ") and "roll: 1" in head[0], head
    command = head[1].split()
    assert command[:2] == ["helio", "connect"] and command[3] == "--peer", head
    assert bob.run(*command[1:], input=b"as printed").raw == b"as printed"
    child.send_signal(signal.SIGTERM)
    done = alice.end(child)
    assert done.status == DONE
    assert "closed: bob, SHA256:" in done.err and "sent 10 bytes, received 10 bytes" in done.err and ": done\n" in done.err
