"""The page of findings: every number from 1 to 18 has a heading and names the test that plays it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FINDINGS = list(range(1, 19))


def test_each_finding_has_one_test_named_after_its_number_and_the_page_names_it():
    tests = re.findall(r"^def (test_law_(\d\d)_\w+)", (ROOT / "tests/law/test_law.py").read_text("utf-8"), re.MULTILINE)
    assert sorted(int(number) for _, number in tests) == FINDINGS
    named = {int(number): name for name, number in tests}
    page = (ROOT / "docs/law.md").read_text("utf-8")
    parts = re.split(r"^## (\d+)\. ", page, flags=re.MULTILINE)[1:]
    assert [int(number) for number in parts[::2]] == FINDINGS
    for number, body in zip(FINDINGS, parts[1::2], strict=True):
        assert f"Shown by `{named[number]}`" in body
