"""Who may include whom: the table of docs/architecture.md, held against the #include lines of src/.

As a program: layering.py [SRC] prints each violation and exits 1 when there is one.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Each room, and the rooms whose headers it may include beside its own.
ROOMS = {
    "base": set(),
    "cpu": set(),
    "idea": {"base", "cpu"},
    "crypto": {"base", "cpu", "idea"},
    "identity": {"base", "idea", "crypto"},
    "session": {"base", "idea", "crypto"},
    "helio1": {"base", "idea", "crypto", "identity", "session"},
    "classic": {"base", "idea", "crypto", "identity", "session"},
    "lib": {"base", "idea", "crypto", "identity", "session", "helio1", "classic"},
    "io": {"base"},
    "cli": {"io"},
    "talk": {"cli", "io"},
    "demo": {"cli"},
    "serve": {"cli", "io"},
    "forward": {"cli", "io"},
}
# Single headers that a room may include although it may not include their room.
EXCEPTIONS = {room: {"base/buffer.h", "base/text.h", "base/wipe.h"} for room in ("cli", "talk", "demo", "serve", "forward")}

# Libraries that one room keeps to itself.
OWNERS = {r"(openssl/|intel-ipsec-mb)": "crypto", r"uv(\.h|/)": "io", r"(histedit|editline/)": "talk", r"ini\.h": "cli",
          r"microhttpd": "serve", r"systemd/": "serve"}

# What libhelio promises not to do: sockets, clocks, threads, signals, talking to anyone.
OUTSIDE = {"io", "cli", "talk", "demo", "serve", "forward"}
OUTSIDE_HEADERS = re.compile(
    r"(sys/socket|sys/un|sys/select|sys/epoll|sys/time|sys/wait|netinet/.*|arpa/.*|netdb|poll|time|signal|"
    r"pthread|threads|syslog|termios)\.h")
OUTSIDE_WORDS = re.compile(r"\b(stdout|stderr|v?f?printf|puts|perror|syslog|getenv)\b")

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)
NOT_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def check_quoted(room, header):
    if header == "helio.h" or header in EXCEPTIONS.get(room, ()):
        return None
    owner = header.split("/")[0]
    if "/" not in header or owner not in ROOMS:
        return f'"{header}" names no room: include paths start at src/'
    if owner != room and owner not in ROOMS[room]:
        return f'"{header}": {room} may not know {owner}'
    return None


def check_system(room, header):
    for library, owner in OWNERS.items():
        if re.match(library, header) and room != owner:
            return f"<{header}>: only {owner} may"
    if room not in OUTSIDE and OUTSIDE_HEADERS.fullmatch(header):
        return f"<{header}>: the library has no sockets, clocks, threads or terminals"
    return None


def check_file(room, text):
    found = [check_quoted(room, quoted) if quoted else check_system(room, system)
             for quoted, system in INCLUDE.findall(text)]
    if room not in OUTSIDE:
        found += [f"{word}: the library talks to nobody and reads no environment"
                  for word in OUTSIDE_WORDS.findall(NOT_CODE.sub(" ", text))]
    return [problem for problem in found if problem]


def violations(src):
    found, files = [], 0
    for path in sorted(src.rglob("*.[ch]")):
        files += 1
        inside = path.relative_to(src)
        if inside.parts[0] not in ROOMS:
            found.append(f"{inside}: in no room of the table")
            continue
        found += [f"{inside}: {problem}"
                  for problem in check_file(inside.parts[0], path.read_text(encoding="utf-8"))]
    if files == 0:
        found.append(f"{src}: no source there")
    return found


if __name__ == "__main__":
    problems = violations(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src")
    print("\n".join(problems) or "layering: in order")
    sys.exit(bool(problems))
