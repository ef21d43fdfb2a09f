"""Measure erasing in a large vault: python bench/erase.py [--faces 1000000] [--json].

Builds a vault with one face a photo (random templates, crops of 3.6 kB as real ones have) and one other process's worth
of log, then alternates between reading every byte of it in sequence and erasing 1,000 faces: files at the source
deleted, keys destroyed, rows purged, every file searched, certificate signed. Then erases faces one at a time, without
the final search of the files. `ratio_read` is the median erasure over the median reading, both from the disk: the
system is asked to drop the vault's files from its memory before each. The figures called warm are taken with all of
them in memory, where reading is copying and the search is bound by the processor.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import countenance
from countenance import ids
from countenance.audit import log
from countenance.orders import erase, residue, scope
from countenance.records import Address, Entry, Photo, Quality, SeenFace
from countenance.settings import Settings
from countenance.store import faces, photos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BATCH = 1_000
CROP = 3_600  # bytes: the median on group photos is 3,579
GOOD = Quality(sharpness=90, illumination=90, pose=90, size=90, confidence=90)
BOX = (100, 100, 80, 80)
STATED = {
    "purpose": "measuring",
    "controller": "the benchmark",
    "contact": "the benchmark",
    "art6": "legitimate-interests",
    "art9": "made-public",
    "notice": "no people",
    "retention_days": 365,
    "mode": "all",
    "justification": "random numbers",
    "takes_in": ("GB",),
    "established": "GB",
}


def build(vault: countenance.Vault, folder: Path, count: int, files: int) -> list[str]:
    """Fill a vault with `count` photos of one face; the first `files` exist as files. Returns those photos' ids."""
    collection = vault.create_collection("faces", **STATED)
    source = vault.create_source(folder, collection="faces", controller="x", evidence="y", on_erase="delete")
    random = np.random.default_rng(1)
    now = datetime.now(UTC)
    made: list[str] = []
    began = time.monotonic()
    for first in range(0, count, BATCH):
        vectors = random.standard_normal((BATCH, 128), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        with vault.database.write() as tx:
            entries = [
                _photo(
                    tx, vault, source.id, collection.id, folder, first + n, vectors[n], now, exists=first + n < files
                )
                for n in range(min(BATCH, count - first))
            ]
            made += [photo_id for photo_id, _ in entries]
            log.extend(tx, [entry for _, entry in entries])
        done = first + BATCH
        seconds = (time.monotonic() - began) / done * (count - done)
        if done % 50_000 == 0:
            print(f"built {done:,} of {count:,}; {seconds:.0f} s left", file=sys.stderr)
    return made[:files]


def _photo(  # noqa: PLR0917
    tx: Any,
    vault: countenance.Vault,
    source: str,
    collection: str,
    folder: Path,
    number: int,
    template: Any,
    now: datetime,
    *,
    exists: bool,
) -> tuple[str, Entry]:
    content = os.urandom(CROP)
    address = Address(path=f"{number:09d}.jpg", size=len(content), modified_ns=number)
    if exists:
        (folder / address.path).write_bytes(content)
        found = (folder / address.path).stat()
        address = Address(path=address.path, size=found.st_size, modified_ns=found.st_mtime_ns)
    sha256 = content[:32]
    photo = Photo(
        id=ids.new("photo"),
        collection_id=collection,
        source_id=source,
        address=address.path,
        state="held",
        reason=None,
        width=4000,
        height=3000,
        taken_at="2026-01-01T12:00:00",
        added_at=now,
        expires_at=now + timedelta(days=365),
        evidence=(),
        faces=1,
    )
    item = photos.put(
        tx,
        photo,
        stat=photos.stat_token(tx, source, address),
        content=photos.content_token(tx, sha256),
        sha256=sha256,
        scan=1,
        enrolments=0,
        extra={"size": address.size, "modified_ns": address.modified_ns, "latitude": None, "longitude": None},
    )
    seen = SeenFace(
        box=BOX,
        landmarks=((0.0, 0.0),) * 5,
        quality=GOOD,
        reasons=(),
        template=template,
        crop=content,
        crop_box=BOX,
    )
    face_id = ids.new("face")
    face_item = faces.put(
        tx,
        face_id,
        seen,
        template=template @ vault.galleries.transform(tx, collection),
        photo_id=photo.id,
        collection_id=collection,
        subject_id=None,
        enrolled=False,
        model="sface",
        expires_at=photo.expires_at,
    )
    said = {"collection": collection, "countries": [], "seen": 1, "kept": 1, "until": log.stamp(photo.expires_at)}
    parts = ((item, {"photo": photo.id}), (face_item, {"face": face_id}))
    return photo.id, Entry(kind="photo:added", public=said, parts=parts)


def forget(folder: Path) -> None:
    """Have the system drop the folder's files from its memory, so that they are read from the disk next."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read(folder: Path) -> tuple[float, int]:
    """Read every byte of every file once; returns seconds and bytes."""
    buffer = bytearray(1 << 24)
    size = 0
    began = time.perf_counter()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while got := file.readinto(buffer):
                    size += got
    return time.perf_counter() - began, size


def timed() -> tuple[dict[str, list[float]], Callable[[], None]]:
    """Time every step of the erasures from here on, and the byte scan by itself."""
    spent: dict[str, list[float]] = defaultdict(list)

    def wrapped(name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(act)
        def run(*args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return act(*args, **options)
            finally:
                spent[name].append(time.perf_counter() - began)

        return run

    steps, plan, scan = dict(erase.STEPS), erase.plan, residue.scan
    for state, step in steps.items():
        erase.STEPS[state] = wrapped(f"from {state}", step)
    erase.plan, residue.scan = wrapped("plan", plan), wrapped("scan", scan)

    def undo() -> None:
        erase.STEPS.update(steps)
        erase.plan, residue.scan = plan, scan

    return spent, undo


def erase_some(vault: countenance.Vault, photo_ids: list[str]) -> float:
    """Erase these photos with their faces; returns seconds."""
    began = time.perf_counter()
    with vault.database.read() as tx:
        reached = scope.of_photos(tx, photo_ids)
    done = vault.erase(reached)
    assert done.state == "certified"
    assert done.faces == len(photo_ids)
    return time.perf_counter() - began


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--singles", type=int, default=100)
    parser.add_argument("--folder", type=Path, help="where to build the vault; removed afterwards")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    several = min(1_000, args.faces // (2 * args.rounds + 2))
    place = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        figures = measure(place, args, several)
    finally:
        shutil.rmtree(place)
    for name, value in figures.items():
        print(f"{name:22} {value:,.3f}" if isinstance(value, float) else f"{name:22} {value:,}")
    if args.json:
        print(json.dumps(figures))


def measure(place: Path, args: argparse.Namespace, several: int) -> dict[str, float | int]:
    """Build, then alternate reading and erasing; then erase one at a time."""
    for name in ("photos", "temporary"):
        (place / name).mkdir()
    countenance.create(place / "vault")
    settings = Settings(workers=0, temporary=place / "temporary")
    with countenance.open(place / "vault", settings=settings) as vault:
        chosen = build(vault, place / "photos", args.faces, 2 * several * args.rounds + args.singles)
        began = time.perf_counter()
        with vault.database.read() as tx:
            vault.galleries.of(tx, vault.collection("faces").id)
        opened = time.perf_counter() - began
        vault.database.truncate_wal()
        spent, undo = timed()
        reading: dict[str, list[float]] = {"disk": [], "memory": []}
        erasing: dict[str, list[float]] = {"disk": [], "memory": []}
        size = 0
        for n in range(2 * args.rounds):
            kind = "memory" if n % 2 else "disk"
            prepare = forget if kind == "disk" else read
            prepare(vault.path)
            seconds, size = read(vault.path)
            reading[kind].append(seconds)
            prepare(vault.path)
            erasing[kind].append(erase_some(vault, chosen[n * several : (n + 1) * several]))
            print(f"{kind}: read {seconds:.2f} s, erased {several} in {erasing[kind][-1]:.2f} s", file=sys.stderr)
        undo()
        singles = list(one_by_one(vault, chosen[2 * args.rounds * several :], place / "temporary"))
    steps = {f"{name} s": statistics.median(times[1::2]) for name, times in spent.items()}
    cores = os.cpu_count() or 1
    scan_gb_s = size / statistics.median(spent["scan"][1::2]) / 1e9
    read_s, erase_s = ({kind: statistics.median(took) for kind, took in each.items()} for each in (reading, erasing))
    return {
        "faces": args.faces,
        "vault_bytes": size,
        "open_s": opened,
        "erased_at_once": several,
        **steps,
        "read_s": read_s["disk"],
        "erase_1000_s": erase_s["disk"],
        "ratio_read": erase_s["disk"] / read_s["disk"],
        "read_warm_s": read_s["memory"],
        "erase_1000_warm_s": erase_s["memory"],
        "ratio_read_warm": erase_s["memory"] / read_s["memory"],
        "scan_gb_s": scan_gb_s,
        "scan_gb_s_core": scan_gb_s / cores,
        "single_s": statistics.median(singles),
        "single_s_worst": max(singles),
    }


def one_by_one(vault: countenance.Vault, photo_ids: list[str], empty: Path) -> Iterator[float]:
    """Erase one face at a time, with the byte scan over an empty folder in place of the vault's files."""
    scan = residue.scan
    residue.scan = lambda _, values, **__: scan(empty, values)
    for photo_id in photo_ids:
        yield erase_some(vault, [photo_id])
    residue.scan = scan


if __name__ == "__main__":
    main()
