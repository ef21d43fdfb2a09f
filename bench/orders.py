"""Measure orders in a large vault: python bench/orders.py [--photos 100000] [--rounds 20] [--json].

The records are made directly (no vision): photos of which a third has evidence for GB, a third for FR and a third none,
each with one face. `preview_s`: counting what an order for GB reaches. `stop_s`: from the commit of an approval until a
search in each of three processes has answered without anything in scope; each round approves an order and lifts it again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

import countenance
from countenance.orders import issue
from countenance.records import Evidence, Photo, Quality, SeenFace
from countenance.settings import Settings
from countenance.store import faces, photos
from countenance.vault import Vault

ORDER = """order: countenance/order/v1
authority: An Authority
country: GB
reference: benchmark
issued: 2022-05-18
measures: [stop]
scope: {territories: [GB], unknown: exclude}
"""
ASK = {"collection": "club", "purpose": "benchmark", "case": "1", "fpir": 0.5, "top": 50}
STATED = {
    "purpose": "benchmark",
    "controller": "x",
    "contact": "x",
    "art6": "legitimate-interests",
    "art9": "made-public",
    "notice": "x",
    "retention_days": 365,
    "mode": "all",
    "justification": "x",
    "takes_in": ("GB",),
    "established": "GB",
    "representative": "x",
}
BATCH = 5_000
PERSON = 60  # photos of the person searched for


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.answer:
        _answer(Path(args.answer))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vault"
        countenance.create(path)
        with countenance.open(path, settings=Settings(workers=0, temporary=Path(folder))) as vault:
            _fill(vault, Path(folder), args.photos)
            figures = _measured(vault, args.rounds) | {"photos": args.photos}
    json.dump(figures, sys.stdout, indent=1) if args.json else [print(f"{k:14} {v}") for k, v in figures.items()]


def _fill(vault: Vault, folder: Path, count: int) -> None:
    club = vault.create_collection("club", **STATED)
    (folder / "photos").mkdir()
    source = vault.create_source(folder / "photos", collection="club", controller="x", evidence="x")
    rng = np.random.default_rng(1)
    person = rng.normal(size=128)
    quality = Quality(sharpness=90, illumination=90, pose=90, size=90, confidence=90)
    for first in range(0, count, BATCH):
        with vault.database.write() as tx:
            for n in range(first, min(count, first + BATCH)):
                place = ("GB", "FR", None)[n % 3]
                evidence = (Evidence(kind="gps", territory=place, origin="EXIF GPS position"),) if place else ()
                photo = Photo(
                    id=f"pho_{n}",
                    collection_id=club.id,
                    source_id=source.id,
                    address=f"{n}.jpg",
                    state="held",
                    reason=None,
                    width=100,
                    height=100,
                    taken_at=None,
                    added_at=datetime.now(UTC),
                    expires_at=datetime.now(UTC) + timedelta(days=365),
                    evidence=evidence,
                    faces=1,
                )
                sha256 = n.to_bytes(32, "big")
                tokens = {"stat": sha256, "content": photos.content_token(tx, sha256), "sha256": sha256}
                photos.put(tx, photo, **tokens, scan=0, enrolments=0)
                vector = person + rng.normal(size=128) * (0.1 if n < PERSON else 1e3)
                face = SeenFace(
                    box=(0, 0, 50, 50),
                    landmarks=((0.0, 0.0),) * 5,
                    quality=quality,
                    reasons=(),
                    template=None,
                    crop=b"crop",
                    crop_box=(0, 0, 50, 50),
                )
                faces.put(
                    tx,
                    f"fac_{n}",
                    face,
                    template=(vector / np.linalg.norm(vector)).astype(np.float32),
                    photo_id=photo.id,
                    collection_id=club.id,
                    subject_id=None,
                    enrolled=False,
                    model="sface",
                    expires_at=photo.expires_at,
                )


def _answer(path: Path) -> None:
    """Answer searches in a process of its own: seconds since the epoch at the end, and hits in scope."""
    with countenance.open(path, settings=Settings(workers=0)) as vault:
        for _ in sys.stdin:
            print(json.dumps(_in_scope(vault)), flush=True)


def _in_scope(vault: Vault) -> tuple[float, int]:
    found = vault.search(face="fac_1", **ASK).faces[0].hits  # number 1 is from FR and stays
    return time.time(), sum("GB" in hit.country for hit in found)


def _measured(vault: Vault, rounds: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--answer", str(vault.path)]
    pipe = subprocess.PIPE
    others = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]

    def ask() -> list[tuple[float, int]]:
        for other in others:
            assert other.stdin
            other.stdin.write("search\n")
            other.stdin.flush()
        own = _in_scope(vault)
        return [own, *(json.loads(other.stdout.readline()) for other in others if other.stdout)]

    assert all(count for _, count in ask())  # every process has its index, and finds what is in scope
    draft = vault.orders.draft(ORDER)
    previews = []
    for _ in range(5):
        began = time.perf_counter()
        vault.orders.preview(draft.id)
        previews.append(time.perf_counter() - began)
    stops, hides, lifts = [], [], []
    hide = issue.hide
    for _ in range(rounds):
        order = vault.orders.draft(ORDER)
        committed: list[float] = []

        def ask_first(database: Any, order_id: str, committed: list[float] = committed) -> int:
            """In the moment after the commit, before anything is hidden: ask every process."""
            now = time.time()
            answers = ask()
            assert not any(count for _, count in answers), "something in scope was shown after the stop"
            committed.extend(at - now for at, _ in answers)
            began = time.perf_counter()
            done = hide(database, order_id)
            hides.append(time.perf_counter() - began)
            return done

        issue.hide = ask_first
        vault.orders.approve(order.id)
        issue.hide = hide
        stops += committed
        assert not any(count for _, count in ask())
        began = time.perf_counter()
        vault.orders.lift(order.id, reason="benchmark", assessment="0" * 64)
        lifts.append(time.perf_counter() - began)
        assert all(count for _, count in ask())
    for other in others:
        other.communicate()
    return {
        "preview_s": round(float(np.median(previews)), 3),
        "stop_s_p50": round(float(np.median(stops)), 3),
        "stop_s_p99": round(float(np.percentile(stops, 99)), 3),
        "stop_answers": len(stops),
        "hide_s": round(float(np.median(hides)), 3),
        "lift_s": round(float(np.median(lifts)), 3),
    }


if __name__ == "__main__":
    main()
