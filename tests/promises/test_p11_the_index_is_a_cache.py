"""P11: the index is a cache that answers as brute force would after any history."""

from __future__ import annotations

import shutil

import numpy as np
from tests.conftest import WHY

from countenance.store import faces


def brute(vault, probe):
    """Every held face's score, by a plain product over the records."""
    with vault.database.read() as tx:
        return {
            face.row: float(faces.template(tx, face.id).astype(np.float64) @ probe)
            for face in faces.stored(tx, state="held")
        }


def from_index(vault, probe):
    with vault.database.read() as tx:
        engine = vault.galleries.of(tx, vault.collection("club").id)
        rows, scores = engine.search(probe.reshape(1, -1), threshold=-0.999, now=tx.second)[0]
    return dict(zip(rows.tolist(), scores.tolist(), strict=True))


def agree(vault, probe):
    ours, theirs = from_index(vault, probe), brute(vault, probe)
    return ours.keys() == theirs.keys() and all(abs(ours[row] - theirs[row]) < 1e-6 for row in theirs)


def test_it_answers_as_brute_force_after_adds_erasures_and_adds_again(filled, photos, portrait):
    with filled.database.read() as tx:
        probe = faces.template(tx, faces.stored(tx)[0].id).copy()
    assert agree(filled, probe)
    for round_ in range(3):
        portrait.rotate(2 * round_ + 1).save(photos / f"turned {round_}.png")
        filled.add(photos)
        assert agree(filled, probe)
        with filled.database.read() as tx:
            oldest = faces.stored(tx, state="held")[0].id
        filled.erase(filled.scope(face=oldest))
        assert agree(filled, probe)
    assert len(brute(filled, probe)) == 3


def test_thrown_away_it_is_built_again_and_answers_the_same(filled, photos, reopen):
    first = filled.search(photos / "portrait.png", **WHY)
    shutil.rmtree(filled.path / "index", ignore_errors=True)
    again = reopen().search(photos / "portrait.png", **WHY)
    assert [(h.face_id, h.score) for h in first.faces[0].hits] == [(h.face_id, h.score) for h in again.faces[0].hits]


def test_two_open_vaults_answer_the_same_after_each_others_changes(filled, reopen, photos, portrait):
    other = reopen()
    with filled.database.read() as tx:
        probe = faces.template(tx, faces.stored(tx)[0].id).copy()
    assert agree(other, probe)
    portrait.rotate(4).save(photos / "turned.png")
    other.add(photos)
    assert agree(filled, probe)
    filled.erase(filled.scope(search=filled.search(photos / "turned.png", **WHY).id))
    assert agree(other, probe)
    assert from_index(other, probe) == {}


def test_check_proves_that_rows_templates_keys_index_and_log_agree_and_finds_it_when_they_do_not(filled):
    assert filled.check().problems == ()
    with filled.database.read() as tx:
        engine = filled.galleries.of(tx, filled.collection("club").id)
        engine.remove([faces.stored(tx)[0].row])
    assert any("not in the index" in problem for problem in filled.check().problems)
