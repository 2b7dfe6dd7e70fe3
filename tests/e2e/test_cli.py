"""The frame of the command line: verbs, options, config, keys, trust, messages and exit statuses."""
import json
import os
import re
import resource
import shlex
import signal
import stat
import time

import pexpect
import pytest

from conftest import FINGERPRINT, ROOT

OTHER = "SHA256:" + "A" * 43
ANOTHER = "SHA256:" + "B" * 42 + "A"


def lines(text):
    return text.splitlines()


def refused(done, status, *parts):
    """It ended with status, printed nothing, and said so in one or two lines that hold the parts."""
    assert done.status == status, done
    assert done.out == "", done
    assert done.err.startswith("helio: "), done
    assert 1 <= len(lines(done.err)) <= 2, done
    for part in parts:
        assert part in done.err, (part, done)
    harmless(done.err)


def harmless(text):
    """No control character but the newline, and nothing that turns the direction of text."""
    for c in text:
        assert c == "\n" or (ord(c) >= 32 and not 0x7f <= ord(c) <= 0x9f), repr(text)
        assert c not in "\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", repr(text)


# ------------------------------------------------------------------------------- help and usage --

def test_nothing_at_all_is_usage(alice):
    done = alice.run()
    assert (done.status, done.out) == (2, ""), done
    assert done.err.startswith("usage: helio"), done


def test_version(alice):
    done = alice.run("--version")
    assert done.status == 0 and re.fullmatch(r"helio \d+\.\d+\.\d+\n", done.out), done
    done = alice.run("-v", "--version")
    assert done.status == 0 and "OpenSSL 3" in done.out and "libuv" in done.out, done


def verbs_of(station):
    text = station.run("--help").out
    return re.findall(r"^  ([a-z]+) ", text, re.MULTILINE)


def test_help_lists_verbs_and_each_has_help(alice):
    done = alice.run("--help")
    assert done.status == 0 and done.err == "", done
    verbs = verbs_of(alice)
    assert {"keygen", "id", "trust"} <= set(verbs), done
    for verb in verbs:
        for args in ([verb, "--help"], ["--help", verb], [verb, "-h", "--no-such-option"]):
            done = alice.run(*args)
            assert done.status == 0 and done.out.startswith(f"usage: helio {verb} "), done
            assert "--quiet" in done.out and all(len(l) <= 100 for l in lines(done.out)), done


def test_manual_page_names_every_verb_and_option(alice):
    page = (ROOT / "man" / "helio.1").read_text()
    verbs = verbs_of(alice)
    options = {o for verb in verbs for o in re.findall(r"--([a-z0-9-]+)", alice.run(verb, "--help").out)}
    assert len(verbs) > 3 and len(options) > 15
    assert [v for v in verbs if f".It Cm {v}" not in page] == []
    assert [o for o in sorted(options) if not re.search(rf"^\.It (Fl \w , )?Fl -{o}\b", page, re.MULTILINE)] == []


def test_help_needs_no_home_and_no_config(alice):
    alice.config.write_text("nonsense\n")
    assert alice.run("id", "--help").status == 0
    assert alice.run("--help", env={"HELIO_HOME": "/dev/null"}).status == 0


def test_help_names_only_options_that_the_verb_takes(alice):
    text = alice.run("id", "--help").out
    assert "--json" in text and "--accept-new" not in text and "--bits" not in text


