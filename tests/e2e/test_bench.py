"""helio bench, and the environment variable that limits the kernels."""

import json

import pytest

SUITES = {"idea-ctr-poly1305", "chacha20-poly1305", "aes-256-gcm"}


def figures(station, *args):
    done = station.run("bench", "--json", *args)
    assert done.status == 0 and done.err == "", done
    rows = json.loads(done.out)
    assert all(row["per_s"] > 0 and row["bits"] == 3072 if row["what"] == "handshake" else row["mb_per_s"] > 0 and row["bytes"] > 0
               for row in rows), rows
    return rows


def kernel_in_use(station):
    return station.run("--version", "-v").out.splitlines()[-1].removeprefix("IDEA runs on ")


def test_idea_has_figures_for_each_kernel_and_length(alice):
    rows = figures(alice, "idea")
    names = [row["name"] for row in rows if row["bytes"] == 65536]
    assert names[0] == kernel_in_use(alice) and names[-1] == "portable", rows
    assert {row["what"] for row in rows} == {"idea"}
    assert len(rows) == len({row["bytes"] for row in rows}) * len(names), rows


def test_seal_has_figures_for_each_suite(alice):
    rows = figures(alice, "seal")
    assert {(row["what"], row["name"]) for row in rows} == {(what, suite) for what in ("seal", "open") for suite in SUITES}


def test_handshake_has_figures_for_each_role(alice):
    rows = {row["name"]: row["per_s"] for row in figures(alice, "handshake")}
    assert set(rows) == {"initiator", "responder", "both"}
    assert rows["both"] < min(rows["initiator"], rows["responder"]), rows


def test_pipe_has_figures_for_each_suite(alice):
    assert {(row["what"], row["name"]) for row in figures(alice, "pipe")} == {("pipe", suite) for suite in SUITES}


def test_all_of_them_are_one_array(alice):
    assert {row["what"] for row in figures(alice)} == {"idea", "seal", "open", "handshake", "pipe"}


def test_text_is_lines(alice):
    done = alice.run("bench", "seal")
    assert done.status == 0 and len(done.out.splitlines()) == 2 * len(SUITES), done
    assert all(line.endswith(" MB/s") for line in done.out.splitlines()), done


def test_there_is_no_other(alice):
    done = alice.run("bench", "luck")
    assert done.status == 2 and 'no measurement "luck"' in done.err, done
    assert alice.run("bench", "idea", "seal").status == 2


def test_the_environment_takes_kernels_away(alice):
    alice.env["HELIO_IDEA_KERNEL"] = "portable"
    assert kernel_in_use(alice) == "portable"
    assert {row["name"] for row in figures(alice, "idea")} == {"portable"}


@pytest.mark.parametrize("args", [["id"], ["--version"], ["bench"]])
def test_a_kernel_that_does_not_exist_is_refused(alice, args):
    alice.env["HELIO_IDEA_KERNEL"] = "abacus"
    done = alice.run(*args)
    assert done.status == 2 and 'no kernel "abacus"' in done.err and done.out == "", done


def test_an_empty_variable_is_none(alice):
    alice.env["HELIO_IDEA_KERNEL"] = ""
    assert alice.run("--version").status == 0
