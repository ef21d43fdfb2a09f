"""What a score means: false match rates measured on named data, and what follows from them for a gallery.

`calibration.toml` holds, for each model, the share of pairs of different people whose score reaches a given cosine. It is
made by `bench/calibrate.py` and says on which data. For a gallery of N faces the false positive identification rate is
1 - (1 - FMR)^N (ISO/IEC 19795-1, for independent comparisons); against the measured rate that is 0.93 to 1.13 of it where
the data is of the same kind, and up to twice off where it is not.
"""

from __future__ import annotations

import functools
import math
import tomllib
from dataclasses import dataclass
from importlib import resources

from countenance.errors import ModelError

FLOOR = 1e-12  # no rate below this is told apart from nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The tail of one model's impostor scores."""

    data: str  # what it was measured on, in words
    people: int
    pairs: int
    scores: tuple[float, ...]  # cosines, ascending
    log10_fmr: tuple[float, ...]  # of each score, descending
    measured_to: float  # the highest cosine with at least ten pairs above it; beyond, the tail is continued as a line

    @property
    def described(self) -> str:
        """What the rates rest on, for people."""
        return f"measured on {self.data}, up to score {self.measured_to:.2f}; beyond it a guess"

    def fmr(self, score: float) -> float:
        """False match rate at a cosine: the share of pairs of different people that reach it."""
        return float(max(FLOOR, min(1.0, math.pow(10, _line(self.scores, self.log10_fmr, score)))))

    def fpir(self, score: float, gallery: int) -> float:
        """False positive identification rate: the share of searches for a stranger among `gallery` faces that reach it."""
        return -math.expm1(gallery * math.log1p(-min(self.fmr(score), 1 - FLOOR)))

    def threshold(self, fpir: float, gallery: int) -> float:
        """The cosine at which `gallery` faces give this FPIR (0 to 1, both excluded)."""
        fmr = -math.expm1(math.log1p(-fpir) / max(1, gallery))
        return _line(self.log10_fmr[::-1], self.scores[::-1], math.log10(max(FLOOR, fmr)))


@functools.cache
def load(model: str) -> Calibration:
    """Return the calibration of a model; `ModelError` if it was never calibrated."""
    text = resources.files("countenance.search").joinpath("calibration.toml").read_text("utf-8")
    tables = tomllib.loads(text)
    if model not in tables:
        raise ModelError(
            f"The model {model} has no calibration, so its scores have no error rates. Run bench/calibrate.py."
        )
    table = tables[model]
    return Calibration(
        data=table["data"],
        people=table["people"],
        pairs=table["pairs"],
        scores=tuple(table["scores"]),
        log10_fmr=tuple(table["log10_fmr"]),
        measured_to=table["measured_to"],
    )


def _line(xs: tuple[float, ...], ys: tuple[float, ...], x: float) -> float:
    """Linear interpolation; outside the table the nearest segment goes on."""
    n = len(xs)
    upper = next((i for i in range(1, n) if xs[i] >= x), n - 1)
    lower = upper - 1
    return float(ys[lower]) + (x - xs[lower]) * (ys[upper] - ys[lower]) / (xs[upper] - xs[lower])
