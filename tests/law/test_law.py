"""What authorities found and ordered, line by line: each test is named after its number in the list of findings."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from tests.conftest import STATED, WHY
from tests.orders import order_text, replace_vision

import countenance
from countenance import errors
from countenance.settings import Settings
from countenance.store import requests

EXAMPLE = Path(__file__).parents[2] / "examples" / "orders" / "ico-2022-05-18.yaml"
PHOTOS = {"leeds.jpg": "ann @GB", "lyon.jpg": "bob @FR", "newry.jpg": "cat @GB,IE", "unknown.jpg": "ann"}


@pytest.fixture
def played(tmp_path, monkeypatch, clock):
    """A vault with photos from the UK, from France, from the Irish border and from nobody knows where."""
    replace_vision(monkeypatch)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, text in PHOTOS.items():
        (folder / name).write_text(text)
    countenance.create(tmp_path / "vault")
    settings = Settings(workers=0, origin="FR")
    with countenance.open(tmp_path / "vault", settings=settings, clock=clock) as vault:
        vault.create_collection("club", **STATED)
        vault.create_source(folder, collection="club", controller="x", evidence="y", on_erase="delete")
        vault.add(folder)
        yield vault


def addresses(vault):
    return {photo.address for photo in vault.photos(vault.sources("club")[0].id)}


def carried_out(vault, text):
    order = vault.orders.draft(text)
    vault.orders.approve(order.id)
    return vault.orders.carry_out(order.id, signed_by="A Named Person")


def test_law_06_the_order_of_18_may_2022_stops_erases_and_refuses_service_to_where_it_says(played, tmp_path, clock):
    done = carried_out(played, EXAMPLE.read_text("utf-8"))
    assert done.state == "completed"
    assert addresses(played) == {"lyon.jpg"}
    (tmp_path / "photos" / "again.jpg").write_text("ann @GB-WLS")
    assert played.add(tmp_path / "photos").refused == {"order": 1}
    assert played.search(b"bob", fpir=0.5, **WHY).found
    there = countenance.open(played.path, settings=Settings(workers=0, origin="GB-SCT"), clock=clock)
    with there, pytest.raises(errors.Refused, match="Information Commissioner's Office"):
        there.search(b"bob", fpir=0.5, **WHY)


def test_law_07_a_photo_does_not_show_who_is_from_where_so_unknown_is_in_scope(played):
    seen = played.orders.preview(played.orders.draft(order_text("GB")).id)
    assert (seen.inside, seen.undetermined, seen.erased) == (2, 1, 3)


def test_law_08_pending_answers_go_first_the_deadline_is_metered_and_the_proof_holds_offline(played, clock):
    waiting = requests.Request(
        id="req_1",
        kind="access",
        confirmed=True,
        law="gdpr",
        state="opened",
        channel="mail",
        received_at=clock(),
        due_at=clock(),
        expires_at=clock(),
        asked=requests.Asked(),
    )
    with played.database.write() as tx:
        requests.put(tx, waiting)
    text = order_text(measures="[stop, answer-first, erase]", more="delete_by: 2026-11-20\ndaily: EUR 100000")
    order = played.orders.draft(text)
    played.orders.approve(order.id)
    with pytest.raises(errors.Refused, match="req_1"):
        played.orders.carry_out(order.id, signed_by="A Named Person")
    assert played.orders.show(order.id).deadline.owed.amount == 300_000
    with played.database.write() as tx:
        requests.advance(tx, waiting, state="answered")
    played.orders.carry_out(order.id, signed_by="A Named Person")
    clock.forward(days=10)
    assert played.orders.show(order.id).deadline.late == 3  # the meter stopped on the day of completion
    assert b"HOLDS" in played.orders.proof(order.id)  # the checker that goes with it; test_orders runs it


def test_law_09_deletion_follows_everything_derived_and_says_how_much_of_each(played):
    played.search(b"ann", fpir=0.5, **WHY)
    order = played.orders.draft(order_text("GB"))
    before = played.orders.preview(order.id).derived
    assert before == {"templates": 3, "crops": 3, "searches": 1, "exports": 0, "log-details": 5}
    carried_out(played, order_text("GB"))
    assert set(played.orders.preview(order.id).derived.values()) == {0}


def test_law_15_a_named_person_signs_the_completion_of_an_order(played):
    order = played.orders.draft(order_text("GB"))
    played.orders.approve(order.id)
    with pytest.raises(errors.UsageError, match="say who"):
        played.orders.carry_out(order.id, signed_by="")
    done = played.orders.carry_out(order.id, signed_by="A Named Person")
    completion = zipfile.ZipFile(io.BytesIO(played.orders.proof(order.id))).read("completion.json")
    assert json.loads(completion)["signed_by"] == done.signed_by == "A Named Person"
