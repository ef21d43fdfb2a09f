"""Check a proof bundle of an erasure, offline: one file that needs Python 3.11 or newer and nothing else.

::

    python verify.py BUNDLE [--key FILE|KEY] [--json]     # also: python -m countenance.audit.verify BUNDLE

Exit codes: 0 holds, 6 does not, 2 the command was wrong. A bundle is a zip of exactly the files in `MEMBERS`, stored,
in that order and with every header field fixed: the same files always give the same bytes. Or a folder with the files.

==================  ==================================================================================================
READ-ME.txt         `READ_ME`; its SHA-256 stands in the statement, and that of verify.py, which is this file
certificate.json    DSSE envelope, RFC 8785: payload type `PAYLOAD_TYPE`, the statement as RFC 8785 JSON in base64, one
                    Ed25519 signature over `pae`; its keyid is the first two parts of the key text, `name+hash`
checkpoint.txt      C2SP tlog-checkpoint signed with the same key; one signature, no extension lines
key.txt             the public key as C2SP vkey text and a newline
proofs.json         RFC 8785: `{"index", "leaf", "path"}` for each log entry that the statement names, in its order;
                    leaf bytes and path hashes (from the leaf's sibling up) in base64, for the checkpoint's size
==================  ==================================================================================================

`SCHEMA` lists every field of the statement, `SAID` what the log's entries must say in the same words. An entry's leaf
is an RFC 8785 object with at least `kind` ("erasure:" and the state), `at` and `public`, which has the `erasure`'s id.
"""

import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TYPE = "countenance/erasure/v1"
PAYLOAD_TYPE = "application/vnd.countenance.erasure+json"
MEMBERS = ("READ-ME.txt", "certificate.json", "checkpoint.txt", "key.txt", "proofs.json", "verify.py")
STATES = ("planned", "approved", "frozen", "stopped", "keys-destroyed", "purged", "verified")
OPTIONAL_STATES = ("approved", "frozen")  # only where the collection or the scope asks for them
KINDS = ("photos", "faces", "subjects", "sources", "resealed")  # resealed: neighbours that stay, under a new key
SAID = {  # `commitment` is the scope's, `by` the number of those who approved, `not_covered` a digest
    "planned": ("commitment", "ground", "order", "reason", "request"),
    "approved": ("by",),
    "verified": ("counts", "keys", "not_covered", "processes", "scan", "scope", "search", "source", "suppressed"),
}
MEDIUM = {
    "A": "the hardware or service that held the key destroyed it",
    "B": "the key's slot was overwritten in place, on a medium where that overwrites",
    "C": "the key's slot was overwritten, but the medium may keep older copies: uncertain",
}
LIMIT, HASH = 16 << 20, 32  # bytes of a bundle or of a file in it (real ones have 50 kB); of a SHA-256
EMPTY_ROOT = hashlib.sha256(b"").digest()  # of the tree of no entries
_SAFE = 2**53 - 1  # RFC 8785: larger integers do not survive every JSON reader
_MANY = 1000  # entries of any list
_NESTED = 300  # lists and objects of one JSON text; below what Python nests; a certificate has about 20
_COUNT, _SOME, _NONE = range(_SAFE + 1), range(1, _SAFE + 1), range(1)
_HEX = re.compile(r"[0-9a-f]{64}")
_SLUG = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]{1,255}")  # also a C2SP key name
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{1,1000}")  # no line ends, no bidi controls
_BASE64 = re.compile(r"[A-Za-z0-9+/]{1,262144}={0,2}")
_TIME = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z")
SCHEMA: dict[str, Any] = {
    "type": re.compile(re.escape(TYPE)),
    "vault": _NAME,  # the log's origin and the key's name
    "erasure": _NAME,
    "issued_at": _TIME,
    "ground": _TEXT,
    "reason": _SLUG,
    "order": (re.compile("id|file_sha256"), _NAME),  # that asked for it: its id, and the SHA-256 of its file
    "request": (re.compile("sha256"), _HEX),  # or a person's request: the SHA-256 of its id
    # commitment: salted hash of the exact list; items: keys destroyed; items_root: Merkle root of their salted tokens
    "scope": {"commitment": _HEX, "items": _SOME, "items_root": _HEX} | dict.fromkeys(KINDS, _COUNT),
    "states": [{"state": _SLUG, "at": _TIME, "entry": _COUNT, "leaf": _HEX}],
    "keys": {"method": _TEXT, "provider": _TEXT, "medium": re.compile("[ABC]"), "medium_note": _TEXT}
    | {"epoch_before": _COUNT, "epoch_after": _COUNT, "state_before": _HEX, "state_after": _HEX}  # of the sealed state
    | {"replicas": _COUNT},  # live copies of the key state that hold the new epoch and no older one
    "counts": (_SLUG, _COUNT),  # what was removed, by layer
    "scan": dict.fromkeys(("files", "bytes", "control_hits"), _SOME)
    | {"patterns": _COUNT, "hits": _NONE, "places": [_SLUG]},
    "search": {"probes": _COUNT, "hits": _NONE},
    "source": {"deleted": _COUNT, "redacted": _COUNT, "worklist": _COUNT, "failed": _COUNT},
    "suppressed": (_SLUG, _COUNT),  # tokens by which what was erased is kept out, by kind
    "processes": {"acknowledged": _COUNT, "unanswered": [_TEXT]},
    "not_covered": [_TEXT],
    "software": _TEXT,
    "approved_by": [_TEXT],
    "bundle": {"READ-ME.txt": _HEX, "verify.py": _HEX},  # SHA-256 of the files
}
_ENVELOPE = {"payload": _BASE64, "payloadType": _TEXT, "signatures": [{"keyid": _TEXT, "sig": _BASE64}]}
_PROOFS = [{"index": _COUNT, "leaf": _BASE64, "path": [_BASE64]}]

