"""Making a vault's folder, and reading what it says of itself."""

from __future__ import annotations

import json
import os
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from countenance import errors
from countenance.audit import log
from countenance.records import Entry
from countenance.store.database import Database
from countenance.store.keys import Keys
from countenance.store.tables import FORMAT


def create(path: str | os.PathLike[str], *, passphrase: str | None = None) -> None:
    """Make a new vault in a folder that is new or empty.

    With a passphrase the keys are wrapped under it. Whoever loses the folder `keys/` or the passphrase loses everything
    that the vault holds: there is no other way in. Raises `VaultExists`.
    """
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise errors.VaultExists(path=folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys.create(folder / "keys", "passphrase" if passphrase else "slot-file", passphrase)
    database = Database(folder / "records.db", keys, lambda: datetime.now(UTC))
    database.create()
    said = {
        "format": FORMAT,
        "created": log.stamp(datetime.now(UTC)),
        "public_key": keys.public_key().hex(),
        "keys": keys.provider,
    }
    with database.write() as tx:
        said["name"] = log.origin(tx)
        log.append(tx, Entry(kind="vault:made", public={"format": FORMAT}))
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items()]  # JSON's scalars are TOML's
    (folder / "vault.toml").write_text("\n".join(["# A Countenance vault. No secret is in this file.", *lines, ""]))
    database.close()
    keys.close()


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
