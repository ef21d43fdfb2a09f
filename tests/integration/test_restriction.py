"""A restriction keeps a record and hides it, whatever else happens to it, until it is lifted (Art. 18 and 21 GDPR)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.conftest import WHY
from tests.integration.conftest import enrolled, face_at, hits, photo_at
from tests.orders import ASSESSMENT, order_text
from tests.property import test_vault

from countenance import errors
from countenance.store import faces, photos, tables, tree

CLUB = {"team.jpg": "ann+bob @GB", "ann.jpg": "ann @GB", "bob.jpg": "bob @FR"}
TOLD = {"reason": "settled", "told": "by letter, 20 November 2026"}
WITH_ANN = {"team.jpg", "ann.jpg"}


def ordered(vault):
    return vault.orders.approve(vault.orders.draft(order_text()).id, by="First Person").id


def lift(vault, order):
    vault.orders.lift(order, reason="r", assessment=ASSESSMENT)


def restrict(vault, record, **more):
    return vault.faces.restrict(record, **{"ground": "accuracy"} | more).restriction.id


def hidden_by(vault):
    """Who hides what, by address: of photos, and of faces in the order in which they were added."""
    with vault.database.read() as tx:
        found = {}
        for source in vault.sources():
            for photo in vault.photos(source.id):
                rows = tx.sql.execute(tables.face.select().where(tables.face.c.photo_id == photo.id)).all()
                stopped = tx.sql.execute(tables.photo.select().where(tables.photo.c.id == photo.id)).one().stopped_by
                found[photo.address] = (stopped, [row.stopped_by for row in rows])
        return found


def test_a_restricted_photo_is_kept_and_in_no_search_until_it_is_lifted(words):
    vault = words(CLUB)
    photo, face = photo_at(vault, "team.jpg"), face_at(vault, "team.jpg")
    made = restrict(vault, photo, reason="says it is not her")
    assert (hits(vault, "ann"), hits(vault, "bob")) == ({"ann.jpg"}, {"bob.jpg"})
    with pytest.raises(errors.NotFound):
        hits(vault, face=face)
    assert vault.counts("club")["stopped"] == 1
    with pytest.raises(errors.UsageError, match="is hidden by an order or a restriction"):
        vault.faces.not_same(face, face_at(vault, "ann.jpg"), reason="r")
    for record in (photo, face):
        assert "says it is not her" in " ".join(vault.why(record).sentences)
    assert [one.id for one in vault.faces.restrictions()] == [made]
    lifted = vault.faces.unrestrict(made, **TOLD)
    assert (lifted.shown, lifted.left) == (2, 0)
    assert (hits(vault, "ann"), hits(vault, "bob")) == (WITH_ANN, {"team.jpg", "bob.jpg"})
    assert vault.faces.restrictions() == []
    assert "by letter, 20 November 2026" in " ".join(vault.why(photo).sentences)
    assert vault.check().problems == ()


def test_a_restricted_face_is_hidden_and_the_others_of_its_photo_are_found(words):
    vault = words(CLUB)
    restrict(vault, face_at(vault, "team.jpg", 1))
    assert hits(vault, "ann") == WITH_ANN
    assert hits(vault, "bob") == {"bob.jpg"}
    assert vault.check().problems == ()


def test_no_hit_shows_a_part_of_a_restricted_face_beside_another(words, monkeypatch):
    narrow = test_vault.seen

    def wide(content):
        seen = narrow(content)
        return replace(seen, faces=tuple(replace(face, crop_box=(0, 0, 500, 50)) for face in seen.faces))

    monkeypatch.setattr(test_vault, "seen", wide)
    vault = words(CLUB)
    made = restrict(vault, face_at(vault, "team.jpg", 1))
    crops = {hit.address: hit.crop for hit in vault.search(b"ann", fpir=0.5, **WHY).faces[0].hits}
    assert crops == {"team.jpg": b"", "ann.jpg": b"crop of ann"}
    vault.faces.unrestrict(made, **TOLD)
    crops = {hit.address: hit.crop for hit in vault.search(b"ann", fpir=0.5, **WHY).faces[0].hits}
    assert crops["team.jpg"] == b"crop of ann"


def test_what_was_found_before_is_not_exported_after_a_restriction(words, tmp_path):
    vault = words(CLUB)
    found = vault.search(b"ann", fpir=0.5, **WHY)
    sheet = vault.exports.write(found, tmp_path / "before.html")
    done = vault.faces.restrict(photo_at(vault, "ann.jpg"), ground="accuracy")
    assert done.exports == (sheet.id,)
    with pytest.raises(errors.Refused, match="restriction"):
        vault.exports.write(found, tmp_path / "after.html")
    assert not (tmp_path / "after.html").exists()


def test_the_samples_of_an_order_show_no_restricted_face(words, tmp_path):
    vault = words(CLUB)
    restrict(vault, photo_at(vault, "ann.jpg"))
    vault.orders.sheet(vault.orders.draft(order_text()).id, tmp_path / "samples.html")
    page = (tmp_path / "samples.html").read_text()
    assert "team.jpg" in page
    assert "ann.jpg" not in page


def test_it_holds_at_once_in_another_process_and_in_one_that_opens_later(words):
    vault, other = words(CLUB), words()
    assert hits(other, "ann") == WITH_ANN
    made = restrict(vault, photo_at(vault, "team.jpg"))
    assert hits(other, "ann") == {"ann.jpg"}
    vault.close()
    assert hits(words(), "ann") == {"ann.jpg"}
    other.faces.unrestrict(made, **TOLD)
    assert hits(other, "ann") == WITH_ANN
    assert other.check().problems == ()


@pytest.mark.parametrize("whole", [True, False])
def test_it_stays_over_scans_though_the_file_is_touched_changed_or_gone(words, tmp_path, whole):
    vault, folder = words(CLUB), tmp_path / "words"
    record = photo_at(vault, "team.jpg") if whole else face_at(vault, "team.jpg", 0)
    made, others = restrict(vault, record), set() if whole else {"team.jpg"}
    for change in (
        (folder / "team.jpg").touch,
        lambda: (folder / "team.jpg").write_text("ann+bob @GB,IE"),
        (folder / "team.jpg").unlink,
        lambda: (folder / "team.jpg").write_text("ann+bob @GB"),
    ):
        change()
        vault.add(folder)
        assert hits(vault, "ann") == {"ann.jpg"}
        assert hits(vault, "bob") == others | {"bob.jpg"}
        gone = not whole and not (folder / "team.jpg").exists()
        assert vault.counts("club").get("vanished", 0) == gone
    vault.faces.unrestrict(made, **TOLD)
    vault.add(folder)
    assert hits(vault, "ann") == WITH_ANN
    assert vault.check().problems == ()


@pytest.mark.parametrize("what", ["photo", "face"])
@pytest.mark.parametrize("first", ["order", "restriction"])
@pytest.mark.parametrize("ends_first", ["order", "restriction"])
def test_neither_shows_what_the_other_hides_whichever_came_or_ends_first(words, what, first, ends_first):
    vault = words(CLUB)
    record = photo_at(vault, "team.jpg") if what == "photo" else face_at(vault, "team.jpg")
    if first == "order":
        order = ordered(vault)
        made = restrict(vault, record)
    else:
        made = restrict(vault, record)
        order = ordered(vault)
    assert (hits(vault, "ann"), hits(vault, "bob")) == (set(), {"bob.jpg"})
    if ends_first == "order":
        lift(vault, order)
        assert hits(vault, "ann") == {"ann.jpg"}
        assert hits(vault, "bob") == ({"bob.jpg"} if what == "photo" else {"bob.jpg", "team.jpg"})
        assert vault.faces.unrestrict(made, **TOLD).left == 0
    else:
        assert vault.faces.unrestrict(made, **TOLD).shown == 0
        assert (hits(vault, "ann"), hits(vault, "bob")) == (set(), {"bob.jpg"})
        lift(vault, order)
    assert (hits(vault, "ann"), hits(vault, "bob")) == (WITH_ANN, {"team.jpg", "bob.jpg"})
    assert {holder for photo, inside in hidden_by(vault).values() for holder in (photo, *inside)} == {None}
    assert vault.check().problems == ()


@pytest.mark.parametrize("records", ["photo photo", "photo face", "face photo", "face face"])
@pytest.mark.parametrize("last_first", [True, False])
def test_of_two_restrictions_one_that_ends_does_not_show_what_the_other_hides(words, records, last_first):
    vault = words(CLUB)
    of = {"photo": photo_at(vault, "team.jpg"), "face": face_at(vault, "team.jpg")}
    made = [(restrict(vault, of[kind]), kind) for kind in records.split()]
    going, staying = made[::-1] if last_first else made
    vault.faces.unrestrict(going[0], **TOLD)
    assert hits(vault, "ann") == {"ann.jpg"}
    assert hits(vault, "bob") == ({"bob.jpg"} if staying[1] == "photo" else {"bob.jpg", "team.jpg"})
    vault.faces.unrestrict(staying[0], **TOLD)
    assert hits(vault, "ann") == WITH_ANN
    assert {holder for photo, inside in hidden_by(vault).values() for holder in (photo, *inside)} == {None}


def test_a_photo_corrected_out_of_an_order_stays_restricted(words):
    vault = words({"nowhere.jpg": "ann"})
    order = vault.orders.draft(order_text())
    vault.orders.approve(order.id, by="x", confirm=1)
    made = restrict(vault, face_at(vault, "nowhere.jpg"))
    vault.correct_evidence(photo_at(vault, "nowhere.jpg"), "FR")
    assert hits(vault, "ann") == set()
    vault.faces.unrestrict(made, **TOLD)
    assert hits(vault, "ann") == {"nowhere.jpg"}


@pytest.mark.parametrize("by", ["photo", "face", "order", "source"])
def test_what_is_restricted_can_be_erased_and_the_restriction_goes_with_its_key(words, by):
    vault = words(CLUB)
    face, photo = face_at(vault, "ann.jpg"), photo_at(vault, "ann.jpg")
    made = restrict(vault, face if by == "face" else photo)
    with vault.database.read() as tx:
        [row] = tx.sql.execute(tables.restriction.select()).all()
    if by == "order":
        vault.orders.carry_out(ordered(vault), signed_by="x")
    else:
        vault.erase(vault.scope(**{by: {"photo": photo, "face": face, "source": vault.sources()[0].id}[by]}))
    assert hits(vault, "ann").isdisjoint({"ann.jpg"})
    assert vault.faces.restrictions(ended=True) == []
    with pytest.raises(errors.NotFound):
        vault.faces.unrestrict(made, **TOLD)
    with vault.database.read() as tx, pytest.raises(tree.Punctured):
        tx.keys.item_key(row.item)
    assert vault.check().problems == ()


def test_erasing_a_face_beside_a_restricted_one_leaves_that_restricted(words, tmp_path):
    vault = words(CLUB)
    vault.set_collection("club", name="club")
    restrict(vault, face_at(vault, "team.jpg", 1))
    with vault.database.write() as tx:  # files are left to a person, so that the photo stays for the other
        tx.sql.execute(tables.source.update().values(on_erase="worklist"))
    vault.erase(vault.scope(face=face_at(vault, "team.jpg", 0)))
    assert hits(vault, "bob") == {"bob.jpg"}
    with vault.database.read() as tx:
        assert len(faces.stored(tx, photo_id=photo_at(vault, "team.jpg"))) == 1
    vault.faces.unrestrict(vault.faces.restrictions()[0].id, **TOLD)
    assert hits(vault, "bob") == {"bob.jpg", "team.jpg"}


def test_lifting_needs_a_reason_and_that_the_person_was_told_before(words):
    vault = words(CLUB)
    made, before = restrict(vault, photo_at(vault, "team.jpg")), len(vault.log.lines())
    for given in ({"reason": "", "told": "by letter"}, {"reason": "r", "told": " "}):
        with pytest.raises(errors.UsageError, match=r"Art\. 18\(3\)"):
            vault.faces.unrestrict(made, **given)
    assert len(vault.log.lines()) == before
    vault.faces.unrestrict(made, **TOLD)
    with pytest.raises(errors.UsageError, match="ended already"):
        vault.faces.unrestrict(made, **TOLD)
    assert [one.ended.told for one in vault.faces.restrictions(ended=True)] == [TOLD["told"]]


def test_what_cannot_be_restricted_is_refused_and_changes_nothing(words):
    vault = words(CLUB)
    before = len(vault.log.lines())
    for record, more, error in (
        (None, {}, errors.UsageError),
        (photo_at(vault, "team.jpg"), {"ground": "because"}, errors.UsageError),
        ("pho_none", {}, errors.NotFound),
        ("fac_none", {}, errors.NotFound),
        ("nobody", {}, errors.NotFound),
        (None, {"request": "req_none"}, errors.NotFound),
    ):
        with pytest.raises(error):
            restrict(vault, record, **more)
    assert len(vault.log.lines()) == before
    assert vault.faces.restrictions() == []


def test_a_restricted_subject_is_not_searched_nor_matched_and_afterwards_it_is(words, tmp_path):
    vault, folder = words(CLUB, subjects=["ann"], mode="enrolled"), tmp_path / "words"
    made = restrict(vault, "ann", ground="objection")
    with pytest.raises(errors.NoFace, match="may be used"):
        hits(vault, subject="ann")
    (folder / "later.jpg").write_text("ann @IE")
    assert vault.add(folder).faces == 0
    enrolled(vault, "bob", tmp_path)
    assert vault.add(folder).faces == 1  # bob alone, not in the photo of which a face is restricted
    assert hits(vault, "ann") == set()
    vault.faces.unrestrict(made, **TOLD)
    assert hits(vault, subject="ann") == WITH_ANN
    assert vault.add(folder).faces == 2  # ann in the later one, and bob beside her in the other
    assert vault.check().problems == ()


def test_a_request_restricts_all_that_was_confirmed_of_it(words):
    vault = words(CLUB)
    asked = vault.requests.open("restriction", name="somebody")
    vault.requests.identify(asked.id, clues=[("address", "team.jpg"), ("address", "ann.jpg")])
    yes = {face_at(vault, "team.jpg"): "yes", face_at(vault, "team.jpg", 1): "no", photo_at(vault, "ann.jpg"): "yes"}
    vault.requests.review(asked.id, yes)
    done = vault.faces.restrict(request=asked.id, ground="objection")
    assert done.restriction.request == asked.id
    assert hits(vault, "ann") == set()
    assert hits(vault, "bob") == {"team.jpg", "bob.jpg"}
    again = vault.requests.open("access")
    found = vault.requests.identify(again.id, clues=[("address", "ann.jpg")])
    assert [one.photo_id for one in found] == [
        photo_at(vault, "ann.jpg")
    ]  # a restriction takes nobody's right to an answer


def test_a_collection_with_a_restricted_stranger_cannot_turn_to_mode_enrolled(words):
    vault = words({"ann.jpg": "ann"})
    restrict(vault, photo_at(vault, "ann.jpg"))
    with pytest.raises(errors.UsageError, match="1 faces of people who are not enrolled"):
        vault.set_collection("club", mode="enrolled")


def test_what_an_erasure_hides_is_never_restricted_or_shown_again(words):
    vault = words(CLUB)
    photo = photo_at(vault, "ann.jpg")
    with vault.database.write() as tx:  # as an erasure under way has left it
        faces.stop(tx, [face.id for face in faces.stored(tx, photo_id=photo)])
        photos.reach(tx, [photo])
    with pytest.raises(errors.UsageError, match="nothing to restrict"):
        restrict(vault, photo)


def test_the_sweep_leaves_what_is_restricted_though_an_order_that_is_done_hid_it_first(words, clock):
    vault = words(CLUB)
    order = vault.orders.approve(vault.orders.draft(order_text(measures="[stop]")).id, by="First Person").id
    made = restrict(vault, face_at(vault, "team.jpg"), ground="claims")
    vault.orders.carry_out(order, signed_by="x")
    clock.forward(days=40)
    vault.sweep()
    with vault.database.read() as tx:
        assert [photo.address for photo in photos.of_source(tx, vault.sources()[0].id)] == ["team.jpg"]
    vault.faces.unrestrict(made, **TOLD)
    vault.sweep()
    assert vault.photos(vault.sources()[0].id) == []


def test_an_order_about_a_subject_and_a_restriction_of_another_in_the_photo_hide_each_their_own(words, tmp_path):
    vault = words(CLUB, subjects=["ann", "bob"])
    made = restrict(vault, face_at(vault, "team.jpg", 1))  # bob's
    order = vault.orders.approve(vault.orders.draft(order_text(scope="{subjects: [ann]}")).id, by="x").id
    assert (hits(vault, "ann"), hits(vault, "bob")) == (set(), {"bob.jpg", str(tmp_path / "bob.png")})
    vault.faces.unrestrict(made, **TOLD)
    assert (hits(vault, "ann"), "team.jpg" in hits(vault, "bob")) == (set(), True)
    again = restrict(vault, face_at(vault, "team.jpg"))  # ann's, whom the order hides
    lift(vault, order)
    assert hits(vault, "ann") == {"ann.jpg", str(tmp_path / "ann.png")}
    vault.faces.unrestrict(again, **TOLD)
    assert hits(vault, "ann") == {*WITH_ANN, str(tmp_path / "ann.png")}
