#!/usr/bin/python3
"""Writes the recordings of the original program (tests/vectors/classic*.json) as a C header.

Usage: classic_vectors.py DIRECTORY HEADER
"""
import json
import pathlib
import sys

TYPES = """/* Made by classic_vectors.py from tests/vectors/classic*.json. */
#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *p;
    size_t n;
};
struct vector_message {
    struct bytes plain, wire;
};
struct vector_handshake {
    const char *name;
    struct bytes private_pem, public_pem, hash, random, transported, ciphertext, reply, digest;
    struct vector_message messages[8];
    size_t message_count;
};
struct vector_variant {
    unsigned offset;
    struct bytes digest, key, plain, constant, incrementing;
};
struct vector_step {
    int from_client;
    struct bytes data;
};
struct vector_repr {
    struct bytes value, text;
};
"""


def blob(data: bytes) -> str:
    """A struct bytes; the array is never empty, because C has no empty arrays."""
    numbers = ",".join(str(b) for b in data) or "0"
    return "{(const uint8_t[]){%s}, %d}" % (numbers, len(data))


def text(s: str) -> str:
    return blob(s.encode("ascii"))


def unhex(s: str) -> str:
    return blob(bytes.fromhex(s))


def handshake(v: dict) -> str:
    messages = ",".join("{%s,%s}" % (unhex(m["plain_hex"]), text(m["wire_ascii"])) for m in v["messages"])
    fields = [
        json.dumps(v["name"]),
        text(v["private_key_pem"]),
        text(v["public_key_pem"]),
        text(v["public_key_sha1"]),
        unhex(v["random_key_hex"]),
        unhex(v["transported_hex"]),
        unhex(v["rsa_ciphertext_hex"]),
        unhex(v["server_reply_hex"]),
        text(v["session_digest"]),
        "{%s}" % messages,
        str(len(v["messages"])),
    ]
    return "{%s}" % ",".join(fields)


def variant(v: dict) -> str:
    names = ("session_digest", "idea_key_ascii", "plain", "wire_constant_counter", "wire_incrementing_counter")
    return "{%d,%s}" % (v["key_offset"], ",".join(text(v[name]) for name in names))


def step(v: dict) -> str:
    return "{%d,%s}" % (v["from"] == "client", unhex(v["hex"]))


def representation(v: dict) -> str:
    return "{%s,%s}" % (unhex(v["value_hex"]), unhex(v["text_hex"]))


TABLES = (
    ("classic.json", "vector_handshake", "handshakes", handshake),
    ("classic-variants.json", "vector_variant", "variants", variant),
    ("classic-capture.json", "vector_step", "capture", step),
    ("classic-repr.json", "vector_repr", "reprs", representation),
)


def main() -> None:
    directory, header = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out = [TYPES]
    for name, kind, table, write in TABLES:
        rows = json.loads((directory / name).read_text())
        out.append("static const struct %s %s[] = {" % (kind, table))
        out += [write(row) + "," for row in rows]
        out.append("};")
    header.write_text("\n".join(out) + "\n")


main()
