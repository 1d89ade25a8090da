"""The list of what this product is held to names tests that exist, and leaves no point out."""

import re

from tests.support.databases import ROOT

CHECKLIST = (ROOT / "docs" / "checklist.md").read_text(encoding="utf-8")
POINTS = re.findall(r"^\| ([FPCA]\d+) \| (.+?) \| (.+) \|$", CHECKLIST, re.MULTILINE)
NAMED = re.compile(r"`([a-z]+/test_\w+\.py)::(test_\w+)`")


def test_there_are_sixty_points_each_once() -> None:
    wanted = [
        f"{part}{n}"
        for part, last in (("F", 14), ("P", 20), ("C", 11), ("A", 15))
        for n in range(1, last + 1)
    ]
    assert [point for point, _promise, _held in POINTS] == wanted


def test_each_point_is_held_by_a_test_or_says_why_not() -> None:
    open_ones = [
        point for point, _promise, held in POINTS if not (NAMED.search(held) or held.startswith("Not so"))
    ]
    assert open_ones == []


def test_every_test_that_is_named_exists() -> None:
    named = set(NAMED.findall(CHECKLIST))
    assert len(named) > 50
    missing = [
        f"{file}::{test}" for file, test in sorted(named)
        if not (ROOT / "tests" / file).exists()
        or not re.search(rf"^def {test}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]  # fmt: skip
    assert missing == []
