"""What a newcomer stumbles over: that each message says what is so, and what helps."""
import shlex
import subprocess

import pexpect
import pytest

from conftest import wait_for_port

LOCAL, USAGE, TRUST, LINE = 1, 2, 4, 5


def refused(done, status, *parts):
    assert done.status == status, done
    for part in parts:
        assert part in done.err, (part, done)


@pytest.mark.parametrize("path", ["/dev/null", "DIRECTORY"])
@pytest.mark.parametrize("option, verb", [("--identity", "id"), ("--known", "trust")])
def test_what_is_no_file_is_not_to_be_chmoded(alice, tmp_path, option, verb, path):
    directory = tmp_path / "directory"
    directory.mkdir()
    done = alice.run(verb, option, path.replace("DIRECTORY", str(directory)))
    refused(done, LOCAL, "it is not a regular file")
    assert "chmod" not in done.err, done


def test_add_to_a_file_with_a_bad_line(alice, tmp_path):
    known = tmp_path / "known"
    known.write_text("a b c\n")
    refused(alice.run("trust", "add", "--known", known, "bob", alice.fingerprint()), LOCAL,
            str(known), "has a line that is not", "helio trust list")
    refused(alice.run("trust", "list", "--known", known), LOCAL, f"{known}:1: ")


def test_a_home_that_cannot_be_made(alice):
    refused(alice.run("id", env={"HELIO_HOME": "/proc/none"}), LOCAL, "/proc/none", "Set HELIO_HOME")


def test_config_that_others_may_write_to(alice):
    alice.config.write_text("quiet = yes\n")
    alice.config.chmod(0o666)
    refused(alice.run("id"), LOCAL, f"\nRun: chmod go-w {alice.config}\n")


@pytest.mark.parametrize("option", ["help", "version"])
def test_help_and_version_take_no_argument(alice, option):
    refused(alice.run("id", f"--{option}=x"), USAGE, f"--{option} takes no argument")


# ------------------------------------------------------------------------------- who is on the line --

def listening(station, port, *options):
    child = station.start("listen", *options, f"127.0.0.1:{port}", stdin=subprocess.DEVNULL)
    wait_for_port(port)
    return child


def test_a_key_met_at_another_address_is_not_called_by_it(friends, port):
    alice, bob = friends
    assert bob.run("trust", "remove", "alice").status == 0
    bob.trust("elsewhere:7000", alice.fingerprint())
    child = listening(alice, port)
    done = bob.run("connect", f"127.0.0.1:{port}")
    assert done.status == 0 and f"connected: 127.0.0.1:{port}, {alice.fingerprint()}, " in done.err, done
    assert "elsewhere" not in done.err, done
    assert alice.end(child).status == 0


def test_a_pinned_station_without_a_name_is_called_by_its_address(alice, bob, port):
    child = listening(alice, port, "--peer", bob.fingerprint())
    done = bob.run("connect", "--peer", alice.fingerprint(), f"127.0.0.1:{port}")
    heard = alice.end(child)
    assert done.status == heard.status == 0, (done, heard)
    assert f"connected: 127.0.0.1:{port}, {alice.fingerprint()}, " in done.err, done
    assert done.err.count(alice.fingerprint()) == heard.err.count(bob.fingerprint()) == 1, (done, heard)


# ------------------------------------------------------------------------------------ the question --

@pytest.mark.parametrize("host, shown", [("127.0.0.1:{}", "at 127.0.0.1:{} is not known"),
                                         ("localhost:{}", "at localhost:{} (127.0.0.1:{}) is not known")])
def test_the_question_says_an_address_once(alice, bob, port, host, shown):
    listening(alice, port)
    child = bob.spawn("connect", "-4", host.format(port))
    child.expect_exact(shown.format(port, port))
    child.expect_exact("(yes/no/[fingerprint])? ")
    child.sendline("no")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == TRUST


def test_what_was_typed_before_the_question_is_no_answer(alice, bob, port):
    bob.trust("alice", alice.fingerprint())
    child = alice.spawn("listen", f"127.0.0.1:{port}")
    child.expect_exact("on the other computer run")
    child.sendline("yes")
    child.expect_exact("yes\r\n")  # the terminal has taken it
    caller = bob.start("connect", f"127.0.0.1:{port}", stdin=subprocess.DEVNULL)
    child.expect_exact("(yes/no/[fingerprint])? ")
    child.sendline("no")
    assert bob.end(caller).status == TRUST
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == TRUST


# -------------------------------------------------------------------------------- other protocols --

@pytest.mark.parametrize("theirs, ours", [((), ("--classic",)), (("--classic",), ())])
def test_one_side_in_classic(friends, port, theirs, ours):
    alice, bob = friends
    child = listening(alice, port, *theirs)
    done = bob.run("connect", *ours, f"127.0.0.1:{port}")
    heard = alice.end(child)
    for side in (done, heard):
        refused(side, LINE, "--classic said on both sides or on neither?")


# --------------------------------------------------------------- a terminal in front of a pipe --

def listening_into(station, port, out, *options):
    """helio listen at a terminal, as in: helio listen PORT > out."""
    words = " ".join(shlex.quote(str(w)) for w in [station.bin, "listen", *options, f"127.0.0.1:{port}"])
    child = pexpect.spawn("/bin/sh", ["-c", f"exec {words} >{shlex.quote(str(out))}"], env=station.env,
                          timeout=10, encoding="utf-8")
    wait_for_port(port)
    return child


def test_into_a_file_ends_when_the_other_side_does(friends, port, tmp_path):
    alice, bob = friends
    child = listening_into(alice, port, tmp_path / "out")
    done = bob.run("connect", f"127.0.0.1:{port}", input=b"all of it", timeout=10)
    assert done.status == 0, done
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0 and (tmp_path / "out").read_bytes() == b"all of it"


def test_into_a_file_from_one_station_after_the_other(friends, port, tmp_path):
    alice, bob = friends
    child = listening_into(alice, port, tmp_path / "out", "--keep")
    for said in (b"one ", b"two ", b"three"):
        assert bob.run("connect", f"127.0.0.1:{port}", input=said, timeout=10).status == 0
        child.expect_exact("waiting for the next station")
    assert (tmp_path / "out").read_bytes() == b"one two three"
    # What is typed still goes to whoever is there.
    caller = bob.start("connect", f"127.0.0.1:{port}")
    child.expect_exact("connected: ")
    child.sendline("typed")
    assert caller.stdout.read(6) == b"typed\n"
    assert bob.end(caller).status == 0
    child.close(force=True)


def test_from_a_terminal_into_a_file(friends, port, tmp_path):
    alice, bob = friends
    child = listening(alice, port)  # its stdin is at its end: it closes first
    words = f"{shlex.quote(bob.bin)} connect 127.0.0.1:{port} >{shlex.quote(str(tmp_path / 'out'))}"
    caller = pexpect.spawn("/bin/sh", ["-c", words], env=bob.env, timeout=10, encoding="utf-8")
    caller.expect(pexpect.EOF)
    caller.close()
    assert caller.exitstatus == 0 and alice.end(child).status == 0
