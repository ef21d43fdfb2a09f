"""A whole erasure's proof, made up of nothing but a key and a log, for the tests to spoil."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.audit import checkpoint, merkle, verify

VAULT = "example.org/vault"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
ZERO, ONE, TWO, THREE = (f"{digit}" * 64 for digit in "0123")
STEPS = ("planned", "approved", "stopped", "keys-destroyed", "purged", "verified")
Change = Callable[[dict[str, Any]], None]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def statement() -> dict[str, Any]:
    """Everything but the states and the hashes of the bundle's files."""
    return {
        "type": verify.TYPE,
        "vault": VAULT,
        "erasure": "era_0123456789",
        "issued_at": "2026-03-01T12:00:09Z",
        "ground": "Art. 17(1) GDPR, request of the person",
        "reason": "subject",
        "order": {},
        "request": {"sha256": TWO},
        "scope": {
            "commitment": ZERO,
            "items": 7,
            "items_root": ONE,
            "photos": 2,
            "faces": 3,
            "subjects": 1,
            "sources": 0,
            "resealed": 1,
        },
        "states": [],
        "keys": {
            "method": "puncturable key tree, epoch slot overwritten",
            "epoch_before": 4,
            "epoch_after": 5,
            "state_before": TWO,
            "state_after": THREE,
            "replicas": 1,
            "provider": "slot file",
            "medium": "B",
            "medium_note": "ext4, data=ordered",
        },
        "counts": {"rows": 9, "blobs": 0, "index-rows": 3},
        "scan": {"files": 12, "bytes": 123456, "patterns": 40, "hits": 0, "control_hits": 1, "places": ["vault"]},
        "suppressed": {"address": 1, "content": 1},
        "search": {"probes": 3, "hits": 0},
        "source": {"deleted": 1, "redacted": 1, "worklist": 0, "failed": 0},
        "processes": {"acknowledged": 2, "unanswered": ["prc_b"]},
        "not_covered": [
            "Backups made before this day hold sealed bytes under destroyed keys.",
            "Other people\u2019s copies.",
        ],
        "software": "countenance 0.1.0",
        "approved_by": [],
        "bundle": {},
    }


def entry_of(said: dict[str, Any], step: str, at: str) -> dict[str, Any]:
    names = {**said, "commitment": said["scope"]["commitment"], "by": len(said["approved_by"])}
    names["not_covered"] = hashlib.sha256(verify.canonical(said["not_covered"])).hexdigest()
    public = {"erasure": said["erasure"]} | {name: names[name] for name in verify.SAID.get(step, ())}
    return {"kind": f"erasure:{step}", "at": at, "public": public, "parts": [], "number": 0}


def files(
    *,
    said: Change = lambda _: None,
    late: Change = lambda _: None,
    entry: Change = lambda _: None,
    key: Ed25519PrivateKey = KEY,
    log_key: Ed25519PrivateKey | None = None,
    steps: tuple[str, ...] = STEPS,
    backwards: bool = False,
) -> dict[str, bytes]:
    """A bundle's files.

    `said` changes the statement before it is logged, `late` after, `entry` each entry; `backwards` logs the last first.
    """
    whole = statement()
    whole["approved_by"] = ["operator"] if "approved" in steps else []
    said(whole)
    leaves = [b"something else %d" % number for number in range(5)]
    for second, step in list(enumerate(steps))[:: -1 if backwards else 1]:
        logged = entry_of(whole, step, f"2026-03-01T12:00:0{second}Z")
        entry(logged)
        leaf = verify.canonical(logged)
        state = {"state": step, "at": logged["at"], "entry": len(leaves), "leaf": verify.leaf_hash(leaf).hex()}
        whole["states"].insert(0 if backwards else len(whole["states"]), state)
        leaves += [leaf, b"in between"]
    hashes = [verify.leaf_hash(leaf) for leaf in leaves]
    indexes = [state["entry"] for state in whole["states"]]
    proofs = [
        {"index": index, "leaf": b64(leaves[index]), "path": [b64(node) for node in path]}
        for index, path in zip(indexes, map(merkle.of(hashes).inclusion, indexes), strict=True)
    ]
    source, read_me = Path(verify.__file__).read_bytes(), verify.READ_ME.encode()
    whole["bundle"] = {
        "READ-ME.txt": hashlib.sha256(read_me).hexdigest(),
        "verify.py": hashlib.sha256(source).hexdigest(),
    }
    late(whole)
    return {
        "READ-ME.txt": read_me,
        "certificate.json": envelope(verify.canonical(whole), key),
        "checkpoint.txt": checkpoint.sign(VAULT, len(hashes), merkle.root(hashes), log_key or key).encode(),
        "key.txt": f"{checkpoint.key_of(VAULT, key)}\n".encode(),
        "proofs.json": verify.canonical(proofs),
        "verify.py": source,
    }


def envelope(payload: bytes, key: Ed25519PrivateKey = KEY, name: str = VAULT) -> bytes:
    return verify.canonical(
        {
            "payload": b64(payload),
            "payloadType": verify.PAYLOAD_TYPE,
            "signatures": [
                {
                    "keyid": checkpoint.key_of(name, key).keyid,
                    "sig": b64(key.sign(verify.pae(verify.PAYLOAD_TYPE, payload))),
                }
            ],
        }
    )
