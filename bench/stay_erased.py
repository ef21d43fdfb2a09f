"""Measure how well an erased picture is recognised when it comes back: python bench/stay_erased.py DIR [--json].

DIR has a `manifest.csv` with columns path, set, person, sha256, orig_sha256. Every picture of `SETS` is encoded anew in each
way of `VARIANTS`, and counts as caught if the vault would refuse it after the original was erased. Every ordered pair of
pictures, one erased and one incoming, is tried for a false refusal; two pictures of one person, of one session too, are
different pictures and count. Not counted: pairs that the manifest shows to be one picture (the same SHA-256 now or at
their origin, or one file name in two formats). Then a real vault's table gets 1,000 of the pictures, and the others come in.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps

import countenance
from countenance import ids
from countenance.errors import BadImage
from countenance.store import collections, erasures, suppressions
from countenance.vision.decode import decode
from countenance.vision.detect import FIRST
from countenance.vision.imprint import imprints, mirrored

SETS = ("congress", "london", "groups", "noface", "geo")
QUALITY = 90  # of the JPEG that a variant is saved as, unless its name says another


def _trimmed(left: float, top: float, right: float, bottom: float) -> Callable[[Image.Image], Image.Image]:
    def trim(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop(
            (round(left * width), round(top * height), round(width * (1 - right)), round(height * (1 - bottom)))
        )

    return trim


def _half(image: Image.Image) -> Image.Image:
    return image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)


def _same(image: Image.Image) -> Image.Image:
    return image


VARIANTS: dict[str, tuple[Callable[[Image.Image], Image.Image], int]] = {
    "quality 60": (_same, 60),
    "half size": (_half, QUALITY),
    "half size, quality 60": (_half, 60),
    "mirrored": (ImageOps.mirror, QUALITY),
    "mirrored, quality 60": (ImageOps.mirror, 60),
    "2 % off each side": (_trimmed(0.02, 0.02, 0.02, 0.02), QUALITY),
    "2 % off each side, quality 60": (_trimmed(0.02, 0.02, 0.02, 0.02), 60),
    "2 % off each side, mirrored, half size": (
        lambda image: _half(ImageOps.mirror(_trimmed(0.02, 0.02, 0.02, 0.02)(image))),
        QUALITY,
    ),
    "2 % off the left": (_trimmed(0.02, 0, 0, 0), QUALITY),
    "2 % off the top": (_trimmed(0, 0.02, 0, 0), QUALITY),
    "2 % off the bottom": (_trimmed(0, 0, 0, 0.02), QUALITY),
    "2 % off a corner": (_trimmed(0.02, 0.02, 0, 0), QUALITY),
    "2 % off the opposite corner": (_trimmed(0, 0, 0.02, 0.02), QUALITY),
    "beyond what is promised: 1 % off each side": (_trimmed(0.01, 0.01, 0.01, 0.01), QUALITY),
    "beyond what is promised: 3 % off each side": (_trimmed(0.03, 0.03, 0.03, 0.03), QUALITY),
    "beyond what is promised: 4 % off the left": (_trimmed(0.04, 0, 0, 0), QUALITY),
}

Row = dict[str, str]


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--erased", type=int, default=1000)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    rows, known, again, plain = _looked(args.folder)
    stored = np.stack([_bands([first, mirrored(first)]) for first, *_ in known])
    incoming = np.stack([_bands(each) for each in known])
    caught = {
        name: float(np.mean([_caught(*one) for one in zip(stored, found, strict=True)]))
        for name, found in again.items()
    }
    table = _in_a_vault(rows, known, args.erased)
    figures = {
        "pictures": len(rows),
        "too_plain": plain,
        "bands": suppressions.BANDS,
        "bits": suppressions.BITS,
        "enough": suppressions.ENOUGH,
        "tokens_per_erased": stored.shape[1] * stored.shape[2],
        "caught": caught,
        **_false(rows, stored, incoming),
        **table,
        "imprint_ms": _cost(),
    }
    json.dump(figures, sys.stdout, indent=1) if args.json else _print(figures)


def _looked(folder: Path) -> tuple[list[Row], list[tuple[bytes, ...]], dict[str, list[tuple[bytes, ...]]], int]:
    """The manifest's rows that have imprints, these, those of every variant, and how many pictures are too plain."""
    with (folder / "manifest.csv").open(newline="") as file:
        listed = [row for row in csv.DictReader(file) if row["set"] in SETS]
    rows: list[Row] = []
    known: list[tuple[bytes, ...]] = []
    again: dict[str, list[tuple[bytes, ...]]] = {name: [] for name in VARIANTS}
    plain = 0
    for row in listed:
        content = (folder / row["path"]).read_bytes()
        try:
            found, whole = imprints(decode(content, FIRST).pixels), Image.fromarray(decode(content).pixels)
        except BadImage:
            continue
        if not found:
            plain += 1
            continue
        rows.append(row)
        known.append(found)
        for name, (change, quality) in VARIANTS.items():
            stream = io.BytesIO()
            change(whole).save(stream, "JPEG", quality=quality)
            again[name].append(imprints(decode(stream.getvalue(), FIRST).pixels))
    return rows, known, again, plain


def _bands(found: tuple[bytes, ...] | list[bytes]) -> np.ndarray:
    """Each imprint's band values as numbers, shape (n, BANDS): equal where the tokens are equal."""
    bits = np.unpackbits(np.frombuffer(b"".join(found), np.uint8).reshape(len(found), -1), axis=1)
    return bits[:, suppressions.choice()] @ (1 << np.arange(suppressions.BITS))


