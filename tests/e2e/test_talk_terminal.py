"""Two programs, each at a terminal of its own: the questions, the chat on the screen, and its ends."""
import os
import re
import signal
import termios
import time

import pexpect
import pyte
import pytest

DONE, TRUST, LINE = 0, 4, 5
QUESTION = r"yes/no/\[fingerprint\]"
DEADLINE = 15


class Screen:
    """What a person at the terminal of a pexpect child sees."""

    def __init__(self, child, rows, columns):
        self.child = child
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def pump(self):
        while True:
            try:
                data = self.child.read_nonblocking(65536, timeout=0)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            self.raw += data
            self.stream.feed(data)

    def rows(self):
        return [row.rstrip() for row in self.screen.display]

    def until(self, good, what):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            self.pump()
            if good(self.rows()):
                return
            time.sleep(0.01)
        pytest.fail(f"never came: {what}\n" + "\n".join(self.rows()))

    def ends_with(self, *patterns):
        """The last rows with something in them match the patterns."""
        def good(rows):
            rows = rows[:max((i + 1 for i, r in enumerate(rows) if r), default=0)]
            last = rows[-len(patterns):]
            return len(last) == len(patterns) and all(map(re.fullmatch, patterns, last))
        self.until(good, patterns)

    def gone(self):
        self.until(lambda rows: not self.child.isalive(), "its end")
        self.pump()
        return self.child.exitstatus


def at_screen(station, *args, rows=16, columns=60, **kwargs):
    child = station.spawn(*args, encoding=None, codec_errors=None, dimensions=(rows, columns),
                          env={"TERM": "linux", "NO_COLOR": "1"}, **kwargs)
    return Screen(child, rows, columns)


@pytest.fixture
def chat(friends):
    """alice and bob in a chat, each at a screen."""
    alice, bob = friends
    a = at_screen(alice, "listen", "--name", "alice", "127.0.0.1:0")
    port = []
    a.until(lambda rows: port.extend(re.findall(r"listening on port (\d+)", a.raw.decode())) or port,
            "a port")
    b = at_screen(bob, "connect", "--name", "bob", f"127.0.0.1:{port[0]}")
    a.ends_with(r".*X25519", "-- Ctrl-D ends the conversation", ">")
    b.ends_with(r".*X25519", "-- Ctrl-D ends the conversation", ">")
    return a, b


def settings(child):
    return termios.tcgetattr(child.child_fd)[:4]


def fresh_settings():
    master, slave = os.openpty()
    found = termios.tcgetattr(slave)[:4]
    os.close(master)
    os.close(slave)
    return found


def test_what_is_typed_is_untorn_by_what_comes(chat):
    a, b = chat
    a.child.send("I am in the middle of a sentence that is longer than the w\u00efndow".encode())
    a.ends_with(r"> I am in the middle of a sentence that is longer than the w", "\u00efndow")
    b.child.send(b"may I interrupt?\r")
    b.ends_with(r"\d\d:\d\d bob: may I interrupt\?", ">")
    a.ends_with(r"\d\d:\d\d bob: may I interrupt\?",
                r"> I am in the middle of a sentence that is longer than the w", "\u00efndow")
    a.child.send(b"\r")
    for screen in (a, b):
        screen.ends_with(r"\d\d:\d\d bob: may I interrupt\?",
                         r"\d\d:\d\d alice: I am in the middle of a sentence that is longer",
                         r"      than the w\u00efndow", ">")


def test_a_window_that_changes(chat):
    a, b = chat
    a.child.send(b"0123456789" * 8)
    a.ends_with("> " + "0123456789" * 5 + "01234567", "89" + "0123456789" * 2)
    a.screen.resize(16, 90)
    a.child.setwinsize(16, 90)
    a.ends_with("> " + "0123456789" * 8)
    b.child.send(b"hi\r")
    a.ends_with(r"\d\d:\d\d bob: hi", "> " + "0123456789" * 8)


def test_what_came_while_it_was_stopped_is_shown_above_one_prompt(chat):
    a, b = chat
    b.child.kill(signal.SIGSTOP)
    a.child.send(b"are you there?\r")
    a.ends_with(r"\d\d:\d\d alice: are you there\?", ">")
    b.stream.feed(b"\r\n$ fg\r\n")  # as the shell would
    b.child.kill(signal.SIGCONT)
    b.ends_with(r"\$ fg", r"\d\d:\d\d alice: are you there\?", ">")
    b.child.send(b"yes\r")
    b.ends_with(r"\d\d:\d\d alice: are you there\?", r"\d\d:\d\d bob: yes", ">")


def test_ctrl_d_ends_the_chat_on_both_sides(chat):
    a, b = chat
    b.child.send(b"bye\r\x04")
    assert (b.gone(), a.gone()) == (DONE, DONE)
    a.ends_with(r"\d\d:\d\d bob: bye", "-- bob has left")
    assert settings(a.child) == settings(b.child) == fresh_settings()


@pytest.mark.parametrize("way", ["ctrl-c", "SIGINT", "SIGTERM"])
def test_a_signal_ends_it_in_order_and_gives_the_terminal_back(chat, way):
    a, b = chat
    b.child.send(b"half a line")
    b.ends_with("> half a line")
    if way == "ctrl-c":
        b.child.send(b"\x03")
    else:
        b.child.kill(getattr(signal, way))
    b.gone()
    assert a.gone() == DONE
    assert settings(a.child) == settings(b.child) == fresh_settings()
    assert not any("half a line" in row for row in a.rows())


def test_killed_is_a_cut_and_the_terminal_comes_back(chat):
    a, b = chat
    b.child.kill(signal.SIGKILL)
    assert a.gone() == LINE
    assert any("was cut" in row for row in a.rows()), a.rows()
    assert settings(a.child) == fresh_settings()


def test_a_terminal_that_is_gone_ends_it(chat):
    a, b = chat
    b.child.close(force=False)  # hangs up; force would kill it
    assert not b.child.isalive()
    assert a.gone() in (DONE, LINE)


def test_a_changed_key_is_refused_loudly_and_not_asked_about(friends, carol):
    alice, bob = friends
    carol.trust("bob", bob.fingerprint())
    bob.run("trust", "remove", "alice")
    listener = carol.spawn("listen", "127.0.0.1:0")
    listener.expect(r"listening on port (\d+)")
    port = listener.match[1]
    bob.trust(f"127.0.0.1:{port}", alice.fingerprint())
    caller = bob.spawn("connect", f"127.0.0.1:{port}")
    caller.expect(pexpect.EOF)
    caller.close()
    assert caller.exitstatus == TRUST, caller.before
    said = caller.before
    assert not re.search(QUESTION, said)
    for words in (alice.fingerprint(), carol.fingerprint(), "helio trust remove"):
        assert words in said, said
    listener.expect(pexpect.EOF)
    listener.close()
    assert listener.exitstatus == TRUST, listener.before
    assert bob.known.read_text().count("SHA256:") == 1


def test_accept_new_asks_nothing(alice, bob):
    a = alice.spawn("listen", "--accept-new", "--name", "alice", "127.0.0.1:0",
                    env={"NO_COLOR": "1"})
    a.expect(r"listening on port (\d+)")
    b = bob.spawn("connect", "--accept-new", "--name", "bob", f"127.0.0.1:{a.match[1]}")
    for child in (a, b):
        child.expect("X25519")
        assert not re.search(QUESTION, child.before)
    b.send("hi\r")
    a.expect("bob: hi")
    a.send("\x04")
    for child in (a, b):
        child.expect(pexpect.EOF)
        child.close()
    assert (a.exitstatus, b.exitstatus) == (DONE, DONE)
