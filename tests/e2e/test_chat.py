"""The chat, seen on the screen of a terminal emulator.

chat_driver (tests/unit/chat_driver.c) is the chat with nobody at the other end: the test types at
its terminal, orders incoming lines over a FIFO, and reads what the chat reported from a file.  What
it draws goes through pyte; the assertions are about the screen that a person would see.
"""
import os
import re
import signal
import subprocess
import termios
import time

import pexpect
import pyte
import pytest

UP, DOWN, RIGHT, LEFT = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
HOME, END, DELETE = "\x1b[H", "\x1b[F", "\x1b[3~"
DEADLINE = 10


def driver():
    path = os.environ.get("HELIO_CHAT_DRIVER")
    if not path:
        pytest.skip("HELIO_CHAT_DRIVER names no program")
    return path


def fresh_terminal():
    """The settings of a terminal that nobody has touched: the program is too quick to look at its own."""
    master, slave = os.openpty()
    settings = termios.tcgetattr(slave)
    os.close(master)
    os.close(slave)
    return settings


class Chat:
    def __init__(self, where, columns=40, rows=12, env=None):
        self.control, self.log = where / "control", where / "log"
        os.mkfifo(self.control)
        self.orders = os.open(self.control, os.O_RDWR)
        clean = {k: v for k, v in os.environ.items()
                 if not k.startswith("LC_") and k not in ("NO_COLOR", "XTERM_VERSION", "TMUX")}
        clean.update(TERM="linux", LC_ALL="C.UTF-8", TZ="UTC")
        clean.update(env or {})
        self.screen = pyte.HistoryScreen(columns, rows, history=2000)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.child = pexpect.spawn(driver(), [str(self.control), str(self.log)], env=clean,
                                   dimensions=(rows, columns), timeout=DEADLINE)
        self.child.delaybeforesend = 0
        self.before = fresh_terminal()
        self.wait_log("ready")

    def pump(self):
        """Everything that the program has written so far goes to the screen."""
        while True:
            try:
                data = self.child.read_nonblocking(65536, timeout=0)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            self.raw += data
            self.stream.feed(data)

    def until(self, good, what):
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            self.pump()
            if good():
                return
            time.sleep(0.005)
        pytest.fail(f"never came: {what}\nscreen:\n" + "\n".join(self.rows()) +
                    f"\ncursor: {self.cursor}\nlog: {self.logged()}")

    def logged(self):
        text = self.log.read_text() if self.log.exists() else ""
        return text[:text.rfind("\n") + 1].splitlines()

    def wait_log(self, *rows):
        self.until(lambda: [r for r in self.logged() if r in rows], f"log {rows}")

    def order(self, letter, *arguments):
        wanted = len([r for r in self.logged() if r == f"did {letter}"]) + 1
        words = [letter] + [a.encode().hex() if isinstance(a, str) else a.hex() for a in arguments]
        os.write(self.orders, (" ".join(words) + "\n").encode())
        self.until(lambda: len([r for r in self.logged() if r == f"did {letter}"]) >= wanted,
                   f"order {letter}")
        self.pump()

    def message(self, text, name="bob"):
        self.order("m", name, text)

    def type(self, text):
        self.child.send(text)

    def rows(self):
        return [row.rstrip() for row in self.screen.display]

    @property
    def cursor(self):
        return self.screen.cursor.y, self.screen.cursor.x

    def scrolled(self):
        """The rows that left at the top, and the screen."""
        past = ["".join(line[x].data for x in range(self.screen.columns)).rstrip()
                for line in self.screen.history.top]
        return past + self.rows()

    def shows(self, *wanted, cursor=None):
        """The screen is exactly these rows, from the top; "" for the rest."""
        wanted = list(wanted) + [""] * (self.screen.lines - len(wanted))
        self.until(lambda: self.rows() == wanted and cursor in (None, self.cursor),
                   f"screen {wanted} cursor {cursor}")

    def said(self):
        return [bytes.fromhex(r[5:]).decode() for r in self.logged() if r.startswith("line ")]

    def resize(self, rows, columns):
        count = len([r for r in self.logged() if r == f"signal {int(signal.SIGWINCH)}"])
        self.pump()
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)
        self.until(lambda: len([r for r in self.logged()
                                if r == f"signal {int(signal.SIGWINCH)}"]) > count, "resize seen")

    def close(self):
        self.child.close(force=True)
        os.close(self.orders)


