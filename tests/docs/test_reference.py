"""The reference pages are what the code says, and leave nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from tools import reference

from countenance import errors
from countenance.cli.main import app
from countenance.search import calibration
from countenance.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"
PAGES = reference.pages()


def headings(name):
    return re.findall(r"^## (.*)$", (DOCS / name).read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_committed_page_is_the_one_that_the_tool_makes(name):
    assert (DOCS / name).read_text("utf-8") == PAGES[name], "run: python tools/reference.py"


def test_every_command_has_its_heading_and_every_heading_its_command():
    def paths(command, path):
        inner = getattr(command, "commands", {})
        return [p for name in inner for p in paths(inner[name], f"{path} {name}")] if inner else [path]

    assert headings("commands.md") == paths(typer.main.get_command(app), "countenance")


def test_every_setting_has_its_heading_and_a_description():
    assert headings("settings.md") == list(Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_every_error_has_its_own_slug_and_heading():
    kinds = [kind for name, kind in vars(errors).items() if isinstance(kind, type) and not name.startswith("_")]
    slugs = [kind.slug for kind in kinds if issubclass(kind, errors.CountenanceError)]
    assert sorted(headings("errors.md")) == sorted(slugs)
    assert len(set(slugs)) == len(slugs)


def test_every_exit_code_and_every_reason_of_a_bad_image_is_explained():
    text = (DOCS / "errors.md").read_text("utf-8")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.exit_code for kind in kinds if issubclass(kind, errors.CountenanceError)}
    assert codes <= set(reference.EXIT_CODES)
    assert all(f"- `{reason}`: " in text for reason in errors.BAD_IMAGE)
    bad_input = (DOCS / "bad-input.md").read_text("utf-8")
    assert all(f"`{reason}`" in bad_input for reason in errors.BAD_IMAGE)


def test_the_search_page_shows_the_thresholds_and_counts_of_the_calibration():
    text = (DOCS / "search.md").read_text("utf-8")
    table = calibration.load("sface")
    sizes, scores = (
        re.findall(r"[\d.,]+", line)[-4:] for line in text.splitlines() if line.startswith(("| faces", "| score"))
    )
    for size, score in zip(sizes, scores, strict=True):
        assert f"{table.threshold(0.01, int(size.replace(',', ''))):.3f}" == score
    assert f"{table.pairs:,} pairs" in text
    assert f"{table.people:,}" in text
    assert f"measured up to {table.measured_to:.2f}" in text
