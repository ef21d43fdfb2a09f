"""Photos a second that a vault takes in, against an OpenCV loop on the same photos in the same run.

    python bench/ingest.py [DIR] [--photos 300] [--rounds 5] [--big] [--json]

Ours is the whole `Vault.add` of a folder: read, gate, decode, detect, embed, seal, store, log; mode `all`, two workers
that are up already (`cold_per_s` has their start in it). The peer is `FaceDetectorYN` (score 0.8) and
`FaceRecognizerSF` on the same weights, folded because OpenCV 5 asserts on SFace as carried: imread, longer side brought
down to 640, every face aligned and embedded, nothing kept. `ratio_opencv` is to that loop as one writes it, in one
process that OpenCV spreads over both cores; `ratio_opencv_best` is to the best that we could make of it: two processes
of one thread, and for large photos two that let imread scale in the DCT. Rounds alternate, figures are medians.
Processor time is shown beside the wall clock because other work on the machine distorts it less.
`--big` puts a few of the photos on canvases of 12 megapixels, with grain so that their files are as large as a phone's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

import countenance
from countenance.settings import Settings
from countenance.sources.opened import PICTURES
from countenance.vault import Vault
from countenance.vision import models, prepare
from portraits import BASIS, without_blas_settings

PORTRAITS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos" / "london"
CORES = 2
SIDE = 640
CANVAS = (4000, 3000)
GRAIN = 6.0  # standard deviation: files of 3 to 5 MB at quality 90, as phones write them
LOOP = "OpenCV, 1 process of 2 threads"
TICK = os.sysconf("SC_CLK_TCK")
STATED = {
    name: getattr(BASIS, name)
    for name in (
        "purpose",
        "controller",
        "contact",
        "art6",
        "art9",
        "notice",
        "retention_days",
        "mode",
        "justification",
        "takes_in",
        "established",
    )
}

Figures = dict[str, float]  # seconds, processor seconds, faces


class OpenCV:
    """The peer: processes that share the photos among them, up and warm."""

    def __init__(self, weights: Path, *, processes: int, threads: int, reduced: bool = False) -> None:
        self.reduced = reduced
        self.executor = ProcessPoolExecutor(
            processes, get_context("spawn"), initializer=_load, initargs=(weights, threads)
        )

    def __call__(self, paths: list[Path]) -> Figures:
        """Look at all photos."""
        begun = time.perf_counter()
        found = list(self.executor.map(_one, map(str, paths), [self.reduced] * len(paths), chunksize=4))
        seconds = time.perf_counter() - begun
        return {"seconds": seconds, "processor": sum(p for _, p in found), "faces": sum(n for n, _ in found)}


_MODELS: list[Any] = []  # of a peer's process: detector, recogniser


def _load(weights: Path, threads: int) -> None:
    import cv2  # noqa: PLC0415  (in the peer's processes only)

    cv2.setNumThreads(threads)
    _MODELS[:] = [
        cv2.FaceDetectorYN.create(str(weights / "yunet.onnx"), "", (SIDE, SIDE), 0.8),
        cv2.FaceRecognizerSF.create(str(weights / "sface.onnx"), ""),
    ]


def _one(path: str, reduced: bool) -> tuple[int, float]:
    import cv2  # noqa: PLC0415

    begun = time.process_time()
    detector, recogniser = _MODELS
    how = cv2.IMREAD_COLOR
    if reduced:
        with Image.open(path) as image:
            divisor = next((n for n in (8, 4, 2) if max(image.size) >= n * SIDE), 1)
        how = getattr(cv2, f"IMREAD_REDUCED_COLOR_{divisor}", how)
    picture = cv2.imread(path, how)
    longest = max(picture.shape[:2])
    if longest > SIDE:
        size = (round(picture.shape[1] * SIDE / longest), round(picture.shape[0] * SIDE / longest))
        picture = cv2.resize(picture, size)
    detector.setInputSize((picture.shape[1], picture.shape[0]))
    _, found = detector.detect(picture)
    faces = [] if found is None else found
    for face in faces:
        recogniser.feature(recogniser.alignCrop(picture, face))
    return len(faces), time.process_time() - begun


class Ours:
    """A vault, and the same photos added to a new collection of it each time."""

    def __init__(self, folder: Path, photos: Path) -> None:
        self.photos = photos
        self.round = 0
        self.in_store = 0.0
        countenance.create(folder)
        self.vault: Vault = countenance.open(folder, settings=Settings(workers=CORES))
        for name in ("read", "write"):
            setattr(self.vault.database, name, self._timed(getattr(self.vault.database, name)))

    def __call__(self, paths: list[Path]) -> Figures:
        """Add all photos."""
        self.round += 1
        name = f"round {self.round}"
        self.vault.create_collection(name, **STATED)
        self.vault.create_source(self.photos, collection=name, controller="bench", evidence="bench")
        pids = [os.getpid(), *self.workers()] if self.round > 1 else []
        used, self.in_store, begun = sum(map(_processor, pids)), 0.0, time.perf_counter()
        added = self.vault.add(self.photos, collection=name)
        seconds = time.perf_counter() - begun
        assert added.added + sum(added.refused.values()) == len(paths)
        used = sum(map(_processor, pids)) - used
        return {"seconds": seconds, "processor": used, "faces": added.faces, "in_store": self.in_store / seconds}

    def workers(self) -> set[int]:
        """The worker processes' ids: as many short tasks as it takes to meet them all."""
        met: set[int] = set()
        while len(met) < CORES:
            for future in [self.vault.pool.submit(os.getpid) for _ in range(8)]:
                met.add(future.result())
        return met

    def _timed(self, opening: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def transaction(*args: Any, **keywords: Any) -> Iterator[Any]:
            begun = time.perf_counter()
            try:
                with opening(*args, **keywords) as tx:
                    yield tx
            finally:
                self.in_store += time.perf_counter() - begun

        return transaction


def _processor(pid: int) -> float:
    """Seconds of processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def _peak(pid: int) -> float:
    """The largest memory a process has had, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def pictures(folder: Path, most: int) -> list[Path]:
    """Up to `most` pictures, evenly spread over the folder and its subfolders."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower().removeprefix(".") in PICTURES and p.is_file())
    if not found:
        raise SystemExit(f"{folder}: no pictures")
    return found[:: max(1, len(found) // most)][:most]


def lay_out(paths: list[Path], folder: Path, *, big: bool) -> list[Path]:
    """Copy the photos into a new folder, or make 12-megapixel ones of them, and return the new paths."""
    folder.mkdir()
    made = []
    noise = np.random.default_rng(1).normal(0, GRAIN, (CANVAS[1], CANVAS[0], 1)) if big else None
    for number, path in enumerate(paths):
        made.append(folder / f"{number:05}{'.jpg' if big else path.suffix}")
        if noise is None:
            shutil.copyfile(path, made[-1])
            continue
        with Image.open(path) as image:
            portrait = image.convert("RGB")
        scale = min(CANVAS[0] / portrait.width, CANVAS[1] / portrait.height)
        portrait = portrait.resize(
            (round(portrait.width * scale), round(portrait.height * scale)), Image.Resampling.BICUBIC
        )
        canvas = Image.new("RGB", CANVAS, (128, 128, 128))
        canvas.paste(portrait, ((CANVAS[0] - portrait.width) // 2, (CANVAS[1] - portrait.height) // 2))
        grained = np.clip(np.asarray(canvas) + np.roll(noise, number * 97, axis=1), 0, 255).astype(np.uint8)
        Image.fromarray(grained).save(made[-1], quality=90)
    return made


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Run all rounds and print the table."""
    paths = lay_out(pictures(asked.folder, asked.photos), folder / "photos", big=asked.big)
    for name in ("yunet", "sface"):
        prepare.write(models.find(models.named(name)), folder / f"{name}.onnx", rewrite=False)
    peers = {
        LOOP: OpenCV(folder, processes=1, threads=CORES),
        "OpenCV, 2 processes of 1 thread": OpenCV(folder, processes=CORES, threads=1),
    }
    with Image.open(paths[0]) as first:
        megapixels = first.width * first.height / 1e6
        if max(first.size) >= 2 * SIDE:
            peers["OpenCV, 2 processes, reduced read"] = OpenCV(folder, processes=CORES, threads=1, reduced=True)
    ours = Ours(folder / "vault", folder / "photos")
    ways: dict[str, Callable[[list[Path]], Figures]] = {"Countenance": ours, **peers}
    cold = ours(paths)
    for peer in peers.values():
        peer(paths[:16])
    rounds: dict[str, list[Figures]] = {name: [] for name in ways}
    for _ in range(asked.rounds):
        for name, way in ways.items():
            rounds[name].append(way(paths))
    memory = max(map(_peak, ours.workers()))
    ours.vault.close()

    def middle(name: str, figure: str) -> float:
        return statistics.median(one[figure] for one in rounds[name])

    rate = {name: len(paths) / middle(name, "seconds") for name in ways}
    print(f"{len(paths)} photos of {megapixels:.2f} megapixels, {asked.rounds} rounds, medians (slowest to fastest)")
    print(f"{'':34}{'photos/s':>9}{'spread':>16}{'ratio':>7}{'processor ms':>14}{'faces':>7}")
    for name, way in rounds.items():
        spread = sorted(len(paths) / one["seconds"] for one in way)
        print(
            f"{name:34}{rate[name]:9.1f}{f'{spread[0]:.1f} to {spread[-1]:.1f}':>16}"
            f"{rate['Countenance'] / rate[name]:7.2f}{middle(name, 'processor') / len(paths) * 1e3:14.2f}"
            f"{middle(name, 'faces'):7.0f}"
        )
    best = max(peers, key=lambda name: rate[name])
    result = {
        "ratio_opencv": round(rate["Countenance"] / rate[LOOP], 2),
        "ratio_opencv_best": round(rate["Countenance"] / rate[best], 2),
        "ratio_processor": round(middle(best, "processor") / middle("Countenance", "processor"), 2),
        "ours_per_s": round(rate["Countenance"], 1),
        "opencv_per_s": round(rate[LOOP], 1),
        "opencv_best_per_s": round(rate[best], 1),
        "cold_per_s": round(len(paths) / cold["seconds"], 1),
        "faces_ours": int(middle("Countenance", "faces")),
        "faces_opencv": int(middle(best, "faces")),
        "worker_memory_mb": round(memory),
        "share_in_store": round(middle("Countenance", "in_store"), 3),
        "photos": len(paths),
        "megapixels": round(megapixels, 2),
        "best": best,
    }
    print(
        f"ratio {result['ratio_opencv']} to the loop; {result['ratio_opencv_best']} to the best of them ({best}), "
        f"{result['ratio_processor']} in processor time"
    )
    print(
        f"with the workers' start {result['cold_per_s']} photos/s; a worker's memory at most {memory:.0f} MB; "
        f"the parent is in the store for {result['share_in_store']:.0%} of the time"
    )
    return result


def main() -> None:
    """Print a table, and with --json one object as the last line."""
    without_blas_settings()
    os.environ["OPENCV_LOG_LEVEL"] = "ERROR"  # the peer's processes inherit it: OpenCV 5 warns at each model
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=PORTRAITS)
    parser.add_argument("--photos", type=int, help="how many of the folder's photos (300, with --big 40)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--big", action="store_true", help="make 12-megapixel photos of them first")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    asked = parser.parse_args()
    asked.photos = asked.photos or (40 if asked.big else 300)
    with TemporaryDirectory() as folder:
        result = measure(asked, Path(folder))
    if asked.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
