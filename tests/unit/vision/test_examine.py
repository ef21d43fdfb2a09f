from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from countenance.errors import BadImage
from countenance.vision import examine as module
from countenance.vision.examine import examine

if TYPE_CHECKING:
    from pathlib import Path


def jpeg(pixels: np.ndarray, quality: int = 92) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


@pytest.fixture(scope="module")
def pixels(portrait: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(portrait)).convert("RGB"))


def test_a_portrait_gives_one_face_with_template_crop_and_quality(portrait: bytes, cache: Path, admitted):
    seen = examine(admitted(portrait), cache=cache)
    (face,) = seen.faces
    assert (seen.width, seen.height, seen.model) == (512, 512, "sface")
    assert face.reasons == ()
    assert face.template.shape == (128,)
    assert face.template.dtype == np.float32
    assert np.isclose(np.linalg.norm(face.template), 1)
    left, top, width, height = face.crop_box
    assert left <= face.box[0]
    assert top <= face.box[1]
    assert left + width <= 512
    assert top + height <= 512
    with Image.open(BytesIO(face.crop)) as crop:
        assert crop.format == "JPEG"
        assert max(crop.size) <= 160
        assert abs(crop.width / crop.height - width / height) < 0.05


def test_everything_that_crosses_to_the_parent_is_plain(portrait: bytes, cache: Path, admitted):
    (face,) = examine(admitted(portrait), cache=cache).faces
    assert all(type(value) is int for value in (*face.box, *face.crop_box))
    assert all(type(value) is float for point in face.landmarks for value in point)


def test_faces_come_largest_first_and_only_the_most_allowed(pixels: np.ndarray, cache: Path, admitted):
    wide = np.zeros((512, 1000, 3), np.uint8)
    wide[:300, :300] = cv2.resize(pixels, (300, 300), interpolation=cv2.INTER_AREA)
    wide[:, 400:912] = pixels
    content = jpeg(wide)
    big, small = examine(admitted(content), cache=cache).faces
    assert big.box[2] > small.box[2]
    assert big.box[0] > 400
    assert [face.box for face in examine(admitted(content), cache=cache, max_faces=1).faces] == [big.box]


def test_the_same_face_matches_itself_across_sizes_and_formats(
    pixels: np.ndarray, portrait: bytes, cache: Path, admitted
):
    (reference,) = examine(admitted(portrait), cache=cache).faces
    for side, least in ((256, 0.8), (1024, 0.9), (4000, 0.9)):
        resized = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
        (face,) = examine(admitted(jpeg(resized)), cache=cache).faces
        assert float(face.template @ reference.template) > least
        assert np.abs(np.array(face.box) * 512 / side - reference.box).max() < 12


def test_small_faces_in_a_large_picture_are_found_and_taken_from_its_full_size(
    pixels: np.ndarray, cache: Path, admitted
):
    large = np.full((3000, 4000, 3), 90, np.uint8)
    for row in range(3):
        for column in range(4):
            large[row * 900 : row * 900 + 300, column * 900 : column * 900 + 300] = pixels[:300, 80:380]
    seen = examine(admitted(jpeg(large)), cache=cache)
    assert len(seen.faces) == 12
    templates = np.stack([face.template for face in seen.faces])
    assert (templates @ templates.T).min() > 0.9


def test_a_face_too_small_to_compare_is_reported_without_a_template(pixels: np.ndarray, cache: Path, admitted):
    tiny = np.full((400, 400, 3), 120, np.uint8)
    tiny[100:166, 100:166] = cv2.resize(pixels, (66, 66), interpolation=cv2.INTER_AREA)
    (face,) = examine(admitted(jpeg(tiny, 98)), cache=cache).faces
    assert face.template is None
    assert "too small" in face.reasons[0]
    assert face.crop


def test_a_picture_without_people_has_no_faces(cache: Path, admitted):
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    assert examine(admitted(jpeg(noise)), cache=cache).faces == ()


def test_a_bad_picture_is_refused(cache: Path, admitted):
    with pytest.raises(BadImage):
        examine(admitted(b"nothing"), cache=cache)


def test_only_an_admitted_photo_is_taken(portrait: bytes, cache: Path):
    with pytest.raises(AttributeError):
        examine(portrait, cache=cache)


def test_a_box_at_the_edge_is_cut_and_never_empty():
    picture = module.Picture(pixels=np.zeros((10, 10, 3), np.uint8), width=10, height=10, scale=1.0)
    assert module._within(np.array([-5.0, -5, 8, 8]), picture) == (0, 0, 3, 3)
    assert module._within(np.array([50.0, 50, 8, 8]), picture) == (9, 9, 1, 1)
    assert module._within(np.array([-50.0, -50, 8, 8]), picture) == (0, 0, 1, 1)