READ_ME = """\
This is the proof of an erasure, made by Countenance. To check it you need Python 3.11 or newer (python.org) and nothing
else, no network either. Unpack verify.py and run, where BUNDLE is the zip file or the folder you unpacked it to:

    python verify.py BUNDLE --key KEY

KEY is the operator's public key, which you should have from somewhere else than this bundle: their web site, a letter.
Without it the check only shows that these files belong together. Whoever made the bundle also put verify.py into it:
if you do not trust them, take that file (countenance/audit/verify.py) from the published package countenance instead.

certificate.json is the signed statement: what was erased (in numbers), when, how, and what is not covered.
checkpoint.txt is the signed state of the operator's log; proofs.json shows the erasure's entries to be under it.

What it proves: the holder of the key committed to having destroyed these keys, and to having searched the files and
found nothing left; the steps stand in an append-only log; and not one byte of this has been altered since.
What it does not prove: that no copy was made before; that a memory chip, a snapshot of the machine or somebody else
holds nothing; that the list of what to erase was complete. The statement names what it does not cover.
"""


class Key(NamedTuple):
    """A public key that signs under a name. As text it is a C2SP vkey."""

    name: str
    public: bytes  # 32 bytes, Ed25519

    @property
    def keyid(self) -> str:
        """`name+hash`, this key's name in an envelope; the hash is the C2SP key id, 4 bytes in hex."""
        named = self.name.encode() + b"\n\x01" + self.public
        return f"{self.name}+{hashlib.sha256(named).hexdigest()[:8]}"

    def __str__(self) -> str:
        return f"{self.keyid}+{base64.b64encode(bytes([1]) + self.public).decode()}"


class Checkpoint(NamedTuple):
    """A signed state of a log."""

    origin: str
    size: int  # entries
    root: bytes


class Report(NamedTuple):
    """What came of a bundle."""

    checks: tuple[tuple[str, str], ...]  # what was checked, and why it does not hold or ""
    key: Key | None
    statement: dict[str, Any] | None  # None unless every check holds


def _demand(holds: object, why: str) -> None:
    if not holds:
        raise ValueError(why)


# The Merkle tree (RFC 6962, section 2.1)
def leaf_hash(leaf: bytes) -> bytes:
    """The 32-byte hash of one entry's bytes."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32-byte hash over two 32-byte subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def inclusion_holds(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the leaf hash at `index` (from 0) is under `root` of a tree of `size` leaves (RFC 9162, 2.1.3.2)."""
    inner = (index ^ (size - 1)).bit_length()  # below this height the leaf's subtree is complete
    fits = 0 <= index < size and len(path) == inner + (index >> inner).bit_count()
    if not fits or any(len(node) != HASH for node in (leaf, *path)):
        return False
    for height, sibling in enumerate(path):
        leaf = node_hash(sibling, leaf) if height >= inner or index >> height & 1 else node_hash(leaf, sibling)
    return leaf == root


