"""P8: expired is unsearchable, even if no sweeper runs."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from tests.conftest import STATED, WHY

from countenance import Consent, errors
from countenance.audit import verify
from countenance.orders.erase import GROUNDS
from countenance.store import faces
from countenance.store.tables import face, search


def test_a_photo_past_its_retention_is_found_by_no_search_the_second_it_expires(filled, photos, clock):
    clock.forward(days=30, seconds=-1)
    assert filled.search(photos / "portrait.png", **WHY).found
    clock.forward(seconds=1)
    assert not filled.search(photos / "portrait.png", **WHY).found


def test_an_expired_face_is_no_candidate_inside_the_index(filled, clock):
    with filled.database.read() as tx:
        engine = filled.galleries.of(tx, filled.collection("club").id)
        probe = faces.template(tx, faces.stored(tx, state="held")[0].id).reshape(1, -1).astype(np.float32)
        end = int((clock() + timedelta(days=30)).timestamp())
        assert len(engine.search(probe, threshold=0.5, now=end - 1)[0][0]) == 3
        assert len(engine.search(probe, threshold=0.5, now=end)[0][0]) == 0


def test_everything_held_has_an_end(filled, photos):
    filled.search(photos / "portrait.png", **WHY)
    for photo in filled.photos(filled.sources("club")[0].id):
        assert photo.expires_at - photo.added_at == timedelta(days=STATED["retention_days"])
    with filled.database.read() as tx:
        assert all(row.expires_at for table in (face, search) for row in tx.sql.execute(table.select()).all())


def test_a_subject_is_unsearchable_and_matches_nobody_once_consent_has_ended(empty, photos, clock, portrait, tmp_path):
    empty.create_collection("club", **STATED | {"mode": "enrolled"})
    enrolment = tmp_path / "enrolment.png"
    portrait.crop((60, 0, 400, 300)).save(enrolment)
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=2))
    empty.enrol("X", [enrolment], collection="club", consent=consent)
    source = empty.create_source(photos, collection="club", controller="us", evidence="ours")
    assert empty.add(source.id).faces == 3
    assert empty.search(subject="X", **WHY).found
    clock.forward(days=2)
    assert not empty.search(photos / "portrait.png", **WHY).found
    with pytest.raises(errors.Refused, match="This subject's consent is not in force"):  # named by nobody's name
        empty.search(subject="X", **WHY)


def test_a_searchs_hits_cannot_be_used_after_they_expire(filled, photos, clock):
    found = filled.search(photos / "portrait.png", **WHY)
    clock.forward(days=30)
    with pytest.raises(errors.NotFound):
        filled.scope(search=found.id)


def test_what_expired_is_erased_by_the_sweep_with_a_certificate_and_the_holders_files_stay(filled, photos, clock):
    filled.search(photos / "portrait.png", **WHY)
    clock.forward(days=30, seconds=-1)
    assert filled.sweep().erasures == ()
    clock.forward(seconds=1)
    files = {path.name: path.read_bytes() for path in photos.iterdir()}
    swept = filled.sweep()
    assert (swept.photos, swept.searches, len(swept.erasures), swept.stays) == (4, 1, 1, {})
    assert {path.name: path.read_bytes() for path in photos.iterdir()} == files
    assert filled.photos(filled.sources("club")[0].id) == []
    report = verify.examine(
        verify.unpack(filled.erasures.certificate(swept.erasures[0])), filled.keys.public_key().hex()
    )
    assert report.statement["ground"] == GROUNDS["no-longer-needed"]
    assert report.statement["source"] == {"deleted": 0, "redacted": 0, "worklist": 0, "failed": 0}
    assert any("the holder's own files are not touched" in limit for limit in report.statement["not_covered"])
    again = filled.sweep()
    assert (again.erasures, again.searches, again.leaves) == ((), 0, 0)
    assert filled.check().problems == ()


def test_a_scan_does_not_take_in_again_what_expired_and_another_collection_may(filled, photos, clock):
    clock.forward(days=30)
    filled.sweep()
    again = filled.add(photos)
    assert (again.added, again.refused) == (0, {"expired-before": 4})
    assert "time in this collection is over" in again.sentences["expired-before"]
    (photos / "portrait.png").write_bytes((photos / "portrait.png").read_bytes() + b"written again")
    assert filled.add(photos).added == 1  # another file, as ever: with a time of its own
    filled.create_collection("archive", **STATED)
    filled.create_source(photos, collection="archive", controller="us", evidence="ours")
    assert filled.add(photos, collection="archive").added == 4
