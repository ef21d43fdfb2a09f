"""The erasure ledger: what each rotation of the keys destroyed, and which orders stand, to bring an old backup to today.

`keys/ledger` is only ever appended to. A frame is::

    magic 8 | epoch 8 | length 4 | sealed JSON

No frame begins with zeros, so what a power cut leaves at the end (zeros, half a frame) is none; the next append cuts it
off. Each record names the SHA-256 of the frame before it and the sealed key state names the last one: a frame that was
changed, left out, put in another place or cut off shows. It is sealed under a key that is the same in every epoch, with
the epoch as associated data, and holds numbers, record ids and tokens: nothing personal.

An order is noted without a rotation, in a frame behind the last rotation's. The next rotation's frame names it and says
how many there were, so until then it can be cut off unseen, but never altered. It carries the order's row as the records
hold it: what is sealed in it opens with the order's own key and no other.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from countenance.errors import VaultDamaged
from countenance.ids import Random
from countenance.store.seal import seal, unseal

NAME = "ledger"
NONE = bytes(32)
"""What a state names before the first rotation."""

_MAGIC = b"CNLEDG1\n"
_HEAD = struct.Struct(">8sQI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one rotation did, or one order's row, and how far the records were then. `Keys` fills in the first four."""

    epoch: int = 0  # the one that began; of an order's, the one that is
    items: tuple[int, ...] = ()  # every leaf punctured, discarded ones too
    previous: str = ""  # SHA-256 of the frame before, hex
    noted: int = 0  # orders noted since the rotation before
    order: dict[str, Any] | None = None  # an order's row, bytes as hex; None: a rotation
    erasure: str | None = None  # None: a rotation without erasure
    collection: str = ""  # the erasure's
    reason: str = ""
    reached: tuple[tuple[str, str, int], ...] = ()  # kind, id, item
    tokens: tuple[tuple[str, str, str], ...] = ()  # what must not come back: kind, token and bands (hex)
    next_item: int = 1
    log_size: int = 0
    log_root: str = ""  # hex


def key(lasting: bytes | bytearray) -> bytes:
    """Return the ledger's key, made of the keys that last (HKDF, RFC 5869)."""
    return HKDF(SHA256(), 32, None, b"countenance ledger 1").derive(lasting)


def append(path: Path, under: bytes, head: bytes, record: Record, random: Random) -> bytes:
    """Append a record behind the last rotation's frame `head` and the orders noted since; return its frame's SHA-256.

    It is synced. What else follows belongs to a rotation that never came to be, and is cut off; so is what a failure
    here left.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        tail, end, last = _tail(path.read_bytes(), under, head)
        record = replace(record, previous=last.hex(), noted=0 if record.order else len(tail))
        sealed = seal(under, "ledger", record.epoch, json.dumps(asdict(record)).encode(), random=random)
        frame = _HEAD.pack(_MAGIC, record.epoch, len(sealed)) + sealed
        os.ftruncate(descriptor, end)
        try:
            written = 0
            while written < len(frame):
                written += os.pwrite(descriptor, frame[written:], end + written)
            os.fsync(descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)
    return sha256(frame).digest()


def cut(path: Path, under: bytes, head: bytes) -> None:
    """Cut off what follows the frame `head` and the orders noted since; leave a file that does not hold it as it is."""
    with suppress(OSError):
        data = path.read_bytes()
        _, end, _ = _tail(data, under, head)
        if end == 0:
            path.unlink()
        elif end < len(data):
            os.truncate(path, end)


def read(path: Path, under: bytes, head: bytes) -> list[Record]:
    """Return the records up to the frame `head` and the orders noted since, oldest first, as far back as all is whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found: list[Record] = []
    tail, _, _ = _tail(data, under, head)
    at: int | None = None  # where the frame after this one begins
    for begin, end in reversed(list(_frames(data))):
        frame = data[begin:end]
        if sha256(frame).digest() != head:
            if found:
                break
            continue
        if at not in {None, end}:
            break
        record = _open(under, frame)
        if record is None:
            break
        found.append(record)
        head, at = bytes.fromhex(record.previous), begin
    return found[::-1] + tail


def noted(path: Path, under: bytes, head: bytes) -> list[Record]:
    """Return the orders noted since the frame `head` alone, oldest first: that takes no time, however long the ledger."""
    try:
        return _tail(path.read_bytes(), under, head)[0]
    except FileNotFoundError:
        return []


def since(records: list[Record], epoch: int, now: int) -> list[Record] | None:
    """The rotations to every epoch after `epoch` up to `now`; None if one of them, or an order noted since, is missing."""
    wanted = [record for record in records if record.order is None and record.epoch > epoch]
    noted = sum(record.order is not None and record.epoch == epoch for record in records)
    whole = [record.epoch for record in wanted] == list(range(epoch + 1, now + 1))
    return wanted if whole and (not wanted or wanted[0].noted == noted) else None


def _frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Begin and end of everything that has the shape of a frame."""
    at = data.find(_MAGIC)
    while at >= 0:
        end = at
        if len(data) - at >= _HEAD.size:
            end = at + _HEAD.size + _HEAD.unpack_from(data, at)[2]
            if end <= len(data):
                yield at, end
            else:
                end = at
        at = data.find(_MAGIC, max(end, at + 1))


def _tail(data: bytes, under: bytes, head: bytes) -> tuple[list[Record], int, bytes]:
    """The orders noted since the frame `head`, where the next frame goes, and the SHA-256 of the frame before that."""
    found: list[Record] = []
    end, last = _end(data, head), head
    for begin, stop in _frames(data):
        record = _open(under, data[begin:stop]) if begin == end else None
        if record and record.order and record.previous == last.hex():
            found.append(record)
            end, last = stop, sha256(data[begin:stop]).digest()
    return found, end, last


def _end(data: bytes, head: bytes) -> int:
    """Where the frame `head` ends; where the last one does if the file does not hold it any more."""
    if head == NONE:
        return 0
    there = list(_frames(data))
    ends = (end for begin, end in reversed(there) if sha256(data[begin:end]).digest() == head)
    return next(ends, max((end for _, end in there), default=0))


def _open(under: bytes, frame: bytes) -> Record | None:
    _, epoch, _ = _HEAD.unpack_from(frame)
    try:
        said = json.loads(unseal(under, "ledger", epoch, frame[_HEAD.size :]))
    except VaultDamaged:
        return None
    said["reached"] = tuple((kind, record_id, item) for kind, record_id, item in said["reached"])
    said["tokens"] = tuple((kind, token, bands) for kind, token, bands in said["tokens"])
    return Record(**said | {"items": tuple(said["items"])})
