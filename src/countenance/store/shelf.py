"""Where a backup lies: a folder, or a bucket of an object store. Names are `pieces/<sha256>` and `manifests/<name>`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from countenance.errors import NotFound, UsageError, VaultError
from countenance.store import state
from countenance.store.lock import held

SCHEMES = ("s3://", "gs://", "az://")
PIECES, MANIFESTS = "pieces", "manifests"

_NEW = ".new"  # ends the name of what is not whole yet


class Shelf(Protocol):
    """What a place for backups can do."""

    def names(self, under: str) -> dict[str, int]:
        """What lies under `PIECES` or `MANIFESTS`: name without that part, and size in bytes."""

    def read(self, name: str) -> bytes:
        """Return one object; `NotFound` if it is not there."""

    def write(self, name: str, data: bytes) -> None:
        """Put one object there, whole or not at all."""

    def remove(self, name: str) -> None:
        """Remove one object."""

    def lock(self) -> AbstractContextManager[object]:
        """Hold it against other backups, where that can be done."""


def find(address: str | os.PathLike[str]) -> Shelf:
    """Return the shelf at an address: a bucket's, or the path of a folder, which need not exist yet."""
    text = os.fspath(address)
    if not text.startswith(SCHEMES):
        return Folder(Path(text).expanduser())
    try:
        from obstore.store import from_url  # noqa: PLC0415 - an optional extra that only buckets need
    except ImportError:
        raise UsageError(
            "Backups to a bucket need obstore: install countenance with its extra, `countenance[bucket]`. "
            "Nothing was changed."
        ) from None
    with _asking():
        return Bucket(from_url(text))


class Folder:
    """A shelf in a folder, readable by its owner only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self, under: str) -> dict[str, int]:
        """See `Shelf`."""
        if not (self.path / under).is_dir():
            return {}
        with os.scandir(self.path / under) as found:
            return {each.name: each.stat().st_size for each in found if not each.name.endswith(_NEW)}

    def read(self, name: str) -> bytes:
        """See `Shelf`."""
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            raise _absent(name) from None

    def write(self, name: str, data: bytes) -> None:
        """Write under another name, sync, rename, sync."""
        path = self.path / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = path.with_name(path.name + _NEW)
        new.unlink(missing_ok=True)
        state.write_file(new, data)
        new.replace(path)
        state.sync(path.parent)

    def remove(self, name: str) -> None:
        """See `Shelf`."""
        (self.path / name).unlink(missing_ok=True)

    def lock(self) -> AbstractContextManager[object]:
        """See `Shelf`."""
        if not self.path.is_dir():
            return nullcontext()  # a dry run makes no folder
        return held(self.path / "lock")


class Bucket:
    """A shelf in an object store, through obstore."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def names(self, under: str) -> dict[str, int]:
        """See `Shelf`."""
        with _asking():
            return {
                str(each["path"]).rpartition("/")[2]: int(each["size"])
                for batch in self.store.list(f"{under}/")
                for each in batch
            }

    def read(self, name: str) -> bytes:
        """See `Shelf`."""
        with _asking(name):
            return bytes(self.store.get(name).bytes())

    def write(self, name: str, data: bytes) -> None:
        """See `Shelf`: an object store shows an object when it is whole."""
        with _asking():
            self.store.put(name, data)

    def remove(self, name: str) -> None:
        """See `Shelf`."""
        with _asking():
            self.store.delete(name)

    def lock(self) -> AbstractContextManager[object]:
        """An object store has no locks: two backups at once into one bucket, one of them with `--keep`, may collide."""
        return nullcontext()


@contextmanager
def _asking(name: str = "") -> Iterator[None]:
    """Say what an object store's errors mean; their own text can carry addresses and credentials."""
    from obstore.exceptions import BaseError, NotFoundError  # noqa: PLC0415

    try:
        yield
    except (NotFoundError, FileNotFoundError):
        raise _absent(name) from None
    except (BaseError, OSError, ValueError) as error:
        raise VaultError(
            f"The bucket cannot be used ({type(error).__name__}). What was written before is kept; look at the address, "
            "the credentials and the network, and run the same command again."
        ) from None


def _absent(name: str) -> NotFound:
    return NotFound(noun="object in this backup named", name=name)