@pytest.fixture
def chat(tmp_path):
    made = []

    def make(**kwargs):
        where = tmp_path / f"chat{len(made)}"
        where.mkdir()
        made.append(Chat(where, **kwargs))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_line_is_sent_and_shown(chat):
    c = chat()
    c.shows(">", cursor=(0, 2))
    c.type("hello\r")
    c.until(lambda: c.said() == ["hello"], "the line")
    c.until(lambda: re.fullmatch(r"\d\d:\d\d me: hello", c.rows()[0]) and c.rows()[1] == ">",
            "own line")


def test_refused_line_is_not_shown_as_said(chat):
    c = chat()
    c.type("refuse this\r")
    c.shows("-- refused", ">", cursor=(1, 2))
    c.type(UP)
    c.shows("-- refused", "> refuse this", cursor=(1, 13))


# Typed line, keys pressed after it, its rows at 40 columns, where the cursor is in them.
LINE = "the quick brown fox jumps over the lazy dog and runs"
TORN = [
    ("empty", "", "", [">"], (0, 2)),
    ("short", "abc", "", ["> abc"], (0, 5)),
    ("two rows", LINE, "", ["> the quick brown fox jumps over the laz", "y dog and runs"], (1, 14)),
    ("cursor in the first row", LINE, HOME + RIGHT * 3,
     ["> the quick brown fox jumps over the laz", "y dog and runs"], (0, 5)),
    ("cursor at the seam", LINE, HOME + RIGHT * 38,
     ["> the quick brown fox jumps over the laz", "y dog and runs"], (1, 0)),
    ("exactly full", "x" * 38, "", ["> " + "x" * 38, ""], (1, 0)),
    ("one short of full", "x" * 37, "", ["> " + "x" * 37], (0, 39)),
    ("wide", "日本語", "", ["> 日本語"], (0, 8)),
    ("wide at the seam", "x" * 37 + "日本", "", ["> " + "x" * 37, "日本"], (1, 4)),
    ("cursor on a wide one at the seam", "x" * 37 + "日本", LEFT * 2,
     ["> " + "x" * 37, "日本"], (1, 0)),
    ("combining", "cafe\u0301 noir", "", ["> caf\u00e9 noir"], (0, 11)),
    ("combining, cursor in the middle", "cafe\u0301 noir", LEFT * 4, ["> caf\u00e9 noir"], (0, 7)),
    ("many rows", "0123456789" * 16, HOME,
     ["> " + "0123456789" * 3 + "01234567", "8901234567" * 4, "8901234567" * 4, "8901234567" * 4,
      "89"], (0, 2)),
]
INCOMING = [
    ("short", ["hi"], ["21:34 bob: hi"]),
    ("several", ["one", "two", "three"],
     ["21:34 bob: one", "21:34 bob: two", "21:34 bob: three"]),
    ("longer than the width", ["0123456789" * 5],
     ["21:34 bob: " + "0123456789" * 2 + "012345678", "      " + "9" + "0123456789" * 2]),
    ("words", ["it breaks between words, where it can, and keeps them whole"],
     ["21:34 bob: it breaks between words,", "      where it can, and keeps them whole"]),
    ("a word that fits in no row", ["see " + "x" * 40 + " there"],
     ["21:34 bob: see " + "x" * 25, "      " + "x" * 15 + " there"]),
    ("a word that fits in the next row", ["see " + "x" * 34 + " there"],
     ["21:34 bob: see", "      " + "x" * 34, "      there"]),
    ("newlines", ["one\n21:35 me: two\n\nthree"],
     ["21:34 bob: one", "      21:35 me: two", "", "      three"]),
    ("wide, cut at the seam", ["日" * 20],
     ["21:34 bob: " + "日" * 14, "      " + "日" * 6]),
]