USAGE = [
    (["keyge"], ["no verb \"keyge\"", "did you mean \"keygen\"?"]),
    (["trsut", "list"], ["did you mean \"trust\"?"]),
    (["xyzzy"], ["no verb \"xyzzy\"", "helio --help"]),
    (["xyzzy", "--bogus"], ["no verb \"xyzzy\""]),
    (["x" * 5000], ["no verb"]),
    (["\x1b]0;title\x07\u202e"], ["\\x1b]0;title\\x07"]),
    (["--bogus"], ["no option --bogus"]),
    (["id", "--bogus"], ["id: ", "no option --bogus", "helio id --help"]),
    (["id", "-x"], ["no option -x"]),
    (["id", "-\xe9"], ["no option"]),
    (["id", "--bogus\x1b[2J"], ["no option --bogus\\x1b[2J"]),
    (["id", "--identity"], ["--identity needs an argument"]),
    (["id", "--identity", ""], ["--identity", "give a file name"]),
    (["id", "--json=yes"], ["--json takes no argument"]),
    (["id", "--help=yes"], ["takes no argument"]),
    (["id", "extra"], ["\"extra\" is one argument too many", "usage: helio id"]),
    (["id", "--json", "--public"], ["exclude each other"]),
    (["id", "--bits", "2048"], ["--bits is not for this verb"]),
    (["id", "--accept-new"], ["--accept-new is not for this verb"]),
    (["id", "--log", "xml"], ["--log \"xml\"", "json"]),
    (["id", "--passphrase-fd", "three"], ["--passphrase-fd \"three\""]),
    (["id", "--passphrase-fd", "-1"], ["--passphrase-fd \"-1\""]),
    (["id", "--passphrase-fd", "99999999999999999999"], ["--passphrase-fd"]),
    (["keygen", "a", "b"], ["\"b\" is one argument too many"]),
    (["keygen", "--bits", "1024"], ["--bits \"1024\"", "2048 to 8192"]),
    (["keygen", "--bits", "2047"], ["2048 to 8192"]),
    (["keygen", "--bits", "8193"], ["2048 to 8192"]),
    (["keygen", "--bits", "0x1000"], ["2048 to 8192"]),
    (["keygen", "--bits", "+3072"], ["2048 to 8192"]),
    (["keygen", "--bits", " 3072"], ["2048 to 8192"]),
    (["keygen", "--bits", "3072 "], ["2048 to 8192"]),
    (["keygen", "--bits", ""], ["2048 to 8192"]),
    (["keygen", "--bits", "4294970368"], ["2048 to 8192"]),
    (["keygen", "--bits", "18446744073709554688"], ["2048 to 8192"]),
    (["keygen", "--passphrase", "--passphrase-fd", "3"], ["exclude each other"]),
    (["trust", "forget"], ["there is no \"forget\" here"]),
    (["trust", "list", "x"], ["usage: helio trust [options] list"]),
    (["trust", "add", "bob"], ["add NAME FINGERPRINT"]),
    (["trust", "add", "bob", OTHER, "x"], ["one argument too many"]),
    (["trust", "remove"], ["remove NAME"]),
    (["trust", "remove", "a", "b"], ["remove NAME"]),
    (["trust", "add", "bob", "SHA256:abc"], ["is not a fingerprint"]),
    (["trust", "add", "bob", OTHER + "A"], ["is not a fingerprint"]),
    (["trust", "add", "bob", OTHER + "="], ["is not a fingerprint"]),
    (["trust", "add", "bob", OTHER.lower()], ["is not a fingerprint"]),
    (["trust", "add", "two words", OTHER], ["a name has 1 to 255 bytes"]),
    (["trust", "add", "", OTHER], ["a name has 1 to 255 bytes"]),
    (["trust", "add", "#bob", OTHER], ["a name has 1 to 255 bytes"]),
    (["trust", "add", "a\nb", OTHER], ["a name has 1 to 255 bytes"]),
    (["trust", "add", "a" * 256, OTHER], ["a name has 1 to 255 bytes"]),
    (["trust", "add", ANOTHER, OTHER], ["cannot begin with SHA256:"]),
]


@pytest.mark.parametrize("args,parts", USAGE, ids=[" ".join(a)[:40].encode("unicode_escape").decode() for a, _ in USAGE])
def test_wrong_usage(alice, args, parts):
    done = alice.run(*args)
    refused(done, 2, *parts)
    assert not alice.known.exists() or alice.known.read_text() == ""


LINE_USAGE = [
    (["--suite", "rot13"], ["--suite \"rot13\"", "idea-ctr-poly1305"]),
    (["--timeout", "0"], ["--timeout \"0\"", "1 to 86400"]),
    (["--timeout", "86401"], ["1 to 86400"]),
    (["--timeout", "1.5"], ["1 to 86400"]),
    (["--timeout", "-3"], ["1 to 86400"]),
    (["--name", "a\x1b[2J"], ["--name", "\\x1b[2J", "64 bytes"]),
    (["--name", "a" * 65], ["64 bytes"]),
    (["--name", b"\xff\xfe"], ["64 bytes"]),
    (["--peer", ""], ["--peer"]),
    (["-4", "-6"], ["exclude each other"]),
    (["--classic", "--peer", "bob"], ["nobody proves a key in classic"]),
    (["--classic", "--accept-new"], ["nobody proves a key in classic"]),
    (["--classic", "--suite", "aes-256-gcm"], ["classic has no suites"]),
    (["--classic-offset", "3"], ["goes with --classic only"]),
    (["--classic-counter", "constant"], ["goes with --classic only"]),
    (["--classic", "--classic-offset", "25"], ["0 to 24"]),
    (["--classic", "--classic-counter", "random"], ["constant or incrementing"]),
]


