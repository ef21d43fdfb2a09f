"""A person's own wish to be kept out."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from PIL import Image, ImageOps
from sqlalchemy import event
from tests.conftest import STATED, WHY

from countenance import Consent, errors
from countenance.orders.residue import forms_of_template, scan
from countenance.search import find
from countenance.store import faces, tree, wishes
from countenance.store.seal import unseal
from countenance.store.tables import wish as table

SIGNED = "Keep my face out"


@pytest.fixture
def terms(clock):
    """A wish signed now, for thirty days."""
    return Consent(by="Signatory Number One", given_at=clock(), text=SIGNED, until=clock() + timedelta(days=30))


@pytest.fixture
def offered(photos):
    """The photo that the person offers."""
    return photos / "smaller.jpg"


@pytest.fixture
def stranger(shared_photos):
    """Somebody else."""
    return shared_photos / "london/gallery/012_03.jpg"


def wish_row(vault):
    with vault.database.read() as tx:
        return tx.sql.execute(table.select()).one()


def live(vault):
    with vault.database.read() as tx:
        return wishes.live(tx, model="sface", threshold=find.subject_threshold)


def template_of(vault):
    row = wish_row(vault)
    return np.frombuffer(unseal(vault.keys.item_key(row.item), "wish-template", row.item, row.template), "<f4")


def test_no_face_that_matches_a_wish_is_kept_in_any_collection_and_only_the_number_is_said(
    vault, photos, offered, terms
):
    vault.wishes.record([offered], consent=terms)
    vault.create_collection("second", **STATED)
    vault.create_source(photos, collection="second", controller="us", evidence="ours")
    for collection in ("club", "second"):
        added = vault.add(photos, collection=collection)
        assert (added.added, added.faces, added.kept_out, added.discarded) == (4, 0, 3, 0)
        line = vault.log.lines(kind="scan:finished")[-1]
        assert line.public["kept-out"] == 3
        assert "wish" not in str(vault.log.lines(kind="photo:added")[-1])


def test_of_two_people_in_one_photo_the_one_who_wished_it_is_kept_out_and_the_other_is_held(
    vault, photos, portrait, stranger, terms
):
    both = Image.new("RGB", (900, 500))
    both.paste(portrait.crop((60, 0, 460, 500)), (0, 0))
    with Image.open(stranger) as other:
        both.paste(other.resize((450, 450)), (430, 0))
    for file in photos.iterdir():
        file.unlink()
    both.save(photos / "both.png")
    vault.wishes.record([ImageOps.mirror(portrait)], consent=terms)
    added = vault.add(photos)
    assert (added.added, added.faces, added.kept_out) == (1, 1, 1)
    assert vault.search(stranger, **WHY).found
    assert not vault.search(portrait, **WHY).found


def test_from_its_end_on_a_wish_keeps_nobody_out_and_the_next_rotation_destroys_its_key(
    vault, photos, offered, terms, clock
):
    vault.wishes.record([offered], consent=terms)
    item = wish_row(vault).item
    clock.forward(days=30, seconds=-1)
    assert len(live(vault).templates) == 1
    clock.forward(seconds=1)
    assert len(live(vault).templates) == 0
    added = vault.add(photos)
    assert (added.faces, added.kept_out) == (3, 0)
    vault.custody.rotate()
    assert vault.wishes.list() == []
    with pytest.raises(tree.Punctured):
        vault.keys.item_key(item)
    assert vault.log.lines(kind="wish:ended")[-1].public == {"wishes": 1}


def test_an_erasure_destroys_the_keys_of_wishes_that_have_ended_too(filled, offered, terms, clock):
    filled.wishes.record([offered], consent=terms)
    item = wish_row(filled).item
    clock.forward(days=29)
    photo = filled.photos(filled.sources("club")[0].id)[0]
    clock.forward(days=1)
    filled.erase(filled.scope(photo=photo.id))
    with pytest.raises(tree.Punctured):
        filled.keys.item_key(item)


def test_withdrawing_a_wish_destroys_its_key_at_once_and_the_face_is_kept_again(vault, photos, offered, terms):
    wish = vault.wishes.record([offered], consent=terms)
    row = wish_row(vault)
    clear = [vault.keys.item_key(row.item), row.template]
    epoch = vault.wishes.withdraw(wish.id)
    assert epoch == vault.keys.epoch
    assert vault.wishes.list() == []
    with pytest.raises(tree.Punctured):
        vault.keys.item_key(row.item)
    assert scan(vault.path, clear).where == ()
    assert vault.log.lines(kind="wish:recorded")[-1].parts == (None,)
    assert vault.log.lines(kind="wish:withdrawn")[-1].parts == (None,)
    assert vault.add(photos).faces == 3
    assert vault.check().problems == ()
    with pytest.raises(errors.NotFound):
        vault.wishes.withdraw(wish.id)


def test_faces_held_before_the_wish_stay(filled, photos, offered, terms):
    filled.wishes.record([offered], consent=terms)
    assert filled.counts("club")["faces"] == 3
    assert filled.search(photos / "portrait.png", **WHY).found
    assert filled.add(photos).unchanged == 4


def test_no_search_finds_the_template_of_a_wish(vault, offered, portrait, terms):
    vault.wishes.record([offered], consent=terms)
    result = vault.search(portrait, **WHY)
    assert (result.gallery, result.found) == (0, False)
    with vault.database.read() as tx:
        assert faces.stored(tx) == []


def test_nothing_of_a_wish_stands_in_the_clear(vault, offered, terms):
    vault.wishes.record([offered], consent=terms)
    template = template_of(vault)
    assert np.isclose(np.linalg.norm(template), 1)
    values = [*forms_of_template(template), terms.by.encode(), SIGNED.encode(), offered.name.encode()]
    assert scan(vault.path, [*values, offered.read_bytes()]).where == ()
    assert scan(vault.path, [wish_row(vault).id.encode()]).where != ()  # so the scan can find


def test_the_template_is_the_mean_of_what_was_offered_and_of_no_other_use(vault, photos, offered, terms):
    wish = vault.wishes.record([offered, photos / "portrait.png"], consent=terms)
    assert wish.photos == 2
    assert vault.wishes.list() == [wish]
    said = " ".join(vault.why(wish.id).sentences)
    assert SIGNED in said
    assert "no search finds it" in said


def test_a_person_who_wished_to_be_kept_out_is_not_enrolled_before_the_wish_is_withdrawn(
    vault, photos, offered, terms, clock
):
    wish = vault.wishes.record([offered], consent=terms)
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=1))
    with pytest.raises(errors.Refused, match="own wish"):
        vault.enrol("X", [photos / "portrait.png"], collection="club", consent=consent)
    assert vault.subjects() == []
    vault.wishes.withdraw(wish.id)
    assert vault.enrol("X", [photos / "portrait.png"], collection="club", consent=consent).faces == 1


def test_a_vault_without_wishes_asks_once_a_transaction_and_opens_no_key(vault, photos, monkeypatch):
    asked = []
    event.listen(
        vault.database.engine,
        "before_cursor_execute",
        lambda *args: asked.append(args[2]) if "wish" in args[2] else None,
    )
    opened = []
    monkeypatch.setattr(wishes, "unseal_into", lambda *args: opened.append(args))
    vault.add(photos)
    assert len(asked) == 1
    assert opened == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by": " "}, "who signed"),
        ({"text": ""}, "who signed"),
        ({"days": 0}, "not in force"),
        ({"given": 1}, "not in force"),
        ({"days": 3654}, "ten years"),
    ],
)
def test_a_wish_that_does_not_add_up_is_refused_and_nothing_is_kept(vault, offered, clock, changes, said):
    given = clock() + timedelta(days=changes.get("given", 0))
    until = clock() + timedelta(days=changes.get("days", 9))
    consent = Consent(by=changes.get("by", "x"), given_at=given, text=changes.get("text", "y"), until=until)
    with pytest.raises(errors.UsageError, match=said):
        vault.wishes.record([offered], consent=consent)
    assert vault.wishes.list() == []


def test_photos_of_nobody_of_several_or_of_different_people_are_refused_and_nothing_is_kept(
    vault, photos, offered, pair, stranger, terms
):
    with pytest.raises(errors.NoFace, match="no faces"):
        vault.wishes.record([photos / "meadow.jpg"], consent=terms)
    with pytest.raises(errors.NoFace, match="2 faces"):
        vault.wishes.record([pair], consent=terms)
    with pytest.raises(errors.UsageError, match="somebody else"):
        vault.wishes.record([offered, stranger], consent=terms)
    with pytest.raises(errors.UsageError, match="at least one"):
        vault.wishes.record([], consent=terms)
    assert vault.wishes.list() == []


def test_the_command_records_lists_and_withdraws_and_says_what_erases_what_is_held(vault, offered, run):
    vault.close()
    stated = ("--signed-by", "X", "--text", SIGNED, "--until", "2031-01-01")
    dry = run("wish", "record", offered, *stated, "--dry-run", "--json")
    assert (dry.code, dry.json["dry_run"]) == (0, True)
    assert run("wish", "list", "--json").json == []
    made = run("wish", "record", offered, *stated)
    assert made.code == 0
    assert "erase --search" in made.err
    (listed,) = run("wish", "list", "--json").json
    assert listed["consent"]["text"] == SIGNED
    assert run("wish", "withdraw", listed["id"], "--dry-run").code == 0
    assert run("wish", "withdraw", "wis_none").code == 1
    assert "in force" in run("wish", "list").out
    gone = run("wish", "withdraw", listed["id"], "--json")
    assert gone.json["changed"] is True
    assert run("wish", "list", "--json").json == []
