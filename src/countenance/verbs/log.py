"""The verbs on the log: `vault.log`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from countenance import errors
from countenance.audit import cosign, log
from countenance.audit.checkpoint import parse_cosigner
from countenance.audit.cosign import Cosigned
from countenance.audit.log import Line, Verified
from countenance.audit.tiles import Published, publish
from countenance.store import entries
from countenance.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What was done with a vault, line by line, and what shows outsiders that no line was changed since."""

    database: Database

    def lines(self, *, first: int = 0, kind: str | None = None, newest: int | None = None) -> list[Line]:
        """Lines of the log, in order."""
        with self.database.read() as tx:
            return list(log.show(tx, first=first, kind=kind, newest=newest))

    def verify(self, since: str = "") -> Verified:
        """Check every line of the log against its signed checkpoint, and against one kept from earlier, if given."""
        with self.database.read() as tx:
            return log.verify(tx, since)

    def checkpoint(self, *, cosigned: bool = False) -> str:
        """The log's signed checkpoint (C2SP). Whoever keeps one can show later that the log was rolled back.

        With `cosigned`, the last that a witness signed too; raises `NotFound` if none did.
        """
        with self.database.read() as tx:
            found = entries.cosigned(tx) if cosigned else entries.head(tx).checkpoint
        if not found:
            raise errors.NotFound(noun="cosigned checkpoint", name="yet (countenance log cosign asks for one)")
        return found

    def key(self) -> str:
        """The public key that checks this log, as C2SP vkey text: what a witness or an auditor is given."""
        with self.database.read() as tx:
            return str(log.key(tx))

    def prove(self, line: int) -> str:
        """A proof for outsiders that this line is in the log (C2SP tlog-proof). `audit.proof.read` checks it."""
        with self.database.read() as tx:
            return log.prove(tx, line)

    def publish(self, folder: str | os.PathLike[str] | None = None) -> Published:
        """Write the log as static files (C2SP tlog-tiles) to a folder, `log/` in the vault if none is given."""
        target = Path(folder).expanduser() if folder is not None else self.database.path.parent / "log"
        with self.database.read() as tx:
            return publish(tx, target, dry_run=self.database.dry_run)

    def cosign(self, url: str, *, witness: str) -> Cosigned:
        """Have the witness at an address sign today's checkpoint; `witness` is its key, as it prints it.

        Connects to that address. In a dry run it only says what would be sent.
        """
        try:
            cosigner = parse_cosigner(witness.strip())
        except ValueError as error:
            raise errors.UsageError(f"That is not a witness's key: {error}. Nothing was sent.") from None
        return cosign.cosign(self.database, url, cosigner)
