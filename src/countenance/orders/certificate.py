"""The certificate of an erasure: a signed statement with its log proofs, packed so that an outsider checks it offline.

`audit.verify` says what a statement holds (`SCHEMA`) and checks it; this module only fills it in.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import metadata, resources
from typing import Any

from countenance.audit import log, verify
from countenance.audit.checkpoint import key_of
from countenance.store.database import Tx

NOT_COVERED = (
    "Copies that other people or other systems made before: backups, exports and downloads outside the vault.",
    "Backups of the vault's sealed bytes may still hold them; the keys that could open them are destroyed.",
    "What a storage device keeps of overwritten bytes internally, and snapshots of the machine that somebody else took.",
    "Whether the list of what to erase was complete: it was computed from the vault's records.",
)


def build(tx: Tx, erasure_id: str, progress: dict[str, Any], reason: str) -> bytes:
    """Return the bundle: statement, signature, checkpoint, proofs, public key, verifier and instructions."""
    texts = {
        "READ-ME.txt": verify.READ_ME.encode(),
        "verify.py": resources.files("countenance.audit").joinpath("verify.py").read_bytes(),
    }
    name = log.origin(tx)
    signing = tx.keys.signing_key()
    key = key_of(name, signing)
    statement = verify.canonical(
        {
            "type": verify.TYPE,
            "vault": name,
            "erasure": erasure_id,
            "issued_at": log.stamp(tx.now),
            "ground": progress["ground"],
            "reason": reason,
            "scope": progress["scope"],
            "states": progress["states"],
            "keys": progress["keys"],
            "counts": progress["counts"],
            "scan": progress["scan"],
            "search": progress["search"],
            "source": progress["source"],
            "suppressed": progress["suppressed"],
            "processes": progress["processes"],
            "not_covered": [*NOT_COVERED, *progress.get("limits", [])],
            "software": f"countenance {metadata.version('countenance')}",
            "approved_by": progress["approved_by"],
            "bundle": {file: hashlib.sha256(text).hexdigest() for file, text in texts.items()},
        }
    )
    signature = signing.sign(verify.pae(verify.PAYLOAD_TYPE, statement))
    envelope = {
        "payload": base64.b64encode(statement).decode(),
        "payloadType": verify.PAYLOAD_TYPE,
        "signatures": [{"keyid": key.keyid, "sig": base64.b64encode(signature).decode()}],
    }
    checkpoint, proofs = log.proofs(tx, [state["entry"] for state in progress["states"]])
    return verify.pack(
        {
            **texts,
            "certificate.json": verify.canonical(envelope),
            "checkpoint.txt": checkpoint.encode(),
            "proofs.json": verify.canonical(proofs),
            "key.txt": f"{key}\n".encode(),
        }
    )
