"""What must not come back: tokens under the suppression key. No template, no hash that could be tried out without it.

A file and an address have one token each, an HMAC. A picture has one for each band of its imprint (`vision.imprint`), as
it is and mirrored; a band is a fixed choice of bits. What shares `ENOUGH` bands with an erased picture is taken to be the
same one.

Without the key a token says nothing but that two erased pictures have a band in common, so look alike. Whoever has the
vault's keys could try all values of a band and learn the imprint: a picture's rough light and dark, no template.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from numpy.typing import NDArray
from sqlalchemy import Integer, bindparam, column, exists, func, select
from sqlalchemy.dialects.sqlite import insert

from countenance.records import ErasedBefore
from countenance.store.database import Tx, among
from countenance.store.erasures import EXPIRED
from countenance.store.tables import band, suppression

BANDS = 36
BITS = 20  # a band: with fewer, more strangers share one and the look-up grows; with more, fewer copies do
ENOUGH = 6
"""Bands in common, in one window, by which a picture is recognised.

Measured with bench/stay_erased.py on 1,913 photographs, portraits of one studio in one pose among them: at JPEG quality 60,
half size, mirrored, or with 2 % off any sides 99.90 to 100 % are caught (2 % off all sides, mirrored and at half size is the
99.90); of 3,657,652 ordered pairs of different pictures none reaches 6: one pair of one person in one session has 5 in
common, two different people have at most 3. So two frames of a burst may count as one picture.
"""

_TOKEN = 8  # bytes of a band's

# Asked for every photo: building a statement costs five times what running it does, so these are built once.
_BY = select(suppression.c.erasure_id, suppression.c.kind).where(suppression.c.token == bindparam("token"))
_ANY = select(exists().select_from(band))
_EACH = func.json_each(bindparam("tokens")).table_valued(column("key", Integer), column("value", Integer))
_LIKE = (
    select(suppression.c.erasure_id)
    .select_from(
        _EACH.join(band, band.c.token == _EACH.c.value).join(suppression, suppression.c.row == band.c.suppression)
    )
    .group_by(suppression.c.row, _EACH.c.key // BANDS)  # each window of the new picture for itself
    .having(func.count() >= ENOUGH)
    .order_by(func.count().desc(), suppression.c.row)
    .limit(1)
)
_ADD = insert(suppression).on_conflict_do_nothing().returning(suppression.c.row)
_ADD_BANDS = (
    band.insert()
    .prefix_with("OR IGNORE")
    .from_select(["token", "suppression"], select(_EACH.c.value, bindparam("row", type_=Integer)))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppressed:
    """One row that an erasure left, as the erasure ledger keeps it. It means nothing without the suppression key."""

    kind: str  # content, address, picture, expired
    token: bytes  # 32 bytes
    erasure_id: str
    bands: bytes = b""  # of a picture: the tokens of its bands, 8 bytes each, ascending


def content(tx: Tx, sha256: bytes) -> bytes:
    """The token of a photo's exact content."""
    return tx.keys.suppression_token("content", sha256)


def expired(tx: Tx, collection_id: str, sha256: bytes) -> bytes:
    """The token of a file whose time in a collection is over; another collection may have it, for its own purpose."""
    return tx.keys.suppression_token(EXPIRED, collection_id.encode() + b"\0" + sha256)


def address(tx: Tx, location: str, path: str) -> bytes:
    """The token of a photo's address in a source's location."""
    return tx.keys.suppression_token("address", os.fsencode(location) + b"\0" + os.fsencode(path))


def add(tx: Tx, token: bytes, kind: str, erasure_id: str) -> int | None:
    """Suppress what has this token from now on, and return the row; None if it was there, which is as good."""
    values = {"token": token, "kind": kind, "erasure_id": erasure_id}
    row: int | None = tx.sql.execute(_ADD, values).scalar_one_or_none()
    return row


def add_picture(tx: Tx, imprints: Sequence[bytes], erasure_id: str) -> None:
    """Suppress the picture that has these imprints (32 bytes each), in whatever encoding it comes back."""
    row = add(tx, tx.keys.suppression_token("picture", b"".join(imprints)), "picture", erasure_id)
    if row is not None:
        _add_bands(tx, row, _tokens(tx, imprints))


def by(tx: Tx, *tokens: bytes) -> str | None:
    """The erasure that suppressed one of these tokens, or None."""
    found = reached(tx, *tokens)
    return found.erasure_id if found else None


