"""Making a vault's folder, and reading what it says of itself."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from countenance import errors
from countenance.audit import log
from countenance.records import Entry
from countenance.store.database import Database
from countenance.store.keys import Keys
from countenance.store.lock import held
from countenance.store.state import sync
from countenance.store.system import spoken
from countenance.store.tables import FORMAT

PART = "vault.toml.part"  # a making that is not finished; as its last step it becomes vault.toml
LEFT = ("records.db", "records.db-journal", "records.db-shm", "records.db-wal")  # by one that was cut short, with keys/


def create(
    path: str | os.PathLike[str],
    *,
    passphrase: str | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Make a new vault in a folder that is new or empty, or in which a making was cut short. `clock` gives the time, UTC.

    With a passphrase the keys are wrapped under it. Whoever loses the folder `keys/` or the passphrase loses everything
    that the vault holds: there is no other way in. Raises `VaultExists`, `DiskFull`, `VaultError`.
    """
    folder = Path(path)
    _demand_free(folder)
    with spoken("the new vault's folder"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(PermissionError):  # a folder above that may be passed through and not read
            sync(folder.parent)
        with held(folder / PART, wait=False) as mine:
            _demand_free(folder)
            if not mine:
                raise errors.VaultExists(path=folder)
            _fill(folder, passphrase, clock)


def _demand_free(folder: Path) -> None:
    """Refuse a folder with anything in it but what a making that was cut short has left."""
    found = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if (folder.exists() and not folder.is_dir()) or (found and not {PART} <= found <= {PART, "keys", *LEFT}):
        raise errors.VaultExists(path=folder)


def _fill(folder: Path, passphrase: str | None, clock: Callable[[], datetime]) -> None:
    """Make everything anew, `vault.toml` last and by one rename: with it the folder is a vault."""
    if (folder / "keys").exists():
        shutil.rmtree(folder / "keys")
    for name in LEFT:
        (folder / name).unlink(missing_ok=True)
    with (
        closing(Keys.create(folder / "keys", "passphrase" if passphrase else "slot-file", passphrase)) as keys,
        closing(Database(folder / "records.db", keys, clock)) as database,
    ):
        database.create()
        said = {
            "format": FORMAT,
            "created": log.stamp(clock()),
            "public_key": keys.public_key().hex(),
            "keys": keys.provider,
        }
        with database.write() as tx:
            said["name"] = log.origin(tx)
            log.append(tx, Entry(kind="vault:made", public={"format": FORMAT}))
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items()]  # JSON's scalars are TOML's
    with (folder / PART).open("w") as file:
        file.write("\n".join(["# A Countenance vault. No secret is in this file.", *lines, ""]))
        file.flush()
        os.fsync(file.fileno())
    (folder / PART).replace(folder / "vault.toml")
    sync(folder)


def about(folder: Path) -> dict[str, Any]:
    """What `vault.toml` says: format, public key, name. Raises `VaultMissing`, `VaultNewer`, `VaultOlder`, `VaultDamaged`."""
    file = folder / "vault.toml"
    if not file.is_file():
        raise errors.VaultMissing(path=folder)
    try:
        said = tomllib.loads(file.read_text("utf-8"))
        other = said["format"] - FORMAT  # what else stands in it then is not ours to judge
        _ = other or said["public_key"] + ""
    except (ValueError, KeyError, TypeError):
        raise errors.VaultDamaged(what="vault.toml cannot be read") from None
    if other > 0:
        raise errors.VaultNewer(found=said["format"], known=FORMAT)
    if other < 0:
        raise errors.VaultOlder(found=said["format"])
    if not (folder / "records.db").is_file():
        raise errors.VaultDamaged(what="records.db is missing")
    return said
