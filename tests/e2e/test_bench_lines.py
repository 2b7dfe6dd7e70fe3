"""bench/lines in the small: its ends of a line notice what they are there to notice, and our own lines pass."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from conftest import DEADLINE, ROOT, program

sys.path.insert(0, str(ROOT / "bench"))

import chart  # pylint: disable=wrong-import-position
import peers  # pylint: disable=wrong-import-position
from stand import Stand  # pylint: disable=wrong-import-position


def tools():
    return pathlib.Path(program()).parents[2] / "bench"


def sink(data, *seed):
    done = subprocess.run([tools() / "pump", "sink", *seed], input=data, capture_output=True, timeout=DEADLINE, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(name="stream")
def stream_of_seed_7():
    done = subprocess.run([tools() / "pump", "source", "1000000", "7"], capture_output=True, timeout=DEADLINE, check=True)
    assert len(done.stdout) == 1000000
    return done.stdout


def test_the_sink_knows_the_stream(stream):
    status, report = sink(stream, "7")
    assert (status, report["bytes"], report["compared"], report["same"]) == (0, 1000000, True, True), report


@pytest.mark.parametrize("at", [0, 262143, 262144, 999999])
def test_the_sink_notices_one_bit(stream, at):
    status, report = sink(stream[:at] + bytes([stream[at] ^ 1]) + stream[at + 1:], "7")
    assert (status, report["bytes"], report["same"]) == (1, 1000000, False), report


def test_without_a_seed_it_only_counts(stream):
    status, report = sink(stream)
    assert (status, report["bytes"], report["compared"]) == (0, 1000000, False), report


def test_the_asker_notices_another_answer(tmp_path):
    answer = os.pipe()
    ask = subprocess.Popen([tools() / "pump", "ask", "5", "64", tmp_path / "report"], stdin=answer[0], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    os.write(answer[1], bytes(64))
    assert "other bytes came back" in ask.communicate(timeout=DEADLINE)[1]
    assert ask.returncode == 1
    os.close(answer[0])
    os.close(answer[1])


@pytest.fixture(name="stand", scope="module")
def a_stand():
    with Stand(program(), tools()) as stand:
        yield stand


@pytest.mark.parametrize("suite", peers.SUITES)
def test_bytes_through_our_line(stand, suite):
    report, cpu = peers.Helio(stand, None, suite).bulk(["3000000", "1"], ["1"])
    assert report["bytes"] == 3000000 and report["same"] and cpu > 0, (report, cpu)


def test_round_trips_through_our_line(stand):
    report = peers.Helio(stand, None, "aes-256-gcm").talk(20, 64)["round_ms"]
    assert report["n"] == 20 and 0 < report["p50"] <= report["p99"], report


def test_connections_through_our_pair(stand):
    report, cpu = peers.HelioPair("pair", stand, None).knock(1, 4)
    assert report["errors"] == {} and report["session_ms"]["n"] > 0 and cpu > 0, (report, cpu)


def test_bars_show_name_and_figure(tmp_path):
    chart.bars(tmp_path / "c.svg", "A < B", ["here"], [{"title": "Speed", "unit": "MiB/s", "better": "more",
                                                         "rows": [("ours", 1234.0, 1200.0, 1300.0, "ours"), ("theirs", 0.0, 0.0, 0.0, "theirs")]}])
    text = (tmp_path / "c.svg").read_text(encoding="utf-8")
    assert "A &lt; B" in text and "1,234" in text and "ours" in text and text.rstrip().endswith("</svg>"), text