def _caught(stored: np.ndarray, found: tuple[bytes, ...]) -> bool:
    if not found:
        return False
    new = _bands(found)
    return bool(((new[:, None] == stored[None]).any(axis=1).sum(axis=1) >= suppressions.ENOUGH).any())


def _false(rows: list[Row], stored: np.ndarray, incoming: np.ndarray) -> dict[str, Any]:
    """Bands in common for every ordered pair: in the worst window, as it is and mirrored."""
    most = np.zeros((len(rows), len(rows)), np.uint8)
    for side in range(stored.shape[1]):
        for window in range(incoming.shape[1]):
            common = np.zeros_like(most)
            for band in range(suppressions.BANDS):
                common += stored[:, side, band][:, None] == incoming[:, window, band][None]
            np.maximum(most, common, out=most)
    same = _same_picture(rows)
    person = np.array([row["person"] for row in rows])
    sessions = (person[:, None] == person[None]) & (person[:, None] != "")
    counts = np.bincount(most[~same], minlength=suppressions.ENOUGH + 1)
    return {
        "pairs": int((~same).sum()),
        "same_picture_pairs_left_out": int(same.sum() - len(rows)) // 2,
        "false_pairs": int(counts[suppressions.ENOUGH :].sum()),
        "pairs_of_one_person": int((sessions & ~same).sum()),
        "most_in_common": int(most[~same].max()),
        "most_in_common_of_strangers": int(most[~same & ~sessions].max()),
        "pairs_by_bands_in_common": counts[: int(most[~same].max()) + 1].tolist(),
    }


def _same_picture(rows: list[Row]) -> np.ndarray:
    """Whether two rows of the manifest are one picture; each is one with itself."""
    keys = [
        (row["sha256"], row["orig_sha256"] or row["sha256"], row["set"] + Path(row["path"]).stem.split("__")[-1])
        for row in rows
    ]
    same = np.eye(len(rows), dtype=bool)
    for column in range(3):
        values = np.array([key[column] for key in keys])
        same |= values[:, None] == values[None]
    return same


def _in_a_vault(rows: list[Row], known: list[tuple[bytes, ...]], erased: int) -> dict[str, Any]:
    """Erase a random choice in a real vault's table, look the others up, and take the time."""
    order = random.Random(1).sample(range(len(rows)), len(rows))
    gone, others = order[:erased], order[erased:]
    same = _same_picture(rows)
    others = [n for n in others if not same[n, gone].any()]
    with tempfile.TemporaryDirectory() as folder:
        countenance.create(Path(folder) / "vault")
        with countenance.open(Path(folder) / "vault", clock=lambda: datetime(2026, 11, 23, tzinfo=UTC)) as vault:
            collection = vault.create_collection("benchmark")
            with vault.database.read() as tx:
                began = time.process_time()
                for n in others:
                    suppressions.like(tx, known[n])
                empty = (time.process_time() - began) / len(others)
            with vault.database.write() as tx:
                erasure = ids.new("erasure")
                erasures.insert_planned(
                    tx, erasure, collections.find(tx, collection.id).id, "photo", {"states": []}, ()
                )
                began = time.process_time()
                for n in gone:
                    suppressions.add_picture(tx, (known[n][0], mirrored(known[n][0])), erasure)
                adding = time.process_time() - began
            with vault.database.read() as tx:
                began = time.process_time()
                refused = sum(suppressions.like(tx, known[n]) is not None for n in others)
                full = (time.process_time() - began) / len(others)
            with vault.database.write() as tx:  # so that opening it once more finds no erasure to finish
                erasures.advance(tx, erasure, "certified", {"states": []})
    return {
        "erased": erased,
        "incoming": len(others),
        "incoming_refused": refused,
        "look_up_ms": round(full * 1000, 3),
        "look_up_empty_ms": round(empty * 1000, 3),
        "erase_ms": round(adding / erased * 1000, 3),
    }


def _cost() -> float:
    """Milliseconds for the imprints of 0.25 Mpx, the best of 100."""
    pixels = np.random.default_rng(1).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    best = 1.0
    for _ in range(100):
        began = time.process_time()
        imprints(pixels)
        best = min(best, time.process_time() - began)
    return round(best * 1000, 3)


def _print(figures: dict[str, Any]) -> None:
    print(
        f"{figures['pictures']:,} pictures; {figures['too_plain']} more are too plain to be recognised by their look\n"
    )
    for name, share in figures["caught"].items():
        print(f"{name:<45}{100 * share:7.2f} % caught")
    print(
        f"\nfalse refusals: {figures['false_pairs']} of {figures['pairs']:,} ordered pairs "
        f"({figures['pairs_of_one_person']:,} of them two pictures of one person); needed {figures['enough']} bands in "
        f"common, most found {figures['most_in_common']}, of two people {figures['most_in_common_of_strangers']}; pairs by "
        f"bands in common {figures['pairs_by_bands_in_common']}\n"
        f"against {figures['erased']:,} erased photos: {figures['incoming_refused']} of {figures['incoming']:,} incoming "
        f"refused; look-up {figures['look_up_ms']} ms, {figures['look_up_empty_ms']} ms with none erased\n"
        f"{figures['tokens_per_erased']} tokens for each erased photo, made in {figures['erase_ms']} ms; "
        f"imprints of 0.25 Mpx {figures['imprint_ms']} ms"
    )


if __name__ == "__main__":
    main()
