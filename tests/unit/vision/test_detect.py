from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from countenance.vision import detect, examine
from countenance.vision.decode import decode

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_box_twice_is_one_face_and_the_better_score_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 1, 10, 10], [50, 50, 10, 10]], np.float32)
    found = detect.merged(
        [detect.Found(boxes, np.zeros((3, 5, 2), np.float32), np.array([0.8, 0.9, 0.85], np.float32))]
    )
    assert found.scores.tolist() == pytest.approx([0.9, 0.85])


def test_a_picture_of_any_odd_size_is_looked_at(cache: Path):
    for height, width in ((1, 1), (31, 33), (64, 500), (700, 3)):
        assert len(detect.first(np.zeros((height, width, 3), np.uint8), cache).scores) == 0


def test_landmarks_lie_in_the_box_and_in_the_order_promised(portrait: bytes, cache: Path):
    found = detect.first(decode(portrait).pixels, cache)
    (left, top, width, height), points = found.boxes[0], found.points[0]
    assert ((points >= [left, top]) & (points <= [left + width, top + height])).all()
    right_eye, left_eye, nose, right_mouth, left_mouth = points
    assert right_eye[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])


@pytest.mark.parametrize("side", [100, 200, 512, 1500])
def test_a_face_is_found_in_the_same_place_at_any_size(side: int, portrait: bytes, cache: Path):
    pixels = decode(portrait).pixels
    at = detect.once(pixels, 512, cache).points[0]
    scaled = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    points = detect.first(scaled, cache).points[0] * 512 / side
    assert np.abs(points - at).max() < 12


def test_a_face_that_fills_a_large_picture_is_found(portrait: bytes, cache: Path):
    pixels = decode(portrait).pixels
    left, top, width, height = detect.first(pixels, cache).boxes[0].astype(int)
    filled = cv2.resize(pixels[top : top + height, left : left + width], (1200, 1600), interpolation=cv2.INTER_CUBIC)
    assert len(detect.first(filled, cache).scores) == 1


def test_tiles_find_each_small_face_once_also_on_a_seam(portrait: bytes, cache: Path):
    pixels = decode(portrait).pixels
    small = cv2.resize(pixels, (160, 160), interpolation=cv2.INTER_AREA)
    wide = np.zeros((200, 2600, 3), np.uint8)
    places = range(0, 2400, 171)
    for place in places:
        wide[20:180, place : place + 160] = small
    found = detect.tiled(wide, 2600, cache)
    assert len(found.scores) == len(places)


def test_every_one_of_the_73_faces_of_group_photos_is_found_and_none_in_52_without(
    shared_photos: Path, cache: Path, admitted
):
    with (shared_photos / "manifest.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] in ("groups", "noface")]
    counts = {"groups": [], "noface": []}
    for row in rows:
        seen = examine.examine(admitted((shared_photos / row["path"]).read_bytes()), cache=cache)
        counts[row["set"]].append((len(seen.faces), int(row["n_faces"] or 0)))
    assert sum(min(found, there) for found, there in counts["groups"]) == 73
    assert sum(found == there for found, there in counts["groups"]) >= 15
    assert {found for found, _ in counts["noface"]} == {0}