# Strict reading: one value, one spelling; anything else is a ValueError that says what is wrong
def unbase64(text: str, size: int | None = None) -> bytes:
    """Decode standard base64 in its one right spelling, of `size` bytes if given."""
    data = base64.b64decode(text, validate=True)
    _demand(base64.b64encode(data).decode() == text and size in {None, len(data)}, "base64 of another form or length")
    return data


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of JSON without fractions, which have no place in a certificate."""
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return b"{" + b",".join(canonical(name) + b":" + canonical(value[name]) for name in names) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(map(canonical, value)) + b"]"
    fits = value is None or isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= _SAFE)
    _demand(fits, "the JSON holds a fraction or a number that is too large")
    return json.dumps(value, ensure_ascii=False).encode()


def parse(data: bytes) -> Any:
    """Read JSON in RFC 8785 form, byte for byte, so a name given twice, NaN or a space is refused."""
    _demand(data.count(b"[") + data.count(b"{") <= _NESTED, "the JSON has too many parts")
    value = json.loads(data)
    _demand(canonical(value) == data, "the JSON is not in its one right form (RFC 8785)")
    return value


def shaped(value: Any, rule: Any, where: str) -> Any:
    """Return `value` if it has exactly the shape of `rule` (see SCHEMA), else raise a ValueError that names `where`."""
    inner: dict[Any, Any] = {}  # the rule of each part
    if isinstance(rule, dict):
        fits, inner = isinstance(value, dict) and value.keys() == rule.keys(), rule
    elif isinstance(rule, list):
        if fits := isinstance(value, list) and len(value) <= _MANY:
            inner = dict.fromkeys(range(len(value)), rule[0])
    elif isinstance(rule, tuple):
        if fits := isinstance(value, dict) and all(map(rule[0].fullmatch, value)):
            inner = dict.fromkeys(value, rule[1])
    elif isinstance(rule, range):
        fits = isinstance(value, int) and not isinstance(value, bool) and value in rule
    else:
        fits = isinstance(value, str) and rule.fullmatch(value) is not None
    _demand(fits, f"{where} has not the form it must have")
    for name in inner:
        shaped(value[name], inner[name], f"{where}.{name}")
    return value


# Ed25519 (RFC 8032, section 5.1). A point is (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z
_P, _ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
_D, _ROOT = -121665 * pow(121666, -1, _P) % _P, pow(2, (_P - 1) // 4, _P)  # _ROOT squared is -1
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL = (0, 1, _P - 1, _ORDER_8, _P - _ORDER_8)  # y of the curve's points of order 1, 2, 4 and 8
_BASE = b"\x58" + b"\x66" * 31


def _point(public: bytes) -> tuple[int, ...]:
    """The point that these 32 bytes name, in their one spelling; none of small order."""
    odd, y = divmod(int.from_bytes(public, "little"), 2**255)
    _demand(len(public) == HASH and y < _P and y not in _SMALL, "it is a key with which anybody can sign")
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    x = x if x * x % _P == square else x * _ROOT % _P
    _demand(x * x % _P == square, "it is no point of the curve")
    x = x if x % 2 == odd else _P - x
    return x, y, 1, x * y % _P


def _plus(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, ...]:
    a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * _D * one[3] * two[3], 2 * one[2] * two[2]
    e, f, g, h = (b - a) % _P, (d - c) % _P, (d + c) % _P, (b + a) % _P
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def signature_holds(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the Ed25519 signature over the message is that key's, all in their one right form (5.1.7, no cofactor)."""
    nonce, s = signature[:HASH], int.from_bytes(signature[HASH:], "little")
    _demand(len(signature) == 2 * len(public) == 2 * HASH and s < _ORDER, "a signature is not in its one right form")
    base, minus = _point(_BASE), _point(public[:31] + bytes([public[31] ^ 128]))  # the other x: minus the key
    total: tuple[int, ...] = (0, 1, 1, 0)
    table = (total, base, minus, _plus(base, minus))
    k = int.from_bytes(hashlib.sha512(nonce + public + message).digest(), "little") % _ORDER
    for bit in range(_ORDER.bit_length() - 1, -1, -1):  # s times the base minus k times the key
        total = _plus(total, total)
        total = _plus(total, table[(s >> bit & 1) + 2 * (k >> bit & 1)])
    inverse = pow(total[2], -1, _P)
    found = total[1] * inverse % _P | (total[0] * inverse % _P & 1) << 255
    return found.to_bytes(HASH, "little") == nonce


