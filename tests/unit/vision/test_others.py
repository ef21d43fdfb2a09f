"""Everybody but the person is hidden in a picture that is given out."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from countenance.errors import BadImage
from countenance.vision import examine, others
from countenance.vision.others import hide_others


def coded(picture, kind="PNG", **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def three(portrait):
    """A picture of three faces, 900 × 300 pixels: small, large, small."""
    face = Image.open(io.BytesIO(portrait)).convert("RGB").crop((100, 0, 350, 250))
    picture = Image.new("RGB", (900, 300), (70, 90, 110))
    picture.paste(face.resize((125, 125)), (60, 100))
    picture.paste(ImageOps.mirror(face), (310, 20))
    picture.paste(face.resize((125, 125)), (700, 100))
    return picture


@pytest.fixture
def seen(admitted, cache):
    """Look for faces, from left to right."""

    def look(content):
        return sorted(examine.examine(admitted(content), cache=cache).faces, key=lambda face: face.box[0])

    return look


def within(one, other):
    return all(abs(a - b) < 0.25 * other[2] for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("who", [0, 1, 2])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_only_the_persons_own_face_is_left_whether_the_others_are_known_or_not(three, seen, cache, who, kind):
    content = coded(three, kind)
    boxes = [face.box for face in seen(content)]
    assert len(boxes) == 3
    for known in ([], [box for box in boxes if box != boxes[who]]):
        answer, hidden, scale = hide_others(content, [boxes[who]], known, None, False, cache)
        (left,) = seen(answer)
        assert within(left.box, boxes[who])
        assert (hidden, scale) == (2, 1.0)
        assert Image.open(io.BytesIO(answer)).format == "JPEG"


def test_a_known_box_is_hidden_though_nobody_is_found_there(three, seen, cache):
    content = coded(three)
    own = seen(content)[1].box
    answer, hidden, _ = hide_others(content, [own], [(620, 20, 60, 60)], None, False, cache)
    part = np.array(Image.open(io.BytesIO(answer)).crop((625, 25, 675, 75))).astype(int)
    assert hidden == 3
    assert part.max(axis=(0, 1)).max() - part.min() < 60
    assert part.std(axis=(0, 1)).max() < 2


def test_without_a_box_of_their_own_everybody_is_hidden(three, seen, cache):
    answer, hidden, _ = hide_others(coded(three), [], [], None, False, cache)
    assert seen(answer) == []
    assert hidden == 3


def test_the_one_face_of_a_photo_confirmed_as_a_whole_is_the_persons_and_of_several_all_are_hidden(
    three, seen, cache, portrait
):
    answer, hidden, _ = hide_others(portrait, [], [], None, True, cache)
    assert (len(seen(answer)), hidden) == (1, 0)
    answer, hidden, _ = hide_others(coded(three), [], [], None, True, cache)
    assert (seen(answer), hidden) == ([], 3)


def test_a_crop_is_read_in_the_frame_that_it_shows(three, seen, cache):
    boxes = [face.box for face in seen(coded(three))]
    frame = (40, 0, 520, 300)
    crop = three.crop((40, 0, 560, 300)).resize((260, 150))
    answer, hidden, scale = hide_others(coded(crop, "JPEG"), [boxes[1]], [boxes[0], boxes[2]], frame, False, cache)
    (left,) = seen(answer)
    assert within(left.box, [value // 2 for value in (boxes[1][0] - 40, *boxes[1][1:])])
    assert (hidden, scale) == (1, 0.5)


def test_a_large_picture_comes_out_smaller_with_its_boxes_at_scale(three, seen, cache, monkeypatch):
    monkeypatch.setattr(others, "LONGEST", 600)
    own = seen(coded(three))[1].box
    answer, hidden, scale = hide_others(coded(three), [own], [], None, False, cache)
    assert Image.open(io.BytesIO(answer)).size == (600, 200)
    assert (hidden, round(scale, 6)) == (2, round(600 / 900, 6))
    (left,) = seen(answer)
    assert within(left.box, [value * scale for value in own])


def test_of_a_margin_that_reaches_over_the_person_their_face_stays(portrait, seen, cache):
    (own,) = (face.box for face in seen(portrait))
    left, top, width, height = own
    beside = (left + width, top, width, height)  # its margin covers a quarter of the person's box
    answer, hidden, _ = hide_others(portrait, [own], [beside], None, False, cache)
    before, after = (
        np.array(Image.open(io.BytesIO(one)).convert("RGB").crop((left, top, left + width, top + height))).astype(int)
        for one in (portrait, answer)
    )
    assert np.abs(before - after)[:, : width - 16].mean(axis=(0, 2)).max() < 8
    assert hidden == 1


def test_nothing_of_the_files_metadata_is_given_out(portrait, cache):
    exif = Image.Exif()
    exif[0x010E] = "the name of a neighbour"
    content = coded(Image.open(io.BytesIO(portrait)).convert("RGB"), "JPEG", exif=exif, comment=b"a neighbour")
    answer, _, _ = hide_others(content, [(180, 60, 100, 130)], [], None, False, cache)
    assert b"neighbour" not in answer
    assert b"Exif" not in answer


def test_what_is_no_picture_is_refused(cache):
    with pytest.raises(BadImage):
        hide_others(b"words", [(0, 0, 9, 9)], [], None, False, cache)


def test_a_picture_in_which_somebody_keeps_turning_up_is_not_given_out(portrait, cache, monkeypatch):
    monkeypatch.setattr(others, "destroy", lambda *_: None)
    with pytest.raises(BadImage) as refused:
        hide_others(portrait, [], [], None, False, cache)
    assert "could not be hidden" in refused.value.facts["sentence"]
