"""Identification accuracy on a folder with a `manifest.csv` of path, role (gallery, probe_mated, probe_nonmated), person.

    python bench/accuracy.py DIR [--json]

One template a photo, of its largest face. `fnir_at_fpir_1pct`: the share of mated probes whose own gallery photo scores
below the threshold at which 1 % of the non-mated probes get any hit. A probe without a face is missed.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from portraits import Portrait, look, manifest, templates, without_blas_settings

FPIR = 0.01


def measure(lines: list[Portrait], vectors: NDArray[np.float32]) -> dict[str, Any]:
    """The figures of one set."""
    role = np.array([line.role for line in lines])
    person = np.array([line.person for line in lines])
    detected = ~np.isnan(vectors[:, 0])
    vectors = np.nan_to_num(vectors)  # no face: a zero vector, which matches nobody
    gallery, mated, strangers = (role == name for name in ("gallery", "probe_mated", "probe_nonmated"))
    scores = vectors[mated] @ vectors[gallery].T
    same = person[mated][:, None] == person[gallery][None, :]
    own = np.where(same, scores, -1).max(axis=1)
    found = detected[mated]
    best_of_strangers = np.sort((vectors[strangers] @ vectors[gallery].T).max(axis=1))[::-1]
    allowed = math.floor(FPIR * strangers.sum())
    threshold = float(np.nextafter(best_of_strangers[allowed], np.float32(2)))
    return {
        "gallery": int(gallery.sum()),
        "mated": int(mated.sum()),
        "strangers": int(strangers.sum()),
        "detected": float(detected.mean()),
        "rank1": float((found & (own >= np.where(same, -1, scores).max(axis=1))).mean()),
        "fnir_at_fpir_1pct": float(1 - (found & (own >= threshold)).mean()),
        "threshold": threshold,
    }


def main() -> None:
    """Print a table, and with --json one object as the last line."""
    without_blas_settings()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    lines = manifest(args.folder)
    vectors = templates(look(line.path for line in lines))
    sets = sorted({line.set for line in lines})
    found = {name: measure(*_of(lines, vectors, {name})) for name in sets}
    whole = measure(lines, vectors)
    if len(sets) > 1:
        found[" + ".join(sets)] = whole
    print(
        f"{'set':20}{'gallery':>9}{'mated':>7}{'strangers':>11}{'detected':>10}{'rank-1':>9}{'FNIR@1%':>9}{'threshold':>11}"
    )
    for name, row in found.items():
        print(
            f"{name:20}{row['gallery']:9}{row['mated']:7}{row['strangers']:11}{row['detected']:10.2%}{row['rank1']:9.2%}"
            f"{row['fnir_at_fpir_1pct']:9.2%}{row['threshold']:11.3f}"
        )
    if args.json:
        print(json.dumps(whole | {"sets": found}))


def _of(
    lines: list[Portrait], vectors: NDArray[np.float32], sets: set[str]
) -> tuple[list[Portrait], NDArray[np.float32]]:
    chosen = [n for n, line in enumerate(lines) if line.set in sets]
    return [lines[n] for n in chosen], vectors[chosen]


if __name__ == "__main__":
    main()