# Keys and notes
def parse_key(text: str) -> Key:
    """Read a C2SP vkey of type Ed25519 in its one spelling. Refuses a key that signs anything."""
    name, _, rest = text.partition("+")
    key = Key(name, unbase64(rest.partition("+")[2], HASH + 1)[1:])
    _demand(_NAME.fullmatch(name) and str(key) == text, "it is not name+hash+key of an Ed25519 key")
    _point(key.public)
    return key


def open_note(note: bytes, key: Key, *, alone: bool = False) -> str:
    """Return the text of a C2SP signed note that `key` signed; others may sign it too, unless `alone`."""
    match = re.fullmatch(r"(?s)(.*\n)\n((?:\u2014 [^\s+]+ \S+\n)+)", note.decode())
    if not match or re.search(r"[\x00-\x09\x0b-\x1f]", match[0]):
        raise ValueError("it is not a signed note")
    lines, found = match[2].splitlines(), []
    for _, name, text in (line.split(" ") for line in lines):
        signature = unbase64(text)
        if f"{name}+{signature[:4].hex()}" == key.keyid:
            found.append(signature_holds(key.public, signature[4:], match[1].encode()))
    _demand(found and all(found), "the note's signature is not this key's")
    _demand(not alone or len(lines) == 1, "the note has further signatures")
    return match[1]


def open_checkpoint(note: bytes, key: Key, *, alone: bool = False) -> Checkpoint:
    """Return what a C2SP checkpoint says if `key` signed it. Refuses extension lines."""
    lines = open_note(note, key, alone=alone).split("\n")
    _demand(len(lines[:-1]) == len(Checkpoint._fields) and lines[0], "the checkpoint is not origin, size and root")
    _demand(re.fullmatch(r"0|[1-9][0-9]{0,15}", lines[1]), "the checkpoint's size is not a plain number")
    return Checkpoint(lines[0], int(lines[1]), unbase64(lines[2], HASH))


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE v1 pre-authentication encoding: the bytes that are signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def open_envelope(envelope: bytes, key: Key) -> bytes:
    """Return the payload of a DSSE envelope of an erasure that `key`, and nobody else, signed."""
    fields = shaped(parse(envelope), _ENVELOPE, "envelope")
    payload, signatures = unbase64(fields["payload"]), fields["signatures"]
    _demand(fields["payloadType"] == PAYLOAD_TYPE and len(signatures) == 1, "it is not one signature over an erasure")
    signed = signature_holds(key.public, unbase64(signatures[0]["sig"]), pae(PAYLOAD_TYPE, payload))
    _demand(signed and signatures[0]["keyid"] == key.keyid, "the signature is not this key's over this statement")
    return payload


# The bundle
def pack(files: Mapping[str, bytes]) -> bytes:
    """The one zip of these MEMBERS: version 2.0, no flags, stored, 1 January 1980, no extra field."""
    out = directory = b""
    for name in MEMBERS:
        data, label = files[name], name.encode()
        facts = struct.pack("<5H3I2H", 20, 0, 0, 0, 0x21, binascii.crc32(data), len(data), len(data), len(label), 0)
        directory += b"PK\x01\x02\x14\x00" + facts + struct.pack("<3H2I", 0, 0, 0, 0, len(out)) + label
        out += b"PK\x03\x04" + facts + label + data
    end = struct.pack("<4H2IH", 0, 0, len(MEMBERS), len(MEMBERS), len(directory), len(out), 0)
    return out + directory + b"PK\x05\x06" + end


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a zip that `pack` made. Any other is refused, since packing again must give the same bytes."""
    files, at = {}, 0
    for name in MEMBERS:
        start = at + 30 + len(name)
        at = start + int.from_bytes(data[at + 22 : at + 26], "little")
        files[name] = data[start:at]
    _demand(pack(files) == data, "it is not, byte for byte, a zip that Countenance made (packed again? unpack it)")
    return files


def read(path: Path) -> dict[str, bytes]:
    """The files of a bundle, zip or folder. Raises ValueError, or OSError if something cannot be read."""
    files = {name: path / name for name in MEMBERS} if path.is_dir() else {"": path}
    for name, file in files.items():
        _demand(not name or file.is_file(), f"the folder has no {name}")
        _demand(file.stat().st_size <= LIMIT, "a file is far larger than any in a bundle")
    return {name: files[name].read_bytes() for name in files} if path.is_dir() else unpack(path.read_bytes())


def examine(files: Mapping[str, bytes], given: str | None = None) -> Report:
    """Check a bundle's MEMBERS up to the first that fails; `given`: the key from elsewhere, as vkey text or hex."""
    found: dict[str, Any] = {}
    names: list[str] = []
    try:
        names.extend(_steps(files, given, found))
    except ValueError as error:
        return Report((*((name, "") for name in names[:-1]), (names[-1], str(error))), found.get("key"), None)
    return Report(tuple((name, "") for name in names), found["key"], found["statement"])