@pytest.mark.parametrize("verb,place", [("listen", "127.0.0.1:0"), ("connect", "127.0.0.1:9")])
@pytest.mark.parametrize("args,parts", LINE_USAGE, ids=[repr(a) for a, _ in LINE_USAGE])
def test_wrong_usage_of_a_line(alice, verb, place, args, parts):
    for order in ([verb, place, *args], [verb, *args, place], [*args, verb, place]):
        refused(alice.run(*order), 2, *parts)


@pytest.mark.parametrize("args", [["connect"], ["listen"], ["connect", "a:1", "b:2"], ["connect", "--keep", "a:1"]])
def test_wrong_arguments_of_a_line(alice, args):
    refused(alice.run(*args), 2, "usage" if "--keep" not in args else "--keep is not for this verb")


def test_options_and_arguments_in_any_order(alice):
    for i, order in enumerate((["trust", "--known", "F", "add", "bob", OTHER],
                               ["--known", "F", "trust", "add", "bob", OTHER],
                               ["trust", "add", "bob", OTHER, "--known=F"],
                               ["trust", "add", "--known", "F", "--", "bob", OTHER])):
        path = alice.home / f"known{i}"
        done = alice.run(*[a.replace("F", str(path)) if a in ("F", "--known=F") else a for a in order])
        assert done.status == 0, done
        assert path.read_text() == f"bob {OTHER}\n"


def test_usage_errors_follow_log_json(alice):
    done = alice.run("id", "--log", "json", "extra\x1b\"\\\u202e")
    assert done.status == 2, done
    row = json.loads(done.err)
    assert row["level"] == "error" and row["event"] == "usage" and "extra\x1b\"\\\u202e" in row["message"], row
    assert "\x1b" not in done.err and "\u202e" not in done.err


# --------------------------------------------------------------------------------------- keygen --

def test_keygen_prints_the_fingerprint_and_nothing_else(new_station):
    station = new_station("fresh")
    done = station.run("keygen", "--bits", "2048")
    assert done.status == 0 and done.err == "", done
    assert FINGERPRINT.fullmatch(done.out.strip()) and done.out.endswith("\n"), done
    assert stat.S_IMODE(station.identity.stat().st_mode) == 0o600
    assert station.identity.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert station.fingerprint() == done.out.strip()


def test_keygen_makes_the_home_with_a_narrow_mode(new_station):
    station = new_station("fresh")
    deep = station.home / "a" / "b"
    old = os.umask(0)
    try:
        done = station.run("keygen", "--bits", "2048", env={"HELIO_HOME": str(deep)})
    finally:
        os.umask(old)
    assert done.status == 0, done
    assert stat.S_IMODE(deep.stat().st_mode) == 0o700
    assert stat.S_IMODE((station.home / "a").stat().st_mode) == 0o700
    assert stat.S_IMODE((deep / "identity.pem").stat().st_mode) == 0o600


def test_keygen_never_overwrites(alice):
    before = alice.identity.read_bytes()
    refused(alice.run("keygen", "--bits", "2048"), 1, str(alice.identity), "never overwritten")
    assert alice.identity.read_bytes() == before
    link = alice.home / "link.pem"
    link.symlink_to(alice.home / "nowhere")
    refused(alice.run("keygen", "--bits", "2048", link), 1, "never overwritten")
    assert not (alice.home / "nowhere").exists()


def test_keygen_to_a_named_file(alice):
    path = alice.home / "-other key.pem"
    done = alice.run("keygen", "--bits", "2048", path)
    assert done.status == 0, done
    assert alice.run("id", "--identity", path).out == done.out
    refused(alice.run("keygen", "--bits", "2048", "/nonexistent/key.pem"), 1, "/nonexistent/key.pem",
            "No such file or directory")


def test_keygen_of_other_sizes(alice):
    done = alice.run("keygen", "--bits", "2112", alice.home / "k.pem")
    assert done.status == 0, done
    done = alice.run("id", "--json", "--identity", alice.home / "k.pem")
    assert json.loads(done.out)["bits"] == 2112, done


def test_keygen_leaves_nothing_when_the_disk_says_no(new_station):
    station = new_station("fresh")
    limit = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                     resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    done = station.run("keygen", "--bits", "2048", preexec_fn=limit)
    refused(done, 1, "identity.pem", "File too large")
    assert list(station.home.iterdir()) == []


# ------------------------------------------------------------------------------------------- id --

