"""Answers are made before an order or an erasure reaches what they tell, once, and kept until the request is closed."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from tests.conftest import STATED, WHY
from tests.orders import order_text, replace_vision

import countenance
from countenance import errors
from countenance.requests import freeze
from countenance.restore import restore
from countenance.settings import Settings
from countenance.store import erasures, faces, requests, tree
from countenance.store.tables import answer

PHOTOS = {"leeds.jpg": "ann+bob @GB", "lyon.jpg": "ann @FR", "york.jpg": "cat @GB"}
FIRST = order_text(measures="[stop, answer-first, erase]")


@pytest.fixture
def desk(tmp_path, monkeypatch, clock):
    """A vault of three photos that are words."""
    replace_vision(monkeypatch)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, text in PHOTOS.items():
        (folder / name).write_text(text)
    countenance.create(tmp_path / "vault", clock=clock)
    with countenance.open(tmp_path / "vault", settings=Settings(workers=0), clock=clock) as vault:
        vault.create_collection("club", **STATED)
        vault.create_source(folder, collection="club", controller="x", evidence="y", on_erase="delete")
        vault.add(folder)
        yield vault


def ask(vault, *names, verdict="yes", kind="access"):
    """A request in which the first face of each of these photos got this verdict, and the others no."""
    request = vault.requests.open(kind).id
    for name in names:
        found = vault.requests.identify(request, clues=[("address", name)])[-1]
        first = leftmost(vault, found.face_ids)
        verdicts = {face_id: verdict if face_id == first else "no" for face_id in found.face_ids}
        vault.requests.review(request, verdicts)
    return request


def leftmost(vault, face_ids):
    with vault.database.read() as tx:
        return min(faces.several(tx, face_ids), key=lambda face: face.box[0]).id


def data(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        return json.loads(packed.read("data.json"))


def told(bundle):
    """The names of the photos that an answer tells of."""
    return {photo["name"] for photo in data(bundle)["photos"]}


def said(vault, request):
    """The name of each photo, by id."""
    return {photo["id"]: photo["name"] for photo in data(vault.requests.access(request))["photos"]}


def frozen(vault):
    return [line.parts[0]["request"] for line in vault.log.lines(kind="request:frozen")]


def test_an_order_freezes_what_is_waited_for_before_it_is_in_force(desk):
    request, other = ask(desk, "leeds.jpg"), ask(desk, "lyon.jpg")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    kinds = [
        line.kind for line in desk.log.lines() if line.kind in {"request:frozen", "order:approved", "order:stopped"}
    ]
    assert kinds == ["request:frozen", "order:approved", "order:stopped"]
    assert frozen(desk) == [request]
    with desk.database.read() as tx:
        assert requests.kept_answer(tx, other) is None
        assert told(requests.kept_answer(tx, request)) == {"leeds.jpg"}


def test_a_request_whose_answer_is_kept_does_not_hold_back_an_order_that_says_answer_first(desk):
    request = ask(desk, "leeds.jpg")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    assert desk.orders.carry_out(order.id, signed_by="A Named Person").state == "completed"
    assert {photo.address for photo in desk.photos(desk.sources()[0].id)} == {"lyon.jpg"}
    assert told(desk.requests.access(request)) == {"leeds.jpg"}
    assert desk.requests.answer(request, "granted").request.state == "answered"


def test_a_request_that_nobody_reviewed_holds_the_order_back_until_it_is(desk):
    request = ask(desk, "york.jpg", verdict="unsure")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    with pytest.raises(errors.Refused, match=request):
        desk.orders.carry_out(order.id, signed_by="A Named Person")
    (face_id,) = [one.face_id for one in desk.requests.show(request).request.reviews]
    desk.requests.review(request, {face_id: "yes"})
    assert desk.orders.carry_out(order.id, signed_by="A Named Person").state == "completed"
    assert told(desk.requests.access(request)) == {"york.jpg"}


def test_one_candidate_that_is_not_settled_holds_it_back_though_an_answer_is_kept(desk):
    request = ask(desk, "leeds.jpg")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    desk.requests.identify(request, clues=[("address", "york.jpg")])
    with pytest.raises(errors.Refused, match=request):
        desk.orders.carry_out(order.id, signed_by="A Named Person")


def test_an_erasure_request_is_not_frozen_and_still_holds_an_order_back(desk):
    request = ask(desk, "leeds.jpg", kind="erasure")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    assert frozen(desk) == []
    with pytest.raises(errors.Refused, match=request):
        desk.orders.carry_out(order.id, signed_by="A Named Person")


def test_what_nobody_has_made_out_yet_may_be_a_request_for_access_and_is_frozen(desk):
    request = desk.requests.open_mail(b"From: a@b.example\r\n\r\nhello, I am in leeds.jpg").id
    assert desk.requests.show(request).request.kind == "unclear"
    (found,) = desk.requests.identify(request, clues=[("address", "leeds.jpg")])
    desk.requests.review(request, dict.fromkeys(found.face_ids, "yes"))
    desk.erase(desk.scope(photo=found.photo_id))
    desk.requests.settle(request, "access")
    assert told(desk.requests.access(request)) == {"leeds.jpg"}


def test_freezing_twice_is_the_same_as_once(desk):
    request = ask(desk, "leeds.jpg")
    with desk.database.read() as tx:
        photos = freeze.awaited(tx)
    assert desk.requests.freeze(photos) == (request,)
    lines = desk.log.lines()
    assert desk.requests.freeze(photos) == ()
    assert desk.log.lines() == lines


def test_a_draft_that_cannot_be_approved_yet_freezes_nothing(desk):
    ask(desk, "leeds.jpg")
    order = desk.orders.draft(order_text("GB", more="unconfirmed: [fine]"))
    with pytest.raises(errors.UsageError, match="confirmed"):
        desk.orders.approve(order.id)
    assert frozen(desk) == []


def test_what_is_reviewed_while_an_order_hides_it_is_told_too(desk):
    request = ask(desk, "leeds.jpg")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    found = desk.requests.identify(request, clues=[("address", "york.jpg")])[-1]
    desk.requests.review(request, dict.fromkeys(found.face_ids, "yes"))
    desk.orders.carry_out(order.id, signed_by="A Named Person")
    assert told(desk.requests.access(request)) == {"leeds.jpg", "york.jpg"}
    assert frozen(desk) == [request, request]


def test_what_turns_out_to_be_somebody_else_is_not_told_though_it_was_kept(desk):
    desk.search(b"ann", fpir=0.5, **WHY)
    request = ask(desk, "leeds.jpg", "york.jpg")
    mine = {one.photo_id: one.face_id for one in desk.requests.show(request).request.reviews if one.verdict == "yes"}
    desk.erase(desk.scope(source=desk.sources()[0].id))
    leeds = next(photo for photo, face in mine.items() if said(desk, request)[photo] == "leeds.jpg")
    desk.requests.review(request, {mine[leeds]: "no"})
    assert told(desk.requests.access(request)) == {"york.jpg"}
    assert data(desk.requests.access(request))["searches"] == []
    desk.requests.review(request, dict.fromkeys(mine.values(), "no"))
    with pytest.raises(errors.UsageError, match="No candidate was confirmed"):
        desk.requests.access(request)


def test_a_sheet_that_may_show_only_somebody_else_is_not_told_though_it_was_kept(desk, tmp_path):
    request = ask(desk, "leeds.jpg", "york.jpg")
    desk.orders.sheet(desk.orders.draft(FIRST).id, tmp_path / "sheet.html")
    assert len(data(desk.requests.access(request))["sheets"]) == 1
    mine = [one.face_id for one in desk.requests.show(request).request.reviews if one.verdict == "yes"]
    desk.erase(desk.scope(source=desk.sources()[0].id))
    assert len(data(desk.requests.access(request))["sheets"]) == 1
    desk.requests.review(request, {mine[0]: "no"})
    assert data(desk.requests.access(request))["sheets"] == []


def test_the_answer_goes_when_the_request_is_closed_and_its_key_with_the_next_rotation(desk):
    request = ask(desk, "leeds.jpg")
    desk.erase(desk.scope(source=desk.sources()[0].id))
    desk.requests.answer(request, "granted")
    with desk.database.read() as tx:
        (row,) = tx.sql.execute(answer.select()).all()
    desk.requests.close(request)
    with desk.database.read() as tx:
        assert requests.kept_answer(tx, request) is None
        assert erasures.discarded(tx) == [row.item]
    desk.custody.rotate()
    with pytest.raises(tree.Punctured), desk.database.read() as tx:
        tx.keys.item_key(row.item)


def test_a_restore_brings_back_the_answer_of_an_open_request_and_not_that_of_a_closed_one(desk, tmp_path, clock):
    waiting, over = ask(desk, "leeds.jpg"), ask(desk, "york.jpg")
    desk.erase(desk.scope(source=desk.sources()[0].id))
    wanted = desk.requests.access(waiting)
    desk.custody.replicate(tmp_path / "replica")
    desk.backup(tmp_path / "backup")
    desk.requests.answer(over, "granted")
    desk.requests.close(over)
    desk.custody.rotate()
    desk.close()
    restore(tmp_path / "backup", tmp_path / "new", keys=tmp_path / "replica")
    with countenance.open(tmp_path / "new", settings=Settings(workers=0), clock=clock) as vault:
        assert vault.requests.access(waiting) == wanted
        with vault.database.read() as tx:
            assert requests.with_answer(tx) == {waiting}
        assert vault.check().problems == ()


def test_a_request_that_is_deleted_after_its_time_takes_its_answer_along(desk, clock):
    request = ask(desk, "leeds.jpg")
    desk.erase(desk.scope(source=desk.sources()[0].id))
    desk.requests.answer(request, "granted")
    with desk.database.write() as tx:
        requests.remove(tx, request)
        assert requests.with_answer(tx) == set()


def test_nothing_of_the_answer_stands_in_the_clear(desk):
    ask(desk, "leeds.jpg")
    desk.erase(desk.scope(source=desk.sources()[0].id))
    desk.database.truncate_wal()
    every = b"".join(file.read_bytes() for file in desk.path.rglob("*") if file.is_file())
    assert b"index.html" not in every
    assert b"leeds.jpg" not in every


def test_what_is_answered_needs_no_freezing(desk):
    request = ask(desk, "leeds.jpg")
    desk.requests.answer(request, "granted")
    desk.erase(desk.scope(source=desk.sources()[0].id))
    assert frozen(desk) == []


def test_a_dry_run_keeps_no_answer(desk, clock):
    ask(desk, "leeds.jpg")
    order = desk.orders.draft(FIRST)
    with countenance.open(desk.path, settings=Settings(workers=0), dry_run=True, clock=clock) as dry:
        dry.orders.approve(order.id)
    with desk.database.read() as tx:
        assert requests.with_answer(tx) == set()


def test_a_search_stays_told_when_the_photo_is_gone(desk):
    desk.search(b"ann", fpir=0.5, **WHY)
    request = ask(desk, "leeds.jpg", "lyon.jpg")
    order = desk.orders.draft(FIRST)
    desk.orders.approve(order.id)
    desk.orders.carry_out(order.id, signed_by="A Named Person")
    (search,) = data(desk.requests.access(request))["searches"]
    assert search["case"] == WHY["case"]
    assert len(search["faces"]) == 2
