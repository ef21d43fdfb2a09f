from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from countenance.vision import examine
from countenance.vision.imprint import TRIM, WINDOWS, imprints, mirrored


@pytest.fixture(scope="module")
def pixels(portrait: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(portrait)).convert("RGB"))


def apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def test_a_picture_has_one_imprint_of_256_bits_a_window_the_same_every_time(pixels: np.ndarray):
    first = imprints(pixels)
    assert len(first) == len(WINDOWS)
    assert {len(imprint) for imprint in first} == {32}
    assert len(set(first)) == len(first)
    assert imprints(pixels.copy()) == first


def test_the_mirrored_pictures_imprint_is_known_from_the_pictures(pixels: np.ndarray):
    assert apart(mirrored(imprints(pixels)[0]), imprints(np.ascontiguousarray(pixels[:, ::-1]))[0]) <= 2
    assert mirrored(mirrored(bytes(range(32)))) == bytes(range(32))


@pytest.mark.parametrize("side", [64, 127, 200, 255, 256, 257, 1000])
def test_an_imprint_hardly_changes_with_the_pictures_size(pixels: np.ndarray, side: int):
    resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
    assert apart(imprints(resized)[0], imprints(pixels)[0]) <= 24


@pytest.mark.parametrize("window", range(len(WINDOWS)))
def test_a_trimmed_picture_shows_in_the_other_window_what_the_whole_shows_in_the_first(pixels: np.ndarray, window: int):
    down, across = WINDOWS[window]
    cut = round(TRIM * len(pixels))  # what this window leaves out is what the picture still has
    top, left = (0 if index in {1, 2} else cut for index in (down, across))
    bottom, right = (len(pixels) - (0 if index in {1, 3} else cut) for index in (down, across))
    assert apart(imprints(pixels[top:bottom, left:right].copy())[window], imprints(pixels)[0]) <= 16


def test_other_pictures_are_far_away(pixels: np.ndarray):
    turned = np.ascontiguousarray(pixels.transpose(1, 0, 2))
    assert apart(imprints(turned)[0], imprints(pixels)[0]) > 80
    assert apart(imprints(255 - pixels)[0], imprints(pixels)[0]) > 200


@pytest.mark.parametrize("shape", [(1, 1), (150, 200), (600, 800), (3, 5000)])
def test_a_picture_of_one_colour_has_none(shape: tuple[int, int]):
    assert imprints(np.full((*shape, 3), 77, np.uint8)) == ()


@pytest.mark.parametrize("shape", [(1, 1), (2, 900), (900, 2), (1, 7), (129, 127)])
def test_odd_shapes_are_no_error(shape: tuple[int, int]):
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert len(imprints(noise)) in {0, len(WINDOWS)}


def test_what_vision_saw_carries_the_imprints_also_without_a_face(cache, admitted):
    stream = BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(cv2.resize(noise, (400, 300))).save(stream, "PNG")
    seen = examine.examine(admitted(stream.getvalue()), cache=cache)
    assert seen.faces == ()
    assert len(seen.imprints) == len(WINDOWS)
    assert seen.imprint == seen.imprints[0].hex()
