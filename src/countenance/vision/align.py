"""Turn faces upright and to one size, by their landmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.vision.colour import Pixels

SIZE = 112
TARGET = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where the landmarks go, in pixels of 112 x 112: ArcFace (Deng et al., CVPR 2019), which SFace was trained with."""


def matrices(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (n, 2, 3) similarity transforms, without reflection, that bring (n, 5, 2) landmarks closest to TARGET.

    Least squares in the complex plane: with both point sets centred, w = a z has a = sum(conj(z) w) / sum(|z|^2)
    (Umeyama, IEEE PAMI 13 (1991), for two dimensions).
    """
    source = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    target = TARGET[:, 0].astype(np.float64) + 1j * TARGET[:, 1]
    centre, goal = source.mean(axis=1, keepdims=True), target.mean()
    spread = np.maximum((np.abs(source - centre) ** 2).sum(axis=1), 1e-9)
    turn = (np.conj(source - centre) * (target - goal)).sum(axis=1) / spread
    shift = goal - turn * centre[:, 0]
    return np.stack([turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag], axis=1).reshape(-1, 2, 3)


def zooms(transforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many pixels of the aligned face one pixel of the picture becomes, (n,)."""
    return np.asarray(np.hypot(transforms[:, 0, 0], transforms[:, 1, 0]))


def aligned(pixels: Pixels, transforms: NDArray[np.float64]) -> Pixels:
    """Return the faces as (n, 112, 112, 3) uint8; what lies outside the picture is black."""
    faces = np.empty((len(transforms), SIZE, SIZE, 3), np.uint8)
    for face, transform, zoom in zip(faces, transforms, zooms(transforms), strict=True):
        part, matrix = _reduced(pixels, transform, float(zoom)) if zoom < 0.5 else (pixels, transform)  # noqa: PLR2004
        cv2.warpAffine(part, matrix, (SIZE, SIZE), dst=face, flags=cv2.INTER_LINEAR)
    return faces


def _reduced(pixels: Pixels, transform: NDArray[np.float64], zoom: float) -> tuple[Pixels, NDArray[np.float64]]:
    """Cut out the face and shrink it by area to twice its final size: linear sampling of a big face would alias."""
    corners = np.array([[0, SIZE, 0, SIZE], [0, 0, SIZE, SIZE], [1, 1, 1, 1]], np.float64)
    seen = cv2.invertAffineTransform(transform) @ corners
    height, width = pixels.shape[:2]
    left, top = np.clip(np.floor(seen.min(axis=1)) - 2, 0, [width - 1, height - 1]).astype(int)
    right, bottom = np.clip(np.ceil(seen.max(axis=1)) + 2, [left + 1, top + 1], [width, height]).astype(int)
    part = pixels[top:bottom, left:right]
    size = (max(1, round((right - left) * 2 * zoom)), max(1, round((bottom - top) * 2 * zoom)))
    step = np.array([(right - left) / size[0], (bottom - top) / size[1]])
    # Pixel centres: x of the picture is (x' + 0.5) * step - 0.5 + left.
    back = np.array([[step[0], 0, left + step[0] / 2 - 0.5], [0, step[1], top + step[1] / 2 - 0.5], [0, 0, 1]])
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA), transform @ back