def test_id_in_all_its_forms(alice):
    fingerprint = alice.run("id").out
    assert FINGERPRINT.fullmatch(fingerprint.strip())
    pem = alice.run("id", "--public").out
    assert pem.startswith("-----BEGIN PUBLIC KEY-----\n") and pem.endswith("-----END PUBLIC KEY-----\n")
    row = json.loads(alice.run("id", "--json").out)
    assert row == {"fingerprint": fingerprint.strip(), "bits": 2048, "file": str(alice.identity), "public": pem}


def test_fingerprint_is_what_the_contract_says(alice):
    import base64
    import hashlib
    from cryptography.hazmat.primitives import serialization
    key = serialization.load_pem_private_key(alice.identity.read_bytes(), None).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    expected = "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert alice.fingerprint() == expected


def test_first_use_makes_an_identity_and_says_so(new_station):
    station = new_station("fresh")
    station.config.write_text("bits = 2048\n")
    done = station.run("id")
    assert done.status == 0, done
    assert "first use" in done.err and str(station.identity) in done.err and done.out.strip() in done.err, done
    again = station.run("id")
    assert (again.status, again.out, again.err) == (0, done.out, ""), again


def test_first_use_is_silent_with_q_and_structured_as_json(new_station):
    quiet, loud = new_station("quiet"), new_station("loud")
    for station in (quiet, loud):
        station.config.write_text("bits = 2048\n")
    assert quiet.run("id", "-q").err == ""
    done = loud.run("id", "--log", "json")
    row = json.loads(done.err)
    assert row["event"] == "identity-made" and row["level"] == "note", row
    assert row["fingerprint"] == done.out.strip() and row["file"] == str(loud.identity), row
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["time"]), row


def test_two_first_uses_at_once_agree(new_station):
    station = new_station("fresh")
    station.config.write_text("bits = 2048\n")
    children = [station.start("id", "-q") for _ in range(4)]
    results = [station.end(child) for child in children]
    assert all(r.status == 0 for r in results), results
    assert len({r.out for r in results}) == 1, results


def test_a_named_identity_is_never_made(new_station):
    station = new_station("fresh")
    path = station.home / "my key.pem"
    refused(station.run("id", "--identity", path), 1, str(path), "No such file", f"helio keygen '{path}'")
    station.config.write_text("identity = mine.pem\n")
    refused(station.run("id"), 1, str(station.home / "mine.pem"))
    assert sorted(p.name for p in station.home.iterdir()) == ["config"]


def broken_keys(station, keys):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    pem = lambda key: key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                        serialization.NoEncryption())
    return [
        (b"", "not a private key"),
        (b"hello\n", "not a private key"),
        (keys[0][:-40], "not a private key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "RSA key of 2048 to 8192 bits"),
        (pem(rsa.generate_private_key(3, 2048)), "RSA key of 2048 to 8192 bits"),
        (pem(rsa.generate_private_key(65537, 1024)), "RSA key of 2048 to 8192 bits"),
        (b"x" * 70000, "64 KiB"),
    ]


def test_bad_key_files_are_clear_errors(new_station, keys):
    station = new_station("fresh")
    for content, part in broken_keys(station, keys):
        station.identity.write_bytes(content)
        station.identity.chmod(0o600)
        refused(station.run("id"), 1, str(station.identity), part)
        assert station.identity.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o777])
def test_keys_open_to_others_are_refused(alice, mode):
    alice.identity.chmod(mode)
    refused(alice.run("id"), 1, "chmod 600 " + str(alice.identity))


def test_a_directory_or_fifo_is_no_key(alice):
    os.mkfifo(alice.home / "fifo", 0o600)
    refused(alice.run("id", "--identity", alice.home / "fifo"), 1, "fifo")
    refused(alice.run("id", "--identity", alice.home), 1, str(alice.home))


# ----------------------------------------------------------------------------------- passphrases --

def make_protected(station, passphrase):
    done = station.run("keygen", "--bits", "2048", "--passphrase-fd", "0", input=passphrase + b"\n")
    assert done.status == 0, done
    assert station.identity.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    return done.out


def test_passphrase_by_descriptor(new_station):
    station = new_station("fresh")
    fingerprint = make_protected(station, b"correct horse")
    for given in (b"correct horse\n", b"correct horse", b"correct horse\nmore that is not ours"):
        done = station.run("id", "--passphrase-fd", "0", input=given)
        assert (done.status, done.out) == (0, fingerprint), done
    read, write = os.pipe()
    os.write(write, b"correct horse\n")
    os.close(write)
    done = station.run("id", "--passphrase-fd", str(read), pass_fds=[read])
    os.close(read)
    assert (done.status, done.out) == (0, fingerprint), done


