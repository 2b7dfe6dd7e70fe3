"""The shared library shows what helio.h declares, and nothing else."""

import os
import re
import subprocess

from layering import ROOT


def exported():
    library = os.environ["HELIO_LIBRARY"]
    out = subprocess.run(["nm", "--dynamic", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    names = {line.split()[-1] for line in out.splitlines()}
    return {name for name in names if not name.startswith("__")}  # what the compiler and sanitizers add


def declared():
    header = (ROOT / "include" / "helio.h").read_text(encoding="utf-8")
    return set(re.findall(r"^HELIO_API\b[^;(]*?\b(helio_\w+)\(", header, re.M))


def test_declared_is_read():
    assert {"helio_session_new", "helio_session_export", "helio_identity_load", "helio_idea_ctr"} <= declared()


def test_exported_is_declared():
    assert exported() == declared()
