from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from sqlalchemy import update

import countenance
from countenance import Consent, errors
from countenance.cli import main, output
from countenance.orders import erase
from countenance.store.tables import entry
from countenance.vault import Vault

ASKED = ("-c", "club", "--purpose", "a test", "--case", "case 1")
CONSENT = ("--consent-by", "the person", "--consent-text", "may be found", "--consent-until", "2036-01-01")
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
NASTY = "e\x1b[2Jvil\nline\u202egpj.\x07\tend\x9b"


def commands(group=None, path=()):
    """Every command of the program, as (its words, the command)."""
    for name, command in (group or typer.main.get_command(main.app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("words", "command"), [pytest.param(*c, id=" ".join(c[0])) for c in commands()])
def test_every_command_says_what_it_does_and_offers_json(words, command, run):
    assert command.help.strip()
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    assert [p.name for p in command.params if p.opts[0].startswith("--") and not (p.help or p.name in PLAIN)] == []
    shown = run(*words, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert " ".join(command.help.split()) in " ".join(shown.out.split())


PLAIN = {
    "purpose",
    "controller",
    "contact",
    "name",
    "photo",
    "face",
    "subject",
    "source",
    "search",
}  # say it themselves

SHOWING = [  # commands that change nothing but the log
    ("collection", "list"),
    ("collection", "show", "club"),
    ("source", "list"),
    ("source", "refused", "{source}"),
    ("subject", "list"),
    ("search", "{picture}", *ASKED),
    ("search", "--face", "{face}", *ASKED),
    ("search", "--subject", "somebody", *ASKED),
    ("compare", "{picture}", "{picture}", *ASKED),
    ("why", "{photo}"),
    ("log", "show"),
    ("log", "verify"),
    ("log", "checkpoint"),
    ("log", "key"),
    ("log", "prove", "0"),
    ("certificate", "list"),
    ("worklist",),
    ("keys", "status"),
    ("export", "list"),
    ("face", "list"),
    ("wish", "list"),
    ("request", "list"),
    ("request", "show", "{asked}"),
    ("request", "scope", "{asked}"),
    ("request", "letter", "{asked}", "acknowledgement"),
    ("check",),
    ("doctor",),
    ("models",),
]
CHANGING = [  # every command that has --dry-run, in an order in which each can be done
    ("wish", "withdraw", "{wish}"),
    ("collection", "create", "another", "--purpose", "testing"),
    ("collection", "set", "club", "--notice", "another"),
    ("source", "add", "{elsewhere}", "-c", "club", "--controller", "the test suite", "--evidence", "made here"),
    ("subject", "enrol", "somebody else", "{picture}", "-c", "club", *CONSENT),
    ("add", "{folder}"),
    ("face", "not-same", "{face}", "--subject", "somebody", "--reason", "x"),
    ("face", "restrict", "--photo", "{photo}", "--ground", "objection"),
    ("face", "unrestrict", "{restriction}", "--reason", "x", "--told", "by letter"),
    ("export", "delete", "{export}"),
    ("request", "open", "access", "--text", "Which photos do you hold?"),
    ("request", "identify", "{asked}", "--address", "smaller.jpg"),
    ("request", "review", "{asked}", "--yes", "{photo}"),
    ("request", "settle", "{asked}", "objection"),
    ("request", "acknowledge", "{asked}"),
    ("request", "extend", "{asked}", "--reason", "x"),
    ("request", "pause", "{waiting}", "clarification"),
    ("request", "resume", "{paused}"),
    ("request", "answer", "{waiting}", "--outcome", "nothing"),
    ("request", "close", "{answered}"),
    ("erase", "--photo", "{photo}", "--yes"),
    ("subject", "withdraw", "somebody", "-c", "club", "--yes"),
    ("worklist", "--done", "{work}"),
    ("erase", "--resume"),
    ("sweep",),
    ("wish", "record", "{signed}", "--signed-by", "x", "--text", "keep me out", "--until", "2028-01-01"),
    ("log", "publish"),
    ("init", "{new}"),
    ("backup", "{backup}", "--keep", "2"),
    ("keys", "rotate"),
    ("keys", "replicate", "{replica}"),
    ("keys", "replicate", "--remove", "{replica}"),
    ("restore", "{saved}", "{restored}", "--keys", "{spare}"),
]


@pytest.fixture
def facts(filled, photos, portrait, run, tmp_path) -> dict[str, str]:
    """What the commands' placeholders stand for, in a vault with a subject and a line on the worklist."""
    (tmp_path / "elsewhere").mkdir()
    portrait.rotate(2).save(tmp_path / "elsewhere" / "one.png")
    portrait.rotate(5).save(tmp_path / "somebody.png")
    portrait.rotate(4).save(tmp_path / "signed.png")
    second = filled.create_source(tmp_path / "elsewhere", collection="club", controller="c", evidence="e")
    filled.add(second.id)
    filled.erase(filled.scope(photo=filled.photos(second.id)[0].id))
    (tmp_path / "more").mkdir()
    portrait.rotate(7).save(photos / "new.png")
    assert run("subject", "enrol", "somebody", tmp_path / "somebody.png", "-c", "club", *CONSENT).code == 0
    source = filled.sources()[0].id
    photo = next(p.id for p in filled.photos(source) if p.address == "smaller.jpg")
    found = filled.search(photos / "portrait.png", collection="club", purpose="p", case="c")
    filled.custody.replicate(tmp_path / "spare")
    filled.backup(tmp_path / "saved")
    return {
        "source": source,
        "photo": photo,
        "face": found.faces[0].hits[0].face_id,
        "picture": str(photos / "portrait.png"),
        "folder": str(photos),
        "elsewhere": str(tmp_path / "more"),
        "work": filled.erasures.worklist()[0].id,
        "export": filled.exports.write(found, tmp_path / "sheet.html").id,
        "new": str(tmp_path / "new"),
        "signed": str(tmp_path / "signed.png"),
        "wish": ended(filled, tmp_path / "signed.png").id,
        **requests(filled, photo),
        "restriction": filled.faces.restrict(photo, ground="claims").restriction.id,
    } | {name: str(tmp_path / name) for name in ("backup", "replica", "restored", "saved", "spare")}


def requests(vault, photo):
    """One request about a photo, one that waits, one that is paused, one that is answered."""
    made = {name: vault.requests.open("access").id for name in ("asked", "waiting", "paused", "answered")}
    vault.requests.identify(made["asked"], clues=[("address", "smaller.jpg")])
    vault.requests.review(made["asked"], {photo: "yes"})
    vault.requests.pause(made["paused"], "clarification")
    vault.requests.answer(made["answered"], "nothing")
    return made


def ended(vault, picture):
    """A wish that is over, so that it keeps nobody out."""
    with countenance.open(vault.path, settings=vault.settings, clock=lambda: LONG_AGO) as early:
        signed = Consent(by="x", given_at=LONG_AGO, text="y", until=LONG_AGO + timedelta(days=1))
        return early.wishes.record([picture], consent=signed)


def filled_in(words, facts):
    return [word.format(**facts) for word in words]


DOCUMENT = ("notice", "ropa", "dpia", "retention", "evidence")
ORDER = ("draft", "preview", "approve", "carry-out", "lift", "review", "show", "list", "proof")


def test_the_lists_here_name_every_command():
    here = {words[: len(path)] for path, _ in commands() for words in SHOWING + CHANGING if words[: len(path)] == path}
    assert {path for path, _ in commands()} - here == {
        *(("certificate", verb) for verb in ("save", "verify", "view")),
        *(("order", verb) for verb in ORDER),  # test_order_cli.py
        *(("document", kind) for kind in DOCUMENT),  # test_documents.py, and so is the next: they exit with 3
        ("subject", "receipt"),
        *(("serve",), ("witness",), ("log", "cosign"), ("log", "check")),  # the last three: test_log.py
    }
    dry = {path for path, command in commands() if any("--dry-run" in p.opts for p in command.params)}
    assert {path for path in dry if path[0] != "order"} - {("log", "cosign"), ("subject", "receipt")} == {
        words[: len(path)] for path in dry for words in CHANGING if words[: len(path)] == path
    }


def test_every_command_prints_one_json_value_on_stdout_and_nothing_else(facts, run):
    for words in [*SHOWING, *CHANGING]:
        ran = run(*filled_in(words, facts), "--json")
        assert ran.code == 0, (words, ran.err)
        assert len(ran.out.splitlines()) == 1, words
        assert isinstance(ran.json, dict | list), words


def test_a_dry_run_shows_its_result_and_changes_nothing(facts, run, rows, vault_path):
    files = {path: path.read_bytes() for path in (vault_path / "keys").iterdir()} | {Path(facts["picture"]): b""}
    for words in CHANGING:
        before = rows()
        ran = run(*filled_in(words, facts), "--dry-run")
        told = run(*filled_in(words, facts), "--dry-run", "--json")
        assert (ran.code, told.code) == (0, 0), (words, ran.err)
        assert isinstance(told.json, dict | list)
        assert ran.out + ran.err
        assert rows() == before, words
    assert {path: path.read_bytes() for path in (vault_path / "keys").iterdir()}.items() <= files.items()
    assert Path(facts["picture"]).exists()
    assert not any(Path(facts[name]).exists() for name in ("new", "backup", "replica", "restored"))


def test_a_dry_run_of_resuming_lists_what_is_unfinished_and_leaves_it(filled, run, rows):
    photo = filled.photos(filled.sources()[0].id)[0].id
    plan = erase.plan(filled.database, filled.scope(photo=photo), ground="operator", by="the test suite")
    before = rows()
    ran = run("erase", "--resume", "--dry-run", "--json")
    assert [(erasure["id"], erasure["state"]) for erasure in ran.json] == [(plan, "planned")]
    assert rows() == before


def test_in_a_pipe_results_are_tab_separated_lines(facts, run):
    ran = run("source", "list")
    assert [len(line.split("\t")) for line in ran.out.splitlines()] == [6, 6, 6]
    assert all(line.startswith("src_") for line in ran.out.splitlines())


def test_an_empty_answer_says_what_to_do_on_stderr(empty, run):
    for words in (("collection", "list"), ("source", "list"), ("subject", "list"), ("certificate", "list")):
        ran = run(*words)
        assert (ran.code, ran.out) == (0, "")
        assert ran.err.strip().endswith(".")
        assert run(*words, "--json").json == []


def test_long_work_ends_with_the_next_useful_command(vault, photos, run):
    last = run("add", photos).err.splitlines()[-1]
    assert last.startswith("Next: countenance search")
    photo = vault.photos(vault.sources()[0].id)[0].id
    assert run("erase", "--photo", photo, "--yes").err.splitlines()[-1].startswith("Next: countenance certificate save")


CODES = [
    (1, "not-found", ("collection", "show", "nowhere")),
    (1, "not-found", ("why", "pho_nowhere")),
    (2, "usage", ("why", "nothing")),
    (1, "not-found", ("erase", "--photo", "pho_nowhere", "--yes")),
    (1, "vault-missing", ("collection", "list", "--vault", "/nowhere/at/all")),
    (1, "vault-exists", ("init", "{folder}")),
    (1, "bad-image", ("search", "{text}", *ASKED)),
    (1, "no-face", ("search", "{nobody}", *ASKED)),
    (1, "unreadable", ("search", "{folder}/nowhere.jpg", *ASKED)),
    (2, "usage", ("source", "add", "/nowhere", "-c", "club", "--controller", "c", "--evidence", "e")),
    (1, "system", ("certificate", "save", "{erasure}", "/nowhere/at/all.zip")),
    (2, "usage", ("bogus",)),
    (2, "usage", ("search", "--bogus")),
    (2, "usage", ("search", "{picture}", "-c", "club", "--case", "case 1")),
    (2, "usage", ("search", *ASKED)),
    (2, "usage", ("search", "{picture}", *ASKED, "--fpir", "2")),
    (2, "usage", ("search", "{picture}", *ASKED, "--fpir", "nan")),
    (2, "usage", ("search", "{picture}", *ASKED, "--top", "0")),
    (2, "usage", ("search", "{picture}", *ASKED, "--face", "7")),
    (1, "not-found", ("search", "--face", "\u00b2", *ASKED)),
    (2, "usage", ("search", "{picture}", *ASKED, "--sheet", "{picture}")),
    (2, "usage", ("compare", "{picture}", "{picture}", *ASKED, "--fmr", "0")),
    (2, "usage", ("collection", "create", "club")),
    (2, "usage", ("collection", "set", "club", "--mode", "everything")),
    (2, "usage", ("collection", "set", "club", "--retention-days", "0")),
    (2, "usage", ("source", "add", "https://example.com/", "-c", "club", "--controller", "c", "--evidence", "e")),
    (2, "usage", ("source", "add", "{folder}", "-c", "club", "--controller", "c", "--evidence", "e")),
    (2, "usage", ("add", "/tmp")),
    (2, "usage", ("erase", "--yes")),
    (2, "usage", ("erase", "--photo", "{photo}")),
    (2, "usage", ("erase", "--photo", "{photo}", "--yes", "--ground", "whim")),
    (2, "usage", ("subject", "enrol", "a", "{picture}", "-c", "club", *CONSENT[:4], "--consent-until", "2001-01-01")),
    (2, "usage", ("certificate", "save", "{erasure}", "{picture}")),
    (2, "usage", ("serve",)),
    (4, "refused", ("search", "{picture}", "-c", "club", "--purpose", "", "--case", "case 1")),
    (4, "refused", ("search", "--face", "{face}", "-c", "club", "--purpose", "a test", "--case", " ")),
    (4, "incomplete", ("add", "{folder}", "-c", "bare")),
    (4, "incomplete", ("search", "{picture}", "-c", "bare", "--purpose", "a test", "--case", "case 1")),
]


def test_every_refusal_has_a_code_a_slug_and_a_sentence_and_leaves_no_result(facts, filled, photos, run, rows):
    (photos / "text.jpg").write_text("no picture")
    facts |= {"text": str(photos / "text.jpg"), "nobody": str(photos / "meadow.jpg")}
    facts["erasure"] = filled.erasures.list()[0].id
    filled.create_collection("bare")
    filled.create_source(photos, collection="bare", controller="c", evidence="e")
    for code, slug, words in CODES:
        given = filled_in(words, facts)
        before = {name: found for name, found in rows().items() if name not in {"entry", "part", "vault"}}
        plainly, told = run(*given), run(*given, "--json")
        assert (plainly.code, told.code) == (code, code), (words, plainly.err)
        assert told.json["error"]["slug"] == slug, (words, told.out)
        assert told.json["error"]["message"] in told.err
        assert "Traceback" not in plainly.err
        assert "fault" not in plainly.err
        sentences = told.json["error"]["message"]
        assert sentences[-1] == ".", sentences
        assert plainly.out == "" or words[0] == "erase", words
        assert {name: found for name, found in rows().items() if name in before} == before, words


def test_an_add_that_left_some_photos_out_exits_3_and_names_the_command_that_lists_them(vault, photos, run):
    (photos / "half.jpg").write_bytes((photos / "mirrored.jpg").read_bytes()[:4000])
    ran = run("add", photos)
    assert ran.code == 3
    assert "1: This picture cannot be used: the picture ends before it should." in ran.out
    assert ran.err.splitlines()[-1] == f"See each with: countenance source refused {vault.sources()[0].id}"
    listed = run("source", "refused", vault.sources()[0].id, "--json").json
    assert [(photo["address"], photo["reason"]) for photo in listed] == [("half.jpg", "truncated")]


def test_what_does_not_agree_exits_6(filled, run):
    assert run("check").code == 0
    with filled.database.write() as tx:
        tx.sql.execute(update(entry).where(entry.c.number == 2).values(leaf=b"{}"))
    assert run("log", "verify").code == 6
    ran = run("check", "--json")
    assert ran.code == 6
    assert ran.json["problems"]


def test_a_certificate_is_saved_and_verified_without_the_vault(facts, filled, run, tmp_path):
    erasure = filled.erasures.list()[0].id
    saved = run("certificate", "save", erasure, tmp_path / "proof.zip", "--json")
    assert (saved.code, saved.json["erasure"]) == (0, erasure)
    checked = run("certificate", "verify", tmp_path / "proof.zip", "--json")
    assert (checked.code, len(checked.out.splitlines())) == (0, 1)
    whole = (tmp_path / "proof.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[:-300])
    assert run("certificate", "verify", tmp_path / "cut.zip").code not in {0, 3}


def test_a_person_without_a_terminal_must_say_yes_before_anything_is_erased(facts, filled, run, monkeypatch):
    ran = run("erase", "--photo", facts["photo"])
    assert ran.code == 2
    assert "say --yes" in ran.err
    assert facts["photo"] in ran.out


@pytest.mark.parametrize(("answer", "erased"), [("yes\n", True), ("no\n", False), ("", False)])
def test_on_a_terminal_the_question_is_asked_on_stderr(facts, filled, run, monkeypatch, answer, erased):
    class Terminal:
        isatty = staticmethod(lambda: True)
        readline = staticmethod(lambda: answer)

    monkeypatch.setattr(sys, "stdin", Terminal())
    ran = run("erase", "--photo", facts["photo"], "--json")
    assert "Type yes" in ran.err
    assert ran.json.get("state") == ("certified" if erased else None)
    assert ran.code == (0 if erased else 2)
    assert (facts["photo"] in {p.id for p in filled.photos(facts["source"])}) is not erased


def test_on_a_narrow_terminal_an_id_stays_on_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    row = (
        "ord_26f734dz54cdhx2apdnx",
        "an authority with a long name " * 3,
        "a reference " * 9,
        "2022-11-18 (9 days late)",
    )
    output.table(("order", "authority", "reference", "deadline"), [row], empty="")
    assert row[0] in capsys.readouterr().out


def test_names_with_control_characters_never_reach_the_terminal_raw(vault, photos, run, tmp_path):
    (photos / "portrait.png").rename(photos / f"{NASTY}.png")
    (photos / "half\x1b]0;title\x07.jpg").write_bytes(b"\xff\xd8\xff\xe0 half")
    vault.set_collection("club", name=f"club {NASTY}", purpose=NASTY, controller=NASTY)
    name = f"club {NASTY}"
    source = vault.sources()[0].id
    added = run("add", photos)
    face = vault.search(photos / "mirrored.jpg", collection=name, purpose="p", case="c").faces[0].hits[0]
    asked = ("-c", name, "--purpose", "p", "--case", "c")
    shown = [
        added,
        run("add", photos, "--dry-run"),
        run("collection", "list"),
        run("collection", "show", name),
        run("collection", "show", NASTY),
        run("source", "list"),
        run("source", "refused", source),
        run("search", photos / "mirrored.jpg", *asked),
        run("search", photos / f"{NASTY}.jpg", *asked),
        run("subject", "enrol", NASTY, photos / "mirrored.jpg", "-c", name, *CONSENT),
        run("subject", "list"),
        run("why", face.photo_id),
        run("why", NASTY),
        run("log", "show"),
        run("erase", "--source", source, "--dry-run"),
        run(NASTY),
    ]
    for ran in shown:
        text = (ran.out + ran.err).replace("\n", "").replace("\t", "")
        assert text.isprintable(), ascii(text)
        assert not [line for line in (ran.out + ran.err).splitlines() if line.startswith(("line", "end"))]
    assert sum("evil" in ran.out + ran.err or "vil" in ran.out + ran.err for ran in shown) >= 12
    told = run("search", photos / "mirrored.jpg", *asked, "--json")
    assert told.out.isascii()
    assert f"{NASTY}.png" in {hit["address"] for hit in told.json["faces"][0]["hits"]}


def test_printable_is_one_line_of_printable_characters():
    for text in (NASTY, "caf\udce9", "\u2066\u2028\u00ad", "\r\n", ""):
        assert output.printable(text).isprintable()
    assert output.printable("Zoë – 写真 'q'") == "Zoë – 写真 'q'"


def test_an_error_says_nothing_of_other_peoples_photos(filled, photos, run, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret-name.jpg at /secret/place")

    monkeypatch.setattr(Vault, "search", broken)
    for words in ((), ("--json",)):
        ran = run("search", photos / "portrait.png", *ASKED, *words)
        assert ran.code == 1
        assert "RuntimeError" in ran.err
        assert "secret" not in ran.out + ran.err
        assert "Traceback" not in ran.err


def test_an_interrupt_exits_130(filled, run, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Vault, "check", stopped)
    ran = run("check", "--json")
    assert (ran.code, ran.json["error"]["slug"]) == (130, "interrupted")
    assert ran.err.strip() == str(errors.Interrupted())


def test_a_reader_that_goes_away_is_no_traceback(filled, start):
    process = start("log", "show")
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    process.wait()
    assert "Traceback" not in err


def test_without_a_vault_it_is_said_how_to_name_one(run, monkeypatch, tmp_path):
    monkeypatch.delenv("COUNTENANCE_VAULT")
    monkeypatch.chdir(tmp_path)
    ran = run("collection", "list")
    assert ran.code == 2
    assert "--vault" in ran.err


def test_the_vault_is_the_current_folder_if_nothing_else_is_said(filled, run, monkeypatch):
    monkeypatch.delenv("COUNTENANCE_VAULT")
    monkeypatch.chdir(filled.path)
    assert "club" in run("collection", "list").out


def test_the_doctor_says_that_a_vault_is_not_there(run, tmp_path):
    ran = run("doctor", "--vault", tmp_path / "nowhere")
    assert ran.code == 1
    assert "countenance init" in ran.out


def test_init_says_plainly_what_losing_the_keys_means(run, tmp_path):
    ran = run("init", tmp_path / "new")
    assert (ran.code, (tmp_path / "new" / "keys").is_dir()) == (0, True)
    assert "nobody can get it back" in ran.err
    countenance.open(tmp_path / "new").close()


def test_a_sheet_is_readable_by_its_owner_only_and_overwrites_nothing(filled, photos, run, tmp_path):
    sheet = tmp_path / "sheet.html"
    ran = run("search", photos / "portrait.png", *ASKED, "--sheet", sheet, "--json")
    assert (ran.code, sheet.stat().st_mode & 0o777) == (0, 0o600)
    assert [line.kind for line in filled.log.lines(newest=1)] == ["export:written"]
    before = len(filled.log.lines(kind="search:done"))
    assert run("search", photos / "portrait.png", *ASKED, "--sheet", sheet).code == 2
    assert len(filled.log.lines(kind="search:done")) == before


def test_on_a_terminal_a_passphrase_is_asked_for(tmp_path, run, monkeypatch, here):
    monkeypatch.setenv("COUNTENANCE_PASSPHRASE", "the right words")
    assert run("init", tmp_path / "locked", "--passphrase").code == 0
    monkeypatch.delenv("COUNTENANCE_PASSPHRASE")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "countenance", "collection", "list", "--json", "--vault", str(tmp_path / "locked")],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=os.environ,
        start_new_session=True,
    )
    os.close(theirs)
    said = b""
    while b"Passphrase: " not in said:
        said += os.read(ours, 1000)
    os.write(ours, b"the right words\n")
    out, _ = process.communicate()
    os.close(ours)
    assert (process.returncode, json.loads(out)) == (0, [])