def _steps(files: Mapping[str, bytes], given: str | None, found: dict[str, Any]) -> Iterator[str]:
    """Yield what is checked next, then check it."""
    yield "the bundle's public key is well formed"
    key = found["key"] = parse_key(files["key.txt"].decode().removesuffix("\n"))
    _demand(files["key.txt"].endswith(b"\n"), "key.txt does not end its line")
    if given is not None:
        yield "it is the key you gave"
        _demand(given in {str(key), key.public.hex()}, "the bundle carries another key; do not rely on it")
    yield "this key signed the certificate"
    payload = open_envelope(files["certificate.json"], key)
    yield "the statement has every field it must have, and no other"
    said = found["statement"] = shaped(parse(payload), SCHEMA, "statement")
    yield "the statement agrees with itself and is of this key's vault"
    _demand(said["vault"] == key.name, "the key belongs to another vault")
    _consistent(said)
    yield "READ-ME.txt and verify.py are those the statement names"
    for name, digest in said["bundle"].items():
        _demand(hashlib.sha256(files[name]).hexdigest() == digest, f"{name} is another file")
    yield "this key signed the checkpoint of this vault's log"
    checkpoint = open_checkpoint(files["checkpoint.txt"], key, alone=True)
    _demand(checkpoint.origin == key.name, "the checkpoint is of another log")
    yield "there is one proof for each log entry that the statement names"
    proofs, states = shaped(parse(files["proofs.json"]), _PROOFS, "proofs"), said["states"]
    _demand([p["index"] for p in proofs] == [s["entry"] for s in states], "the proofs are of other entries")
    for state, proof in zip(states, proofs, strict=True):
        yield f"log entry {state['entry']}, {state['state']}, is under the checkpoint and says the same"
        leaf, path = unbase64(proof["leaf"]), [unbase64(node, HASH) for node in proof["path"]]
        _demand(leaf_hash(leaf).hex() == state["leaf"], "the entry is not the one that the statement names")
        held = inclusion_holds(leaf_hash(leaf), state["entry"], checkpoint.size, path, checkpoint.root)
        _demand(held, "the entry is not in the log at that place")
        _agrees(parse(leaf), state, said)


def _consistent(said: dict[str, Any]) -> None:
    scope, keys, states = said["scope"], said["keys"], said["states"]
    _demand(scope["items"] == sum(scope[kind] for kind in KINDS), "the number of items is not the sum of its kinds")
    steps = [state["state"] for state in states]
    must = [name for name in STATES if name in steps or name not in OPTIONAL_STATES]
    _demand(steps == must, "the steps are not those of an erasure in their order")
    _demand(bool(said["approved_by"]) == ("approved" in steps), "who approved, and the step, do not go together")
    times, entries = [*(state["at"] for state in states), said["issued_at"]], [state["entry"] for state in states]
    _demand(times == sorted(times), "a step is earlier than the one before it")
    _demand(entries == sorted(set(entries)), "the log entries are not in order")
    _demand(keys["epoch_after"] == keys["epoch_before"] + 1, "the key epoch did not go up by one")
    _demand(keys["state_before"] != keys["state_after"], "the key state did not change")
    asked = [*sorted(said["order"]), *sorted(said["request"])]
    _demand(asked in ([], ["file_sha256", "id"], ["sha256"]), "it is not one order or one request that asked for it")
    _demand(said["counts"] and said["not_covered"], "it counts no layer, or does not say what it does not cover")


def _agrees(entry: Any, state: dict[str, Any], said: dict[str, Any]) -> None:
    public = entry["public"] if isinstance(entry, dict) and isinstance(entry.get("public"), dict) else {}
    _demand(public.get("erasure") == said["erasure"], "the entry is of another erasure")
    _demand(entry.get("kind") == f"erasure:{state['state']}", "the entry is of another step")
    _demand(entry.get("at") == state["at"], "the entry is of another time")
    facts = said | {"commitment": said["scope"]["commitment"], "by": len(said["approved_by"])}
    facts["not_covered"] = hashlib.sha256(canonical(said["not_covered"])).hexdigest()
    for name in SAID.get(state["state"], ()):
        same = canonical(public.get(name)) == canonical(facts[name])
        _demand(same, f"the entry and the certificate differ in {name}")