def test_passphrase_leaves_the_rest_of_the_descriptor(new_station, tmp_path):
    station = new_station("fresh")
    make_protected(station, b"x y")
    path = tmp_path / "both"
    path.write_bytes(b"x y\nthe rest")
    with open(path, "rb", buffering=0) as f:
        assert station.run("id", "--passphrase-fd", "0", stdin=f).status == 0
        assert f.read() == b"the rest"


WRONG_PASSPHRASES = [
    (b"wrong\n", "passphrase is missing or wrong"),
    (b"right \n", "passphrase is missing or wrong"),
    (b"right\r\n", "passphrase is missing or wrong"),
    (b"", "is empty"),
    (b"\n", "is empty"),
    (b"a" * 1025, "over 1024 bytes"),
]


@pytest.mark.parametrize("given,part", WRONG_PASSPHRASES, ids=[repr(g[:8]) for g, _ in WRONG_PASSPHRASES])
def test_wrong_passphrase_by_descriptor(new_station, given, part):
    station = new_station("fresh")
    make_protected(station, b"right")
    refused(station.run("id", "--passphrase-fd", "0", input=given), 1, part)


def test_passphrase_of_the_greatest_length(new_station):
    station = new_station("fresh")
    fingerprint = make_protected(station, b"\xff" * 1024)
    assert station.run("id", "--passphrase-fd", "0", input=b"\xff" * 1024).out == fingerprint


def test_passphrase_descriptor_that_is_not_open(new_station):
    station = new_station("fresh")
    refused(station.run("keygen", "--passphrase-fd", "9"), 1, "--passphrase-fd 9", "Bad file descriptor")
    assert not station.identity.exists()
    make_protected(station, b"right")
    refused(station.run("id", "--passphrase-fd", "9"), 1, "--passphrase-fd 9", "Bad file descriptor")


def test_empty_passphrase_makes_no_key(new_station):
    station = new_station("fresh")
    for given in (b"", b"\n"):
        refused(station.run("keygen", "--passphrase-fd", "0", "--bits", "2048", input=given), 1, "is empty")
    assert not station.identity.exists()


def test_passphrase_without_terminal(new_station):
    station = new_station("fresh")
    refused(station.run("keygen", "--passphrase", "--bits", "2048"), 1, "no terminal", "--passphrase-fd")
    assert not station.identity.exists()
    make_protected(station, b"right")
    refused(station.run("id", input=b"right\n"), 1, "passphrase is missing", "--passphrase-fd")


def test_passphrase_at_the_terminal(new_station):
    station = new_station("fresh")
    child = station.spawn("keygen", "--bits", "2048", "--passphrase")
    for prompt in ("New passphrase for .*identity.pem: ", "The same again: "):
        child.expect(prompt)
        assert child.waitnoecho(5)
        child.sendline("corr\u00e9ct")
    child.expect(FINGERPRINT)
    made = child.match.group(0)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0 and "corr" not in child.before
    child = station.spawn("id")
    for given in ("wrong", "", "corr\u00e9ct"):
        child.expect("Passphrase for .*identity.pem: ")
        assert child.waitnoecho(5)
        child.sendline(given)
    child.expect(FINGERPRINT)
    assert child.match.group(0) == made
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_three_wrong_passphrases_are_enough(new_station):
    station = new_station("fresh")
    make_protected(station, b"right")
    child = station.spawn("id")
    for _ in range(3):
        child.expect("Passphrase for .*: ")
        child.sendline("wrong")
    child.expect("missing or wrong")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


@pytest.mark.parametrize("one,two,said", [("a", "b", "differ"), ("", None, "is empty"), ("abc", "ab", "differ"),
                                          ("abc", "", "differ")])
def test_new_passphrases_that_will_not_do(new_station, one, two, said):
    station = new_station("fresh")
    child = station.spawn("keygen", "--bits", "2048", "--passphrase")
    child.expect("New passphrase for .*: ")
    child.sendline(one)
    if two is not None:
        child.expect("The same again: ")
        child.sendline(two)
    child.expect(said)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1
    assert not station.identity.exists()


@pytest.mark.parametrize("number,key", [(signal.SIGINT, "\x03"), (signal.SIGTERM, None), (signal.SIGHUP, None),
                                        (signal.SIGQUIT, "\x1c")])
