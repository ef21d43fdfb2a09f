"""One admitted picture to all its faces: the only way from pixels to templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import simplejpeg

from countenance.records import Admitted, Box, Seen, SeenFace
from countenance.vision import align, detect, embed, imprint, models, session
from countenance.vision.decode import MAX_PIXELS, Picture, decode
from countenance.vision.detect import Found
from countenance.vision.quality import measures, quality, reasons

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MODEL = "sface"
MAX_FACES = 1000
BATCH = 32  # faces aligned at a time: 1.2 MB
CROP_SIDE = 160  # pixels
CROP_MARGIN = 0.3  # of the box, on each side
CROP_QUALITY = 85  # JPEG


def ready(cache: Path, model: str = MODEL) -> None:
    """Load the models now instead of at the first picture: what a worker does before it takes work."""
    session.opened(detect.MODEL, cache)
    session.opened(model, cache)


def prepare(cache: Path) -> None:
    """Make the prepared files of all models in `cache`. Workers cannot: they may not write files."""
    for model in models.table().values():
        models.prepared(model, cache)


def examine(
    admitted: Admitted, *, cache: Path, model: str = MODEL, max_pixels: int = MAX_PIXELS, max_faces: int = MAX_FACES
) -> Seen:
    """Find every face of an admitted picture, measure it, and embed those that are good enough.

    `cache` is the folder of prepared models. Of more than `max_faces` faces the largest are kept. Raises BadImage and
    ModelError.
    """
    picture = decode(admitted.content, detect.FIRST, max_pixels=max_pixels)
    imprints = imprint.imprints(picture.pixels)  # here, where nothing that was found decides on the size
    picture, found = _faces(admitted.content, picture, cache, max_pixels)
    picture, found = _fine_enough(admitted.content, picture, _largest(found, max_faces), max_pixels)
    faces = tuple(
        face
        for start in range(0, len(found.scores), BATCH)
        for face in _seen(picture, found.part(start, start + BATCH), model, cache)
    )
    return Seen(width=picture.width, height=picture.height, faces=faces, model=model, imprints=imprints)


def _faces(content: bytes, picture: Picture, cache: Path, max_pixels: int) -> tuple[Picture, Found]:
    """Look at a small version first, then at ever larger ones while small faces keep turning up."""
    longest = max(picture.width, picture.height)
    found = detect.first(picture.pixels, cache).times(1 / picture.scale)
    side, smallest = min(detect.FIRST, longest), 0.0
    if len(found.scores):
        smallest = float(found.boxes[:, 2].min()) * side / longest
    while smallest <= detect.SMALL and longest > side:
        side = min(2 * side, longest)
        if longest * picture.scale < side:
            picture = decode(content, side, max_pixels=max_pixels)
        finer = detect.tiled(picture.pixels, side, cache).times(1 / picture.scale)
        if not len(finer.scores):
            break
        found = detect.merged([found, finer])
        smallest = float(finer.boxes[:, 2].min()) * side / longest
    return picture, found


def _largest(found: Found, most: int) -> Found:
    order = np.argsort(-found.boxes[:, 2] * found.boxes[:, 3], kind="stable")[:most]
    return Found(found.boxes[order], found.points[order], found.scores[order])


def _fine_enough(content: bytes, picture: Picture, found: Found, max_pixels: int) -> tuple[Picture, Found]:
    """Decode again, larger, if a face has fewer pixels than its aligned form has."""
    if picture.scale == 1.0 or not len(found.scores):
        return picture, found
    zoom = float(align.zooms(align.matrices(found.points * np.float32(picture.scale))).max())
    if zoom > 1.0:
        side = round(max(picture.pixels.shape) * min(zoom, 1 / picture.scale))
        picture = decode(content, side, max_pixels=max_pixels)
    return picture, found


def _seen(picture: Picture, found: Found, model: str, cache: Path) -> Iterator[SeenFace]:
    transforms = align.matrices(found.points * np.float32(picture.scale))
    faces = align.aligned(picture.pixels, transforms)
    facts = zip(faces, found.points, found.boxes[:, 2].tolist(), found.scores.tolist(), strict=True)
    seen = [measures(*one) for one in facts]
    why = [reasons(one) for one in seen]
    good = [position for position, sentences in enumerate(why) if not sentences]
    vectors = dict(zip(good, embed.templates(faces[good], model, cache), strict=True))
    for position, (box, points) in enumerate(zip(found.boxes, found.points, strict=True)):
        crop_box = _within(box, picture, CROP_MARGIN)
        yield SeenFace(
            box=_within(box, picture),
            landmarks=tuple((round(float(x), 2), round(float(y), 2)) for x, y in points),
            quality=quality(seen[position]),
            reasons=why[position],
            template=vectors.get(position),
            crop=_jpeg(picture, crop_box),
            crop_box=crop_box,
        )


def _within(box: NDArray[np.float32], picture: Picture, margin: float = 0.0) -> Box:
    """Grow a box by `margin` of its size on each side, then cut it at the picture's edges; never empty."""
    size = (picture.width, picture.height)
    low = [min(max(0, int(box[axis] - margin * box[axis + 2])), size[axis] - 1) for axis in (0, 1)]
    high = [min(size[axis], max(low[axis] + 1, round(box[axis] + (1 + margin) * box[axis + 2]))) for axis in (0, 1)]
    return low[0], low[1], high[0] - low[0], high[1] - low[1]


def _jpeg(picture: Picture, box: Box) -> bytes:
    left, top, width, height = (int(value * picture.scale) for value in box)
    part = picture.pixels[top : top + max(1, height), left : left + max(1, width)]
    scale = CROP_SIDE / max(part.shape)
    if scale < 1:
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(part), quality=CROP_QUALITY, colorspace="RGB"))
