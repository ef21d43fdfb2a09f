"""The README and every page with shell or Python blocks: what they show is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tools.transcript import BLOCK, ID, MACHINE, play

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
VARYING = (  # differs from run to run or from machine to machine
    (ID, lambda found: found[0][:4]),
    (re.compile(r"\b\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?\b"), "DATE"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "HASH"),
    (re.compile(r"\b\d\.\d\d\d?\b"), "SCORE"),
    (re.compile(r"\b\d{1,3}(,\d{3})+\b"), "MANY"),
    (re.compile(r"\d+×\d+\+\d+\+\d+"), "BOX"),
)


def shown(page):
    """The blocks of a page: what runs, and under it what it prints, the lines in order of the alphabet."""
    for pattern, word in VARYING:
        page = pattern.sub(word, page)
    return [code + "\n".join(sorted(MACHINE.sub("", printed).splitlines())) for _, code, printed in BLOCK.findall(page)]


@pytest.mark.parametrize("path", [p for p in PAGES if BLOCK.search(p.read_text())], ids=lambda p: p.stem.lower())
def test_every_block_of_the_page_runs_and_prints_what_the_page_shows(path, tmp_path, settings):
    page = path.read_text("utf-8")
    played = play(page, tmp_path)
    assert "Traceback" not in played
    for said, happened in zip(shown(page), shown(played), strict=True):
        assert happened == said, f"if that is right, run: python tools/transcript.py {path.relative_to(ROOT)}"


def test_the_readme_is_among_the_pages_that_run_and_shows_python_too():
    assert {"sh", "python"} == {language for language, _, _ in BLOCK.findall((ROOT / "README.md").read_text("utf-8"))}


def test_no_page_has_a_block_in_a_language_that_would_not_run():
    fences = {fence for path in PAGES for fence in re.findall(r"^```(\w*)$", path.read_text("utf-8"), re.MULTILINE)}
    assert fences <= {"", "sh", "python", "text"}


def test_an_example_that_uses_the_network_fails(tmp_path):
    page = "```python\nimport socket\n\nsocket.create_connection(('127.0.0.1', 9))\n```\n"
    assert "a documented example used the network" in play(page, tmp_path)
