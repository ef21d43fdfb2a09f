"""Asking a witness to sign the log's checkpoint: the one network client beside the sources (C2SP tlog-witness).

It connects to the address that the caller names and to no other: no redirect is followed, no proxy asked. What it sends
is the checkpoint and hashes of the tree: nothing personal.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from countenance.audit import checkpoint, log
from countenance.audit.checkpoint import Cosigner
from countenance.audit.verify import Checkpoint, open_checkpoint
from countenance.errors import ProofFailed, UsageError, WitnessError
from countenance.records import Entry
from countenance.store import entries
from countenance.store.database import Database

SECONDS = 20.0  # to connect, and for each answer
LIMIT = 64 << 10  # bytes of an answer
TRIES = (
    3  # the first learns how far the witness has seen the log; a further one is lost to a cosigning at the same time
)
KINDS = {"http": HTTPConnection, "https": HTTPSConnection}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint with a witness's signature."""

    witness: str  # its name
    size: int  # lines that it saw
    at: str
    note: str  # in a dry run, as it would be sent
    entry: int | None  # the line that says so; none in a dry run


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    kind: str
    text: str


def cosign(database: Database, url: str, witness: Cosigner) -> Cosigned:
    """Have a witness sign today's checkpoint, keep the cosigned one, and append a line that says so.

    The line comes after what was signed: it is under the next checkpoint. Raises `ProofFailed` if the witness has seen
    more or other lines than the log has, `WitnessError` if it cannot be asked, `UsageError` for an address that is none.
    """
    prefix = _prefix(url)
    with database.read() as tx:
        note, log_key, before = entries.head(tx).checkpoint, log.key(tx), entries.cosigned(tx)
    signed = open_checkpoint(note.encode(), log_key)
    if database.dry_run:
        return Cosigned(witness=witness.name, size=signed.size, at="", note=note, entry=None)
    old = _seen(before, log_key.name, witness)
    for _ in range(TRIES):
        reply = _post(url, prefix, _body(database, old, signed, note))
        if reply.status != 409 or reply.kind != "text/x.tlog.size":  # noqa: PLR2004 - HTTP's Conflict
            break
        size = _number(reply.text)
        if size > signed.size:
            raise ProofFailed(
                why=f"the witness has seen {size} lines of this log, and there are {signed.size}: the log was rolled "
                "back to an older state, and what was done since is missing. Nothing was cosigned"
            )
        if size == old:
            raise ProofFailed(
                why=f"the witness has seen other {size} lines than the log's: it was rewritten. Nothing was cosigned"
            )
        old = size
    _demand_signed(reply, old)
    whole = note + "".join(line + "\n" for line in reply.text.splitlines() if line.startswith(f"— {witness.name} "))
    try:
        at = checkpoint.cosigned_at(whole, log_key, witness)
    except ValueError as error:
        raise WitnessError(why=f"its answer is not signed with the key you gave ({error})") from None
    when = log.stamp(datetime.fromtimestamp(at, UTC))
    with database.write() as tx:
        public = {"witness": str(witness), "size": signed.size, "witnessed-at": when}
        entry = log.append(tx, Entry(kind=log.COSIGNED, public=public))
        entries.keep_cosigned(tx, whole)
    return Cosigned(witness=witness.name, size=signed.size, at=when, note=whole, entry=entry)


def _demand_signed(reply: _Reply, old: int) -> None:
    """Raise what an answer other than a cosignature means."""
    if reply.status == 422:  # noqa: PLR2004
        raise ProofFailed(
            why=f"the log does not begin with the {old} lines that the witness has seen: it was rolled back and has "
            "grown again, or was rewritten. Nothing was cosigned"
        )
    told = {
        403: "it knows this log under another key (countenance log key prints the right one)",
        404: "it does not watch this log; whoever runs it must add its key (countenance log key prints it)",
    }
    if reply.status != 200:  # noqa: PLR2004
        raise WitnessError(why=told.get(reply.status, f"it answered with status {reply.status}"))


def _seen(note: str, origin: str, witness: Cosigner) -> int:
    """How far this witness has seen the log, as far as is known here."""
    if f"\n— {witness.name} " not in note or note.partition("\n")[0] != origin:
        return 0
    return _number(note.split("\n")[1])


def _body(database: Database, old: int, signed: Checkpoint, note: str) -> bytes:
    with database.read() as tx:
        proof = log.grown(tx, signed.size).consistency(old)
    lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof), "", note]
    return "\n".join(lines).encode()


def _number(text: str) -> int:
    digits = text.removesuffix("\n")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 16):  # noqa: PLR2004 - beyond any log
        raise WitnessError(why="it did not say how far it has seen the log")
    return int(digits)


def _prefix(url: str) -> str:
    """The path under which the witness answers. Raises `UsageError` for what is no plain http or https address."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in KINDS and parts.hostname and parts.port != 0
    except ValueError:
        plain = False
    if not plain or parts.query or parts.fragment or parts.username or not url.isascii() or len(url.split()) != 1:
        raise UsageError(f"{url} is not the address of a witness, such as https://witness.example. Nothing was sent.")
    return parts.path.rstrip("/")


def _post(url: str, prefix: str, body: bytes) -> _Reply:
    parts = urlsplit(url)
    connection = KINDS[parts.scheme](parts.hostname or "", parts.port, timeout=SECONDS)
    try:
        connection.request("POST", f"{prefix}/add-checkpoint", body, {"Content-Type": "text/plain; charset=utf-8"})
        answer = connection.getresponse()
        data = answer.read(LIMIT + 1)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise WitnessError(why=f"it cannot be reached ({reason})") from None
    finally:
        connection.close()
    try:
        text = data.decode() if len(data) <= LIMIT else ""
    except UnicodeDecodeError:
        text = ""
    return _Reply(answer.status, answer.getheader("Content-Type", ""), text)