def test_a_signal_at_the_question_restores_the_echo(new_station, number, key):
    station = new_station("fresh")
    make_protected(station, b"right")
    shell = pexpect.spawn("/bin/sh", env={**station.env, "PS1": "% "}, timeout=20, encoding="utf-8")
    shell.expect_exact("% ")
    shell.sendline(f"""sh -c 'echo pid=$$; exec "$0" id' {shlex.quote(station.bin)}""")
    shell.expect(r"pid=(\d+)")
    pid = int(shell.match.group(1))
    shell.expect("Passphrase for .*: ")
    assert shell.waitnoecho(5)
    if key:
        shell.send(key)
    else:
        os.kill(pid, number)
    shell.expect_exact("% ")
    shell.sendline("echo status=$?")
    shell.expect(r"status=(\d+)")
    assert int(shell.match.group(1)) == 128 + number
    end = time.monotonic() + 5
    while not shell.getecho() and time.monotonic() < end:
        time.sleep(0.02)
    assert shell.getecho()
    shell.close(force=True)


def test_stop_and_continue_at_the_question(new_station):
    station = new_station("fresh")
    fingerprint = make_protected(station, b"right")
    shell = pexpect.spawn("/bin/bash", ["--norc"], env={**station.env, "PS1": "% "}, timeout=20, encoding="utf-8")
    shell.expect_exact("% ")
    shell.sendline(f"{shlex.quote(station.bin)} id")
    shell.expect("Passphrase for .*: ")
    assert shell.waitnoecho(5)
    shell.send("\x1a")
    shell.expect("Stopped")
    shell.expect_exact("% ")
    shell.sendline("fg")
    shell.expect("Passphrase for .*: ")
    assert shell.waitnoecho(5)
    shell.sendline("right")
    shell.expect_exact(fingerprint.strip())
    shell.close(force=True)


def test_no_core_dump_and_no_debugger(new_station):
    """While the program waits with a key at hand, its limits say no to dumps and tracers."""
    station = new_station("fresh")
    make_protected(station, b"right")
    child = station.spawn("id")
    child.expect("Passphrase for .*: ")
    with open(f"/proc/{child.pid}/limits") as f:
        row = next(l for l in f if l.startswith("Max core file size"))
    assert row.split()[4:6] == ["0", "0"], row
    if os.getuid() != 0:
        assert os.stat(f"/proc/{child.pid}/environ").st_uid == 0
    child.close(force=True)


# ---------------------------------------------------------------------------------------- trust --

def test_trust_add_list_remove(alice):
    assert alice.run("trust").out == ""
    for name, fingerprint in (("bob", OTHER), ("bobs-phone", OTHER), ("na\u00efve", ANOTHER), ("h:1", ANOTHER)):
        done = alice.run("trust", "add", name, fingerprint)
        assert (done.status, done.out, done.err) == (0, "", ""), done
    expected = f"bob {OTHER}\nbobs-phone {OTHER}\nna\u00efve {ANOTHER}\nh:1 {ANOTHER}\n"
    assert alice.run("trust").out == expected
    assert alice.run("trust", "list").out == expected
    assert stat.S_IMODE(alice.known.stat().st_mode) & 0o022 == 0
    assert alice.run("trust", "add", "bob", OTHER).status == 0
    assert alice.run("trust", "list").out == expected
    assert alice.run("trust", "remove", "bob").status == 0
    assert alice.run("trust", "list").out == expected.split("\n", 1)[1]


def test_trust_add_never_replaces(alice):
    alice.trust("first", OTHER)
    alice.trust("bob's", OTHER)
    refused(alice.run("trust", "add", "bob's", ANOTHER), 1, f"{alice.known}:2", "another key",
            "helio trust remove 'bob'\\''s'")
    assert alice.run("trust").out == f"first {OTHER}\nbob's {OTHER}\n"


def test_trust_names_that_look_like_options(alice):
    done = alice.run("trust", "add", "--", "-q", OTHER)
    assert done.status == 0, done
    refused(alice.run("trust", "add", "--", "-q", ANOTHER), 1, "helio trust remove -- -q")
    assert alice.run("trust", "remove", "--", "-q").status == 0
    assert alice.run("trust").out == ""


def test_trust_remove_of_nobody(alice):
    refused(alice.run("trust", "remove", "bob"), 1, "no station bob", str(alice.known))
    assert not alice.known.exists() or alice.known.read_bytes() == b""
    alice.trust("carol", OTHER)
    refused(alice.run("trust", "remove", "bob\x1b[31m"), 1, "\\x1b[31m")
    assert alice.run("trust").out == f"carol {OTHER}\n"


def test_trust_needs_no_identity(new_station):
    station = new_station("fresh")
    station.trust("bob", OTHER)
    assert not station.identity.exists()