@pytest.mark.parametrize("incoming", INCOMING, ids=[i[0] for i in INCOMING])
@pytest.mark.parametrize("typed", TORN, ids=[t[0] for t in TORN])
def test_typed_line_is_untorn(chat, typed, incoming):
    _, text, keys, rows, (row, column) = typed
    _, messages, above = incoming
    c = chat(rows=16)
    c.type(text + keys)
    c.shows(*rows, cursor=(row, column))
    for message in messages:
        c.message(message)
    c.shows(*above, *rows, cursor=(len(above) + row, column))
    c.type("\r")
    if text:
        c.until(lambda: c.said() == [text], "the line, whole")


def test_many_incoming_lines_scroll_and_none_is_lost(chat):
    c = chat()
    c.type(LINE)
    for i in range(60):
        c.message(f"line {i}")
    c.until(lambda: c.rows()[-2:] == ["> the quick brown fox jumps over the laz", "y dog and runs"],
            "the typed line at the bottom")
    assert [r for r in c.scrolled() if "bob" in r] == [f"21:34 bob: line {i}" for i in range(60)]


def test_line_taller_than_the_window_keeps_half_of_it(chat):
    c = chat(rows=8)
    text = "".join(f"{i:05d}" for i in range(399))
    c.type(text)
    c.until(lambda: c.rows()[3].endswith("00398"), "its end")
    c.message("still here")
    c.until(lambda: c.rows()[0] == "21:34 bob: still here" and c.rows()[4].endswith("00398"), "both")
    c.type(HOME)
    c.until(lambda: c.rows()[1].startswith("> 00000") and c.cursor == (1, 2), "its beginning")
    c.message("again")
    c.until(lambda: c.rows()[1] == "21:34 bob: again" and c.rows()[2].startswith("> 00000") and
            c.cursor == (2, 2), "both again")
    c.type("\r")
    c.until(lambda: c.said() == [text], "the line, whole")


# The window's columns before and after, where a terminal that cuts rows off (pyte does) shows all.
@pytest.mark.parametrize("text", ["", "abc", LINE, "日本" * 20], ids=["empty", "short", "long", "wide"])
@pytest.mark.parametrize("size", [(12, 60), (20, 40), (12, 100)])
def test_resized(chat, text, size):
    c = chat()
    c.message("before")
    c.type(text)
    c.until(lambda: not text or c.rows()[1].startswith("> " + text[:3]), "the line")
    c.resize(*size)
    c.message("after")
    rows, room = [">"], size[1] - 2
    for ch in text:
        width = 2 if ord(ch) > 0x7f else 1
        if room < width:
            rows.append("")
            room = size[1]
        rows[-1] += (" " if rows[-1] == ">" else "") + ch
        room -= width
    c.shows("21:34 bob: before", "21:34 bob: after", *[r.rstrip() for r in rows])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 3), (3, 7), (200, 2)])
def test_windows_too_small_to_be_of_use(chat, size):
    c = chat(rows=size[0], columns=size[1])
    c.type("日本 and some more\x1b[D")
    c.message("hi there, all of you \u65e5")
    c.type("!\r")
    c.until(lambda: c.said() == ["日本 and some mor!e"], "the line")


def test_hostile_text_is_shown_harmless(chat):
    c = chat(columns=80)
    for text, shown in HOSTILE:
        c.type("typed")
        c.order("m", "e\x1bve", text)
        c.until(lambda: f"21:34 e\\x1bve: {shown}" in c.rows(), shown)
        c.type("\x15")
    assert b"\x1b[2J" not in c.raw and b"\x07" not in c.raw and "\u202e".encode() not in c.raw


