"""Searching files for bytes that must be gone.

The patterns are held in memory only. A canary is planted for each search: one that does not find it proves nothing and
fails. The engine is Hyperscan, on every core: `bench/erase.py` prints what it reads in a second.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from countenance.errors import VaultError
from countenance.ids import Random

WINDOW = 64  # bytes of a long value that count as finding it
SPACING = 2048  # bytes between two windows of a long value at most
SHORTEST = 8  # bytes; shorter values stand in random bytes by chance
VARIED = 32  # different bytes that a window of a picture has; padding has few, and coded pixels about 57
CHUNK = 1 << 24
SHARD = 30_000  # patterns a pass: they compile in about 2 s, and ten times as many in far more than ten times that
CANARY = "canary"
PLACES = ("vault", "temporary-folder", "exports")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a search through the files found."""

    places: tuple[str, ...]  # of PLACES, those that were searched
    files: int
    bytes: int
    patterns: int
    short: int  # values too short to be searched for
    hits: int  # files with a pattern in them
    control_hits: int  # canaries found, as they must be
    where: tuple[str, ...]  # names of the files with hits: inside the vault relative to it, elsewhere in full


def forms_of_template(template: np.ndarray[tuple[int], np.dtype[np.float32]]) -> list[bytes]:
    """A template as float32, float16 and int8, little-endian."""
    scale = float(np.abs(template).max()) / 127 or 1.0
    return [
        template.astype("<f4").tobytes(),
        template.astype("<f2").tobytes(),
        np.round(template / scale).astype(np.int8).tobytes(),
    ]


def pixels_of(picture: bytes) -> list[bytes]:
    """Windows of a coded picture that no other picture has: from its middle on, and none that is mere padding."""
    return varied(picture[len(picture) // 2 :])


def varied(piece: bytes) -> list[bytes]:
    """The windows of a piece of a picture that are not mere padding."""
    return [window for window in windows(piece) if len(set(window)) >= VARIED]


def windows(value: bytes) -> list[bytes]:
    """The parts of a value whose presence in a file means that the value is there, from its start to its end."""
    if len(value) < SHORTEST:
        return []
    if len(value) <= WINDOW:
        return [value]
    last = len(value) - WINDOW
    count = -(-last // SPACING)
    return [value[at : at + WINDOW] for at in (last * n // count for n in range(count + 1))]


def scan(
    vault: Path,
    values: Iterable[bytes],
    *,
    words: Iterable[bytes] = (),
    temporary: Path | None = None,
    exports: Sequence[Path] = (),
    random: Random = os.urandom,
) -> Scan:
    """Search every file of a vault, a temporary folder and these exports for any window of these values.

    In the temporary folder only what this user has written since the vault was made, and not for `words`, such as
    addresses and names: other programs' files hold them by right. Raises VaultError if a planted canary is not found, or
    a file cannot be read.
    """
    values, words = dict.fromkeys(values), dict.fromkeys(words)
    text = dict.fromkeys(window for word in words for window in windows(word))
    patterns = list(text | dict.fromkeys(window for value in values for window in windows(value)))
    canary = random(WINDOW)
    planted = [folder / CANARY for folder in (vault, temporary) if folder]
    hits: set[Path] = set()
    files: dict[Path, int] = {}
    control = passes = 0
    try:
        for path in planted:
            _plant(path, random(4096) + canary + random(4096))
        files = {path: path.stat().st_size for path in exports if path.is_file()} | dict(_under(vault, lambda _: True))
        foreign = written(vault, temporary) if temporary else {}
        files |= foreign
        for first in range(0, max(1, len(patterns)), SHARD):
            passes += 1
            shard = patterns[first : first + SHARD]
            for path, found in _search(files, [*shard, canary]):
                if path in planted:
                    control += len(shard) in found
                elif any(shard[n] not in text or path not in foreign for n in found - {len(shard)}):
                    hits.add(path)
    except OSError as error:
        raise VaultError(
            f"A file could not be searched ({error.strerror}: {error.filename}), so nothing was certified. "
            "Make it readable or remove it, and run `countenance erase --resume`."
        ) from None
    finally:
        for path in planted:
            path.unlink(missing_ok=True)
    if control < passes * len(planted):
        raise VaultError("The byte scan did not find its own canary, so it proves nothing. Nothing was certified.")
    return Scan(
        places=tuple(name for name, there in zip(PLACES, (vault, temporary, exports), strict=True) if there),
        files=len(files) - len(planted),
        bytes=sum(size for path, size in files.items() if path not in planted),
        patterns=len(patterns),
        short=sum(len(value) < SHORTEST for value in values | words),
        hits=len(hits),
        control_hits=control,
        where=tuple(sorted(str(path.relative_to(vault) if path.is_relative_to(vault) else path) for path in hits)),
    )


def written(vault: Path, temporary: Path) -> dict[Path, int]:
    """What this user has written in the temporary folder since the vault was made: files and their sizes in bytes."""
    mine, made = os.getuid(), (vault / "vault.toml").stat().st_mtime
    found = _under(temporary, lambda found: found.st_uid == mine and found.st_mtime >= made)
    return {path: size for path, size in found if not path.is_relative_to(vault)}


def digest(path: Path) -> str | None:
    """A file's SHA-256 in hexadecimal; None if it is not there."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _plant(path: Path, content: bytes) -> None:
    """Write a canary, readable by its owner only; one that a crash left is replaced."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _under(folder: Path, wanted: Callable[[os.stat_result], bool]) -> Iterator[tuple[Path, int]]:
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            try:
                found = path.lstat()
            except FileNotFoundError:  # another process removed it meanwhile: then nothing of it is there
                continue
            if stat.S_ISREG(found.st_mode) and wanted(found):
                yield path, found.st_size


def _search(files: dict[Path, int], patterns: list[bytes]) -> Iterator[tuple[Path, set[int]]]:
    """Search each file, on every core; yields (file, numbers of the patterns that are in it) for those with any."""
    import hyperscan  # noqa: PLC0415 - only an erasure needs it

    engine: Any = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    engine.compile(
        expressions=[f"|{pattern.hex('|')}".replace("|", "\\x").encode() for pattern in patterns],
        ids=list(range(len(patterns))),
        elements=len(patterns),
        flags=[hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_DOTALL] * len(patterns),
    )
    mine = local()

    def look(piece: tuple[Path, int]) -> tuple[Path, set[int]]:
        path, at = piece
        found: set[int] = set()
        if not hasattr(mine, "buffer"):  # one scratch space and one buffer a thread
            mine.scratch, mine.buffer = hyperscan.Scratch(engine), bytearray(CHUNK + WINDOW - 1)
        if size := _read(path, at, mine.buffer):
            engine.scan(
                memoryview(mine.buffer)[:size],
                match_event_handler=lambda number, *_: found.add(number),
                scratch=mine.scratch,
            )
        return path, found

    # Pieces overlap by one window less a byte, so that nothing hides on a border.
    pieces = ((path, at) for path, size in files.items() for at in range(0, max(1, size), CHUNK))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from ((path, found) for path, found in pool.map(look, pieces) if found)


def _read(path: Path, at: int, buffer: Any) -> int:
    """Fill the buffer from this place of a file on; returns how many bytes there were."""
    try:
        with path.open("rb", buffering=0) as file:
            file.seek(at)
            size = 0
            while got := file.readinto(memoryview(buffer)[size:]):
                size += got
            return size
    except FileNotFoundError:  # another process removed it meanwhile
        return 0
