"""The only door to key material: what the folder `keys/` holds, and how an erasure destroys keys in it.

::

    keys/epoch.slots    the epoch key, in one of two slots overwritten in place (`slots`)
    keys/state.<n>      the sealed state of epoch n: key tree, look-up, suppression and signing keys (`state`)
    keys/ledger         what each rotation destroyed, by number, and which orders stand (`ledger`)
    keys/replicas       the folders that hold live replicas, sealed (`replicas`)
    keys/lock           held by the process that opens or rotates

An erasure is one `Keys.advance`: the items are punctured out of the tree, the new state is sealed under a new epoch
key, and the old epoch key, which alone could open the old state, is overwritten, here and in every replica.
"""

from __future__ import annotations

import errno
import hmac
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.errors import (
    CountenanceError,
    DiskFull,
    KeysMissing,
    NotFound,
    ReplicaUnreachable,
    VaultError,
    VaultExists,
)
from countenance.store import ledger, replicas, slots, state, tree
from countenance.store.medium import classify
from countenance.store.provider import COST, Secret, begin, recall, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from countenance.ids import Random

_LOOKUP, _SUPPRESSION, _SIGNING = (slice(n * state.KEY, (n + 1) * state.KEY) for n in range(3))
_PLAIN = ledger.Record()  # of a rotation that nobody said anything about


@dataclass(frozen=True, slots=True)
class Rotation:
    """One change of epoch, for the certificate: numbers, and the SHA-256 of the sealed state before and after."""

    epoch_before: int
    epoch_after: int
    state_before: str
    state_after: str