HOSTILE = [
    (b"\x1b[2Jgone", "\\x1b[2Jgone"),
    (b"bell\x07", "bell\\x07"),
    (b"back\x08\x08\x08", "back\\x08\\x08\\x08"),
    (b"return\rhidden", "return\\x0dhidden"),
    (b"c1 \xc2\x9b2J", "c1 \\xc2\\x9b2J"),
    ("turn \u202eback".encode(), "turn \\xe2\\x80\\xaeback"),
    (b"bad \xff\xc3(", "bad \\xff\\xc3("),
    (b"nul\x00nul", "nul\\x00nul"),
    (b"tab\tstop", "tab      stop"),
]


def test_spaces_cannot_fake_a_row(chat):
    """What follows a full row begins behind the indent, where no speaker's name can stand."""
    c = chat()
    c.message("x" + " " * 28 + "21:35 me: I agree")
    c.shows("21:34 bob: x", "      21:35 me: I agree", ">")


KEYS = [
    ("hello" + LEFT * 2 + "p\r", "helplo"),
    ("hello" + HOME + "oh \r", "oh hello"),
    ("hello" + HOME + DELETE + END + "!\r", "ello!"),
    ("one two three\x17four\r", "one two four"),
    ("one two\x15three\r", "three"),
    ("one two" + HOME + "\x0b\x19!\r", "one two!"),
    ("one two\x1b[1;5Dbig \r", "one big two"),
    ("h\u00e9\x7fe\r", "he"),
    ("a\x1b[99;99Qb\x1b[15~c\r", "abc"),
    ("日本\x02語\r", "日語本"),
    ("tab\tbed\r", "tab\tbed"),
    ("emoji \U0001f6f0 \u00a9\r", "emoji \U0001f6f0 \u00a9"),
]


@pytest.mark.parametrize("keys,text", KEYS)
def test_keys(chat, keys, text):
    c = chat()
    c.type(keys)
    c.until(lambda: c.said() == [text], repr(text))


def test_keys_that_come_byte_by_byte(chat):
    c = chat()
    for byte in ("h\u00e9日" + LEFT + "x" + HOME + "\U0001f6f0\r").encode():
        c.child.send(bytes([byte]))
        time.sleep(0.01)
    c.until(lambda: c.said() == ["\U0001f6f0h\u00e9x日"], "the line")


def test_an_escape_alone_blocks_nothing(chat):
    c = chat()
    c.type("abc\x1b")
    c.message("hi")
    c.shows("21:34 bob: hi", "> abc", cursor=(1, 5))


def test_history_goes_up_and_down(chat):
    c = chat(rows=20)
    for line in ("first", "second", "second", "third"):
        c.type(line + "\r")
    c.until(lambda: len(c.said()) == 4, "four lines")
    row = c.rows().index(">")
    for key, shown in ((UP, "> third"), (UP, "> second"), (UP, "> first"), (UP, "> first"),
                       (DOWN, "> second"), (DOWN, "> third")):
        c.type(key)
        c.until(lambda: c.rows()[row] == shown, shown)
    c.message("hi")
    c.until(lambda: c.rows()[row + 1] == "> third", "still there")
    c.type("!\r")
    c.until(lambda: c.said()[-1] == "third!", "edited")


def test_paste_sends_each_line_and_keeps_the_rest(chat):
    c = chat(rows=20)
    c.type("one\ntwo\r\n\nthree\nand a rest")
    c.until(lambda: c.said() == ["one", "two", "three"], "three lines")
    c.until(lambda: c.rows()[3] == "> and a rest", "the rest")


def test_paste_is_bounded(chat):
    c = chat(rows=20)
    text = "é" * 40000
    for at in range(0, len(text), 1000):
        c.type(text[at:at + 1000])
        c.pump()
    c.until(lambda: any("too long" in r for r in c.rows()), "a note")
    c.type("\r")
    c.until(lambda: [len(t.encode()) for t in c.said()] == [65536], "what there was room for")


