"""The exact index: every face at or above the threshold, none missed and none too many, whatever was added or removed.

An approximate index finds 41 to 88 % of them (measured at 100,000 faces), and a match that is lost is a photo of
somebody who asked for it to be deleted. So every row is scored: first in one byte a number, which decides nearly all,
then, for the few that this does not rule out, in float64 (see `block`). A score is the inner product of the float32
numbers, computed in float64 and rounded to float32, and a face is found if that is at or above the threshold; so the
answer depends neither on the processor nor on which path was taken.

A face takes 662 bytes at 128 dimensions: 512 as float32, 128 as bytes, 22 for row number, expiry, state and a sum.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from countenance.errors import UsageError
from countenance.index.block import LONGEST, PIECE, STRIP, ZERO, Block, Rows

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 65_536  # rows a block, so growing never copies; 42 MB at 128 dimensions, of which only what is filled is touched
TOGETHER = 64  # probes scanned at once
ALONE = 4  # up to so many probes are multiplied one by one: 4 times 4.5 ms for a million rows, together 24
PLAIN = 512  # rows up to which scoring all in float64 is as fast as sifting first, or faster (both 0.1 ms)

Found = tuple[Rows, NDArray[np.float32]]
Floats = NDArray[np.float64]
_Strip = tuple[Block, int, int]  # rows first to stop of a block
_Pairs = tuple[NDArray[np.intp], Rows, NDArray[np.float32]]  # number of the probe, row number and score, equally many


class Exact:
    """Templates of one collection, held in memory.

    Every call is atomic and calls from several threads take turns: a search sees all of an `add`, `commit`, `remove` or
    `mask`, or nothing of it, and one that starts after `remove` or `mask` returned never shows what they withdrew.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._blocks: list[Block] = []
        self._lent: dict[int, Block] = {}  # by thread
        self._lock = threading.Lock()
        self._closed = False

    def __len__(self) -> int:
        """Faces held, blocked and expired ones among them."""
        with self._lock:
            return sum(int(block.live[: block.count].sum()) for block in self._blocks)

    def contains(self, row: int) -> bool:
        """Whether the face of this row number is held, be it blocked or expired."""
        with self._lock:
            wanted = np.array([row], np.int64)
            return any(len(block.find(wanted)) for block in self._blocks)

    def add(self, rows: ArrayLike, templates: NDArray[np.float32], expires: ArrayLike) -> None:
        """Add `templates`, float32 of shape (n, d) and norm 1, under int64 row numbers (n,), each until `expires`.

        `expires` is in seconds since the epoch. Raises `UsageError`, and adds nothing, if a shape is wrong, a template
        is not normalised or a row number is there already or twice.
        """
        place = self.reserve(len(templates))
        if templates.shape != place.shape:
            self.commit([], [])
            raise UsageError(f"Templates of shape {templates.shape} were given; the index takes {place.shape}.")
        place[:] = templates
        self.commit(rows, expires)

    def reserve(self, count: int) -> NDArray[np.float32]:
        """Return memory of the index, float32 of shape (count, d), to decrypt templates into.

        Nothing of it is searched until the same thread calls `commit`; reserving again instead gives it up and zeroes
        it. It can be of any size: one for all faces of a vault takes one stretch of memory.
        """
        with self._lock:
            self._check_open()
            self._give_up()
            block = next((block for block in self._blocks if block.room >= max(count, 1)), None)
            if block is None:
                block = Block(max(count, ROWS), self._dimension)
                self._blocks.append(block)
            self._lent[threading.get_ident()] = block
            return block.reserve(max(count, 1))[:count]  # a block that lent nothing could be lent to two threads

    def commit(self, rows: ArrayLike, expires: ArrayLike) -> None:
        """Take the first n templates of this thread's reservation as those of `rows` (n,), each until `expires` (n,).

        What was reserved beyond is given up. Raises `UsageError`, and adds and keeps nothing, as `add` does.
        """
        numbers, until = np.asarray(rows, np.int64), np.asarray(expires, np.int64)
        with self._lock:
            self._check_open()
            block = self._lent.get(threading.get_ident())
            if block is None:
                raise UsageError("Nothing is reserved in the index; reserve before you commit.")
            try:
                self._check(block, numbers, until)
                block.commit(numbers, until)
            finally:
                self._give_up()

    def _check(self, block: Block, rows: Rows, expires: Rows) -> None:
        if rows.ndim != 1 or rows.shape != expires.shape or len(rows) > block.reserved:
            raise UsageError("Row numbers, expiries and templates must be equally many.")
        _check_normalised(block.floats[block.count : block.count + len(rows)])
        if len(np.unique(rows)) < len(rows) or any(len(held.find(rows)) for held in self._blocks):
            raise UsageError("A face is in the index already, or was given twice. Nothing was added.")

    def _give_up(self) -> None:
        block = self._lent.pop(threading.get_ident(), None)
        if block is not None:
            block.release()

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError("The index is closed.")

    def remove(self, rows: ArrayLike) -> int:
        """Zero the templates of `rows` in place, forget the rows, and return how many were held."""
        gone = np.asarray(rows, np.int64)
        removed = 0
        with self._lock:
            for block in self._blocks:
                places = block.find(gone)
                if len(places):
                    removed += len(places)
                    block.remove(places)
            self._blocks = [block for block in self._blocks if block.count or block.reserved]
        return removed

    def mask(self, rows: ArrayLike, *, blocked: bool) -> int:
        """Keep `rows` out of every search, or let them in again, and return how many are held."""
        wanted = np.asarray(rows, np.int64)
        masked = 0
        with self._lock:
            for block in self._blocks:
                places = block.find(wanted)
                block.blocked[places] = blocked
                masked += len(places)
        return masked

    def close(self) -> None:
        """Zero all memory of the index. It cannot be used afterwards, but may be closed again."""
        with self._lock:
            for block in self._blocks:
                block.close()
            self._blocks, self._lent, self._closed = [], {}, True

    def search(
        self, probes: NDArray[np.float32], *, threshold: ArrayLike, now: int, limit: int | None = None
    ) -> list[Found]:
        """Return for each of `probes`, float32 (m, d) and norm 1, the rows that score at least `threshold`.

        `threshold` is one number or m of them, from -1 to 1; `now` is in seconds since the epoch, and a face that
        expires then or before is not found. A find is row numbers, int64 (k,), and scores, float32 (k,), best first and
        equal scores by row number; with `limit`, only the first so many.
        """
        if probes.ndim != 2 or probes.shape[1] != self._dimension:  # noqa: PLR2004
            raise UsageError(f"Probes of shape {probes.shape} were given; the index takes (m, {self._dimension}).")
        _check_normalised(probes)
        if not np.isfinite(threshold).all():
            raise UsageError("A threshold must be a number.")
        least = np.broadcast_to(np.asarray(threshold, np.float64), len(probes))
        with self._lock:
            self._check_open()
            groups = [slice(first, first + TOGETHER) for first in range(0, len(probes), TOGETHER)]
            return list(
                chain.from_iterable(self._together(probes[group], least[group], now, limit) for group in groups)
            )

    def _together(self, probes: NDArray[np.float32], least: Floats, now: int, limit: int | None) -> list[Found]:
        wide = probes.astype(np.float64)
        strips = [
            (block, first, min(first + STRIP, block.count))
            for block in self._blocks
            for first in range(0, block.count, STRIP)
        ]
        sift = None if sum(stop - first for _, first, stop in strips) <= PLAIN else _sieve(wide, float(least.min()))

        def scan(strip: _Strip) -> _Pairs | None:
            block, first, stop = strip
            places = sift(strip) if sift else np.arange(first, stop)
            if len(places):
                places = block.usable(places, now)
            if not len(places):
                return None
            narrow = block.floats[places]
            exact = narrow.astype(np.float64)
            scores = (wide @ exact.T).astype(np.float32)
            narrow.fill(0)  # a copy must not outlive the erasure of what it copies
            exact.fill(0)
            probe, place = np.nonzero(scores.astype(np.float64) >= least[:, None])
            pairs = probe, block.rows[places[place]], scores[probe, place]
            return pairs if limit is None else _ranked(*pairs, limit)

        pairs = [pair for pair in _share(scan, strips) if pair is not None]
        if not pairs:
            return [(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in wide]
        probes_of, rows_of, scores_of = zip(*pairs, strict=True)
        probe, rows, scores = _ranked(
            np.concatenate(probes_of), np.concatenate(rows_of), np.concatenate(scores_of), limit
        )
        edges = np.searchsorted(probe, np.arange(len(wide) + 1))
        return [(rows[a:b], scores[a:b]) for a, b in pairwise(edges)]


def _check_normalised(templates: NDArray[np.float32]) -> None:
    for first in range(0, len(templates), PIECE):
        piece = templates[first : first + PIECE]
        norm = np.sqrt(np.einsum("ij,ij->i", piece, piece))
        if not (np.abs(norm - 1) < LONGEST - 1).all():  # so that NaN fails too
            raise UsageError("A template is not normalised: its length must be 1. Nothing was added or searched.")


def _sieve(probes: Floats, threshold: float) -> Callable[[_Strip], NDArray[np.intp]]:
    """Return what finds the places in a strip that may score `threshold` for any probe: all that do, and few more."""
    step = float(np.abs(probes).max()) / ZERO
    codes = np.rint(probes / step)
    error = float(np.linalg.norm(probes - step * codes, axis=1).max())
    multiply = _kernel().run
    together = (codes + ZERO).astype(np.uint8)
    none, zero = np.array(0, np.uint8), np.array(ZERO, np.uint8)
    alone = [together[number : number + 1] for number in range(len(together))] if len(together) <= ALONE else []

    def sift(strip: _Strip) -> NDArray[np.intp]:
        block, first, stop = strip
        rows, width = block.strip(first), stop - first
        cut = block.cut(threshold, step, error)
        if alone:
            # Given 0 for the probe's zero, onnxruntime takes its fast path for one probe; what it then has too much
            # of depends on the row alone and is known.
            limit = block.excess[first:stop] + cut
            sums = (multiply(None, {"probes": one, "rows": rows, "zero": none})[0] for one in alone)
            passes = [np.flatnonzero(each[0, :width] >= limit) for each in sums]
            passed = passes[0] if len(passes) == 1 else np.unique(np.concatenate(passes))
        else:
            (scores,) = multiply(None, {"probes": together, "rows": rows, "zero": zero})
            # Flat, because looking row by row takes as long as multiplying.
            passed = np.unique(np.flatnonzero(scores[:, :width] >= cut) % width)
        return passed + first

    return sift


def _ranked(probe: NDArray[np.intp], rows: Rows, scores: NDArray[np.float32], limit: int | None) -> _Pairs:
    """Order by probe, then best score, then row number, and keep the first `limit` of each probe."""
    order = np.lexsort((rows, -scores, probe))
    if limit is not None:
        ordered = probe[order]
        order = order[np.arange(len(order)) - np.searchsorted(ordered, ordered) < limit]
    return probe[order], rows[order], scores[order]


def _share(work: Callable[[_Strip], _Pairs | None], strips: list[_Strip]) -> list[_Pairs | None]:
    """Do `work` on every strip, on all processors if there are several strips; results come in any order."""
    if len(strips) < 2:  # noqa: PLR2004
        return [work(strip) for strip in strips]
    left = deque(strips)

    def some(_: int) -> list[_Pairs | None]:
        done: list[_Pairs | None] = []
        while True:
            try:
                strip = left.popleft()
            except IndexError:
                return done
            done.append(work(strip))

    return list(chain.from_iterable(_workers().map(some, range(_processors()))))


def _processors() -> int:
    return os.cpu_count() or 1


@cache
def _workers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_processors(), thread_name_prefix="index")


@cache
def _kernel() -> Any:
    """Return an onnxruntime session: uint8 `probes` (m, d), each less `zero`, times int8 `rows` (d, n), in int32."""
    import onnxruntime  # noqa: PLC0415  (0.1 s, and only an index of more than PLAIN rows needs it)
    from onnx import TensorProto, helper  # noqa: PLC0415

    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["probes", "rows", "zero"], ["sums"])],
        "sieve",
        [
            helper.make_tensor_value_info("probes", TensorProto.UINT8, ["m", "d"]),
            helper.make_tensor_value_info("rows", TensorProto.INT8, ["d", "n"]),
            helper.make_tensor_value_info("zero", TensorProto.UINT8, []),
        ],
        [helper.make_tensor_value_info("sums", TensorProto.INT32, ["m", "n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # strips are shared among threads here
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
