"""The log as static files that any web server can serve: C2SP tlog-tiles.

::

    checkpoint              the signed state of the log, written last
    tile/<L>/<N>[.p/<W>]    256 hashes of level L, or the W that there are yet
    tile/entries/<N>[.p/<W>]    the lines themselves, each behind its length in 2 bytes, big-endian

Nothing in them is personal: lines hold commitments to their details, not the details. Whoever has the folder and the
log's public key makes every proof without the vault. A full tile is never written again; a partial one goes when the
full one is there, as the specification allows.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from countenance.audit import log
from countenance.audit.merkle import WIDTH, Tree
from countenance.audit.verify import HASH, Checkpoint, Key, leaf_hash, open_checkpoint
from countenance.errors import ProofFailed, UsageError, VaultDamaged
from countenance.store import entries
from countenance.store.database import Tx
from countenance.store.lock import held
from countenance.store.state import sync

LEVELS = 8  # of 256**8 lines there are none


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What publishing did, or would do."""

    folder: Path
    size: int  # lines
    written: tuple[str, ...]  # files, from the folder on
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """One file: `level` is a number, or "entries" for the lines themselves."""

    level: int | str
    number: int
    width: int

    @property
    def path(self) -> str:
        """Where it lies, from the folder on."""
        digits = str(self.number)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        *above, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
        name = "/".join([*(f"x{part}" for part in above), last])
        return f"tile/{self.level}/{name}" + (f".p/{self.width}" if self.width < WIDTH else "")

    @property
    def full(self) -> Tile:
        """The file that it becomes."""
        return Tile(self.level, self.number, WIDTH)


def of_size(size: int) -> Iterator[Tile]:
    """The files of a log with `size` lines."""
    for level in range(LEVELS):
        count = size >> 8 * level
        for number in range(-(-count // WIDTH)):
            width = min(WIDTH, count - number * WIDTH)
            yield Tile(level, number, width)
            if level == 0:
                yield Tile("entries", number, width)


def publish(tx: Tx, folder: Path, *, dry_run: bool = False) -> Published:
    """Bring a folder to the log's present state; a reader who comes meanwhile finds the state before or this one.

    Raises `ProofFailed`, and writes nothing, if the folder shows more or other lines than the log has, and `UsageError`
    if it is another log's.
    """
    if dry_run:
        return _brought(tx, folder, dry_run=True)
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder / ".lock"):
        return _brought(tx, folder, dry_run=False)


def read(folder: Path, key: Key) -> tuple[Checkpoint, Tree]:
    """What a published folder shows: its checkpoint, and the tree that makes proofs, read from the tiles alone.

    Raises `ProofFailed` if the key did not sign it or the tiles do not give its root; OSError if a file is missing.
    """
    try:
        found = open_checkpoint((folder / "checkpoint").read_bytes(), key)
    except ValueError as error:
        raise ProofFailed(why=f"the published checkpoint cannot be relied on: {error}") from None

    @cache
    def tile(level: int, number: int, width: int) -> list[bytes]:
        data = _bytes(folder, Tile(level, number, min(WIDTH, (found.size >> 8 * level) - number * WIDTH)))
        return [data[at : at + HASH] for at in range(0, width * HASH, HASH)]

    tree = Tree(found.size, tile)
    if tree.root() != found.root:
        raise ProofFailed(why="the published tiles do not give the root that the checkpoint signs")
    return found, tree


def lines(folder: Path, size: int) -> Iterator[bytes]:
    """The leaves of a published log of `size` lines, each as it stands in its bundle."""
    for number in range(-(-size // WIDTH)):
        width = min(WIDTH, size - number * WIDTH)
        data = _bytes(folder, Tile("entries", number, width))
        for _ in range(width):
            length = int.from_bytes(data[:2], "big")
            yield data[2 : 2 + length]
            data = data[2 + length :]


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: under another name, synced, then renamed. The folder is synced by the caller."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _brought(tx: Tx, folder: Path, *, dry_run: bool) -> Published:
    head = entries.head(tx)
    tree = log.grown(tx)
    if open_checkpoint(head.checkpoint.encode(), log.key(tx)).root != tree.root():
        raise VaultDamaged(what="the log does not give the root of its checkpoint; `countenance log verify` says more")
    file = folder / "checkpoint"
    shown = file.read_text("utf-8") if file.is_file() else ""
    if shown:
        _demand_prefix(tx, shown, folder)
    every = list(of_size(head.size))
    missing = [tile for tile in every if not (folder / tile.path).is_file()]
    full = {tile.path for tile in every if tile.width == WIDTH}
    stale = [path for path in sorted((folder / "tile").rglob("*.p")) if _name(folder, path).removesuffix(".p") in full]
    changed = shown != head.checkpoint
    written = tuple([tile.path for tile in missing] + ["checkpoint"] * changed)
    done = Published(
        folder=folder, size=head.size, written=written, removed=tuple(_name(folder, path) for path in stale)
    )
    if dry_run:
        return done
    _write(tx, folder, missing)
    if changed:
        put(file, head.checkpoint.encode())
    sync(folder)
    for path in stale:
        shutil.rmtree(path)
    return done


def _demand_prefix(tx: Tx, shown: str, folder: Path) -> None:
    """Refuse to write over a published log that today's does not begin with: readers would be told two stories."""
    name = shown.partition("\n")[0]
    if name != log.origin(tx):
        raise UsageError(f"{folder} shows another log, {name}. Nothing was written; choose an empty folder.")
    try:
        old = open_checkpoint(shown.encode(), log.key(tx))
    except ValueError as error:
        raise ProofFailed(why=f"the published checkpoint was altered ({error}). Nothing was written") from None
    if old.size > entries.head(tx).size:
        raise ProofFailed(
            why=f"{old.size} lines were published, and the log has {entries.head(tx).size}: it was rolled back. "
            "Nothing was written"
        )
    if log.grown(tx, old.size).root() != old.root:
        raise ProofFailed(why=f"the log's first {old.size} lines are not those published. Nothing was written")


def _write(tx: Tx, folder: Path, missing: list[Tile]) -> None:
    made = {folder}
    for tile in missing:
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, CONTENT.get(tile.level, _hashes)(tx, tile))
        made.update(parent for parent in path.parents if parent.is_relative_to(folder))
    for parent in sorted(made, reverse=True):
        sync(parent)


def _hashes(tx: Tx, tile: Tile) -> bytes:
    return b"".join(entries.hashes(tx, int(tile.level), tile.number * WIDTH, tile.width))


def _bundle(tx: Tx, tile: Tile) -> bytes:
    first = tile.number * WIDTH
    found = list(entries.lines(tx, only=range(first, first + tile.width)))
    if any(leaf_hash(line.leaf) != line.hash for line in found):
        raise VaultDamaged(what="a line of the log was altered; `countenance log verify` says which")
    return b"".join(len(line.leaf).to_bytes(2, "big") + line.leaf for line in found)


CONTENT: dict[int | str, Callable[[Tx, Tile], bytes]] = {"entries": _bundle}


def _bytes(folder: Path, tile: Tile) -> bytes:
    """A tile's file, or the full one if that took its place."""
    full = folder / tile.full.path
    return (full if full.is_file() else folder / tile.path).read_bytes()


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