def test_end_is_told_once_and_lines_still_come_in(chat):
    c = chat()
    c.type("x\x04")
    c.type("\x7f\x04")
    c.wait_log("end")
    c.message("late reply")
    c.shows("21:34 bob: late reply", cursor=(1, 0))
    assert c.said() == []


def test_state_stays_and_comes_back(chat):
    c = chat(columns=60)
    c.order("s", "bob, SHA256:abc, idea-ctr-poly1305, X25519")
    c.message("hi")
    c.type("typed")
    c.shows("-- bob, SHA256:abc, idea-ctr-poly1305, X25519", "21:34 bob: hi", "> typed")
    c.type("\x0c")
    c.shows("-- bob, SHA256:abc, idea-ctr-poly1305, X25519", "> typed", cursor=(1, 7))


COLOUR = re.compile(rb"\x1b\[[0-9;]*m")


@pytest.mark.parametrize("env,coloured", [({}, True), ({"NO_COLOR": "1"}, False),
                                          ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)])
def test_colour(chat, env, coloured):
    c = chat(env=env)
    c.message("hi")
    c.until(lambda: any("bob: hi" in r for r in c.rows()), "the message")
    assert bool(COLOUR.search(c.raw)) == coloured


@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "nonsense"])
def test_any_locale(chat, locale):
    c = chat(env={"LC_ALL": locale})
    c.type("日本" + LEFT)
    c.message("é")
    c.shows("21:34 bob: é", "> 日本", cursor=(1, 4))
    c.type("\r")
    c.until(lambda: c.said() == ["日本"], "the line")


def test_plain_terminal(chat):
    c = chat(env={"TERM": "dumb"})
    c.message("hi")
    c.type("hello\n")
    c.until(lambda: c.said() == ["hello"], "the line")
    assert b"\x1b" not in c.raw
    c.type("\x04")
    c.wait_log("end")


@pytest.mark.parametrize("way", ["q", "x", "int", "term", "ctrl-c"])
def test_terminal_is_given_back(chat, way):
    c = chat()
    raw = termios.tcgetattr(c.child.child_fd)
    assert not raw[3] & termios.ECHO and not raw[3] & termios.ICANON
    c.type("half a line")
    c.until(lambda: c.rows()[0] == "> half a line", "the line")
    if way in ("q", "x"):
        os.write(c.orders, way.encode() + b"\n")
    elif way == "ctrl-c":
        c.type("\x03")
    else:
        c.child.kill(signal.SIGINT if way == "int" else signal.SIGTERM)
    # Looked at while the terminal is still there: the master side keeps the settings.
    c.until(lambda: not c.child.isalive(), "its end")
    after = termios.tcgetattr(c.child.child_fd)
    assert after[:4] == c.before[:4]
    assert c.child.exitstatus == 0
    if way != "x":
        c.pump()
        assert "half a line" not in "\n".join(c.rows())


def test_stopped_and_continued(chat):
    c = chat()
    c.type("typed")
    c.until(lambda: c.rows()[0] == "> typed", "the line")
    c.child.kill(signal.SIGSTOP)
    termios.tcsetattr(c.child.child_fd, termios.TCSANOW, c.before)  # as the shell would
    c.stream.feed(b"\r\n$ fg\r\n")
    c.child.kill(signal.SIGCONT)
    c.wait_log(f"signal {int(signal.SIGCONT)}")
    c.shows("> typed", "$ fg", "> typed", cursor=(2, 7))
    c.type("!\r")
    c.until(lambda: c.said() == ["typed!"], "the line")


def test_without_a_terminal(tmp_path):
    os.mkfifo(tmp_path / "control")
    done = subprocess.run([driver(), tmp_path / "control", tmp_path / "log"], timeout=DEADLINE,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    assert done.returncode == 1 and done.stdout == b""
