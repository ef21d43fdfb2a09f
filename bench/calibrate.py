"""Measure a model's false match rate at each score and write `search/calibration.toml`.

    python bench/calibrate.py DIR [--write]

DIR has a `manifest.csv` as for `accuracy.py`. Every pair of photos of two different people is one comparison; pairs are
taken within a set only, so that a set's own light and format are in the figure.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from portraits import look, manifest, templates, without_blas_settings

TARGET = Path(__file__).parents[1] / "src" / "countenance" / "search" / "calibration.toml"
STEP = 0.01
FEWEST = 10  # pairs above a score, for its rate to be measured and not continued


def main() -> None:
    """Print the table, and write it with --write."""
    without_blas_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lines = manifest(args.folder)
    vectors = templates(look(line.path for line in lines))
    person = np.array([line.person for line in lines])
    of_set = np.array([line.set for line in lines])
    different: list[np.ndarray] = []
    for name in sorted(set(of_set)):
        inside = (of_set == name) & ~np.isnan(vectors[:, 0])
        scores = vectors[inside] @ vectors[inside].T
        upper = np.triu(person[inside][:, None] != person[inside][None, :], 1)
        different.append(scores[upper])
        same = np.triu(person[inside][:, None] == person[inside][None, :], 1)
        print(
            f"{name}: {upper.sum():,} pairs of different people, {same.sum()} of the same; lowest same {scores[same].min():.3f}"
        )
    pairs = np.sort(np.concatenate(different))
    grid = np.round(np.arange(0.0, 1.0, STEP), 2)
    above = len(pairs) - np.searchsorted(pairs, grid)
    measured = grid[above >= FEWEST]
    rates = above[: len(measured)] / len(pairs)
    for score, rate in zip(measured[::5], rates[::5], strict=True):
        print(f"score {score:.2f}: FMR {rate:.2e}")
    # Beyond what is measured the tail goes on as a straight line in log FMR, fitted to its last decade.
    last = rates <= rates[-1] * 30
    slope, offset = np.polyfit(measured[last], np.log10(rates[last]), 1)
    print(f"measured to {measured[-1]:.2f} (FMR {rates[-1]:.1e}); beyond, a decade every {-1 / slope:.3f}")
    beyond = grid[len(measured) :]
    tail = np.minimum(np.log10(rates[-1]), slope * beyond + offset)
    logs = np.round(np.concatenate([np.log10(rates), tail]), 4)
    logs = np.minimum.accumulate(logs - np.arange(len(logs)) * 1e-6)  # strictly falling, so that it can be inverted
    sets = ", ".join(sorted(set(of_set)))
    text = f"""# Made by bench/calibrate.py on {datetime.now(UTC):%Y-%m-%d}; do not edit.

[sface]
data = "{len(set(person))} people on official and studio portraits"
sets = "{sets}"
people = {len(set(person))}
pairs = {len(pairs)}
measured_to = {measured[-1]:.2f}
scores = [{", ".join(f"{s:.2f}" for s in grid)}]
log10_fmr = [{", ".join(f"{v:.6f}" for v in logs)}]
"""
    if args.write:
        TARGET.write_text(text, "utf-8")
        print(f"wrote {TARGET}")


if __name__ == "__main__":
    main()
