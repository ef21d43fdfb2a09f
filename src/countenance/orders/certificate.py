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
    "Copies that people or other systems made outside the vault: downloads, prints, screenshots, exports that were copied on.",
    "Files at the sources that are left to a person (counted as worklist), until that person has cleared them.",
    "Backups keep the vault's sealed bytes: the keys to them are destroyed, but not in a copy of the keys made elsewhere.",
    "What a storage device keeps of overwritten bytes internally, and snapshots of the machine that somebody else took.",
    "What stays on purpose: the log's lines without their details, and the codes by which what was erased is kept out.",
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
            "issued_at": log.moment(tx),
            "ground": progress["ground"],
            **progress["asked"],
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
            "not_covered": progress["not_covered"],
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
