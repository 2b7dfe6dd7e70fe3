"""What a newcomer stumbles over: that each message says what is so, and what helps."""

import pytest


LOCAL, USAGE = 1, 2


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