BAD_KNOWN = [
    (b"bob\n", 1), (b"# fine\n\nbob " + OTHER.encode() + b"\nbob " + ANOTHER.encode() + b"\n", 4),
    (b"bob SHA256:abc\n", 1), (b"bob " + OTHER.encode() + b" more\n", 1), (b"a\x1b[2Jb " + OTHER.encode() + b"\n", 1),
    (b"\xff " + OTHER.encode() + b"\n", 1), (b"bob\0 " + OTHER.encode() + b"\n", 1),
]


@pytest.mark.parametrize("content,line", BAD_KNOWN, ids=[repr(c[:12]) for c, _ in BAD_KNOWN])
def test_bad_known_stations(alice, content, line):
    alice.known.write_bytes(content)
    alice.known.chmod(0o600)
    for args in (["trust"], ["trust", "add", "dave", OTHER], ["trust", "remove", "bob"]):
        done = alice.run(*args)
        assert done.status == 1 and str(alice.known) in done.err and done.out == "", done
        assert alice.known.read_bytes() == content
        harmless(done.err)
    refused(alice.run("trust"), 1, f"{alice.known}:{line}: ")


def test_known_stations_that_others_may_write(alice):
    alice.trust("bob", OTHER)
    alice.known.chmod(0o666)
    refused(alice.run("trust"), 1, f"chmod go-w {alice.known}")


def test_many_writers_lose_nothing(alice):
    children = [alice.start("trust", "add", f"s{i}", OTHER) for i in range(24)]
    assert all(alice.end(child).status == 0 for child in children)
    names = sorted(row.split()[0] for row in lines(alice.run("trust").out))
    assert names == sorted(f"s{i}" for i in range(24))


# ------------------------------------------------------------------------------- home and config --

def test_home_of_the_base_directory_specification(new_station):
    station = new_station("fresh")
    base = station.home
    for env, expected in (({"XDG_CONFIG_HOME": f"{base}/xdg"}, base / "xdg/helio"),
                          ({"HOME": f"{base}/user"}, base / "user/.config/helio"),
                          ({"HOME": f"{base}/user2", "XDG_CONFIG_HOME": "relative"}, base / "user2/.config/helio"),
                          ({"HOME": f"{base}/user3", "XDG_CONFIG_HOME": ""}, base / "user3/.config/helio")):
        done = station.run("trust", "add", "bob", OTHER, env={"HELIO_HOME": "", **env}, cwd=base)
        assert done.status == 0, done
        assert (expected / "known_stations").read_text() == f"bob {OTHER}\n"
        assert stat.S_IMODE(expected.stat().st_mode) == 0o700


def test_home_that_others_may_write(alice):
    for mode in (0o770, 0o707, 0o777, 0o1777):
        alice.home.chmod(mode)
        refused(alice.run("id"), 1, str(alice.home), f"chmod go-w {alice.home}")
    alice.home.chmod(0o755)
    assert alice.run("id").status == 0


def test_home_that_is_no_directory(alice):
    refused(alice.run("id", env={"HELIO_HOME": str(alice.identity)}), 1, "is not a directory")
    refused(alice.run("id", env={"HELIO_HOME": "/proc/nothing/here"}), 1, "/proc/nothing")


def test_config_gives_defaults_and_the_command_line_wins(new_station, keys):
    station = new_station("fresh")
    for name, key in (("one.pem", keys[0]), ("two.pem", keys[1])):
        (station.home / name).write_bytes(key)
        (station.home / name).chmod(0o600)
    station.config.write_text("# a comment\n; another\n\nidentity = one.pem\nname = al ice\nquiet = no\n"
                              f"known={station.home}/elsewhere\n")
    first = station.run("id")
    second = station.run("id", "--identity", station.home / "two.pem")
    assert first.status == 0 and second.status == 0 and first.out != second.out, (first, second)
    station.trust("bob", OTHER)
    assert (station.home / "elsewhere").read_text() == f"bob {OTHER}\n"
    station.config.write_text("identity = ~/one.pem\n")
    assert station.run("id", env={"HOME": str(station.home)}).out == first.out


