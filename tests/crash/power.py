"""The disk states that a power cut may leave, built from the record of an act's calls.

The model: a file's bytes written or cut off are on the disk for certain once that file was synced; names made, renamed
and removed once their folder was synced. Of everything since, any subset may have arrived, in any order. Of one write,
the first half may have. SQLite's -shm lies in memory and is never there. Of each prefix of the record these subsets are
tried: all of them where at most four calls are in the balance; else all lost, none lost, each single one lost, each
single one kept, and some drawn with a seed. States that come to the same are judged once.

Not covered: sectors that decay by themselves, drives that lie about syncs, and a write torn into more than two parts.
`area="keys"` takes the prefixes in which the folder keys/ or a source changes, with what SQLite has not synced as one
piece, lost or kept; `area="all"` takes every prefix and every call by itself.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

RECORD = struct.Struct("=IIIIQQQQ")  # struct record of fault.c
CREATE, WRITE, TRUNCATE, RENAME, UNLINK, LINK, MKDIR, SYNC = range(8)
KINDS = ("create", "write", "truncate", "rename", "unlink", "link", "mkdir", "sync")
FEW = 4  # calls in the balance of which every subset is tried


@dataclass(slots=True)
class Op:
    """One recorded call."""

    number: int
    path: str
    other: str
    inode: int
    offset: int
    length: int
    data: bytes
    mtime: int
    failed: bool = False
    file: int = -1  # which file it changes, over all renames

    @property
    def kind(self) -> str:
        return KINDS[self.number]

    @property
    def of_names(self) -> bool:
        return self.number in {CREATE, RENAME, UNLINK, LINK, MKDIR}

    def role(self, here: Path) -> str:
        return os.path.relpath(self.path.removesuffix(" (deleted)"), here).rstrip("0123456789")


def read(record: Path) -> list[Op]:
    """The calls of a record, in order."""
    data, at, found = record.read_bytes(), 0, []
    while at < len(data):
        number, path, other, failed, inode, offset, length, mtime = RECORD.unpack_from(data, at)
        at += RECORD.size
        parts = []
        for size in (path, other, length if number == WRITE else 0):
            parts.append(data[at : at + size])
            at += size
        names = [os.fsdecode(part) for part in parts[:2]]
        found.append(Op(number, *names, inode, offset, length, parts[2], mtime, bool(failed)))
    return found


@dataclass(slots=True)
class Disk:
    """Names, and what the files hold: of each its bytes and its time."""

    names: dict[str, int]
    files: dict[int, tuple[bytearray, int]]
    folders: set[str]
    freed: list[tuple[str, bytes]]  # bytes cut off, which stay on the medium

    def apply(self, op: Op, part: int | None = None) -> None:
        """Let a call arrive, or the first `part` bytes of a write."""
        content, time = self.files.setdefault(op.file, (bytearray(), op.mtime))
        if op.number == CREATE:
            self.names[op.path] = op.file
        elif op.number == WRITE:
            data = op.data[:part]
            content.extend(bytes(max(0, op.offset - len(content))))
            content[op.offset : op.offset + len(data)] = data
            time = op.mtime
        elif op.number == TRUNCATE:
            self.freed.append((op.path, bytes(content[op.offset :])))
            content[op.offset :] = bytes(max(0, op.offset - len(content)))
            time = op.mtime
        elif op.number in {RENAME, LINK} and op.path in self.names:
            self.names[op.other] = self.names[op.path]
            if op.number == RENAME:
                del self.names[op.path]
        elif op.number == UNLINK:
            self.names.pop(op.path, None)
        elif op.number == MKDIR:
            self.folders.add(op.path)
        self.files[op.file] = (content, time)

    def build(self, here: Path) -> None:
        """Write it all out."""
        here.mkdir()
        for folder in sorted(self.folders):
            if Path(folder).parent.is_dir():
                Path(folder).mkdir(exist_ok=True, mode=0o700)
        for name, file in self.names.items():
            content, time = self.files[file]
            if not name.endswith("-shm") and Path(name).parent.is_dir():
                Path(name).write_bytes(content)
                os.utime(name, ns=(time, time))


@dataclass(frozen=True)
class State:
    """One state: the calls that were made, those that were lost, and one of which only half arrived."""

    cuts: Cuts
    at: int
    gone: frozenset[int]
    torn: int | None = None

    @property
    def lost(self) -> str:
        half = [] if self.torn is None else [f"half of {self.cuts.named(self.torn)}"]
        return ", ".join([self.cuts.named(n) for n in sorted(self.gone)] + half) or "nothing"

    @property
    def arrived(self) -> tuple[frozenset[int], int | None]:
        changes = (n for n in range(self.at) if n not in self.gone and self.cuts.done[n].number != SYNC)
        return frozenset(changes), self.torn

    def build(self, here: Path) -> None:
        disk = self.cuts.begin()
        for n, op in enumerate(self.cuts.done[: self.at]):
            if n not in self.gone and op.number != SYNC:
                disk.apply(op, len(op.data) // 2 if n == self.torn else None)
        disk.build(here)


class Cuts:
    """The power cuts of one recorded act."""

    def __init__(self, prepared: Path, here: Path, done: list[Op]) -> None:
        self.prepared, self.here = prepared, here
        self.done = [op for op in done if not (op.failed or op.path.endswith("-shm"))]
        disk = self.begin()
        known: dict[int, int] = {}
        for op in self.done:
            if op.number == CREATE:
                known[op.inode] = len(disk.files)
            op.file = known.setdefault(op.inode, disk.names.get(op.path.removesuffix(" (deleted)"), len(disk.files)))
            if op.number == UNLINK:
                known.pop(op.inode, None)  # the number may be given again
            if op.number != SYNC:
                disk.apply(op)
        self.end = disk

    def begin(self) -> Disk:
        """The disk before the act."""
        paths = sorted(self.prepared.rglob("*"))
        there = {path: str(self.here / path.relative_to(self.prepared)) for path in paths}
        files = [path for path in paths if path.is_file()]
        return Disk(
            names={there[path]: n for n, path in enumerate(files)},
            files={n: (bytearray(path.read_bytes()), path.stat().st_mtime_ns) for n, path in enumerate(files)},
            folders={there[path] for path in paths if path.is_dir()},
            freed=[],
        )

    def named(self, n: int) -> str:
        op = self.done[n]
        return f"{n} {op.kind} {op.role(self.here)}"

    def sqlite(self, n: int) -> bool:
        return "records.db" in self.done[n].path

    def states(self, *, area: str, seed: int, some: int = 4, limit: int = 0) -> Iterator[State]:
        """Each state once; of more than `limit` (if one is given) that many, drawn with the seed."""
        draw = random.Random(seed)
        unique: dict[tuple[frozenset[int], int | None], State] = {}
        for at in range(len(self.done) + 1):
            if area == "keys" and (at == 0 or self.sqlite(at - 1)):
                continue
            for state in self._of_prefix(at, area, some, draw):
                unique.setdefault(state.arrived, state)
        found = list(unique.values())
        yield from found if not limit or len(found) <= limit else sorted(draw.sample(found, limit), key=lambda s: s.at)

    def _of_prefix(self, at: int, area: str, some: int, draw: random.Random) -> Iterator[State]:
        volatile = self._volatile(at)
        pieces = [frozenset([n]) for n in volatile if area == "all" or not self.sqlite(n)]
        if area == "keys" and (rest := frozenset(n for n in volatile if self.sqlite(n))):
            pieces.append(rest)
        every = range(len(pieces))
        if len(pieces) <= FEW:
            lost = [set(chosen) for size in range(len(pieces) + 1) for chosen in combinations(every, size)]
        else:
            lost = [set(), set(every), *({n} for n in every), *(set(every) - {n} for n in every)]
            lost += [{n for n in every if draw.random() < 0.5} for _ in range(some)]
        for chosen in lost:
            yield State(self, at, frozenset().union(*(pieces[n] for n in chosen)))
        last = volatile[-1] if volatile else None
        if last is not None and last == at - 1 and self.done[last].number == WRITE:
            yield State(self, at, frozenset(), torn=last)

    def _volatile(self, at: int) -> list[int]:
        """The calls before `at` that no sync has made certain."""
        files: set[int] = set()
        folders: set[str] = set()
        found = []
        for n in range(at - 1, -1, -1):
            op = self.done[n]
            if op.number == SYNC:
                if op.length:
                    folders.add(op.path)
                else:
                    files.add(op.file)
            elif op.of_names:
                parents = {str(Path(path).parent) for path in (op.path, op.other) if path}
                if not parents <= folders:
                    found.append(n)
            elif op.file not in files:
                found.append(n)
        return found[::-1]

    def medium(self, value: bytes) -> list[str]:
        """Where these bytes lie on the medium at the end: in files, removed files, and what was cut off files."""
        named = {file: os.path.relpath(name, self.here) for name, file in self.begin().names.items()}
        named |= {op.file: op.role(self.here) for op in self.done if op.number != RENAME}
        held = [named[file] for file, (content, _) in self.end.files.items() if value in content]
        return sorted({*held, *(os.path.relpath(name, self.here) for name, freed in self.end.freed if value in freed)})