def plain(said: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The statement in plain words, as pairs of a heading and a sentence."""
    scope, keys, scan, processes = (said[name] for name in ("scope", "keys", "scan", "processes"))
    yield "issued", f"{said['issued_at']} by {said['software']}, vault {said['vault']}, erasure {said['erasure']}"
    yield "erased", f"{_listed({kind: scope[kind] for kind in KINDS})}: {scope['items']} keys destroyed"
    yield "ground", f"{said['ground']} ({said['reason']})"
    yield "asked for by", _listed(said["order"] or said["request"]) or "nobody outside"
    yield "steps", _listed({state["state"]: state["at"] for state in said["states"]})
    yield "approved by", ", ".join(said["approved_by"]) or "nobody else was asked"
    yield "method", f"{keys['method']}; {keys['provider']}; epoch {keys['epoch_before']} to {keys['epoch_after']}"
    yield "medium", f"class {keys['medium']}: {MEDIUM[keys['medium']]} ({keys['medium_note']})"
    yield "removed", _listed(said["counts"])
    yield "key copies", f"{keys['replicas']} beside the vault's own; took the new keys before the old were destroyed"
    looked = _listed({name: scan[name] for name in ("files", "bytes", "patterns")})
    yield "byte scan", f"{', '.join(scan['places'])}: {looked}: nothing left; {scan['control_hits']} planted were found"
    yield "search", f"with {said['search']['probes']} of the erased templates: nothing found"
    yield "at the source", _listed(said["source"])
    yield "kept out", f"if it comes back, known by tokens of: {_listed(said['suppressed']) or 'nothing'}"
    silent = ", ".join(processes["unanswered"]) or "none"
    yield "processes", f"{processes['acknowledged']} took the new keys; no answer: {silent}"
    yield from (("NOT covered", text) for text in said["not_covered"])


def _listed(table: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in table.items())


def verdict(report: Report, given: str | None = None) -> str:
    """The last line: what to think of it."""
    if report.statement is None:
        return "DOES NOT HOLD: {}? No: {}.".format(*report.checks[-1])
    if given is None:
        return "HOLDS, if the public key shown is the operator's: compare it with one you have from somewhere else."
    return "HOLDS, and is signed with the key you gave."


def public_key(text: str) -> str:
    """The key that the user gave: a file with it, vkey text, or 64 hex digits."""
    try:
        given = Path(text).read_text("utf-8").strip()
    except OSError:
        given = text.strip()
    return given.lower() if _HEX.fullmatch(given.lower()) else str(parse_key(given))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser("verify", description="Check a proof bundle of an erasure, offline.")
    parser.add_argument("bundle", type=Path, help="the zip, or a folder with its files")
    parser.add_argument("--key", type=public_key, help="the operator's, from elsewhere: file, name+hash+key or 64 hex")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    try:
        report = examine(read(args.bundle), args.key)
    except OSError as error:
        parser.error(f"the bundle cannot be read: {error.strerror}")
    except ValueError as error:
        report = Report((("the bundle is whole", str(error)),), None, None)
    encoding = sys.stdout.encoding or "utf-8"
    for line in _lines(report, args.key, as_json=args.json):
        sys.stdout.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    return 0 if report.statement else 6


def _lines(report: Report, given: str | None, *, as_json: bool) -> Iterator[str]:
    key, said = report.key, report.statement
    if as_json:
        of_key = key and {"text": str(key), "public": key.public.hex(), "given": given is not None}
        checks = [{"name": name, "ok": not why, "why": why} for name, why in report.checks]
        whole = {"holds": said is not None, "verdict": verdict(report, given), "key": of_key}
        yield json.dumps(whole | {"checks": checks, "statement": said})
        return
    for name, why in report.checks:
        yield f"FAILED  {name}: {why}" if why else f"ok      {name}"
    for heading, text in [*(plain(said) if said else []), ("public key", key.public.hex() if key else "none")]:
        yield f"{heading:15}{text}"
    yield verdict(report, given)


if __name__ == "__main__":
    sys.exit(main())
