"""P10: a score carries its error rate at this gallery size, and "nobody found" is an answer."""

from __future__ import annotations

import shutil
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.conftest import STATED, WHY

from countenance import errors
from countenance.records import Comparison, Hit, SearchResult
from countenance.search import calibration

TABLE = calibration.load("sface")


@given(st.floats(0.0001, 0.5), st.integers(1, 10**7))
def test_the_threshold_for_an_error_rate_gives_that_rate_back(fpir, gallery):
    threshold = TABLE.threshold(fpir, gallery)
    if 0 < threshold < 0.95:
        assert TABLE.fpir(threshold, gallery) == pytest.approx(fpir, rel=0.02)


@given(st.floats(0.0001, 0.5), st.integers(1, 10**8))
def test_a_larger_gallery_asks_for_a_higher_score_at_the_same_error_rate(fpir, gallery):
    assert TABLE.threshold(fpir, gallery * 2) > TABLE.threshold(fpir, gallery)


@given(st.floats(0, 0.98), st.floats(0.001, 0.02), st.integers(1, 10**8))
def test_a_higher_score_never_has_a_higher_error_rate(score, more, gallery):
    assert TABLE.fpir(score + more, gallery) <= TABLE.fpir(score, gallery)
    assert 0 <= TABLE.fpir(score, gallery) <= 1


def test_the_table_says_on_what_it_was_measured():
    assert TABLE.pairs > 1_000_000
    assert TABLE.people > 1000
    assert "portraits" in TABLE.data


def test_every_hit_shows_score_error_rate_address_box_source_date_and_why_it_may_be_shown(filled, photos):
    result = filled.search(photos / "portrait.png", **WHY)
    assert len(result.faces[0].hits) == 3
    for hit in result.faces[0].hits:
        assert hit.score >= result.threshold
        assert 0 <= hit.fpir <= 0.011
        assert hit.address
        assert hit.source == str(photos.resolve())
        assert hit.box[2] > 0
        assert hit.added_at < hit.expires_at
        assert "made-public" not in hit.because
        assert "Art. 9(2)(e)" in hit.because


def test_no_result_type_carries_a_bare_score():
    assert "fpir" in {f.name for f in fields(Hit)}
    assert {"threshold", "gallery", "calibration"} <= {f.name for f in fields(SearchResult)}
    assert {"fmr", "threshold"} <= {f.name for f in fields(Comparison)}


def test_nobody_found_is_an_answer(empty, tmp_path, portrait):

    empty.create_collection("club", **STATED)
    portrait.save(tmp_path / "probe.png")
    result = empty.search(tmp_path / "probe.png", **WHY)
    assert not result.found
    assert result.faces[0].hits == ()


def test_every_face_of_the_probe_is_searched_or_the_one_that_was_chosen(filled, pair, tmp_path):
    pair.save(tmp_path / "pair.png")
    assert [face.number for face in filled.search(tmp_path / "pair.png", **WHY).faces] == [1, 2]
    assert [face.number for face in filled.search(tmp_path / "pair.png", face=2, **WHY).faces] == [2]


def test_strangers_among_real_portraits_get_hits_at_about_the_rate_that_is_shown(empty, shared_photos, tmp_path):
    """Measured in full by bench/accuracy.py; here 40 strangers against 78 people: at most 3 get a hit."""

    gallery = tmp_path / "gallery"
    shutil.copytree(shared_photos / "london" / "gallery", gallery)
    empty.create_collection("club", **STATED)
    empty.create_source(gallery, collection="club", controller="us", evidence="the people's signed consent")
    empty.add(gallery)
    probes = sorted((shared_photos / "congress" / "probe").glob("*.jpg"))[:40]
    hits = sum(empty.search(probe, **WHY).found for probe in probes)
    assert hits <= 3


def test_a_picture_without_a_face_is_said_and_nothing_is_searched(filled, tmp_path):

    Image.new("RGB", (100, 100)).save(tmp_path / "nothing.png")
    with pytest.raises(errors.NoFace):
        filled.search(tmp_path / "nothing.png", **WHY)
