"""The contact sheet."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from countenance.records import Hit, ProbeFace, SearchResult
from countenance.search.sheet import in_words, render

NOW = datetime(2026, 11, 23, tzinfo=UTC)
HOSTILE = '"><script>alert(1)</script>\udcff.jpg'


def hit(**changed):
    values = {
        "face_id": "fac_x",
        "photo_id": "pho_x",
        "subject_id": None,
        "subject": None,
        "score": 0.61,
        "fpir": 0.002,
        "address": "a.jpg",
        "source": "/photos",
        "box": (30, 40, 50, 60),
        "country": ("GB",),
        "taken_at": "2026-01-02T03:04:05",
        "added_at": NOW,
        "expires_at": NOW,
        "because": "Held for testing.",
        "crop_box": (20, 30, 70, 80),
        "crop": b"\xff\xd8crop",
    }
    return Hit(**values | changed)


def page(*hits, reasons=()):
    face = ProbeFace(number=1, box=(0, 0, 9, 9), quality=None, reasons=reasons, hits=hits)
    return render(
        SearchResult(
            id="sea_x",
            collection_id="col_x",
            purpose=HOSTILE,
            case=HOSTILE,
            fpir=0.01,
            threshold=0.4,
            gallery=1000,
            calibration="measured somewhere",
            faces=(face,),
            entry=7,
        ),
        HOSTILE,
    )


def test_no_text_of_a_record_becomes_markup():
    shown = page(hit(address=HOSTILE, source=HOSTILE, subject=HOSTILE, because=HOSTILE))
    assert "<script" not in shown
    shown.encode("utf-8")


def test_nothing_is_loaded_from_elsewhere_and_no_script_may_run():
    shown = page(hit())
    assert "default-src 'none'" in shown
    assert not re.findall(r'(?:src|href)="(?!data:)', shown)


def test_the_face_is_drawn_where_it_is_in_its_crop():
    assert '<rect x="10" y="10" width="50" height="60"' in page(hit())


def test_score_error_rate_source_date_and_reason_are_there():
    shown = page(hit())
    for text in ("score 0.610", "one in 500 searches", "/photos", "2026-01-02", "Held for testing.", "GB"):
        assert text in shown


def test_nobody_found_and_a_face_that_could_not_be_searched_are_said():
    assert "Nobody found." in page()
    assert "Not searched: Too blurred." in page(reasons=("Too blurred.",))


@pytest.mark.parametrize(
    ("rate", "words"),
    [(0.9, "most searches"), (0.01, "one in 100 "), (0.0013, "one in 770 "), (1e-7, "fewer than one in 1,000,000")],
)
def test_an_error_rate_is_said_in_words(rate, words):
    assert words in in_words(rate)
