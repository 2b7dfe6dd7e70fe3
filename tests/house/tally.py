"""How many tests passed and failed, out of the logs that `meson test` leaves.

Meson counts programs; this counts the tests inside them, from the summaries of cmocka and pytest.  A program that is neither counts as
one.  Whatever does not add up counts as a failure: a program that died after its last good test, or one that ran no test at all.
"""

import json
import re

CMOCKA_RAN = re.compile(r"^\[=+\] (\d+) test\(s\) run\.$", re.M)
CMOCKA = re.compile(r"^\[ +(PASSED|FAILED|SKIPPED) +\] (\d+) test\(s\)", re.M)
PYTEST = re.compile(r"^(?:=+ )?((?:no tests ran|\d+ [a-z]+(?:, \d+ [a-z]+)*)) in [\d.]+s.*$", re.M)
PYTEST_FAILURES = {"failed", "error", "errors", "xpassed"}


class Count:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        return self

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")

    __repr__ = __str__


def count_cmocka(text):
    count, ran = Count(), sum(int(n) for n in CMOCKA_RAN.findall(text))
    for word, n in CMOCKA.findall(text):
        setattr(count, word.lower(), getattr(count, word.lower()) + int(n))
    if count.passed + count.failed + count.skipped < ran:
        count.failed = ran - count.passed - count.skipped
    return count


def count_pytest(summary):
    count = Count()
    for n, word in re.findall(r"(\d+) ([a-z]+)", summary):
        if word == "passed":
            count.passed += int(n)
        elif word in PYTEST_FAILURES:
            count.failed += int(n)
        elif word in ("skipped", "xfailed"):
            count.skipped += int(n)
    return count


def count_program(record):
    """One line of Meson's testlog.json: what a test program said, and how it ended."""
    text = record.get("stdout", "") + "\n" + record.get("stderr", "")
    summaries = PYTEST.findall(text)
    good = record["result"] == "OK"
    if CMOCKA_RAN.search(text):
        count = count_cmocka(text)
    elif summaries:
        count = count_pytest(summaries[-1])
    elif record["result"] == "SKIP":
        count = Count(skipped=1)
    else:
        count = Count(passed=int(good))
    if count.failed == 0 and not good and record["result"] != "SKIP":
        count.failed = 1
    if count.passed + count.failed + count.skipped == 0:
        count.failed = 1
    return count


def count_log(path):
    """(name, Count) of each program in a testlog.json."""
    with open(path, encoding="utf-8") as log:
        return [(record["name"], count_program(record)) for record in map(json.loads, log)]
