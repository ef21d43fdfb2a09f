from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.vision import align, quality

SOLID = np.column_stack([align.TARGET, quality.DEPTH])


def turned(yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    """Landmarks of the mean face turned by degrees (x right, y down, z to the camera)."""
    a, b, c = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return ((SOLID - SOLID.mean(axis=0)) @ (about_z @ about_x @ about_y).T)[:, :2].astype(np.float32)


def texture() -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(3).integers(40, 216, (112, 112, 3), dtype=np.uint8), (0, 0), 1)


def measured(face: np.ndarray | None = None, width: float = 90, **pose: float) -> quality.Measures:
    return quality.measures(texture() if face is None else face, turned(**pose), width, 0.9)


@pytest.mark.parametrize("angle", [-60, -30, 0, 30, 60])
def test_each_angle_is_read_back_from_the_landmarks(angle: float):
    assert quality.angles(turned(yaw=angle)) == pytest.approx((angle, 0, 0), abs=0.5)
    assert quality.angles(turned(pitch=angle)) == pytest.approx((0, angle, 0), abs=0.5)
    assert quality.angles(turned(roll=angle)) == pytest.approx((0, 0, angle), abs=0.5)


def test_a_nose_towards_the_pictures_right_is_a_positive_yaw_and_a_nose_up_a_positive_pitch():
    sideways, up = (align.TARGET.copy() for _ in range(2))
    sideways[2, 0] += 8
    up[2, 1] -= 8
    assert quality.angles(sideways)[0] > 10
    assert quality.angles(up)[1] > 10


def test_a_good_face_has_no_reason_against_it():
    assert quality.reasons(measured()) == ()


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (measured(width=10), "too small: 10 pixels wide, 14 are needed"),
        (measured(cv2.GaussianBlur(texture(), (0, 0), 20)), "too blurred"),
        (measured(yaw=85), "turned too far"),
        (measured((texture() // 60).astype(np.uint8)), "too dark"),
        (measured((255 - texture() // 60).astype(np.uint8)), "too bright"),
    ],
)
def test_a_bad_face_has_a_sentence_that_says_why(seen: quality.Measures, word: str):
    assert any(word in sentence for sentence in quality.reasons(seen))
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in quality.reasons(seen))


def test_blur_lowers_sharpness_and_darkness_alone_does_not():
    sharp, soft = (quality.quality(measured(face)).sharpness for face in (texture(), cv2.blur(texture(), (9, 9))))
    dark = quality.quality(measured((texture() * 0.3).astype(np.uint8))).sharpness
    assert soft < sharp - 20
    assert abs(dark - sharp) < 10


def test_light_from_one_side_lowers_illumination():
    shaded = (texture() * np.linspace(0.3, 1, 112)[None, :, None]).astype(np.uint8)
    assert quality.quality(measured(shaded)).illumination < quality.quality(measured()).illumination - 20


@given(
    st.integers(0, 255),
    st.floats(0, 5000),
    st.floats(-180, 180),
    st.floats(-180, 180),
    st.floats(-180, 180),
    st.floats(0, 1),
)
def test_every_measure_is_a_whole_number_from_0_to_100(
    grey: int, width: float, yaw: float, pitch: float, roll: float, score: float
):
    face = np.full((112, 112, 3), grey, np.uint8)
    result = quality.quality(quality.measures(face, turned(yaw, pitch, roll), width, score))
    for name in ("sharpness", "illumination", "pose", "size", "confidence"):
        assert getattr(result, name) in range(101)