BAD_CONFIG = [
    ("nme = alice\n", 1, "nme: there is no such option"),
    ("name = alice\nsuite = rot13\n", 2, "suite: give idea-ctr-poly1305"),
    ("\n\ntimeout = soon\n", 3, "timeout: give a whole number"),
    ("timeout =\n", 1, "timeout: give a whole number"),
    ("quiet = maybe\n", 1, "quiet: say yes or no"),
    ("quiet\n", 1, "OPTION = VALUE"),
    ("name = alice\n???\ntimeout = soon\n", 2, "OPTION = VALUE"),
    ("timeout = soon\n???\n", 1, "timeout"),
    ("[section]\nname = alice\n", 2, "sections"),
    ("classic = yes\n", 1, "classic: this can only be said on the command line"),
    ("peer = bob\n", 1, "peer: this can only be said on the command line"),
    ("passphrase = secret\n", 1, "passphrase: this can only be said on the command line"),
    ("passphrase-fd = 3\n", 1, "passphrase-fd: this can only be said on the command line"),
    ("name = \x1b[31mred\n", 1, "name: give at most 64 bytes"),
    ("\x1b[31m = x\n", 1, "\\x1b[31m: there is no such option"),
    ("name = " + "a" * 5000 + "\n", 1, "too long"),
    ("name = a\0b\n", 1, "not text"),
    ("identity =\n", 1, "identity: give a file name"),
    ("bits = 1024", 1, "bits: give a whole number from 2048 to 8192"),
    ("name = a\n  continued\n", 2, "OPTION = VALUE"),
]


@pytest.mark.parametrize("text,line,part", BAD_CONFIG, ids=[repr(t[:20]) for t, _, _ in BAD_CONFIG])
def test_bad_config(alice, text, line, part):
    alice.config.write_text(text)
    refused(alice.run("id"), 2, f"{alice.config}:{line}: ", part)


def test_config_that_cannot_be_trusted_or_read(alice):
    alice.config.write_text("quiet = yes\n")
    alice.config.chmod(0o666)
    refused(alice.run("id"), 1, str(alice.config), "others may write")
    alice.config.unlink()
    alice.config.mkdir()
    refused(alice.run("id"), 1, str(alice.config), "not a regular file")
    alice.config.rmdir()
    os.mkfifo(alice.config, 0o600)
    refused(alice.run("id"), 1, str(alice.config), "not a regular file")


def test_config_random_bytes_never_crash(alice):
    import random
    seed = 20240607
    rng = random.Random(seed)
    alphabet = b"name=suite timeout[]\n\n=;#: \\\"\x00\xff\x1b0123456789yesno"
    for i in range(40):
        alice.config.write_bytes(bytes(rng.choice(alphabet) for _ in range(rng.randrange(200))))
        done = alice.run("trust")
        assert done.status in (0, 2), (seed, i, done)
        harmless(done.err)


# ------------------------------------------------------------------------------- stdin and stdout --

@pytest.mark.parametrize("args", [["id"], ["id", "--json"], ["id", "--public"], ["trust"], ["--help"], ["--version"],
                                  ["id", "--help"]])
def test_a_full_disk_is_reported(friends, args):
    alice, _ = friends
    with open("/dev/full", "wb") as full:
        done = alice.run(*args, stdout=full)
    assert done.status == 1 and "No space left on device" in done.err, done


@pytest.mark.parametrize("args", [["id"], ["trust"], ["--help"]])
def test_a_closed_stdout_is_reported(friends, args):
    alice, _ = friends
    done = alice.run(*args, stdout=None, preexec_fn=lambda: os.close(1))
    assert done.status == 1 and "cannot write to stdout" in done.err, done


def test_a_closed_pipe_is_reported_and_does_not_kill(friends):
    alice, _ = friends
    read, write = os.pipe()
    os.close(read)
    done = alice.run("id", stdout=write)
    os.close(write)
    assert done.status == 1 and "Broken pipe" in done.err, done


def test_closed_descriptors_do_not_catch_our_files(new_station):
    """With 0, 1 and 2 closed, the key file and the messages must not land on one descriptor."""
    station = new_station("fresh")
    closed = lambda: [os.close(fd) for fd in (0, 1, 2)]
    done = station.run("keygen", "--bits", "2048", stdin=None, stdout=None, stderr=None, preexec_fn=closed)
    assert done.status == 1
    assert station.identity.read_text().startswith("-----BEGIN PRIVATE KEY-----\n")
    assert station.identity.read_text().endswith("-----END PRIVATE KEY-----\n")
    assert station.run("id").status == 0
    done = station.run("trust", "remove", "nobody", stdin=None, stdout=None, stderr=None, preexec_fn=closed)
    assert done.status == 1


def test_closed_stdin_is_empty_input(alice):
    done = alice.run("id", "--passphrase-fd", "0", stdin=None, preexec_fn=lambda: os.close(0))
    assert done.status == 0, done  # no passphrase is needed, and nothing lands on descriptor 0


def test_status_is_that_of_the_first_failure(alice):
    with open("/dev/full", "wb") as full:
        done = alice.run("bogus", stdout=full)
    assert done.status == 2, done
