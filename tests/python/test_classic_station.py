"""The Python station against the recordings of the original, and against itself.

What the end-to-end tests hold the C program against must first be right by itself.
"""
import json
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import classic_station as classic  # noqa: E402

VECTORS = pathlib.Path(__file__).resolve().parents[1] / "vectors"


def recorded(name):
    return json.loads((VECTORS / name).read_text(encoding="ascii"))


HANDSHAKES = recorded("classic.json")


@pytest.fixture(params=HANDSHAKES, ids=lambda v: v["name"])
def vector(request):
    return request.param


# -- the parts --


def test_idea_gives_the_published_block():
    key = bytes.fromhex("00010002000300040005000600070008")
    assert classic.idea_encrypt(key, bytes.fromhex("0000000100020003")).hex() == "11fbed2b01986de5"


def test_aes_gives_the_published_block():
    block = classic.aes_encrypt(bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff"))
    assert block.hex() == "69c4e0d86a7b0430d8cdb78070b4c55a"


def test_tuples_are_what_python_2_printed():
    for row in recorded("classic-repr.json"):
        value, text = bytes.fromhex(row["value_hex"]), bytes.fromhex(row["text_hex"])
        assert classic.tuple_text(value) == text
        assert classic.tuple_value(text) == value


@pytest.mark.parametrize("text", [b"__import__('os')", b"('a','b')", b"'a'", b"(1,)", b"('a',", b"(b'a',)"])
def test_other_tuples_are_not_evaluated(text):
    with pytest.raises((ValueError, SyntaxError)):
        classic.tuple_value(text)


def test_fresh_keys_work():
    key = classic.Key.generate()
    assert key.n.bit_length() == 1024
    assert classic.Key.from_public_pem(key.public_pem()).n == key.n
    assert key.decrypt(key.encrypt(b"\1" * 16)) == b"\1" * 16


# -- the recordings --


def test_keys(vector):
    key = classic.Key.from_private_pem(vector["private_key_pem"])
    assert key.public_pem() == vector["public_key_pem"]
    assert classic.sha1_hex(vector["public_key_pem"].encode()) == vector["public_key_sha1"]
    public = classic.Key.from_public_pem(vector["public_key_pem"])
    t = classic.transported(bytes.fromhex(vector["random_key_hex"]))
    assert t.hex() == vector["transported_hex"]
    assert classic.sha1_hex(t) == vector["session_digest"]
    assert public.encrypt(t).hex() == vector["rsa_ciphertext_hex"]
    assert classic.tuple_text(public.encrypt(t)).hex() == vector["server_reply_hex"]
    assert classic.sha1_hex(key.decrypt(public.encrypt(t))) == vector["client_digest_of_the_python_client"]


def test_messages(vector):
    key = vector["idea_key_ascii"].encode()
    assert key == vector["session_digest"][:16].encode()
    for message in vector["messages"]:
        plain = bytes.fromhex(message["plain_hex"])
        assert classic.idea_ctr(key, plain).hex().upper() == message["wire_ascii"]


@pytest.mark.parametrize("row", recorded("classic-variants.json"),
                         ids=lambda row: f"{row['session_digest'][:4]}-{row['key_offset']}")
def test_variants(row):
    key = row["session_digest"][row["key_offset"] :][:16].encode()
    assert key == row["idea_key_ascii"].encode()
    for incrementing, wire in ((False, "wire_constant_counter"), (True, "wire_incrementing_counter")):
        assert classic.idea_ctr(key, row["plain"].encode(), incrementing).hex().upper() == row[wire]


# -- two of them --


class Pair:
    """A client here and a server in a thread, on a socket pair."""

    def __init__(self, k=None, client=None, server=None, settle=0.0):
        ours, theirs = socket.socketpair()
        self.client, self.server = classic.Client(ours, **(client or {})), classic.Server(theirs, **(server or {}))
        self.failure = None
        self.thread = threading.Thread(target=self.serve, args=(k, settle))

    def serve(self, k, settle):
        try:
            self.server.handshake(k)
            while (text := self.server.hear(settle)) is not None:
                self.server.say(text)
        except (classic.Failed, ValueError, OSError) as error:
            self.failure = error
        self.server.sock.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.client.sock.close()
        self.thread.join()


def test_a_recorded_conversation_again(vector):
    zero = vector["transported_hex"].startswith("00")
    with Pair(bytes.fromhex(vector["random_key_hex"]), server={"original": zero}) as pair:
        pair.client.handshake(classic.Key.from_private_pem(vector["private_key_pem"]))
        assert pair.client.digest == vector["session_digest"]
        for message in vector["messages"]:
            pair.client.say(bytes.fromhex(message["plain_hex"]))
            assert pair.client.hear().hex() == message["plain_hex"]
    assert pair.failure is None


def test_the_original_disagrees_with_itself_about_a_leading_zero():
    vector = next(v for v in HANDSHAKES if v["transported_hex"].startswith("00"))
    with Pair(bytes.fromhex(vector["random_key_hex"]), {"original": True}, {"original": True}) as pair:
        pair.client.handshake(classic.Key.from_private_pem(vector["private_key_pem"]))
    assert pair.client.digest == vector["client_digest_of_the_python_client"]
    assert pair.server.digest == vector["session_digest"] != pair.client.digest


@pytest.mark.parametrize("offset", [0, 1, 16, 24])
@pytest.mark.parametrize("incrementing", [False, True])
@pytest.mark.parametrize("split", [0, 1, 7])
def test_variants_and_splits(offset, incrementing, split):
    how = {"offset": offset, "incrementing": incrementing, "split": split}
    with Pair(client={"name": "alice", **how}, server=how, settle=0.1) as pair:
        pair.client.handshake()
        pair.client.say(b"x" * 100)
        assert pair.client.hear(settle=0.1) == b"alice : " + b"x" * 100
    assert pair.failure is None


CLIENTS = [name for name, (piece, _, _) in classic.MISBEHAVIOURS.items() if piece in ("key", "hash")]
SERVERS = [name for name, (piece, _, _) in classic.MISBEHAVIOURS.items() if piece in ("yes", "reply")]
# What the original would have taken, too: any RSA key, and a number that is none of ours.
TAKEN = {"small-key", "other-reply"}


@pytest.mark.parametrize("name", sorted(set(CLIENTS) - TAKEN))
def test_a_server_sees_misbehaviour(name):
    with Pair(client={"misbehave": name}) as pair:
        with pytest.raises((classic.Failed, OSError)):
            pair.client.handshake()
    assert pair.failure is not None


@pytest.mark.parametrize("name", sorted(set(SERVERS) - TAKEN))
def test_a_client_sees_misbehaviour(name):
    with Pair(server={"misbehave": name}) as pair:
        with pytest.raises((classic.Failed, ValueError, SyntaxError)):
            pair.client.handshake()


@pytest.mark.parametrize("name", ["odd-hex", "not-hex", "newline", "lower-hex", "long-message"])
def test_misbehaviour_in_messages_goes_out(name):
    ours, theirs = socket.socketpair()
    station, other = classic.Client(ours, misbehave=name), classic.Server(theirs)
    station.digest = other.digest = HANDSHAKES[0]["session_digest"]
    station.say(b"some text of mine")
    if name == "long-message":
        assert len(theirs.recv(4096)) == 1026
        return
    with pytest.raises(classic.Failed):
        other.hear()


def test_the_command_line():
    script = str(pathlib.Path(classic.__file__))
    server = subprocess.Popen(["/usr/bin/python3", script, "listen", "0", "--echo"], stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().split()[1]
    client = subprocess.run(["/usr/bin/python3", script, "connect", f"127.0.0.1:{port}", "--name", "bob", "--say",
                             "one", "--say", "two"], stdout=subprocess.PIPE, text=True, timeout=30, check=True)
    out, _ = server.communicate(timeout=30)
    assert "HEARD bob : one\n" in out and "END ok\n" in out
    # The client said its last word and heard the answer before it had nothing more to say.
    assert client.stdout.count("HEARD bob : ") == 2 and server.returncode == 0