class Keys:
    """The open keys of one vault. Threads may share it; other processes may open and rotate the same folder."""

    def __init__(self, folder: Path, secret: Secret, now: state.Epoch, random: Random) -> None:
        self.folder = folder
        self.medium = classify(folder)
        self._secret = secret
        self._now: state.Epoch | None = now
        self._random = random
        self._mutex = threading.Lock()  # a rotation overwrites in memory what other threads derive from

    @classmethod
    def create(
        cls,
        folder: Path,
        provider: str = "slot-file",
        passphrase: str | None = None,
        *,
        random: Random = os.urandom,
        cost: int = COST,
    ) -> Keys:
        """Make new keys in a folder that is new or empty; `provider` is a key of `PROVIDERS`, `cost` is scrypt's n."""
        secret = begin(provider, passphrase, random, cost)
        folder.mkdir(mode=0o700, exist_ok=True)
        if any(folder.iterdir()):
            raise VaultExists(path=folder)
        with state.locked(folder):
            try:
                slots.create(folder / state.SLOTS)
            except FileExistsError:
                raise VaultExists(path=folder) from None
            key, lasting = bytearray(random(state.KEY)), bytearray(random(state.LASTING))
            first = state.Epoch(1, key, lasting, tree.birth(random(tree.KEY)))
            first = state.write(folder, first, random)
            state.sync(folder.parent)
            slots.write(folder / state.SLOTS, slots.Slot(1, provider, wrap(secret, 1, key, random)))
        return cls(folder, secret, first, random)

    @classmethod
    def open(cls, folder: Path, passphrase: str | None = None, *, random: Random = os.urandom) -> Keys:
        """Open the keys, and finish or take back a rotation that was cut short.

        Raises `KeysMissing`, `WrongKey`, or `VaultDamaged` if no state opens.
        """
        if not (folder / state.SLOTS).is_file():
            raise KeysMissing(path=folder)
        with state.locked(folder):
            newest = state.valid(folder)[0]
            secret = recall(newest.provider, newest.payload, passphrase)
            return cls(folder, secret, state.settle(folder, secret), random)

    def close(self) -> None:
        """Overwrite in memory what can be; nothing can be derived afterwards."""
        with self._mutex:
            self._take(None)

    @property
    def provider(self) -> str:
        """Who keeps the epoch key."""
        return self._secret.provider

    @property
    def epoch(self) -> int:
        """The number of the epoch, from 1; each erasure begins a new one."""
        return self._held.number

    @property
    def state_hash(self) -> str:
        """SHA-256 of the sealed state, in hexadecimal."""
        return self._held.state_hash

    def item_key(self, item: int) -> bytes:
        """Return the 32-byte key of one item; raise `tree.Punctured` if it was erased."""
        return self.item_keys((item,))[0]

    def item_keys(self, items: Iterable[int]) -> list[bytes]:
        """Return the keys of many items in their order, ascending being fastest; other threads wait meanwhile."""
        with self._mutex:
            return tree.derive_many(self._held.items, items, self._held.path)

    def lookup_token(self, kind: str, value: bytes) -> bytes:
        """Return 32 bytes by which a value is found again without standing in the records."""
        return self._token(_LOOKUP, kind, value)

    def suppression_token(self, kind: str, value: bytes) -> bytes:
        """Return 32 bytes by which an erased value is recognised when it comes back."""
        return self._token(_SUPPRESSION, kind, value)

    def signing_key(self) -> Ed25519PrivateKey:
        """Return the key that signs checkpoints and certificates, the same in every epoch."""
        with self._mutex:
            return Ed25519PrivateKey.from_private_bytes(self._held.lasting[_SIGNING])

    def public_key(self) -> bytes:
        """Return the 32 bytes that verify what `signing_key` signs."""
        return self.signing_key().public_key().public_bytes_raw()

    def derived_key(self, label: str) -> bytes:
        """Return a 32-byte key that dies with the epoch, for caches and whatever derives from several items."""
        with self._mutex:
            return self._held.derived("use " + label)

    def epoch_key(self) -> bytes:
        """Return a copy of the epoch key itself, for one purpose: to show after `advance` that no file holds it."""
        with self._mutex:
            return bytes(self._held.key)

    def reload(self) -> bool:
        """Take up a newer epoch that another process began; return whether there was one."""
        with self._mutex:
            before = self._held
            if [slot.epoch for slot in slots.read(self.folder / state.SLOTS)] == [before.number]:
                return False
            number = before.number
            with state.locked(self.folder):
                self._take(state.settle(self.folder, self._secret, before))
            return self._held.number != number

    def advance(self, items: Iterable[int], record: ledger.Record = _PLAIN) -> Rotation:
        """Begin a new epoch without the keys of `items` and destroy the old one; when this returns, they are gone.

        `record` goes into the erasure ledger first. Stopped anywhere, by a crash or an error, the next `open`, `reload`
        or `advance` settles on one epoch: the old one until the new slot is whole, then the new one, and `align` brings
        the replicas there. To be sure, run it again: erased items are passed over.

        Raises `ReplicaUnreachable`: before the point of no return if a replica cannot be brought along, and nothing
        has changed then; behind it if one still holds the old epoch, and `align` must succeed before it is destroyed.
        """
        items = tuple(dict.fromkeys(items))
        with self._mutex, state.locked(self.folder):
            self._take(state.settle(self.folder, self._secret, self._held))
            old, others = self._held, replicas.listed(self._source())
            for other in others:
                replicas.align(self._source(), other)
            new = state.Epoch(
                old.number + 1, bytearray(self._random(state.KEY)), old.lasting, tree.puncture(old.items, items)
            )
            new = self._prepare(old, new, replace(record, epoch=new.number, items=items), others)
            slots.clear(self.folder / state.SLOTS, old.number)  # the point of no return
            state.file(self.folder, old.number).unlink(missing_ok=True)
            state.sync(self.folder)
            self._take(new)
            for other in others:
                replicas.finish(new.number, other)
            return Rotation(old.number, new.number, old.state_hash, new.state_hash)

    def note(self, record: ledger.Record) -> None:
        """Put an order into the erasure ledger; no key changes, and a replica gets it when it is aligned.

        Raises `DiskFull`, and then it is not there.
        """
        with self._mutex, state.locked(self.folder):
            self._take(state.settle(self.folder, self._secret, self._held))
            held, journal = self._held, self.folder / ledger.NAME
            record = replace(record, epoch=held.number)
            try:
                ledger.append(journal, ledger.key(held.lasting), held.recorded, record, self._random)
                state.sync(self.folder)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise DiskFull from None
                raise

    def align(self) -> int:
        """Bring every replica in step and return how many there are: each holds this epoch and no other.

        Raises `ReplicaUnreachable` for one that cannot be reached, when the others are done, and `KeysOld` if one is
        newer than this folder, which was then put back from an old copy.
        """
        missing = None
        with self._mutex, state.locked(self.folder):
            self._take(state.settle(self.folder, self._secret, self._held))
            others = replicas.listed(self._source())
            for other in others:
                try:
                    replicas.align(self._source(), other)
                except ReplicaUnreachable as error:
                    missing = missing or error
        if missing:
            raise missing
        return len(others)

    def replicate(self, folder: Path) -> None:
        """Keep a live replica in a folder that is new or empty from now on. Raises `VaultExists`, `ReplicaUnreachable`."""
        with self._mutex, state.locked(self.folder):
            self._take(state.settle(self.folder, self._secret, self._held))
            replicas.begin(self._source(), folder)
            replicas.align(self._source(), folder)

    def adopt(self, folder: Path) -> None:
        """List a folder as a replica that is one already: these keys were copied from it."""
        with self._mutex, state.locked(self.folder):
            source = self._source()
            if folder not in replicas.listed(source) and (folder / replicas.MARK).exists():
                replicas.enlist(source, [*replicas.listed(source), folder])

    def forget(self, folder: Path) -> bool:
        """Keep no replica in a folder any more; return whether the one there could be destroyed."""
        with self._mutex, state.locked(self.folder):
            source = self._source()
            known = replicas.listed(source)
            if folder not in known:
                raise NotFound(noun="replica of the keys in", name=folder)
            destroyed = replicas.destroy(folder, source.public_key)
            replicas.enlist(source, [path for path in known if path != folder])
            return destroyed

    def look(self) -> dict[Path, replicas.Look]:
        """What each replica looks like from here."""
        with self._mutex, state.locked(self.folder):
            source = self._source()
            return {path: replicas.look(source, path) for path in replicas.listed(source)}

    def clean(self) -> bool:
        """Whether the folder holds one epoch and nothing of another."""
        return slots.clean(self.folder / state.SLOTS, self.epoch + 1)

    def history(self) -> list[ledger.Record]:
        """The erasure ledger as far back as it is whole, oldest record first; whole, it begins with epoch 2."""
        with self._mutex:
            return ledger.read(self.folder / ledger.NAME, ledger.key(self._held.lasting), self._held.recorded)

    def noted(self) -> list[ledger.Record]:
        """The orders that were put into the erasure ledger since the last rotation, oldest first."""
        with self._mutex:
            return ledger.noted(self.folder / ledger.NAME, ledger.key(self._held.lasting), self._held.recorded)

    @property
    def _held(self) -> state.Epoch:
        if self._now is None:
            raise VaultError("The keys are closed.")
        return self._now

    def _prepare(self, old: state.Epoch, new: state.Epoch, record: ledger.Record, others: list[Path]) -> state.Epoch:
        """Write a new epoch beside the old one, the original's slot last: with it the new epoch begins."""
        journal, under = self.folder / ledger.NAME, ledger.key(old.lasting)
        payload = wrap(self._secret, new.number, new.key, self._random)
        slot = slots.Slot(new.number, self.provider, payload)
        try:
            recorded = ledger.append(journal, under, old.recorded, record, self._random)
            new = state.write(self.folder, replace(new, recorded=recorded), self._random)
            source = replace(self._source(), slot=slot)
            for other in others:
                replicas.ready(source, other)
        except (CountenanceError, OSError) as error:
            for other in others:
                replicas.take_back(new.number, other)
            state.clear_away(self.folder, old.number)
            ledger.cut(journal, under, old.recorded)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise DiskFull from None
            raise
        slots.write(self.folder / state.SLOTS, slot)
        return new

    def _source(self) -> replicas.Source:
        """What replicas are to hold now. Only under the lock, settled."""
        held = self._held
        signing = Ed25519PrivateKey.from_private_bytes(held.lasting[_SIGNING])
        public_key = signing.public_key().public_bytes_raw().hex()
        return replicas.Source(self.folder, state.valid(self.folder)[0], public_key, replicas.key(held.lasting))

    def _token(self, part: slice, kind: str, value: bytes) -> bytes:
        name = kind.encode()
        with self._mutex:
            return hmac.digest(self._held.lasting[part], len(name).to_bytes(2, "big") + name + value, "sha256")

    def _take(self, now: state.Epoch | None) -> None:
        """Make `now` the epoch in memory, and overwrite what it does not share with the one before."""
        old, self._now = self._now, now
        if old is not None and old is not now:
            state.wipe(old, now)
