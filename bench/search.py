"""Measure the exact search against faiss and numpy in one run: python bench/search.py --faces 1000000 [--json].

Random unit vectors of 128 numbers, or `--shape clustered` ones, with planted matches for every probe. All three answer
the same question, every face whose inner product with the probe is at or above the threshold, on all processors. Rounds
alternate between them; figures are medians, and a ratio is another's median over ours, so above 1 we are faster.
Recall and extra are counted against float64 brute force over every row.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time

SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # where set, they slow numpy, which would flatter us
if any(name in os.environ for name in SLOWING):
    clean = {name: value for name, value in os.environ.items() if name not in SLOWING}
    os.execve(sys.executable, [sys.executable, *sys.argv], clean)  # noqa: S606  (itself again)

from typing import TYPE_CHECKING, Any  # noqa: E402

import faiss  # noqa: E402
import numpy as np  # noqa: E402

from countenance.index import create  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DIMENSION = 128
PLANTED = 3  # faces a probe, at cosine about 0.5, 0.7 and 0.9
PIECE = 65_536
NOW, LATER = 1_000, 2_000


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalise `rows` in place."""
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def gallery(faces: int, shape: str, random: np.random.Generator) -> NDArray[np.float32]:
    """Return `faces` unit vectors; clustered ones have ten to a person, at cosine about 0.8 among themselves."""
    made = np.empty((faces, DIMENSION), np.float32)
    for first in range(0, faces, PIECE):
        piece = made[first : first + PIECE]
        piece[:] = random.standard_normal(piece.shape, np.float32)
        if shape == "clustered":
            people = random.standard_normal((len(piece) // 10 + 1, DIMENSION), np.float32)
            piece *= 0.5
            piece += people[random.integers(len(people), size=len(piece))]
        unit(piece)
    return made


def plant(faces: NDArray[np.float32], count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return `count` probes, and put matches of each in place of random rows of `faces`."""
    if len(faces) < count * PLANTED:
        raise SystemExit(f"--faces must be at least {count * PLANTED}")
    probes = unit(random.standard_normal((count, DIMENSION), np.float32))
    places = random.choice(len(faces), (count, PLANTED), replace=False)
    for column, cosine in enumerate((0.5, 0.7, 0.9)):
        noise = unit(random.standard_normal(probes.shape, np.float32))
        faces[places[:, column]] = unit(cosine * probes + (1 - cosine**2) ** 0.5 * noise)
    return probes


def truth(faces: NDArray[np.float32], probes: NDArray[np.float32], threshold: float) -> set[tuple[int, int]]:
    """Return (probe, row) of every match by float64 brute force."""
    wide = probes.astype(np.float64).T
    found: set[tuple[int, int]] = set()
    for first in range(0, len(faces), PIECE):
        scores = (faces[first : first + PIECE].astype(np.float64) @ wide).astype(np.float32).astype(np.float64)
        rows, numbers = np.nonzero(scores >= threshold)
        found.update(zip(numbers.tolist(), (rows + first).tolist(), strict=True))
    return found


def alternate(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each way; the ways take turns within each round."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            if turn:  # the first round warms up
                spent[name].append((time.perf_counter() - begun) * 1e3)
    return {name: statistics.median(times) for name, times in spent.items()}


def main() -> None:
    """Run the benchmark as the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--probes", default="1,64", help="numbers of probes searched at once")
    parser.add_argument("--threshold", type=float, default=0.45)
    parser.add_argument("--shape", choices=("random", "clustered"), default="random")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    asked = parser.parse_args()
    if asked.rounds < 5:
        parser.error("--rounds must be at least 5")
    counts = [int(count) for count in asked.probes.split(",")]

    random = np.random.default_rng(1)
    faces = gallery(asked.faces, asked.shape, random)
    probes = plant(faces, max(counts), random)
    ours = create(DIMENSION)
    begun = time.perf_counter()
    for first in range(0, len(faces), PIECE):
        piece = faces[first : first + PIECE]
        ours.reserve(len(piece))[:] = piece
        ours.commit(np.arange(first, first + len(piece)), np.full(len(piece), LATER))
    built = time.perf_counter() - begun
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(faces)
    faiss.omp_set_num_threads(os.cpu_count() or 1)

    result: dict[str, Any] = {"faces": len(faces), "shape": asked.shape, "threshold": asked.threshold}
    result["build_seconds"] = round(built, 2)
    result["bytes_per_face"] = bytes_per_face(ours)
    print(f"{len(faces):,} faces, {asked.shape}, threshold {asked.threshold}, median of {asked.rounds}")
    print(f"{'probes':>6} {'ours ms':>9} {'faiss ms':>9} {'numpy ms':>9} {'x faiss':>8} {'x numpy':>8}")
    for count in counts:
        few = probes[:count]

        def brute(few: NDArray[np.float32] = few) -> list[NDArray[np.intp]]:
            return [np.flatnonzero(scores >= asked.threshold) for scores in few @ faces.T]

        times = alternate(
            {
                "ours": lambda few=few: ours.search(few, threshold=asked.threshold, now=NOW),
                # faiss finds what is above its radius, we what is at it too: one float32 below makes it the same.
                "faiss": lambda few=few: flat.range_search(
                    few, np.nextafter(np.float32(asked.threshold), np.float32(0))
                ),
                "numpy": brute,
            },
            asked.rounds,
        )
        suffix = "" if count == 1 else f"_{count}"
        result |= {f"{'ms' if name == 'ours' else f'ms_{name}'}_{count}": round(ms, 2) for name, ms in times.items()}
        for name in ("faiss", "numpy"):
            result[f"ratio_{name}{suffix}"] = round(times[name] / times["ours"], 2)
        print(
            f"{count:>6} {times['ours']:>9.2f} {times['faiss']:>9.2f} {times['numpy']:>9.2f}"
            f" {times['faiss'] / times['ours']:>8.2f} {times['numpy'] / times['ours']:>8.2f}"
        )

    right = truth(faces, probes, asked.threshold)
    answers = ours.search(probes, threshold=asked.threshold, now=NOW)
    found = {(number, row) for number, (rows, _) in enumerate(answers) for row in rows.tolist()}
    result |= {"matches": len(right), "recall": len(found & right) / len(right), "extra": len(found - right)}
    print(f"{len(right):,} matches: recall {result['recall']}, extra {result['extra']}")
    print(f"{result['bytes_per_face']:.0f} bytes a face, built in {built:.1f} s")
    if asked.json:
        print(json.dumps(result))


def bytes_per_face(index: Any) -> float:
    """Return what the index's arrays take for each face that is held."""
    arrays = (array for block in index._blocks for array in vars(block).values())  # noqa: SLF001
    return round(sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / len(index), 1)


if __name__ == "__main__":
    main()
