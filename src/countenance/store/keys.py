"""The only door to key material: what the folder `keys/` holds, and how an erasure destroys keys in it.

::

    keys/epoch.slots   the epoch key, in one of two slots overwritten in place (`slots`)
    keys/state.<n>     the sealed state of epoch n: key tree, look-up, suppression and signing keys (`state`)
    keys/lock          held by the process that opens or rotates

An erasure is one `Keys.advance`: the items are punctured out of the tree, the new state is sealed under a new epoch
key, and the old epoch key, which alone could open the old state, is overwritten.
"""

from __future__ import annotations

import hmac
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.errors import KeysMissing, VaultError, VaultExists
from countenance.store import slots, state, tree
from countenance.store.medium import classify
from countenance.store.provider import COST, Secret, begin, recall, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from countenance.ids import Random

_LOOKUP, _SUPPRESSION, _SIGNING = (slice(n * state.KEY, (n + 1) * state.KEY) for n in range(3))


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

    def advance(self, items: Iterable[int]) -> Rotation:
        """Begin a new epoch without the keys of `items` and destroy the old one; when this returns, they are gone.

        Stopped anywhere, by a crash or an error, the next `open`, `reload` or `advance` settles on one epoch: the old
        one until the new slot is whole, then the new one. To be sure, run it again: erased items are passed over.
        """
        items = list(items)
        with self._mutex, state.locked(self.folder):
            self._take(state.settle(self.folder, self._secret, self._held))
            old = self._held
            new = state.Epoch(
                old.number + 1, bytearray(self._random(state.KEY)), old.lasting, tree.puncture(old.items, items)
            )
            new = state.write(self.folder, new, self._random)
            payload = wrap(self._secret, new.number, new.key, self._random)
            slots.write(self.folder / state.SLOTS, slots.Slot(new.number, self.provider, payload))
            # Here live replicas of the key state will take the new epoch: one must hold it before the old slot goes.
            slots.clear(self.folder / state.SLOTS, old.number)  # the point of no return
            state.file(self.folder, old.number).unlink(missing_ok=True)
            state.sync(self.folder)
            self._take(new)
            return Rotation(old.number, new.number, old.state_hash, new.state_hash)

    @property
    def _held(self) -> state.Epoch:
        if self._now is None:
            raise VaultError("The keys are closed.")
        return self._now

    def _token(self, part: slice, kind: str, value: bytes) -> bytes:
        name = kind.encode()
        with self._mutex:
            return hmac.digest(self._held.lasting[part], len(name).to_bytes(2, "big") + name + value, "sha256")

    def _take(self, now: state.Epoch | None) -> None:
        """Make `now` the epoch in memory, and overwrite what it does not share with the one before."""
        old, self._now = self._now, now
        if old is not None and old is not now:
            state.wipe(old, now)
