"""The source keeps to the table of rooms, and the check that says so would notice if it did not."""

import pytest

import layering


def test_source_keeps_to_its_rooms():
    assert layering.violations(layering.ROOT / "src") == []


PLANTED = [
    ("base/a.c", '#include "crypto/hash.h"\n'),
    ("idea/a.c", '#include "session/session.h"\n'),
    ("crypto/a.c", '# include "identity/identity.h"\n'),
    ("session/a.h", '#include "helio1/helio1.h"\n'),
    ("classic/a.c", '#include "helio1/wire.h"\n'),
    ("io/a.c", '#include "session/session.h"\n'),
    ("cli/a.c", '#include "base/bytes.h"\n'),
    ("cli/a.c", '#include "crypto/rsa.h"\n'),
    ("lib/a.c", '#include "cli/cli.h"\n'),
    ("identity/a.c", "#include <openssl/evp.h>\n"),
    ("cli/a.c", "#include <openssl/evp.h>\n"),
    ("cli/a.c", "#include <uv.h>\n"),
    ("session/a.c", "#include <uv.h>\n"),
    ("io/a.c", "#include <histedit.h>\n"),
    ("identity/a.c", "#include <ini.h>\n"),
    ("helio1/a.c", "#include <sys/socket.h>\n"),
    ("helio1/a.c", "#include <netinet/in.h>\n"),
    ("session/a.c", "#include <time.h>\n"),
    ("crypto/a.c", "#include <pthread.h>\n"),
    ("classic/a.c", "#include <syslog.h>\n"),
    ("helio1/a.c", 'void f(void) { fprintf(stderr, "x"); }\n'),
    ("identity/a.c", 'const char *f(void) { return getenv("HOME"); }\n'),
    ("helio1/a.c", '#include "wire.h"\n'),
    ("elsewhere/a.c", "\n"),
]


@pytest.mark.parametrize("name,text", PLANTED)
def test_planted_violation_is_caught(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text)
    found = layering.violations(tmp_path)
    assert found and all(problem.startswith(name) for problem in found)


def test_no_source_is_no_success(tmp_path):
    assert layering.violations(tmp_path)


ALLOWED = [
    ("base/a.c", '#include "base/wipe.h"\n#include "helio.h"\n#include <string.h>\n'),
    ("crypto/a.c", '#include "idea/idea.h"\n#include <openssl/evp.h>\n'),
    ("io/a.c", '#include "base/wipe.h"\n#include <uv.h>\n#include <netdb.h>\n'),
    ("cli/a.c", '#include "io/io.h"\n#include "base/text.h"\n#include <stdio.h>\n'),
    ("session/a.c", '/* never on stderr */\nint f(char *s) { return snprintf(s, 9, "printf"); }\n'),
]


@pytest.mark.parametrize("name,text", ALLOWED)
def test_what_is_allowed_passes(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text)
    assert layering.violations(tmp_path) == []
