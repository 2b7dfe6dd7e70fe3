"""No test is forgotten: every file that looks like one stands in tests/meson.build."""

from layering import ROOT

TESTS = ROOT / "tests"


def test_every_test_file_is_listed():
    listed = (TESTS / "meson.build").read_text(encoding="utf-8")
    files = [path.relative_to(TESTS).as_posix()
             for ending in ("c", "cc", "py") for path in TESTS.rglob(f"test_*.{ending}")]
    assert len(files) > 5
    assert [name for name in sorted(files) if f"'{name}'" not in listed] == []
