"""What an access answer is made of, when it is refused, and where it ends."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from PIL import Image
from tests.conftest import STATED, WHY

import countenance
from countenance import errors
from countenance.audit import log
from countenance.requests import access, identify, page, pictures, searched
from countenance.requests.identify import Candidate, Likeness
from countenance.settings import Settings
from countenance.store import faces


@pytest.fixture
def confirmed(filled):
    """A request in which the three photos of one person were confirmed, face by face."""
    return asking(filled)


def asking(vault, *names, kind="access"):
    request = vault.requests.open(kind, name="A. Person").id
    for name in names or ("portrait.png", "mirrored.jpg", "smaller.jpg"):
        found = vault.requests.identify(request, clues=[("address", name)])[-1]
        vault.requests.review(request, dict.fromkeys(found.face_ids or (found.photo_id,), "yes"))
    return request


def files_of(bundle):
    with zipfile.ZipFile(io.BytesIO(bundle)) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def data_of(bundle):
    return json.loads(files_of(bundle)["data.json"])


def test_the_zip_has_a_letter_a_page_data_and_a_picture_for_each_photo(filled, confirmed):
    files = files_of(filled.requests.access(confirmed))
    told = data_of(filled.requests.access(confirmed))["photos"]
    assert list(files)[:4] == ["letter.html", "letter.txt", "index.html", "data.json"]
    assert {name for name in files if name.startswith("photos/")} == {one["files"][0]["name"] for one in told}
    assert {one["name"] for one in told} == {"portrait.png", "mirrored.jpg", "smaller.jpg"}
    assert all(one["why_not_whole"] == "" and one["files"][0]["others_hidden"] == 0 for one in told)
    assert (
        f"Dear A. Person,\n\nOn 23 November 2026 we received your request to see what we hold of you. Its number is {confirmed}"
        in (files["letter.txt"].decode())
    )
    assert files["index.html"].decode().count("<img ") == 3


def test_the_same_answer_gives_the_same_bytes(filled, confirmed):
    assert filled.requests.access(confirmed) == filled.requests.access(confirmed)


def test_making_it_is_logged_with_its_hash_sealed_and_nothing_personal(filled, confirmed):
    filled.requests.access(confirmed)
    line = filled.log.lines(kind="request:compiled")[0]
    assert set(line.public) == {"kind", "law", "state", "due", "bytes"}
    assert len(line.parts[0]["bundle"]) == 64


def unsettled(vault):
    request = asking(vault, "portrait.png")
    vault.requests.identify(request, clues=[("address", "smaller.jpg")])
    return request


def closed(vault):
    request = asking(vault)
    vault.requests.answer(request, "granted")
    vault.requests.close(request)
    return request


def gone(vault):
    request = asking(vault)
    vault.requests.answer(request, "granted")  # nobody waits for it any more, so nothing is kept
    vault.erase(vault.scope(source=vault.sources()[0].id))
    return request


@pytest.mark.parametrize(
    ("do", "why"),
    [
        (lambda v: asking(v, kind="erasure"), "erasure"),
        (lambda v: v.requests.open("access").id, "outcome nothing"),
        (unsettled, "not settled"),
        (closed, "closed"),
        (lambda v: v.requests.open_mail(b"From: a@b.example\r\n\r\naccess").id, "guessed"),
        (gone, "gone already"),
    ],
    ids=["another kind", "nothing confirmed", "a candidate unsure", "closed", "guessed", "all gone, nothing kept"],
)
def test_it_is_refused_and_nothing_is_logged(filled, do, why):
    request = do(filled)
    before = len(filled.log.lines())
    with pytest.raises(errors.UsageError, match=why):
        filled.requests.access(request)
    assert len(filled.log.lines()) == before


def test_beyond_its_size_come_crops_and_beyond_its_count_no_pictures(filled, confirmed, monkeypatch):
    monkeypatch.setattr(pictures, "MAX_BYTES", 1)
    told = data_of(filled.requests.access(confirmed))["photos"]
    assert sorted(one["why_not_whole"] for one in told) == ["", pictures.FULL, pictures.FULL]
    assert all(len(one["files"]) == 1 for one in told)
    monkeypatch.setattr(pictures, "MAX_PHOTOS", 1)
    told = data_of(filled.requests.access(confirmed))["photos"]
    assert sorted(len(one["files"]) for one in told) == [0, 0, 1]


def test_photos_of_an_archive_are_read_in_one_pass(empty, tmp_path, photos, monkeypatch):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as packed:
        for name in ("portrait.png", "smaller.jpg"):
            packed.write(photos / name, name)
    empty.create_collection("club", **STATED)
    empty.create_source(tmp_path / "photos.zip", collection="club", controller="x", evidence="y")
    empty.add(tmp_path / "photos.zip")
    request = asking(empty, "portrait.png", "smaller.jpg")
    monkeypatch.setattr("countenance.sources.archive.Archive.read", lambda *_: 1 / 0)
    told = data_of(empty.requests.access(request))["photos"]
    assert [one["why_not_whole"] for one in told] == ["", ""]


def test_a_photo_confirmed_as_a_whole_that_shows_nobody_is_given_as_it_is(filled):
    bundle = filled.requests.access(asking(filled, "meadow.jpg"))
    (told,) = data_of(bundle)["photos"]
    assert told["faces"] == []
    assert Image.open(io.BytesIO(files_of(bundle)[told["files"][0]["name"]])).size == (200, 150)


def test_a_search_with_more_hits_than_a_line_holds_is_told_once_with_all_of_them(filled, photos, monkeypatch):
    monkeypatch.setattr(log, "MOST", 2)
    filled.search(photos / "portrait.png", **WHY)
    assert {line.kind for line in filled.log.lines()} >= {"search:done", "search:more"}
    (told,) = data_of(filled.requests.access(asking(filled)))["searches"]
    assert len(told["faces"]) == 3
    assert (told["purpose"], told["case"]) == (WHY["purpose"], WHY["case"])


def test_a_search_is_told_as_long_as_the_face_is_held_and_longer_than_its_hits(filled, photos, confirmed, clock):
    filled.search(photos / "portrait.png", **WHY)
    clock.forward(days=filled.settings.search_days - 1)
    filled.search(photos / "portrait.png", **WHY)
    clock.forward(days=5)  # the first search's hits are gone, and the faces are past their time
    assert len(data_of(filled.requests.access(confirmed))["searches"]) == 2


def test_a_search_that_found_somebody_else_only_is_not_told(filled, photos):
    filled.search(photos / "portrait.png", **WHY)
    with filled.database.read() as tx:
        assert searched.searches(tx, set()) == []
        (told,) = searched.searches(tx, {faces.stored(tx)[0].id})
    assert len(told["faces"]) == 1


@pytest.mark.parametrize(
    ("scores", "place"),
    [((0.9, 0.3), (0, 0, 9, 9)), ((0.9, 0.8), None), ((0.4, 0.3), None), ((), None)],
    ids=["one sure", "two sure", "none sure", "none"],
)
def test_of_what_a_scan_shows_only_one_sure_place_is_taken_for_the_person(scores, place):
    likenesses = tuple(Likeness(box=(n, 0, 9, 9), score=score) for n, score in enumerate(scores))
    one = Candidate(photo_id="pho_1", collection_id="col_1", face_ids=(), by=("scan",), likenesses=likenesses)
    assert identify.place(one) == place


def test_in_a_dry_run_no_file_is_written(filled, confirmed, tmp_path, clock):
    settings = Settings(workers=0, temporary=filled.settings.temporary)
    with (
        countenance.open(filled.path, settings=settings, dry_run=True, clock=clock) as dry,
        pytest.raises(errors.UsageError, match="dry run"),
    ):
        dry.requests.answer(confirmed, "granted", bundle=tmp_path / "answer.zip")
    assert not (tmp_path / "answer.zip").exists()


def test_an_answer_whose_candidates_were_reviewed_again_while_it_was_made_is_not_handed_over(
    filled, confirmed, tmp_path, monkeypatch
):
    (face_id,) = [one.face_id for one in filled.requests.show(confirmed).request.reviews][:1]
    made = access.build

    def build(*what):
        bundle = made(*what)
        filled.requests.review(confirmed, {face_id: "no"})  # another process: it is somebody else
        return bundle

    monkeypatch.setattr(access, "build", build)
    with pytest.raises(errors.UsageError, match="reviewed again"):
        filled.requests.answer(confirmed, "granted", bundle=tmp_path / "answer.zip")
    assert not (tmp_path / "answer.zip").exists()
    assert filled.requests.show(confirmed).standing.state == "opened"


def test_a_file_that_is_there_is_not_written_over_and_the_request_stays_open(filled, confirmed, tmp_path):
    (tmp_path / "answer.zip").write_text("mine")
    with pytest.raises(errors.UsageError, match="is there already"):
        filled.requests.answer(confirmed, "granted", bundle=tmp_path / "answer.zip")
    assert (tmp_path / "answer.zip").read_text() == "mine"
    assert filled.requests.show(confirmed).standing.state == "opened"


def test_what_a_collection_does_not_state_is_a_gap_in_the_page():
    nothing = dict.fromkeys(("controller", "contact", "representative", "purpose", "basis", "condition", "notice"))
    known = nothing | {"name": "club", "retention_days": None, "justification": None}
    data = {
        "request": {"id": "req_1", "received": "2026-11-23", "law": "GDPR"},
        "made_at": "2026-11-23T12:00:00Z",
        "controller": {"authority": ""},
        "collections": {"col_1": known},
        "photos": [],
        "subjects": [],
        "sheets": [],
        "searches": [
            {"at": "2026-11-23", "collection": "col_1", "purpose": "", "case": "<b>", "outcome": [searched.SHOWN]}
        ],
    }
    text = page.render(data)
    for gap in ("the purpose", "the legal basis", "a contact", "the notice", "how long it is kept", "the controller"):
        assert f"[not stated: {gap}]" in text
    assert "&lt;b&gt;" in text
    assert "<b>" not in text
