"""A transient scan looks for a person who offers a photo, and keeps nothing of anybody."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from tests.conftest import STATED
from tests.integration.conftest import face_at, photo_at
from tests.orders import order_text
from tests.property import test_vault

import countenance
from countenance import errors
from countenance.gate.admit import admit_request
from countenance.orders import residue
from countenance.records import Admitted, Refusal
from countenance.requests import identify, transient
from countenance.settings import Settings
from countenance.store import tables
from countenance.vision.examine import examine

FILES = {"1.jpg": "ann+bob", "2.jpg": "cat", "3.jpg": "dan+ann"}
LOG = {"entry", "node", "part", "vault", "process", "sqlite_sequence"}


@pytest.fixture
def scanning(words, monkeypatch):
    """A vault in mode enrolled with photos that are words, nobody enrolled, and a request."""
    monkeypatch.setattr(identify, "imprints_of", lambda _: ())
    monkeypatch.setattr(
        transient, "examine", lambda admitted, cache: test_vault.seen(admitted.content.partition(b" @")[0])
    )

    def one(files=FILES, **more):
        vault = words(files, mode="enrolled", **more)
        return vault, vault.requests.open("access", name="somebody").id

    return one


def scan(vault, request, picture=b"ann @", **more):
    return vault.requests.identify(request, pictures=[picture], scan=True, **more)


def said(vault):
    return vault.log.lines(kind="request:scanned")[-1].public


def rows(vault):
    with closing(sqlite3.connect(vault.path / "records.db")) as sql:
        names = [name for (name,) in sql.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sql.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in names if name not in LOG}


def test_it_finds_where_the_person_is_and_puts_that_up_for_review(scanning):
    vault, request = scanning()
    found = scan(vault, request)
    assert {one.photo_id for one in found} == {photo_at(vault, "1.jpg"), photo_at(vault, "3.jpg")}
    assert {one.by for one in found} == {("scan",)}
    boxes = {one.photo_id: [(like.box, round(like.score, 3)) for like in one.likenesses] for one in found}
    assert boxes[photo_at(vault, "1.jpg")] == [((0, 0, 50, 50), 1.0)]
    assert boxes[photo_at(vault, "3.jpg")] == [((100, 0, 50, 50), 1.0)]
    with vault.database.read() as tx:
        reviews = transient.requests.find(tx, request).reviews
    assert {(one.photo_id, one.face_id, one.verdict) for one in reviews} == {
        (one.photo_id, None, "unsure") for one in found
    }


def test_the_log_says_how_many_were_compared_and_that_none_was_kept_and_names_nobody(scanning):
    vault, request = scanning()
    scan(vault, request)
    told = said(vault)
    assert (told["photos"], told["faces"], told["kept"], told["candidates"]) == (3, 5, 0, 2)
    assert (told["finished"], told["skipped"]) == (True, {})
    assert not any(mark in str(told) for mark in ("pho_", "fac_", "ann"))


def test_nothing_of_it_is_kept(tmp_path, photos, portrait, monkeypatch, clock):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    countenance.create(tmp_path / "vault", clock=clock)
    settings = Settings(workers=1, temporary=temporary)  # with the real models, in a worker process
    with countenance.open(tmp_path / "vault", settings=settings, clock=clock) as vault:
        vault.create_collection("club", **STATED | {"mode": "enrolled"})
        vault.create_source(photos, collection="club", controller="x", evidence="y")
        assert (vault.add(photos).added, vault.counts("club")["faces"]) == (4, 0)
        request = vault.requests.open("access").id
        before = rows(vault)
        offered = tmp_path / "offered.png"
        portrait.crop((60, 0, 400, 300)).save(offered)
        found = scan(vault, request, offered)
        names = {photo.id: photo.address for photo in vault.photos(vault.sources()[0].id)}
        assert {names[one.photo_id] for one in found} == {"portrait.png", "mirrored.jpg", "smaller.jpg"}
        assert (said(vault)["photos"], said(vault)["faces"], said(vault)["kept"]) == (4, 3, 0)
        assert rows(vault) == before
        club, forms = vault.collection("club"), []
        with vault.database.read() as tx:
            transform = vault.galleries.transform(tx, club.id)
        for file in (*photos.iterdir(), offered):
            admitted = admit_request(club, file.read_bytes(), request=request, now=clock())
            assert isinstance(admitted, Admitted)
            for face in examine(admitted, cache=vault.settings.cache).faces:
                forms += residue.forms_of_template(face.template) + residue.forms_of_template(face.template @ transform)
                forms.append(face.crop)
        vault.database.truncate_wal()
        assert len(forms) == 4 * 7
        looked = residue.scan(vault.path, [*forms, offered.read_bytes()], temporary=temporary)
        assert (looked.hits, looked.control_hits) == (0, 2)
        assert vault.check().problems == ()


def test_photos_that_an_order_or_a_restriction_hides_are_passed_over_and_counted(scanning):
    vault, request = scanning(
        {"1.jpg": "ann @GB", "2.jpg": "ann", "3.jpg": "ann @FR", "4.jpg": "ann+bob @FR"}, subjects=["bob"]
    )
    vault.faces.restrict(photo_at(vault, "3.jpg"), ground="objection")
    vault.faces.restrict(face_at(vault, "4.jpg"), ground="objection")
    order = vault.orders.draft(order_text(scope="{territories: [GB], unknown: exclude}"))
    vault.orders.approve(order.id, by="x")
    assert [one.photo_id for one in scan(vault, request)] == [photo_at(vault, "2.jpg")]
    assert (said(vault)["photos"], said(vault)["skipped"]) == (1, {"hidden": 3})


def test_an_order_that_has_not_hidden_its_photos_yet_is_asked_before_each_is_read(scanning, monkeypatch):
    vault, request = scanning({"1.jpg": "ann @GB", "2.jpg": "ann @FR"})
    order = vault.orders.draft(order_text())
    monkeypatch.setattr("countenance.orders.issue.hide", lambda *_: 0)
    vault.orders.approve(order.id, by="x")
    assert [one.photo_id for one in scan(vault, request)] == [photo_at(vault, "2.jpg")]
    assert said(vault)["skipped"] == {"order": 1}


def test_what_is_reserved_new_changed_gone_or_erased_before_is_passed_over_and_counted(scanning, tmp_path):
    vault, request = scanning({f"{n}.jpg": "ann" for n in range(4)} | {"team.jpg": "ann+bob"}, subjects=["bob"])
    folder = tmp_path / "words"
    with vault.database.write() as tx:
        tx.sql.execute(tables.source.update().values(on_erase="worklist"))
    vault.erase(vault.scope(face=face_at(vault, "team.jpg")))  # bob's; the file still shows him
    (folder / "0.jpg.xmp").write_text('<x plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED"/>')
    (folder / "1.jpg").write_text("ann+cat")
    (folder / "2.jpg").unlink()
    (folder / "new.jpg").write_text("ann ")
    assert [one.photo_id for one in scan(vault, request)] == [photo_at(vault, "3.jpg")]
    expected = {"changed": 1, "erased-before": 1, "new": 1, "reserved": 1, "unreached": 1}
    assert (said(vault)["photos"], said(vault)["skipped"]) == (1, expected)


def test_a_source_that_is_gone_is_counted_with_all_its_photos(scanning, tmp_path):
    vault, request = scanning()
    shutil.move(tmp_path / "words", tmp_path / "elsewhere")
    assert scan(vault, request) == ()
    assert (said(vault)["photos"], said(vault)["skipped"]) == (0, {"unreached": 3})


def test_what_expired_is_passed_over(scanning, clock):
    vault, request = scanning()
    clock.forward(days=31)
    assert scan(vault, request) == ()
    assert said(vault)["skipped"] == {"expired": 3}


def test_a_photo_hidden_while_it_is_scanned_is_no_candidate(scanning):
    vault, request = scanning()
    hide = iter([lambda: vault.faces.restrict(photo_at(vault, "3.jpg"), ground="objection")])
    found = scan(vault, request, report=lambda _: next(hide, lambda: None)())
    assert [one.photo_id for one in found] == [photo_at(vault, "1.jpg")]


def test_cut_short_it_says_so_in_the_log_and_leaves_nothing(scanning):
    vault, request = scanning()
    before = rows(vault)
    seen = []

    def stop(progress):
        seen.append((progress.done, progress.total))
        raise KeyboardInterrupt

    with pytest.raises(errors.Interrupted):
        scan(vault, request, report=stop)
    assert seen == [(1, 3)]
    assert (said(vault)["photos"], said(vault)["kept"], said(vault)["finished"]) == (1, 0, False)
    assert rows(vault) == before
    with vault.database.read() as tx:
        assert transient.requests.find(tx, request).reviews == ()


@pytest.mark.parametrize(
    ("pictures", "error", "match"),
    [
        ([], errors.UsageError, "needs a picture"),
        ([b"ann+bob"], errors.NoFace, "a picture is never needed"),
        ([b"ann", b"bob"], errors.UsageError, "somebody else"),
    ],
)
def test_pictures_that_do_not_show_one_person_are_refused_and_nothing_is_scanned(scanning, pictures, error, match):
    vault, request = scanning()
    with pytest.raises(error, match=match):
        vault.requests.identify(request, pictures=pictures, scan=True)
    assert vault.log.lines(kind="request:scanned") == []


def test_it_is_for_one_open_request_and_for_collections_that_keep_no_strangers(scanning):
    vault, request = scanning()
    vault.create_collection("open", **STATED)
    with pytest.raises(errors.UsageError, match="mode enrolled"):
        scan(vault, request, collection="open")
    vault.requests.answer(request, "nothing")
    with pytest.raises(errors.UsageError, match="is answered"):
        scan(vault, request)
    with pytest.raises(errors.NotFound):
        scan(vault, "req_none")
    assert vault.log.lines(kind="request:scanned") == []


def test_a_collection_without_its_basis_is_not_scanned(scanning):
    vault, request = scanning()
    vault.set_collection("club", notice="")
    with pytest.raises(errors.Refused, match="notice"):
        scan(vault, request)
    assert vault.log.lines(kind="request:scanned") == []


def test_the_gate_lets_a_picture_be_compared_for_a_request_and_nothing_of_it_be_kept(scanning, clock):
    vault, request = scanning()
    club = vault.collection("club")
    admitted = admit_request(club, b"x", request=request, now=clock())
    assert isinstance(admitted, Admitted)
    assert (admitted.purpose, admitted.expires_at) == (f"answering request {request}", clock())
    vault.set_collection("club", art9="")
    assert isinstance(admit_request(vault.collection("club"), b"x", request=request, now=clock()), Refusal)


def test_the_command_scans_with_an_offered_photo(scanning, run, tmp_path):
    vault, request = scanning()
    (tmp_path / "offered.jpg").write_text("ann")
    done = run("request", "identify", request, "--photo", tmp_path / "offered.jpg", "--scan", "--json")
    assert {one["photo_id"] for one in done.json} == {photo_at(vault, "1.jpg"), photo_at(vault, "3.jpg")}
    assert done.json[0]["likenesses"][0]["score"] > 0.99
