"""Whether photos that somebody offers as one person's show one person, and two boxes in one photo one face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from countenance.records import Box

SAME_FACE = 0.5  # intersection over union above which two boxes in one photo are the same face
SAME_PERSON = 0.40
"""Cosine below which two photos offered as one person's are taken to show two people.

Measured with SFace: of 268 pairs of portraits of one person the lowest scores 0.485 (108 of one session: 0.785); of pairs of
different people 0.2 % among 103 from one studio and 0.03 % among 1,457 in official portraits score higher.
"""


def odd_one(templates: NDArray[np.float32]) -> int | None:
    """Which of the templates (n, d) seems to be somebody else's; None if all are one person's."""
    scores = templates @ templates.T
    return int(scores.sum(axis=0).argmin()) if scores.min() < SAME_PERSON else None


def same_face(a: Box, b: Box) -> bool:
    """Whether two boxes in one photo show the same face."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(0, width) * max(0, height)
    return bool(shared) and shared / (a[2] * a[3] + b[2] * b[3] - shared) > SAME_FACE
