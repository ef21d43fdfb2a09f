"""The certificate as a page for people."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.conftest import WHY
from tests.unit.audit import bundles

from countenance.audit import verify
from countenance.cli.main import run
from countenance.orders import view

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILES = bundles.files()
HOSTILE = "\"><script>alert(1)</script><b onmouseover='x'>&"
VOID = {"meta", "br"}


def page(files=FILES, given=None) -> str:
    return view.render(files, verify.examine(files, given), given=given, at=NOON)


class Outline(HTMLParser):
    """The tags of a page, which must be closed as they were opened, and its text."""

    def __init__(self, shown: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(shown)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "title"} & set(self.open):
            self.text += data + " "


def test_the_page_says_what_was_erased_why_when_how_what_was_searched_and_what_is_not_covered():
    text = Outline(page()).text
    for part in (
        "7 keys were destroyed",
        "Faces, with template and crop 3",
        "Art. 17(1) GDPR",
        "an enrolled person",
        "Approved by: operator",
        "1 March 2026, 12:00:05 UTC",
        "Signed: 1 March 2026, 12:00:09 UTC",
        "overwritten in place",
        "4 before, 5 after",
        "1 beside the vault's own",
        "12 files of 123,456 bytes (the vault's folder)",
        "40 byte patterns",
        "3 of the erased templates found 0",
        "prc_b",
        "The exact file 1",
        "Index rows 3",
        *verify.examine(FILES).statement["not_covered"],
        *(state["leaf"] for state in verify.examine(FILES).statement["states"]),
        FILES["checkpoint.txt"].decode().split("\n")[2],
        "python verify.py BUNDLE --key KEY",
    ):
        assert part in text, part


def test_the_page_carries_the_verdict_its_time_and_that_it_proves_nothing_itself():
    text = Outline(page()).text
    assert verify.verdict(verify.examine(FILES)) in text
    assert "23 November 2026, 12:00:00 UTC" in text
    assert "This page itself proves nothing" in text
    key = verify.examine(FILES).key.public.hex()
    assert verify.verdict(verify.examine(FILES, key), key) in Outline(page(given=key)).text


def test_the_key_stands_in_groups_that_can_be_compared():
    key = verify.examine(FILES).key.public.hex()
    assert " ".join(re.findall("....", key)) in Outline(page()).text


def test_a_proof_that_does_not_hold_shows_why_and_nothing_of_its_statement():
    text = Outline(page(FILES | {"READ-ME.txt": b"Trust me."})).text
    assert "DOES NOT HOLD" in text
    assert "READ-ME.txt is another file" in text
    for part in ("Art. 17", "keys were destroyed", "1 March 2026", "Approved"):
        assert part not in text


@pytest.mark.parametrize("name", ["key.txt", "certificate.json", "checkpoint.txt", "proofs.json"])
def test_a_page_of_files_that_are_anything_at_all_is_whole_and_says_no(name):
    for data in (b"", b"\xff\xfe", HOSTILE.encode(), b"[" * 9999):
        assert "DOES NOT HOLD" in Outline(page(FILES | {name: data})).text


def hostile(said):
    said.update(ground=HOSTILE, erasure="<i>", software=HOSTILE, not_covered=[HOSTILE], reason="other-reason")
    said["keys"].update(method=HOSTILE, provider=HOSTILE, medium_note=HOSTILE)
    said["processes"].update(unanswered=[HOSTILE])
    said.update(approved_by=[HOSTILE], counts={"more": 1}, suppressed={"more": 1})
    said["scan"].update(places=["elsewhere"])


def test_no_value_becomes_markup():
    shown = page(bundles.files(said=hostile))
    outline = Outline(shown)
    assert {tag for tag, _ in outline.tags} & {"script", "b", "i", "img", "a", "link", "iframe"} == set()
    assert outline.text.count(HOSTILE) >= 7
    assert all(not name.startswith("on") for _, attributes in outline.tags for name in attributes)


def test_a_day_that_no_calendar_has_is_shown_as_it_stands():
    assert (
        "Signed: 2026-04-31T12:00:09Z"
        in Outline(page(bundles.files(said=lambda s: s.update(issued_at="2026-04-31T12:00:09Z")))).text
    )


def test_nothing_is_loaded_from_elsewhere_and_no_script_may_run():
    shown = page()
    assert "default-src 'none'" in shown
    assert not re.findall(r"(?:src=|href=|url\(|@import|https?:)", shown)


def test_the_page_has_a_language_a_title_one_heading_and_tables_that_name_their_rows():
    outline = Outline(page())
    names = [tag for tag, _ in outline.tags]
    assert dict(outline.tags)["html"] == {"lang": "en"}
    assert (names.count("title"), names.count("h1"), names.count("main")) == (1, 1, 1)
    assert names.count("h2") == names.count("section") > 8
    assert names.count("table") > 5
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in outline.tags if tag == "th")


def luminance(colour: str) -> float:
    full = colour if len(colour) == 6 else "".join(digit * 2 for digit in colour)
    parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_every_colour_of_text_has_the_contrast_that_wcag_asks_for_in_light_dark_and_print():
    schemes = [dict(re.findall(r"--(\w+): #(\w+)", block)) for block in view.STYLE.split(":root")[1:]]
    assert len(schemes) == 3
    for scheme in schemes:
        for name in ("text", "soft", "good", "bad"):
            light, dark = sorted((luminance(scheme["page"]), luminance(scheme[name])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, scheme)
        light, dark = sorted((luminance(scheme["page"]), luminance(scheme["line"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3


def command(arguments, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        run([str(argument) for argument in arguments])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "proof.zip"
    path.write_bytes(verify.pack(FILES))
    return path


def test_a_page_is_made_from_a_bundle_without_any_vault(bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = command(["certificate", "view", bundle, "page.html", "--json"], capsys)
    assert (code, json.loads(out)) == (0, {"file": "page.html", "holds": True})
    assert "HOLDS, if" in Path("page.html").read_text()
    code, _, err = command(["certificate", "view", bundle, "page.html"], capsys)
    assert (code, "is there already" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "proof.zip"]


def test_a_page_with_another_key_says_so_and_the_command_ends_with_6(bundle, tmp_path, capsys):
    other = bundles.OTHER_KEY.public_key().public_bytes_raw().hex()
    code, _, err = command(["certificate", "view", bundle, tmp_path / "page.html", "--key", other], capsys)
    assert (code, "does not hold" in err) == (6, True)
    assert "another key" in (tmp_path / "page.html").read_text()


def test_a_file_that_is_no_bundle_gives_no_page(tmp_path, capsys):
    (tmp_path / "no.zip").write_bytes(b"PK")
    code, _, err = command(["certificate", "view", tmp_path / "no.zip", tmp_path / "page.html"], capsys)
    assert (code, "zip" in err) == (6, True)
    assert command(["certificate", "view", tmp_path / "no.zip", tmp_path / "p.html", "--key", "zz"], capsys)[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["no.zip"]


def test_a_page_is_made_of_an_erasure_of_the_vault(filled, photos, tmp_path, capsys):
    found = filled.search(photos / "portrait.png", **WHY)
    erasure = filled.erase(filled.scope(search=found.id), approved_by=["Approver Number One"])
    shown = filled.erasures.view(erasure.id)
    text = Outline(shown).text
    assert "HOLDS, if the public key shown is the operator's" in text
    assert "what a search found" in text
    assert "Approver Number One" in text
    assert "portrait" not in shown
    code, _, _ = command(["certificate", "view", erasure.id, tmp_path / "p.html", "--vault", filled.path], capsys)
    assert (code, "HOLDS" in (tmp_path / "p.html").read_text()) == (0, True)
    assert command(["certificate", "view", "era_none", tmp_path / "q.html", "--vault", filled.path], capsys)[0] != 0