def reached(tx: Tx, *tokens: bytes) -> ErasedBefore | None:
    """The erasure that suppressed one of these tokens and the token's kind, or None."""
    found = (tx.sql.execute(_BY, {"token": token}).first() for token in tokens)
    return next((ErasedBefore(erasure_id=row.erasure_id, by=row.kind) for row in found if row), None)


def like(tx: Tx, imprints: Sequence[bytes]) -> ErasedBefore | None:
    """The erasure that reached the picture of which these are the imprints, or None. Costs nothing if none are kept."""
    if not imprints or not tx.sql.execute(_ANY).scalar_one():
        return None
    erasure_id = tx.sql.execute(_LIKE, {"tokens": str(_tokens(tx, imprints))}).scalar()
    return None if erasure_id is None else ErasedBefore(erasure_id=erasure_id, by="picture")


def counts(tx: Tx, erasure_id: str) -> dict[str, int]:
    """How many tokens an erasure left, by kind: address, content, picture, and the pictures' bands."""
    of_it = suppression.c.erasure_id == erasure_id
    query = select(suppression.c.kind, func.count().label("n")).where(of_it).group_by(suppression.c.kind)
    found = {row.kind: row.n for row in tx.sql.execute(query)}
    bands = tx.sql.execute(select(func.count()).select_from(suppression.join(band)).where(of_it)).scalar_one()
    return found | ({"band": bands} if bands else {})


def of(tx: Tx, erasure_id: str) -> list[Suppressed]:
    """Every row that an erasure left, oldest first."""
    query = select(suppression).where(suppression.c.erasure_id == erasure_id).order_by(suppression.c.row)
    rows = tx.sql.execute(query).all()
    pictures = among(band.c.suppression, [row.row for row in rows if row.kind == "picture"])
    bands: dict[int, bytearray] = {row.row: bytearray() for row in rows}
    for one in tx.sql.execute(select(band).where(pictures).order_by(band.c.token)):
        bands[one.suppression] += one.token.to_bytes(_TOKEN, "big", signed=True)
    return [
        Suppressed(kind=row.kind, token=row.token, erasure_id=row.erasure_id, bands=bytes(bands[row.row]))
        for row in rows
    ]


def put_back(tx: Tx, rows: Iterable[Suppressed]) -> None:
    """Put rows of `of` in again; what is there already stays as it is. The erasures they name must be in the records."""
    for one in rows:
        row = add(tx, one.token, one.kind, one.erasure_id)
        if row is not None and one.bands:
            pieces = (one.bands[start : start + _TOKEN] for start in range(0, len(one.bands), _TOKEN))
            _add_bands(tx, row, [int.from_bytes(piece, "big", signed=True) for piece in pieces])


def _add_bands(tx: Tx, row: int, tokens: list[int]) -> None:
    tx.sql.execute(_ADD_BANDS, {"row": row, "tokens": str(tokens)})


def _tokens(tx: Tx, imprints: Sequence[bytes]) -> list[int]:
    """The tokens of every band of each imprint, in order.

    A token is half a block of AES-256 (FIPS 197), a keyed function of the band's number and bits, under a key made for
    nothing else. 360 of them take 0.02 ms at once; as many HMACs would take 0.65.
    """
    key = tx.keys.suppression_token("bands", b"")
    bits = np.unpackbits(np.frombuffer(b"".join(imprints), np.uint8).reshape(len(imprints), -1), axis=1)
    values = np.packbits(bits[:, choice()], axis=2)
    blocks = np.zeros((len(imprints), BANDS, 16), np.uint8)
    blocks[:, :, 0] = np.arange(BANDS)
    blocks[:, :, 1 : 1 + values.shape[2]] = values
    cipher = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # noqa: S305  (each block stands for itself)
    halves: list[int] = np.frombuffer(cipher.update(blocks.tobytes()), ">i8")[::2].tolist()
    return halves


@functools.cache
def choice() -> NDArray[np.intp]:
    """Which bits of 256 each band takes, shape (BANDS, BITS): as many orders of them all as are needed, cut into bands.

    An order is that of the bits' SHA-256, so that it is the same for ever, and no bit counts more than another.
    """
    each = 256 // BITS
    orders = [
        sorted(range(256), key=lambda bit, order=order: hashlib.sha256(f"{order} {bit}".encode()).digest())  # type: ignore[misc]
        for order in range(-(-BANDS // each))
    ]
    return np.array([order[n * BITS : (n + 1) * BITS] for order in orders for n in range(each)][:BANDS])
