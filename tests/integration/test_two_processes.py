from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from PIL import ImageOps

import countenance
from countenance import errors, ingest
from countenance.orders import erase
from countenance.search.gallery import FOLLOW_SECONDS
from countenance.store import database as store
from countenance.store import faces, searches

WHY = {"collection": "club", "purpose": "a test", "case": "case 1"}

ANSWER = """
import sys
import countenance
with countenance.open(sys.argv[1]) as vault:
    club = vault.collection("club")
    vault.search(sys.argv[2], collection="club", purpose="a test", case="case 1")
    for line in sys.stdin:
        if line == "search\\n":
            found = vault.search(sys.argv[2], collection="club", purpose="a test", case="case 1")
            print(len(found.faces[0].hits), flush=True)
        elif line == "make\\n":
            vault.create_collection("made elsewhere")
            print("made", flush=True)
        else:  # what stands in this process's memory, without asking the records
            print(len(vault.galleries.indexes[club.id]), flush=True)
"""


class Other:
    """A second process that has the vault open and answers questions."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", ANSWER, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )

    def ask(self, question: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()


@pytest.fixture
def other(filled, photos, here):
    one = Other(filled.path, photos / "portrait.png")
    yield one
    one.process.communicate()


def test_each_process_sees_what_the_other_added_in_its_next_search(filled, photos, portrait, other, start):
    assert other.ask("search") == "3"
    portrait.rotate(4).save(photos / "turned.png")
    assert filled.add(photos).added == 1
    assert other.ask("search") == "4"
    ImageOps.mirror(portrait.rotate(4)).save(photos / "turned-too.png")
    process = start("add", photos)
    process.communicate()
    assert process.returncode == 0
    assert len(filled.search(photos / "portrait.png", **WHY).faces[0].hits) == 5
    assert other.ask("make") == "made"
    assert [collection.name for collection in filled.collections()] == ["club", "made elsewhere"]


def test_an_idle_process_drops_what_another_erases_before_the_certificate_is_signed(filled, photos, other):
    assert FOLLOW_SECONDS * 2 < 1  # a look at the generation, and the one after it
    assert other.ask("index") == "3"
    photo = next(p for p in filled.photos(filled.sources()[0].id) if p.address == "smaller.jpg")
    erasure = filled.erase(filled.scope(photo=photo.id))
    assert (erasure.state, erasure.unanswered) == ("certified", ())
    assert other.ask("index") == "2"
    assert other.ask("search") == "2"


def test_two_adds_of_one_source_at_the_same_time_hold_every_photo_once(vault, photos, portrait, start, held):
    for n in range(10):
        portrait.rotate(n + 1).resize((300 + n, 300 + n)).save(photos / f"more-{n}.jpg")
    slow = "from countenance import ingest; ingest.BATCH_PHOTOS = ingest.WINDOW = 2"
    both = [start("add", photos, before=slow) for _ in range(2)]
    for process in both:
        _, err = process.communicate()
        assert process.returncode == 0, err
    found = held(vault)
    assert len(found) == 14
    assert {about[1] for about, _, _ in found} == {"held"}
    assert sum(len(seen) for _, _, seen in found) == 13
    added = vault.add(photos)
    assert (added.unchanged, added.looked_at, added.vanished) == (14, 0, 0)
    assert vault.check().problems == ()


def interrupted_by(act, monkeypatch):
    """Have something done, as by another process, between looking at the first photo and storing it."""
    whole, done = ingest._Scan.flush, []

    def flush(self):
        if self.batch and not done:
            done.append(True)
            act()
        whole(self)

    monkeypatch.setattr(ingest._Scan, "flush", flush)


def test_an_earlier_scan_that_stores_last_does_not_make_photos_vanish_in_the_later_one(
    vault, reopen, photos, monkeypatch
):
    elsewhere, flush, finish, first = reopen(), ingest._Scan.flush, ingest._Scan.finish, []

    def flush_of_the_first_waits(self):
        if self.scan == 1 and self.batch and not first:
            first.append(self)
            elsewhere.add(photos)
        flush(self)

    def the_first_stores_before_the_second_ends(self):
        if self.scan == 2:
            flush(first[0])
        return finish(self)

    monkeypatch.setattr(ingest._Scan, "flush", flush_of_the_first_waits)
    monkeypatch.setattr(ingest._Scan, "finish", the_first_stores_before_the_second_ends)
    vault.add(photos)
    assert {photo.state for photo in vault.photos(vault.sources()[0].id)} == {"held"}
    assert vault.counts("club") == {"held": 4, "faces": 3}
    late = vault.add(photos)
    assert (late.unchanged, late.vanished) == (4, 0)


def test_a_source_whose_erasure_is_only_planned_takes_nothing_in_and_is_listed_no_more(filled, photos, portrait):
    source = filled.sources()[0].id
    portrait.rotate(3).save(photos / "new.png")
    plan = erase.plan(filled.database, filled.scope(source=source), ground="operator", by="the test suite")
    assert filled.sources() == []
    with pytest.raises(errors.Refused, match="An erasure reaches this source"):
        filled.add(source)
    assert [erasure.id for erasure in filled.resume()] == [plan]
    assert filled.counts("club") == {"faces": 0}
    assert filled.check().problems == ()


def test_a_photo_erased_elsewhere_while_it_is_looked_at_again_does_not_come_back(
    filled, reopen, photos, portrait, monkeypatch
):
    elsewhere = reopen()
    with elsewhere.database.read():
        chosen = next(p.id for p in elsewhere.photos(elsewhere.sources()[0].id) if p.address == "smaller.jpg")
    portrait.resize((290, 290)).save(photos / "smaller.jpg")
    interrupted_by(lambda: elsewhere.erase(elsewhere.scope(photo=chosen)), monkeypatch)
    added = filled.add(photos)
    assert (added.added, added.refused) == (0, {"erased-before": 1})
    assert "smaller.jpg" not in {photo.address for photo in filled.photos(filled.sources()[0].id)}
    assert filled.counts("club")["faces"] == 2
    assert filled.check().problems == ()


def test_a_source_erased_elsewhere_during_its_scan_takes_nothing_more_in(vault, reopen, photos, monkeypatch):
    elsewhere = reopen()
    source = vault.sources()[0].id
    monkeypatch.setattr(ingest, "BATCH_PHOTOS", 1)
    vault.create_collection("other")
    interrupted_by(lambda: elsewhere.erase(elsewhere.scope(source=source)), monkeypatch)
    with pytest.raises(errors.Refused, match="An erasure reaches this source"):
        vault.add(photos)
    assert vault.sources() == []
    assert vault.counts("club")["faces"] == 0
    assert vault.check().problems == ()
    with pytest.raises(errors.NotFound):
        vault.add(source)


def test_a_basis_that_goes_during_a_scan_stops_it(vault, reopen, photos, monkeypatch):
    elsewhere = reopen()
    interrupted_by(lambda: elsewhere.set_collection("club", notice=""), monkeypatch)
    with pytest.raises(errors.Incomplete, match="notice"):
        vault.add(photos)
    assert vault.counts("club")["faces"] == 0


def test_a_mode_that_turns_to_enrolled_during_a_scan_keeps_no_stranger(vault, reopen, photos, monkeypatch):
    elsewhere = reopen()
    interrupted_by(lambda: elsewhere.set_collection("club", mode="enrolled"), monkeypatch)
    added = vault.add(photos)
    assert (added.added, added.faces, added.discarded) == (4, 0, 3)


def test_a_search_taken_back_does_not_hide_what_another_process_erases(filled, reopen, photos, monkeypatch):
    """A failed write must leave this process at the generation that it has really followed."""
    elsewhere = reopen()
    filled.search(photos / "portrait.png", **WHY)
    club = filled.collection("club").id
    filled._stop.set()  # no follower: what is dropped is dropped by the next search
    filled._follower.join()
    filled._stop = threading.Event()
    monkeypatch.setattr(searches, "put", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        filled.search(photos / "portrait.png", **WHY)
    monkeypatch.undo()
    with elsewhere.database.write() as tx:
        faces.stop(tx, [faces.stored(tx, collection_id=club)[0].id])
    with filled.database.read() as tx:
        assert len(filled.galleries.of(tx, club)) == 2


def test_a_writer_that_waits_too_long_says_that_another_one_writes(vault, settings, monkeypatch):
    monkeypatch.setattr(store, "BUSY_SECONDS", 0)
    with vault.database.write(), pytest.raises(errors.VaultBusy, match="Nothing was lost"):
        countenance.open(vault.path, settings=settings)
