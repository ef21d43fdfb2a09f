"""One stretch of the exact index's memory: templates as float32 and as one byte a number, with what may be shown.

A byte x̂ of a row stands for `scale * x̂`. The scale is the block's, so one integer separates what cannot reach a
threshold from what might, whatever the row. For a probe p = step·p̂ + e and a row x = scale·x̂ + r

    p·x = step·scale·(p̂·x̂) + e·(scale·x̂) + p·r

and by Cauchy-Schwarz the last two terms are at most ‖e‖·(‖x‖ + ‖r‖) + ‖p‖·‖r‖.

Bytes lie in strips, number by number and not row by row, because onnxruntime multiplies one probe by that without
repacking it, in 0.6 of the time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LEVELS = 127  # bytes of a row go from -127 to 127
ZERO = 64
"""The byte of a probe's 0: its bytes go from 0 to 128. onnxruntime adds pairs of products in 16 bits on x86 processors
without VNNI; 2 · 128 · 127 = 32,512 still fits. With all of 0 to 255 the sum would saturate and faces would be lost."""
STRIP = 16_384  # rows scanned at once: 64 probes' sums (4 MB) stay in the cache, and there is work for each processor
LONGEST = 1.001  # norm of a template that passes for normalised
SLACK = 1e-6  # float32 rounding of the residual and of the score, each below 3e-7
PIECE = 4096  # rows encoded or moved at once: 2 MB of scratch at 128 numbers, within the second-level cache

Rows = NDArray[np.int64]


class Block:
    """Room for `capacity` rows, filled from the front.

    All of it starts as zeros: what was never filled costs no memory, and nothing freed elsewhere shows through.
    """

    def __init__(self, capacity: int, dimension: int) -> None:
        self.floats = np.zeros((capacity, dimension), np.float32)
        self.codes = np.zeros((-(-capacity // STRIP), dimension, STRIP), np.int8)
        self.excess = np.zeros(capacity, np.int32)  # ZERO times the sum of a row's bytes
        self.rows = np.zeros(capacity, np.int64)
        self.expires = np.zeros(capacity, np.int64)
        self.live = np.zeros(capacity, np.bool_)
        self.blocked = np.zeros(capacity, np.bool_)
        self.count = 0  # rows filled, removed ones among them
        self.reserved = 0  # rows lent out behind them
        self.scale = 0.0
        self.residual = 0.0  # the largest ‖x - scale·x̂‖
        self.low, self.high = 0, -1  # every row number is within; nothing is at first

    @property
    def room(self) -> int:
        """Rows that can still be reserved: none while a reservation is out."""
        return 0 if self.reserved else len(self.floats) - self.count

    def reserve(self, count: int) -> NDArray[np.float32]:
        """Lend the next `count` rows of float32 to be written in place."""
        self.reserved = count
        return self.floats[self.count : self.count + count]

    def release(self) -> None:
        """Take back what was lent, and zero it."""
        self.floats[self.count : self.count + self.reserved] = 0
        self.reserved = 0

    def commit(self, rows: Rows, expires: Rows) -> None:
        """Make the first `len(rows)` of the lent rows searchable and take back the others."""
        start, stop = self.count, self.count + len(rows)
        if len(rows):
            fresh = self.floats[start:stop]
            peak = max(float(fresh.max()), -float(fresh.min()))
            anew = peak > LEVELS * self.scale
            if anew:  # by a quarter at least, so that a block is encoded anew some seven times at most
                self.scale = max(peak / LEVELS, 1.25 * self.scale)
            self._encode(0 if anew else start, stop)
            self.low = int(rows.min()) if self.high < self.low else min(self.low, int(rows.min()))
            self.high = max(self.high, int(rows.max()))
        self.rows[start:stop] = rows
        self.expires[start:stop] = expires
        self.live[start:stop] = True
        self.blocked[start:stop] = False
        self.count = stop
        self.reserved -= len(rows)
        self.release()

    def _encode(self, start: int, stop: int) -> None:
        if start == 0:
            self.residual = 0.0
        scale = np.float32(self.scale)
        first = start
        while first < stop:
            last = min(stop, first - first % PIECE + PIECE)  # PIECE divides STRIP, so a piece lies in one strip
            scratch = self.floats[first:last] / scale
            np.rint(scratch, out=scratch)
            strip, column = divmod(first, STRIP)
            self.codes[strip, :, column : column + last - first] = scratch.T
            self.excess[first:last] = ZERO * scratch.sum(axis=1)
            scratch *= scale
            scratch -= self.floats[first:last]
            self.residual = max(self.residual, float(np.einsum("ij,ij->i", scratch, scratch).max()) ** 0.5)
            scratch.fill(0)
            first = last

    def find(self, rows: Rows) -> NDArray[np.intp]:
        """Return where those of `rows` that are held stand in this block."""
        near = rows[(rows >= self.low) & (rows <= self.high)]
        if not len(near):
            return np.empty(0, np.intp)
        return np.flatnonzero(np.isin(self.rows[: self.count], near) & self.live[: self.count])

    def remove(self, places: NDArray[np.intp]) -> None:
        """Zero the rows at `places`, and close the gaps once they are more than half of the block."""
        self._wipe(places)
        held = np.flatnonzero(self.live[: self.count])
        if self.reserved or 2 * len(held) > self.count:
            return
        for first in range(0, len(held), PIECE):
            source = held[first : first + PIECE]
            target = slice(first, first + len(source))
            for array in (self.floats, self.rows, self.expires, self.live, self.blocked):
                moved = array[source]
                array[target] = moved
                moved.fill(0)
        self._wipe(np.arange(len(held), self.count))
        self.count = len(held)
        self._encode(0, self.count)

    def _wipe(self, places: NDArray[np.intp]) -> None:
        self.live[places] = False
        self.floats[places] = 0
        self.codes[places // STRIP, :, places % STRIP] = 0
        self.excess[places] = 0
        self.rows[places] = 0
        self.expires[places] = 0
        self.blocked[places] = False

    def close(self) -> None:
        """Zero everything."""
        self.release()
        self._wipe(np.arange(self.count))
        self.count = 0

    def usable(self, places: NDArray[np.intp], now: int) -> NDArray[np.intp]:
        """Return those of `places` that may be candidates at `now`: held, not blocked, not expired."""
        return places[self.live[places] & ~self.blocked[places] & (self.expires[places] > now)]

    def strip(self, first: int) -> NDArray[np.int8]:
        """Return the bytes (d, STRIP) of the strip that starts at row `first`; beyond the last row they are 0."""
        codes: NDArray[np.int8] = self.codes[first // STRIP]
        return codes

    def cut(self, threshold: float, step: float, error: float) -> int:
        """Return the least p̂·x̂ with which a row of this block can score `threshold`.

        `step` and `error` are the probes' step and largest ‖e‖; probes are no longer than `LONGEST`. The result
        is within ±2**30: beyond any sum of 65,000 products, with room to add a row's excess in 32 bits.
        """
        bound = LONGEST * self.residual + error * (LONGEST + self.residual) + SLACK
        exact = (threshold - bound) / (step * self.scale)
        return max(-(2**30), min(2**30, math.floor(exact)))
