"""What holds of all pages together: promises, links, changes, and nothing of the machine they were written on."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)")


def test_every_promise_has_its_heading_its_test_file_and_names_it():
    text = (DOCS / "promises.md").read_text("utf-8")
    parts = re.split(r"^## P(\d+): ", text, flags=re.MULTILINE)[1:]
    numbers, bodies = [int(n) for n in parts[::2]], parts[1::2]
    assert numbers == list(range(1, 13))
    for number, body in zip(numbers, bodies, strict=True):
        pattern = f"tests/promises/test_p{number:02}_*.py"
        assert pattern in body
        assert len(list(ROOT.glob(pattern))) == 1


def test_a_promise_with_an_expected_failure_says_which_issue_completes_it():
    text = (DOCS / "promises.md").read_text("utf-8")
    for part in re.split(r"^## P", text, flags=re.MULTILINE)[1:]:
        (file,) = ROOT.glob(f"tests/promises/test_p{int(part.partition(':')[0]):02}_*.py")
        issues = set(re.findall(r"with the issue on ([\w' ]+)", file.read_text("utf-8")))
        plain = " ".join(part.split())
        assert all(f"issue on {issue}" in plain for issue in issues), file.name
        assert bool(issues) == ("issue on" in plain), file.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_inside_the_project_leads_somewhere(page):
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}


def test_every_page_is_reached_from_the_page_of_pages():
    listed = {target for target, _ in LINK.findall((DOCS / "README.md").read_text("utf-8"))}
    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= listed


def test_changes_has_an_entry_for_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


def test_the_two_commands_of_the_readme_are_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in ("demo", "test"):
        assert f"| `make {target}` |" in (ROOT / "README.md").read_text("utf-8")
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_no_file_of_the_project_names_a_path_of_this_machine():
    own = re.compile(rf"{re.escape(str(ROOT))}\b|(?<![\w.])/(?:root|home/(?!you\b)\w+|Users/\w+|work)/")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        try:
            text = (ROOT / name).read_text("utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue
        assert not (found := own.search(text)), f"{name}: {found and found[0]}"


def test_each_claim_about_erasure_names_a_test_that_there_is():
    claims = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", (DOCS / "erasure.md").read_text("utf-8"))
    assert len(claims) > 20
    for file, name in claims:
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), name
