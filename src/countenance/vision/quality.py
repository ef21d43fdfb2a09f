"""How good a face is for comparison, and in words why one is not used. Measures are named after ISO/IEC 29794-5."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from countenance.records import Quality
from countenance.vision.align import TARGET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from countenance.vision.colour import Pixels

FACE = (slice(28, 108), slice(20, 92))  # rows and columns of the aligned face without hair and background
DEPTH = np.array([0.0, 0.0, 20.0, 6.0, 6.0])  # of the landmarks towards the camera, in pixels of 112 (63 mm = 35.2)

ROUNDING = 20 / 12  # what rounding to whole numbers adds: variance 1/12, times the kernel's sum of squares

# Where faces stop being useful: 80 mated portraits (60 for blur) made worse step by step and searched among about 350
# people (160 for blur); missed is the share below 0.479, just above the threshold for FPIR 1 % (0.469). Set so that
# most of what is refused would have been missed anyway. Blur is told apart poorly: the medians below overlap.
MIN_WIDTH = 14.0  # pixels; missed at 20: 9 %, 16: 44 %, 14: 60 %, 12: 79 %, 10: 95 %
MIN_EDGES = 0.003  # missed with a blur of 3 pixels in 80: 25 % (median 0.007), 4: 80 % (0.005), 6: 100 % (0.004)
MIN_LIGHT = 6.0  # mean luminance; missed at 15: 4 %, 7: 74 %, 4: 99 %
MAX_LIGHT = 246.0  # missed at 235: 3 %, 245: 56 %
MAX_ANGLE = 75.0  # degrees; no set with known angles at hand, so only what five landmarks cannot show at all


class Measures(NamedTuple):
    """What the quality values and reasons are computed from, before anything is mapped to 0-100."""

    edges: float  # variance of the Laplacian of the aligned face's luminance, per variance of the luminance
    light: float  # mean luminance of the face, 0 to 255
    evenness: float  # intersection of the luminance histograms of the face's two halves, 0 to 1
    extremes: float  # share of pixels nearly black or nearly white, 0 to 1
    yaw: float  # degrees, positive when the person looks to their left
    pitch: float  # degrees, positive when the person looks up
    roll: float  # degrees, positive when the head leans clockwise in the picture
    eyes: float  # pixels of the picture between the eyes
    width: float  # pixels of the picture, of the box
    score: float  # of the detector, 0 to 1


def measures(face: Pixels, points: NDArray[np.float32], width: float, score: float) -> Measures:
    """Measure one aligned face, (112, 112, 3); landmarks, (5, 2), and box width are in pixels of the picture."""
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)[FACE]
    halves = np.split(grey, 2, axis=1)
    left, right = (np.bincount(half.ravel(), minlength=256) / half.size for half in halves)
    yaw, pitch, roll = angles(points)
    return Measures(
        edges=max(0.0, float(cv2.Laplacian(grey, cv2.CV_32F).var()) - ROUNDING) / max(float(grey.var()), 1.0),
        light=float(grey.mean()),
        evenness=float(np.minimum(left, right).sum()),
        extremes=float(((grey <= 25) | (grey >= 247)).mean()),  # noqa: PLR2004  (29794-5: under-, over-exposure)
        yaw=yaw,
        pitch=pitch,
        roll=roll,
        eyes=float(np.linalg.norm(points[1] - points[0])),
        width=width,
        score=score,
    )


def angles(points: NDArray[np.float32]) -> tuple[float, float, float]:
    """Estimate yaw, pitch and roll in degrees from five landmarks.

    Scaled orthography fitted to a mean face, TARGET with DEPTH (POS: DeMenthon, Davis, IJCV 15 (1995)).
    """
    rows = (_fit() @ (points - points.mean(axis=0))).T  # two rows of the rotation, times the scale
    across, down = (row / max(float(np.linalg.norm(row)), 1e-9) for row in rows)
    ahead = np.cross(across, down)
    yaw = np.degrees(np.arctan2(across[2], np.hypot(across[0], across[1])))
    pitch = np.degrees(np.arctan2(-down[2], np.hypot(down[0], down[1])))
    roll = np.degrees(np.arctan2(down[0], down[1]))
    return float(yaw), float(pitch if ahead[2] >= 0 else 180 - pitch), float(roll)


@cache
def _fit() -> NDArray[np.float64]:
    """Return the (3, 5) least-squares inverse of the mean face."""
    solid = np.column_stack([TARGET, DEPTH])
    return np.asarray(np.linalg.pinv(solid - solid.mean(axis=0)))


def quality(seen: Measures) -> Quality:
    """Map to 0 (unusable) to 100.

    Pose is 100 cos² of the larger of yaw and pitch; size a logistic in the distance between the eyes, corrected for
    yaw, with its middle at 70 pixels and a width of 20 (both as in OFIQ, the reference implementation of ISO/IEC 29794-5).
    Illumination is uniformity times the share of pixels neither under- nor over-exposed. Sharpness saturates in the
    variance of the Laplacian (Pech-Pacheco et al., ICPR 2000).
    """
    yaw, pitch = np.radians(seen.yaw), np.radians(seen.pitch)
    facing = max(0.0, min(np.cos(yaw), np.cos(pitch)))
    distance = seen.eyes / max(np.cos(yaw), 0.1)
    return Quality(
        sharpness=_percent(1 - np.exp(-seen.edges / 0.1)),
        illumination=_percent(seen.evenness * (1 - seen.extremes)),
        pose=_percent(facing**2),
        size=_percent(1 / (1 + np.exp((70 - distance) / 20))),
        confidence=_percent(seen.score),
    )


def reasons(seen: Measures) -> tuple[str, ...]:
    """Say in sentences why this face is not embedded; nothing if it may be."""
    found = []
    if seen.width < MIN_WIDTH:
        found.append(f"The face is too small: {seen.width:.0f} pixels wide, {MIN_WIDTH:.0f} are needed.")
    if seen.edges < MIN_EDGES:
        found.append("The face is too blurred.")
    if max(abs(seen.yaw), abs(seen.pitch)) > MAX_ANGLE:
        found.append("The face is turned too far from the camera.")
    if seen.light < MIN_LIGHT:
        found.append("The face is too dark.")
    if seen.light > MAX_LIGHT:
        found.append("The face is too bright.")
    return tuple(found)


def _percent(value: float) -> int:
    return round(100 * min(1.0, max(0.0, float(value))))
