from __future__ import annotations

import cv2
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from countenance.vision import align


@given(st.floats(0.05, 20), st.floats(-np.pi, np.pi), st.floats(-500, 5000), st.floats(-500, 5000))
def test_any_turned_scaled_and_moved_face_is_brought_back_exactly(scale: float, angle: float, x: float, y: float):
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (align.TARGET @ turn.T + [x, y])[None]
    matrix = align.matrices(points)[0]
    back = points[0] @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(back, align.TARGET, atol=1e-3)
    assert np.isclose(align.zooms(matrix[None])[0], 1 / scale)


def test_a_mirrored_face_is_not_mirrored_back():
    mirrored = align.TARGET * [-1, 1] + [112, 0]
    matrix = align.matrices(mirrored[None])[0]
    assert np.linalg.det(matrix[:, :2]) > 0


def test_many_faces_give_what_each_gives_alone():
    points = align.TARGET + np.random.default_rng(0).normal(0, 5, (7, 5, 2))
    alone = np.concatenate([align.matrices(points[i : i + 1]) for i in range(7)])
    assert np.allclose(align.matrices(points), alone)


def test_landmarks_that_all_coincide_do_not_divide_by_zero():
    assert np.isfinite(align.matrices(np.full((1, 5, 2), 9.0))).all()


def test_a_face_already_in_place_is_not_changed():
    face = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert np.abs(align.aligned(face, align.matrices(align.TARGET[None]))[0].astype(int) - face).max() <= 1


def test_a_big_face_is_shrunk_by_area_and_stays_in_place():
    smooth = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8), (0, 0), 4)
    big = cv2.resize(smooth, (1120, 1120), interpolation=cv2.INTER_CUBIC)
    points = (align.TARGET + 0.5) * 10 - 0.5
    result = align.aligned(big, align.matrices(points[None].astype(np.float32)))[0]
    inside = (slice(2, -2), slice(2, -2))
    assert np.abs(result[inside].astype(int) - smooth[inside]).mean() < 1.5


def test_a_fine_pattern_in_a_big_face_does_not_alias():
    pattern = np.random.default_rng(0).integers(0, 2, (1120, 1120)) * 255
    points = (align.TARGET + 0.5) * 10 - 0.5
    pixels = np.repeat(pattern[..., None], 3, axis=2).astype(np.uint8)
    face = align.aligned(pixels, align.matrices(points[None].astype(np.float32)))[0]
    assert face[5:-5, 5:-5].std() < 30  # a hundred pixels averaged: 13; two by two: 64


def test_what_lies_outside_the_picture_is_black():
    pixels = np.full((40, 40, 3), 200, np.uint8)
    far = align.TARGET[None] + 10_000
    assert align.aligned(pixels, align.matrices(far)).max() == 0
