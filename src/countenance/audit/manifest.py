"""A backup's manifest: what belongs to it, signed by the vault, so that nobody can put one together from other parts."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from countenance.errors import BackupDamaged

FORMAT = 1

_CONTEXT = b"countenance backup 1\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One backup: a snapshot of the records, and where the log and the keys stood."""

    format: int
    at: str  # ISO time
    public_key: str  # the vault's, hex
    epoch: int  # of the keys that the records were in step with
    generation: int
    next_item: int
    log_size: int
    log_root: str  # hex
    about: str  # SHA-256 of the piece that is vault.toml
    size: int  # of records.db, bytes
    pieces: tuple[str, ...]  # SHA-256 of each, in order

    @property
    def name(self) -> str:
        """Time, the log's size and the beginning of the content's hash: names sort by age, also within a second."""
        return f"{self.at.replace(':', '-')}-{self.log_size:09}-{hashlib.sha256(_said(self)).hexdigest()[:8]}"


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> bytes:
    """Return a manifest as it is stored."""
    signature = base64.b64encode(key.sign(_CONTEXT + _said(manifest))).decode()
    return rfc8785.dumps({"manifest": _plain(manifest), "signature": signature})


def verify(data: bytes, name: str, public_key: bytes) -> Manifest:
    """Return the manifest of this name; raise `BackupDamaged` unless this vault signed exactly this."""
    damaged = BackupDamaged(what=f"the manifest {name} was changed, or is of another vault")
    try:
        stored = json.loads(data)
        said = {field.name: stored["manifest"][field.name] for field in fields(Manifest)}
        manifest = Manifest(**said | {"pieces": tuple(said["pieces"])})
        signature = base64.b64decode(stored["signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, _CONTEXT + _said(manifest))
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise damaged from None
    if manifest.name != name or manifest.public_key != public_key.hex():
        raise damaged
    if manifest.format != FORMAT:
        raise BackupDamaged(what=f"the manifest {name} has a format that this version does not know")
    return manifest


def _plain(manifest: Manifest) -> dict[str, Any]:
    return asdict(manifest) | {"pieces": list(manifest.pieces)}


def _said(manifest: Manifest) -> bytes:
    return rfc8785.dumps(_plain(manifest))
