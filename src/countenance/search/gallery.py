"""The galleries in memory: one index a collection, built from the records and kept in step with them.

The index is a cache (promise P11): throw it away, and the next search builds it again. Several processes may work on
one vault; each follows the records' generation: faces with a higher row number are new, rows in `gone` were hidden.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from countenance import index
from countenance.errors import CountenanceError
from countenance.store import collections, faces, processes
from countenance.store.database import Database, Tx
from countenance.store.transform import orthogonal

if TYPE_CHECKING:
    from countenance.index.exact import Exact

FOLLOW_SECONDS = 0.25  # how often a process looks for what another one changed; a second is promised


class Galleries:
    """Every collection's index that this process has needed so far. Templates are in the clear here and nowhere else."""

    def __init__(self, database: Database, dimension: int) -> None:
        self.database = database
        self.dimension = dimension
        self.lock = threading.RLock()
        self.indexes: dict[str, Exact] = {}
        self.last_row: dict[str, int] = {}
        self.generation = -1
        self.transforms: dict[str, NDArray[np.float32]] = {}

    def transform(self, tx: Tx, collection_id: str) -> NDArray[np.float32]:
        """The collection's secret orthogonal matrix, shape (d, d): a template times it is what is stored."""
        with self.lock:
            if collection_id not in self.transforms:
                key = tx.keys.item_key(collections.item_of(tx, collection_id))
                self.transforms[collection_id] = orthogonal(key, self.dimension)
            return self.transforms[collection_id]

    def of(self, tx: Tx, collection_id: str) -> Exact:
        """The collection's index, in step with the records as the transaction sees them."""
        with self.lock:
            self.follow(tx)
            if collection_id not in self.indexes:
                self.indexes[collection_id] = index.create(self.dimension)
                self.last_row[collection_id] = 0
            engine = self.indexes[collection_id]
            after = self.last_row[collection_id]
            for rows, templates, expires in faces.open_templates(tx, collection_id, after, self.dimension):
                engine.add(np.array(rows, np.int64), templates, np.array(expires, np.int64))
                templates[:] = 0
                self.last_row[collection_id] = rows[-1]
            return engine

    def follow(self, tx: Tx) -> int:
        """Drop what was hidden since the last time, zeroing it, and take up what is shown again; return the generation."""
        with self.lock:
            generation = self.database.generation_in(tx)
            if generation != self.generation:
                gone = np.array(faces.gone_since(tx, self.generation), np.int64)
                for engine in self.indexes.values():
                    engine.remove(gone)
                if back := faces.back_since(tx, self.generation):
                    self._take_up(tx, back)
                self.generation = generation
            return generation

    def _take_up(self, tx: Tx, back: list[int]) -> None:
        """Add rows that this process has passed already and that are shown again."""
        for collection_id, engine in self.indexes.items():
            last = self.last_row[collection_id]
            missing = [row for row in set(back) if row <= last]
            engine.remove(missing)  # an older view of the records may have taken some up already
            for rows, templates, expires in faces.open_templates(tx, collection_id, 0, self.dimension, missing):
                engine.add(np.array(rows, np.int64), templates, np.array(expires, np.int64))
                templates[:] = 0

    def keep_up(self, stop: threading.Event, process_id: str) -> None:
        """Follow what other processes do until stopped, in a thread of its own.

        What they hid is dropped, their key epoch is taken up, and that is acknowledged.
        """
        keys = self.database.keys
        followed, acknowledged = -1, keys.epoch
        while not stop.wait(FOLLOW_SECONDS):
            with suppress(CountenanceError):  # a busy or briefly unreadable vault: the next round tries again
                if self.database.generation() == followed:
                    continue
                keys.reload()
                with self.database.read() as tx:
                    generation = self.follow(tx)
                if keys.epoch != acknowledged:
                    with self.database.write(quiet=True) as tx:
                        processes.follow(tx, process_id, keys.epoch, generation)
                    acknowledged = keys.epoch
                followed = generation

    def close(self) -> None:
        """Zero and drop every index."""
        with self.lock:
            for engine in self.indexes.values():
                engine.close()
            self.indexes.clear()
            self.transforms.clear()
