"""Hide everybody else: a picture that may be given to one of those it shows.

Faces are looked for anew, detection only: those of people who are not enrolled were never kept. Whatever is found and is
not the person's, and whatever is known of others, is filled as `redact` fills it; then the result is looked at again, until
it shows nobody else. Runs in worker processes only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg

from countenance.errors import BadImage
from countenance.vision import detect
from countenance.vision.decode import decode
from countenance.vision.redact import destroy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from countenance.records import Box
    from countenance.vision.colour import Pixels

LONGEST = 2560  # pixels of the longer side of what is given out: A4 at 220 dpi, about 1 MB
QUALITY = 88  # JPEG
ROUNDS = 5  # of looking again; two are usual, the second finding nobody
SAME = 0.4  # boxes that share more than this (intersection over union) are one face


def hide_others(  # noqa: PLR0917 - a worker is called by position
    content: bytes,
    own: Sequence[Box],
    known: Sequence[Box],
    frame: Box | None,
    alone: bool,
    cache: Path,
) -> tuple[bytes, int, float]:
    """Return the picture as a JPEG in which only the person can be recognised, how many others were hidden, and its scale.

    Args:
        content: a whole file, of any format that is decoded.
        own: the person's boxes, in pixels of the picture turned upright.
        known: the boxes of others that are known; those that `content` does not show are passed over.
        frame: what `content` shows of the picture that the boxes are of, if it is a crop.
        alone: the picture shows one face, and that is the person's; where more are found, all are hidden.
        cache: folder of prepared models.

    The JPEG is upright sRGB, at most `LONGEST` pixels long and carries no metadata; the scale is pixels of it per pixel of
    the picture. Raises `BadImage`, also where others still turn up after `ROUNDS`.
    """
    picture = decode(content, LONGEST)
    left, top, width, height = frame or (0, 0, picture.width, picture.height)
    scale = min(1.0, LONGEST / max(picture.width, picture.height)) * picture.width / width
    pixels = _sized(picture.pixels, round(width * scale), round(height * scale))
    own = [_scaled(box, left, top, scale) for box in own]
    others = [box for box in (_scaled(box, left, top, scale) for box in known) if _inside(box, pixels)]
    found = _everyone(pixels, cache)
    if alone and not own and len(found) == 1:
        own = found
    hidden: list[Box] = []
    for _ in range(ROUNDS):
        theirs = {max(found, key=lambda box: _shared(box, mine)) for mine in own if found}
        others += [box for box in found if box not in theirs or max(_shared(box, mine) for mine in own) <= SAME]
        if not others:
            return simplejpeg.encode_jpeg(pixels, quality=QUALITY, colorspace="RGB"), _count(hidden), scale
        _fill(pixels, others, own)
        hidden += others
        others, found = [], _everyone(pixels, cache)
    raise BadImage("not-redactable", sentence="Other faces in it could not be hidden.")


def _everyone(pixels: Pixels, cache: Path) -> list[Box]:
    """Every face, also small ones beside a large one: here a face too many costs a patch, and one too few a secret."""
    parts = [detect.first(pixels, cache)]
    side, longest = detect.FIRST, max(pixels.shape[:2])
    while side < longest:
        side = min(2 * side, longest)
        parts.append(detect.tiled(pixels, side, cache))
    boxes = [_whole(box) for box in detect.merged(parts).boxes.tolist()]
    return [box for box in boxes if _inside(box, pixels)]


def _fill(pixels: Pixels, others: Sequence[Box], own: Iterable[Box]) -> None:
    """Fill the boxes with their margins. Of a margin that reaches over the person's own face, that face stays."""
    before = pixels.copy()
    destroy(pixels, others)
    kept = np.zeros(pixels.shape[:2], bool)
    for box in own:
        kept[_area(box)] = True
    for box in others:
        kept[_area(box)] = False
    pixels[kept] = before[kept]


def _area(box: Box) -> tuple[slice, slice]:
    left, top, width, height = box
    return np.s_[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]


def _sized(pixels: Pixels, width: int, height: int) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels.copy()
    return np.asarray(cv2.resize(pixels, (max(1, width), max(1, height)), interpolation=cv2.INTER_AREA))


def _scaled(box: Box, left: int, top: int, scale: float) -> Box:
    return _whole([(box[0] - left) * scale, (box[1] - top) * scale, box[2] * scale, box[3] * scale])


def _whole(box: Sequence[float]) -> Box:
    left, top, width, height = box
    return int(left), int(top), max(1, round(width)), max(1, round(height))


def _inside(box: Box, pixels: Pixels) -> bool:
    """Whether a box touches the picture."""
    left, top, width, height = box
    return left < pixels.shape[1] and top < pixels.shape[0] and left + width > 0 and top + height > 0


def _shared(one: Box, other: Box) -> float:
    """How much of two boxes is the same: intersection over union."""
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (one[2] * one[3] + other[2] * other[3] - across * down)


def _count(boxes: Sequence[Box]) -> int:
    """How many faces these boxes are of: some are known, and found once more."""
    apart: list[Box] = []
    for box in boxes:
        if all(_shared(box, each) <= SAME for each in apart):
            apart.append(box)
    return len(apart)
