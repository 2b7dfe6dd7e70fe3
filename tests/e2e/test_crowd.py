"""Handshakes are done by other threads: callers who leave in the middle of one, all call at once, or meet a station that is told to stop.

The callers are sockets here, with the naive station's bytes, so that they can do what no honest station does.
"""
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time

import pytest

from conftest import ROOT
from server import Server, wait_until
from test_line import DONE, LINE, Listener

sys.path.insert(0, str(ROOT / "tests" / "python"))
import helio1

HERE = "127.0.0.1"
KEY = str(ROOT / "tests" / "vectors" / "keys" / "test-only-a-2048.pem")
CROWD = 200


@pytest.fixture(scope="module")
def identity():
    return helio1.Identity.load(KEY)


def initiator(identity):
    session = helio1.Session("I", identity, name=b"crowd")
    session.start()
    return session


def called(port, said=b""):
    sock = socket.create_connection((HERE, port), 10)
    sock.sendall(said)
    return sock


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def half_close(sock):
    """Says that nothing more comes, and takes what does."""
    sock.shutdown(socket.SHUT_WR)
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    sock.close()


def still_serves(listener, caller, identity):
    """Whatever came before, an honest station has its line."""
    done = caller.run("connect", "--accept-new", f"{HERE}:{listener.port}", input=b"honest")
    for _ in range(100):
        if done.status != 3:  # the one before is not quite gone: busy
            break
        time.sleep(0.05)
        done = caller.run("connect", "--accept-new", f"{HERE}:{listener.port}", input=b"honest")
    assert done.status == DONE, done


@pytest.fixture
def crowded(alice, new_station, keys, identity):
    """A listener for many stations, and afterwards the proof that it is one still."""
    bob = new_station("bob", keys[1])
    alice.trust("bob", bob.fingerprint())
    listener = Listener(alice, "--keep", into_file=True)
    yield listener
    still_serves(listener, bob, identity)
    listener.child.send_signal(signal.SIGTERM)
    done = listener.end()
    assert done.status == 128 + signal.SIGTERM and done.raw == b"honest", done
    assert "Sanitizer" not in done.err, done


@pytest.mark.parametrize("leave", [reset, socket.socket.close, half_close])
def test_callers_leave_while_the_reply_is_made(crowded, identity, leave):
    hello = bytes(initiator(identity).pull())
    for i in range(60):
        sock = called(crowded.port, hello)
        time.sleep(i % 6 * 0.0005)  # before, while and after the signature is made
        leave(sock)


@pytest.mark.parametrize("leave", [reset, socket.socket.close, half_close])
def test_callers_leave_while_their_proof_is_checked(crowded, identity, leave):
    for i in range(12):
        session = initiator(identity)
        sock = called(crowded.port, session.pull())
        while not session.output and not session.outcome:
            said = sock.recv(65536)
            session.feed(said) if said else session.eof()
        if not session.outcome:  # else busy with the one before
            sock.sendall(session.pull())
        time.sleep(i % 4 * 0.0005)
        leave(sock)


@pytest.mark.parametrize("behind, last_word", [
    (helio1.header(helio1.RECORD, 17), helio1.header(helio1.ALERT, 1) + b"\1"),
    (helio1.header(helio1.ALERT, 1) + b"\1", b""),
])
def test_bytes_behind_the_hello(crowded, identity, behind, last_word):
    """They come with it, and are looked at when the reply has been made; an alert is not answered."""
    with called(crowded.port, bytes(initiator(identity).pull()) + behind) as sock:
        answer = b""
        while said := sock.recv(65536):
            answer += said
    reply_n = 4 + int.from_bytes(answer[1:4], "big")
    assert answer[0] == helio1.REPLY and answer[reply_n:] == last_word, answer


def test_more_than_a_stranger_may_say(crowded, identity):
    """A little is thrown away, so that our alert is not reset, and then nobody listens any more."""
    with called(crowded.port, bytes(initiator(identity).pull())) as sock:
        with pytest.raises(ConnectionError):
            for _ in range(1024):  # more than all buffers on the way hold
                sock.sendall(bytes(65536))


def test_two_hundred_call_at_once(crowded, identity):
    """One is talked to, a few hear that it is busy, the rest is hung up on: nobody is left without an end."""
    hello = bytes(initiator(identity).pull())
    socks = [called(crowded.port, hello) for _ in range(CROWD)]
    answered = ended = 0
    for sock in socks:
        sock.settimeout(20)
        try:
            first = sock.recv(1)
        except ConnectionError:
            first = b""
        answered += first == bytes([helio1.REPLY])
        ended += not first
    assert answered + ended == CROWD and answered >= 1, (answered, ended)
    for sock in socks:
        sock.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [0, 0.001, 0.003])
def test_a_signal_in_the_middle(alice, identity, number, after):
    hello = bytes(initiator(identity).pull())
    listener = Listener(alice, "--keep")
    socks = [called(listener.port, hello) for _ in range(8)]
    time.sleep(after)
    listener.child.send_signal(number)
    done = listener.end()
    assert done.status == 128 + number and "Sanitizer" not in done.err, done
    for sock in socks:
        sock.close()


def respond(server, identity, rounds):
    """A station that replies and is gone while its caller looks at the reply, or makes its own proof."""
    for i in range(rounds):
        session = helio1.Session("R", identity, name=b"crowd")
        with server.accept()[0] as sock:
            while not session.output:
                session.feed(sock.recv(65536))
            sock.sendall(session.pull())
            time.sleep(i % 5 * 0.0007)
            reset(sock)


def test_the_other_side_is_gone_while_our_proof_is_made(alice, identity):
    rounds = 15
    with socket.create_server((HERE, 0)) as server:
        station = threading.Thread(target=respond, args=(server, identity, rounds), daemon=True)
        station.start()
        for _ in range(rounds):
            done = alice.run("connect", "--accept-new", f"{HERE}:{server.getsockname()[1]}", input=b"words")
            assert done.status == LINE and "Sanitizer" not in done.err, done
        station.join(10)


@pytest.fixture
def server(alice, new_station, keys):
    bob = new_station("bob", keys[1])
    alice.trust("bob", bob.fingerprint())
    return Server(alice, "--echo", "--no-penalties", "--max-handshakes", "1000", "--grace", "1")


def test_two_hundred_call_a_server_at_once(server, identity):
    hello = bytes(initiator(identity).pull())
    socks = [called(server.port, hello) for _ in range(CROWD)]
    for sock in socks:
        sock.settimeout(20)
        assert sock.recv(1) == bytes([helio1.REPLY])
        sock.close()


@pytest.mark.parametrize("after", [0, 0.05])
def test_a_server_is_told_to_stop_while_two_hundred_wait(server, identity, after):
    """Most of their handshakes have not begun; those that have are waited for, and none keeps it from ending."""
    hello = bytes(initiator(identity).pull())
    socks = [called(server.port, hello) for _ in range(CROWD)]
    time.sleep(after)
    server.child.send_signal(signal.SIGTERM)
    assert server.child.wait(10) == DONE, server.text()
    assert "Sanitizer" not in server.text()
    for sock in socks:
        sock.close()


def niceness(pid):
    return [int((task / "stat").read_text().rsplit(")", 1)[1].split()[16]) for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def test_handshakes_are_the_business_of_nicer_threads(server):
    """As many as there are processors; open lines go before them."""
    def nicer():
        nice = niceness(server.child.pid)
        return len([n for n in nice if n > min(nice)])

    wait_until("threads that are nicer", lambda: nicer() == len(os.sched_getaffinity(0)))
