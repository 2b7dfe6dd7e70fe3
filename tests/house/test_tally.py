"""The count that CI believes: nothing that went wrong may be missing from it."""

import pytest

from tally import Count, count_log, count_program

CMOCKA_GOOD = "[==========] Running 9 test(s).\n[       OK ] a\n[==========] 9 test(s) run.\n"
CMOCKA_BAD = ("[==========] 9 test(s) run.\n", "[  PASSED  ] 7 test(s).\n[  FAILED  ] 2 test(s), listed below:\n"
              "[  FAILED  ] a\n[  FAILED  ] b\n\n 2 FAILED TEST(S)\n")

CASES = [
    # what, result, stdout, stderr, expected
    ("cmocka", "OK", CMOCKA_GOOD, "[  PASSED  ] 9 test(s).\n", Count(9)),
    ("cmocka, failures", "FAIL", *CMOCKA_BAD, Count(7, 2)),
    ("cmocka, failures, exit 0", "OK", *CMOCKA_BAD, Count(7, 2)),
    ("cmocka, skip", "OK", "[==========] 3 test(s) run.\n",
     "[  PASSED  ] 2 test(s).\n[  SKIPPED ] 1 test(s), listed below:\n[  SKIPPED ] x\n", Count(2, 0, 1)),
    ("cmocka, no summary", "FAIL", CMOCKA_GOOD, "", Count(0, 9)),
    ("cmocka, leak at exit", "FAIL", CMOCKA_GOOD, "[  PASSED  ] 9 test(s).\nERROR: LeakSanitizer\n", Count(9, 1)),
    ("cmocka, two groups", "OK", "[==========] 2 test(s) run.\n[==========] 3 test(s) run.\n",
     "[  PASSED  ] 2 test(s).\n[  PASSED  ] 3 test(s).\n", Count(5)),
    ("cmocka, no test", "OK", "[==========] 0 test(s) run.\n", "[  PASSED  ] 0 test(s).\n", Count(0, 1)),
    ("cmocka, crash", "FAIL", "[==========] Running 9 test(s).\n[ RUN      ] a\n", "", Count(0, 1)),
    ("pytest", "OK", "====== 12 passed in 3.21s ======\n", "", Count(12)),
    ("pytest, long", "OK", "=== 12 passed, 1 warning in 83.21s (0:01:23) ===\n", "", Count(12)),
    ("pytest -q", "OK", ".....\n5 passed in 0.10s\n", "", Count(5)),
    ("pytest, mixed", "FAIL", "=== 2 failed, 3 passed, 1 skipped, 1 xfailed, 4 errors in 1.0s ===\n", "", Count(3, 6, 2)),
    ("pytest, none", "FAIL", "=== no tests ran in 0.01s ===\n", "", Count(0, 1)),
    ("pytest, all deselected", "FAIL", "=== 5 deselected in 0.01s ===\n", "", Count(0, 1)),
    ("pytest, killed", "TIMEOUT", "....", "", Count(0, 1)),
    ("plain", "OK", "hello\n", "", Count(1)),
    ("plain, fails", "FAIL", "", "oh\n", Count(0, 1)),
    ("plain, skip", "SKIP", "", "", Count(0, 0, 1)),
    ("plain, error", "ERROR", "", "", Count(0, 1)),
]


@pytest.mark.parametrize("what,result,out,err,expected", CASES, ids=[case[0] for case in CASES])
def test_count(what, result, out, err, expected):
    assert count_program({"name": what, "result": result, "stdout": out, "stderr": err}) == expected


def test_log(tmp_path):
    log = tmp_path / "testlog.json"
    log.write_text('{"name": "a", "result": "OK", "stdout": "4 passed in 1.00s\\n"}\n'
                   '{"name": "b", "result": "FAIL"}\n')
    assert count_log(log) == [("a", Count(4)), ("b", Count(0, 1))]
