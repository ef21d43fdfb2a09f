"""`countenance order` as people run it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from tests.orders import ASSESSMENT, order_text, replace_vision
from tests.unit.orders.test_article import RECORD

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders" / "ico-2022-05-18.yaml"


@pytest.fixture
def words(run, tmp_path, monkeypatch):
    """Two photos that are words, added by commands."""
    replace_vision(monkeypatch)
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "london.jpg").write_text("ann @GB")
    (folder / "paris.jpg").write_text("bob @FR")
    stated = ["--purpose", "p", "--controller", "c", "--contact", "c", "--art6", "legitimate-interests"]
    stated += ["--art9", "made-public", "--notice", "n", "--retention-days", "30", "--mode", "all"]
    stated += ["--takes-in", "GB,FR", "--established", "GB", "--representative", "r"]
    assert run("collection", "create", "club", *stated, "--justification", "j").code == 0
    made = run("source", "add", folder, "-c", "club", "--controller", "c", "--evidence", "e", "--on-erase", "delete")
    assert made.code == 0
    assert run("add", folder).code == 0
    return folder


def test_an_order_goes_from_its_file_to_its_proof_and_its_lifting(words, run, tmp_path):
    file, proof = tmp_path / "order.yaml", tmp_path / "proof.zip"
    file.write_text(order_text(more="delete_by: 2022-06-01\ndaily: GBP 10"))
    dry = run("order", "draft", file, "--dry-run")
    assert (dry.code, run("order", "list", "--json").json) == (0, [])
    order = run("order", "draft", file, "--json").json["id"]
    seen = run("order", "preview", order, "--json", "--sheet", tmp_path / "sheet.html").json
    assert (seen["inside"], seen["undetermined"], seen["held"]) == (1, 0, 2)
    assert "london.jpg" in (tmp_path / "sheet.html").read_text()
    assert run("order", "approve", order, "--dry-run").code == 0
    assert run("order", "show", order, "--json").json["state"] == "drafted"
    assert run("order", "approve", order, "--by", "First Person", "--json").json["state"] == "stopped"
    shown = run("order", "show", order)
    assert "days late, GBP" in shown.out
    assert f"Next: countenance order carry-out {order} --signed-by NAME" in shown.err
    early = run("order", "proof", order, proof)
    assert (early.code, "only one that was carried out has a proof" in early.err) == (2, True)
    asked = run("order", "carry-out", order, "--signed-by", "A Person")
    assert (asked.code, "say --yes" in asked.err) == (2, True)
    assert run("order", "carry-out", order, "--signed-by", "A Person", "--dry-run").code == 0
    done = run("order", "carry-out", order, "--signed-by", "A Person", "--yes", "--json").json
    assert (done["state"], done["signed_by"], done["order"]["issued"]) == ("completed", "A Person", "2022-05-18")
    assert run("order", "proof", order, proof, "--json").code == 0
    assert "completion.json" in zipfile.ZipFile(proof).namelist()
    assert run("order", "proof", order, proof).code == 2
    (words / "new.jpg").write_text("cat @GB")
    assert run("add", words, "--json").json["refused"] == {"order": 1}
    arguments = ("order", "lift", order, "--reason", "r", "--assessment", ASSESSMENT)
    assert run(*arguments, "--dry-run").code == 0
    assert run(*arguments, "--json").json["state"] == "lifted"
    assert run("add", words, "--json").json["added"] == 1


def test_a_draft_with_unconfirmed_fields_says_that_the_file_is_to_be_drafted_anew(words, run, tmp_path):
    file = tmp_path / "order.yaml"
    file.write_text(order_text(more="unconfirmed: [authority]"))
    order = run("order", "draft", file, "--json").json["id"]
    seen = run("order", "preview", order)
    assert seen.err.endswith("Next: countenance order draft FILE\n")
    assert f"{words}\t1\t0" in seen.out
    assert "club\t1\t0" in seen.out


def test_the_example_is_taken_in_and_reaches_what_is_british(words, run):
    order = run("order", "draft", EXAMPLE, "--json").json
    assert order["order"]["fine"] == {"currency": "GBP", "amount": 7_552_800}
    assert run("order", "preview", order["id"], "--json").json["erased"] == 1


def test_a_bad_order_is_refused_with_what_would_be_right(words, run, tmp_path):
    file = tmp_path / "order.yaml"
    file.write_text(order_text("Utopia"))
    told = run("order", "draft", file)
    assert told.code == 2
    assert "scope.territories is 'Utopia'; it must be a country such as GB" in told.err
    file.write_bytes(b"\xff\xfe")
    assert "no UTF-8" in run("order", "draft", file).err
    assert run("order", "draft").code == 2
    assert run("order", "draft", file, "--from-article", file).code == 2
    assert run("order", "show", "ord_nobody").code == 1


def test_an_article_becomes_a_file_that_a_person_must_confirm(words, run, tmp_path):
    record, out = tmp_path / "record.md", tmp_path / "order.yaml"
    record.write_text(RECORD)
    told = run("order", "draft", "--from-article", record, "--out", out)
    assert told.code == 0
    assert "Not used: category, images, secured." in told.err
    assert run("order", "list", "--json").json == []
    order = run("order", "draft", out, "--json").json["id"]
    refused = run("order", "approve", order)
    assert (refused.code, "Nobody has confirmed" in refused.err) == (2, True)


def test_photos_to_review_are_listed_corrected_and_confirmed(words, run, tmp_path):
    file = tmp_path / "order.yaml"
    file.write_text(order_text(scope="{territories: [GB-SCT], unknown: review}"))
    order = run("order", "draft", file, "--json").json["id"]
    run("order", "approve", order)
    (photo,) = run("order", "review", order, "--json").json
    assert run("order", "review", order, "--photo", photo).code == 2
    assert run("order", "review", order, "--confirm", photo, "--json", "--dry-run").code == 0
    assert run("order", "review", order, "--json").json == [photo]
    assert run("order", "review", order, "--photo", photo, "--territory", "GB-ENG", "--json").json == []
