"""The example in examples/ works: two processes, each hears the other."""

import os
import subprocess


def test_hello():
    done = subprocess.run([os.environ["HELIO_EXAMPLE"]], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["alice says hello", "bob says hello"]
