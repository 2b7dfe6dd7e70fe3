"""bench/soak for a few seconds: stations come and go, every byte of the echo is compared, and the server keeps no descriptor."""

import json
import os
import pathlib
import subprocess

from conftest import DEADLINE, ROOT, program


def soak(directory, *args):
    helio = pathlib.Path(program())
    command = [ROOT / "bench" / "soak", *args, "--helio", helio, "--tools", helio.parents[2] / "bench", "--results", directory]
    done = subprocess.run([str(word) for word in command], env=dict(os.environ, PYTHONDONTWRITEBYTECODE="1"), capture_output=True, text=True,
                          timeout=2 * DEADLINE, check=False)
    path = directory / "soak.json"
    assert path.exists(), done.stdout + done.stderr
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_short_soak(tmp_path):
    found = soak(tmp_path, "6", "--stations", "30", "--stay", "1", "--rest", "1", "--every", "1", "--seed", "7")
    stations = found["stations"]
    assert stations["errors"] == {} and found["server_status"] == 0, found
    # Whether memory is flat no few seconds can tell.
    assert found["held"]["no errors"] and found["held"]["no descriptor leaked"], found
    for ending in "in order", "in order, busy", "cut", "cut, busy":
        assert stations[ending] > 0, f"seed 7 has no visit that ends {ending}: {stations}"
    assert stations["received"] > 0 and found["present_most"] > 0, found
    assert len((tmp_path / "soak.csv").read_text(encoding="ascii").splitlines()) >= 5
    assert "</svg>" in (tmp_path / "soak.svg").read_text(encoding="utf-8")
