#!/usr/bin/python3
"""What `make check` does once the packages are there: builds three ways, runs the tests, counts them.

The last line is "N passed, N failed" over all runs; a build that fails counts as one failure.  Exits 0 only when something ran and
nothing failed.  With names of builds as arguments it does only those.
"""

import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "house"))

from tally import Count, count_log  # pylint: disable=wrong-import-position

# name, directory, compilers, options of meson setup, options of meson test.
# Sanitized programs are several times slower: -t stretches the deadlines.
BUILDS = [
    ("gcc", "build", ("gcc", "g++"), [], []),
    ("sanitizers", "build-asan", ("gcc", "g++"),
     ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dc_args=-fno-sanitize-recover=all"], ["-t", "4", "--no-suite", "python"]),
    ("clang", "build-clang", ("clang", "clang++"), [], ["--suite", "unit", "--suite", "house", "--no-suite", "slow"]),
]


def run(command, env):
    print("$", *command, flush=True)
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


def build(directory, options, env):
    setup = ["meson", "setup", directory, *options]
    if not (ROOT / directory / "build.ninja").exists() and not run(setup, env):
        return False
    return run(["meson", "compile", "-C", directory], env)


def check(name, directory, compilers, setup_options, test_options):
    """Builds, tests; returns what there is to count."""
    log = ROOT / directory / "meson-logs" / "testlog.json"
    env = dict(os.environ, CC=compilers[0], CXX=compilers[1], PYTHONDONTWRITEBYTECODE="1")
    log.unlink(missing_ok=True)
    if not build(directory, setup_options, env):
        print(f"{name}: FAILED to build")
        return Count(failed=1)
    good = run(["meson", "test", "-C", directory, "--no-rebuild", "--print-errorlogs", *test_options], env)
    total = Count()
    for program, count in count_log(log) if log.exists() else []:
        print(f"  {name:10} {program.split(' / ')[-1]:16} {count}")
        total += count
    if not good and total.failed == 0:
        print(f"{name}: meson test FAILED, but no test in its log did")
        total.failed = 1
    return total


def main(names):
    unknown = set(names) - {row[0] for row in BUILDS}
    if unknown:
        sys.exit(f"check.py: no such build: {', '.join(sorted(unknown))}")
    total, start = Count(), time.monotonic()
    for row in BUILDS:
        if not names or row[0] in names:
            total += check(*row)
    if total.skipped:
        print(f"{total.skipped} skipped")
    print(f"{time.monotonic() - start:.0f} seconds")
    print(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.passed > 0 and total.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
