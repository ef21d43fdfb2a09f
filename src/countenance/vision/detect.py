"""Find faces and their five landmarks with YuNet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from countenance.vision import models, session

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.vision.colour import Pixels

MODEL = "yunet"
STRIDES = (8, 16, 32)
OVERLAP = 0.3  # boxes that share more than this (intersection over union) are one face, as in OpenCV's FaceDetectorYN

FIRST = 640  # longer side of the first pass; finds all 73 faces of our group photos, in 7 ms
# The other looks, as shares of that, one after the other while no face is found. Of 139 faces cut inside their box at
# 1,000 px, 640 px finds 21 and half of that 135; all of 1,828 portraits show a face then, and nobody is seen where
# nobody is.
LOOKS = (0.5, 0.4, 0.6, 1.25, 1.5, 2.0)
SMALL = 32  # width in pixels; where a pass finds a face as small as this there may be more that it missed:
# at a width of 12 to 16 one face in six is missed, at 8 to 10 nine of ten
SMALL_MOST = 64
TILE, SEAM = 1280, 96

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """Faces in one array of pixels, best score first."""

    boxes: Floats  # (n, 4) left, top, width, height in pixels
    points: Floats  # (n, 5, 2) x, y: right eye, left eye, nose tip, right and left corner of the mouth
    scores: Floats  # (n,) 0 to 1

    def part(self, start: int, stop: int) -> Found:
        """Return the faces from number `start` up to before `stop`."""
        return Found(self.boxes[start:stop], self.points[start:stop], self.scores[start:stop])

    def times(self, factor: float) -> Found:
        """Return the same faces in a picture `factor` times as large."""
        return Found(self.boxes * np.float32(factor), self.points * np.float32(factor), self.scores)


def first(pixels: Pixels, folder: Path) -> Found:
    """Look at the picture as a whole; while that shows no face, at other sizes.

    Smaller ones show faces that fill the picture; an enlarged small picture shows hard ones.
    """
    longest = max(pixels.shape[:2])
    found = once(pixels, min(FIRST, longest), folder)
    for share in LOOKS:
        if len(found.scores) or (share > 1 and longest > FIRST):
            break
        found = once(pixels, max(1, round(share * min(FIRST, longest))), folder)
    return found


def tiled(pixels: Pixels, side: int, folder: Path) -> Found:
    """Look for small faces with the picture's longer side brought down to `side`, tile by tile to bound memory.

    Returns only faces up to SMALL_MOST pixels wide at that scale; larger ones are a coarser pass's business, and finer
    passes make false faces of their parts.
    """
    scale = min(1.0, side / max(pixels.shape[:2]))
    pixels = _sized(pixels, scale)
    parts = []
    for top in range(0, max(1, pixels.shape[0] - SEAM), TILE - SEAM):
        for left in range(0, max(1, pixels.shape[1] - SEAM), TILE - SEAM):
            tile = pixels[top : top + TILE, left : left + TILE]
            part = once(tile, max(tile.shape), folder)
            small = part.boxes[:, 2] <= SMALL_MOST
            shift = np.array([left, top], np.float32)
            boxes = np.concatenate([part.boxes[small, :2] + shift, part.boxes[small, 2:]], axis=1)
            parts.append(Found(boxes, part.points[small] + shift, part.scores[small]))
    return merged(parts).times(1 / scale)


def once(pixels: Pixels, side: int, folder: Path) -> Found:
    """Run the detector once, with the picture's longer side brought to `side`."""
    model = models.named(MODEL)
    scale = side / max(pixels.shape[:2])
    pixels = _sized(pixels, scale)
    right, bottom = -pixels.shape[1] % STRIDES[-1], -pixels.shape[0] % STRIDES[-1]
    if right or bottom:
        pixels = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_CONSTANT)
    feed = cv2.dnn.blobFromImage(pixels, swapRB=model.colour == "BGR")
    detector = session.opened(MODEL, folder)
    names = [output.name for output in detector.get_outputs()]
    heads = dict(zip(names, detector.run(None, {detector.get_inputs()[0].name: feed}), strict=True))
    return merged([_decoded(heads, stride, feed.shape[3] // stride, model.threshold, scale) for stride in STRIDES])


def _sized(pixels: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    # Down to half, linear sampling leaves nothing out, and takes a seventh of the time of averaging.
    way = cv2.INTER_AREA if scale < 0.5 else cv2.INTER_LINEAR if scale < 1 else cv2.INTER_CUBIC  # noqa: PLR2004
    return np.asarray(cv2.resize(pixels, size, interpolation=way))


def merged(parts: list[Found]) -> Found:
    """Join what several passes found, keeping the best-scored box of each face (greedy non-maximum suppression)."""
    boxes, points, scores = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("boxes", "points", "scores")
    )
    order = np.argsort(-scores, kind="stable")
    kept = []
    while order.size:
        best, order = order[0], order[1:]
        kept.append(best)
        order = order[_overlap(boxes[best], boxes[order]) <= OVERLAP]
    return Found(boxes[kept], points[kept], scores[kept])


def _overlap(box: Floats, others: Floats) -> Floats:
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[:2] + box[2:], others[:, :2] + others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    return np.asarray(shared / (np.prod(box[2:]) + np.prod(others[:, 2:], axis=1) - shared + 1e-9))


def _decoded(heads: dict[str, Any], stride: int, columns: int, threshold: float, scale: float) -> Found:
    """Turn one stride's heads into faces in pixels of the unscaled array.

    Each cell predicts, in units of the stride: the box centre's offset, the logarithm of its size, the landmarks'
    offsets; the score is the geometric mean of classification and objectness (as in OpenCV's face_detect.cpp).
    """
    score = np.sqrt(np.clip(heads[f"cls_{stride}"][0, :, 0], 0, 1) * np.clip(heads[f"obj_{stride}"][0, :, 0], 0, 1))
    cells = np.flatnonzero(score >= threshold)
    grid = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    box = heads[f"bbox_{stride}"][0, cells]
    unit = stride / scale
    size = np.exp(np.minimum(box[:, 2:], 10)) * unit
    corner = (grid + box[:, :2]) * unit - size / 2
    points = (grid[:, None] + heads[f"kps_{stride}"][0, cells].reshape(-1, 5, 2)) * unit
    return Found(np.concatenate([corner, size], axis=1), points, score[cells])
