"""Every error Countenance raises, in one tree.

::

    CountenanceError
    ├── UsageError            what was asked makes no sense
    ├── NotFound              no such record
    ├── Refused               a rule, an order or a missing basis says no
    │   └── Incomplete        the collection does not say what it must
    ├── NotAuthorised         wrong or missing key
    │   ├── WrongKey
    │   └── KeysMissing
    ├── VaultError            the vault itself cannot be used
    │   ├── VaultMissing
    │   ├── VaultExists
    │   ├── VaultNewer
    │   ├── VaultOlder
    │   ├── VaultDamaged
    │   ├── VaultBusy
    │   ├── RecordsOld
    │   ├── KeysOld
    │   ├── LedgerBroken
    │   ├── ReplicaUnreachable
    │   └── BackupDamaged
    ├── SourceError           a source cannot be read
    │   ├── SourceGone
    │   └── AddressUnreadable
    ├── BadImage              one picture cannot be used (its `reason` is a slug of `BAD_IMAGE`)
    ├── NoFace                the picture shows no usable face
    ├── ModelError            a face model is missing or not what it claims
    ├── DiskFull              nothing more can be written
    ├── WitnessError          a witness of the log cannot be asked
    ├── Partly                done, but not for everything
    ├── Interrupted           stopped by the user
    └── ProofFailed           a signature, hash or proof does not hold

A class's docstring is its message; the words in braces are the facts given when it is raised. `slug` names the error in
JSON and in the documentation, `status` is its HTTP status, `exit_code` the command line's.
"""

from __future__ import annotations

from typing import Any, ClassVar


class CountenanceError(Exception):
    """{message}"""  # noqa: D415

    slug: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "", **facts: Any) -> None:
        self.facts: dict[str, Any] = {"message": message, **facts}
        super().__init__(message, facts)

    def __str__(self) -> str:
        return (type(self).__doc__ or "").strip().format(**self.facts)

    def __reduce__(self) -> tuple[Any, ...]:
        return _revive, (type(self), self.facts)


def _revive(kind: type[CountenanceError], facts: dict[str, Any]) -> CountenanceError:
    return kind(**facts)


class UsageError(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "usage", 400, 2


class NotFound(CountenanceError):
    """There is no {noun} {name} in this vault."""

    slug, status, exit_code = "not-found", 404, 1


class Refused(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "refused", 403, 4


class Incomplete(Refused):
    """The collection {name} cannot hold faces yet. It needs: {missing}. Nothing was kept. State it with `{command}`."""

    slug, status, exit_code = "incomplete", 403, 4


class NotAuthorised(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "not-authorised", 401, 5


class WrongKey(NotAuthorised):
    """The key does not open this vault. Nothing was changed. Check the passphrase, or that keys/ belongs to this vault."""

    slug, status, exit_code = "wrong-key", 401, 5


class KeysMissing(NotAuthorised):
    """The vault's keys are not in {path}. Without them nothing sealed can be read, by anyone; put a live replica of the folder there."""  # noqa: E501

    slug, status, exit_code = "keys-missing", 401, 5


class VaultError(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "vault", 500, 1


class VaultMissing(VaultError):
    """There is no vault at {path}. Make one with `countenance init {path}`."""

    slug, status, exit_code = "vault-missing", 404, 1


class VaultExists(VaultError):
    """{path} already holds something. Nothing was changed; choose a folder that is new or empty."""

    slug, status, exit_code = "vault-exists", 409, 1


class VaultNewer(VaultError):
    """This vault has format {found}; this version of Countenance knows formats up to {known}. Nothing was changed; install a newer version."""  # noqa: E501

    slug, status, exit_code = "vault-newer", 409, 1


class VaultOlder(VaultError):
    """This vault has format {found}, from before the first release. Nothing was changed; make a new vault and add its sources again."""  # noqa: E501

    slug, status, exit_code = "vault-older", 409, 1


class VaultDamaged(VaultError):
    """The vault is damaged: {what}. Nothing was changed. `countenance check` lists what still agrees."""

    slug, status, exit_code = "vault-damaged", 500, 1


class VaultBusy(VaultError):
    """Another process has been writing to this vault for {seconds} seconds. Nothing was lost; try again."""

    slug, status, exit_code = "vault-busy", 503, 1


class RecordsOld(VaultError):
    """The records are of key epoch {found}, the keys of epoch {now}: records.db was put back from an old copy, and holds what was erased since. Nothing is shown of it and nothing was changed. `countenance restore` brings it to today."""  # noqa: E501

    slug, status, exit_code = "records-old", 409, 1


class KeysOld(VaultError):
    """The keys in {path} are older than the records or than a replica: they were put back from an old copy, and would open what was erased since. Nothing was changed. Put a live replica of the keys there, and destroy the old copy."""  # noqa: E501

    slug, status, exit_code = "keys-old", 409, 1


class LedgerBroken(VaultError):
    """The erasure ledger of these keys is not whole from epoch {first} to {last}: what was erased since the backup cannot be told. Nothing was restored. Use a replica of the keys whose ledger is whole, or a later backup."""  # noqa: E501

    slug, status, exit_code = "ledger-broken", 409, 1


class ReplicaUnreachable(VaultError):
    """The replica of the keys in {path} cannot be brought along: {why}. No erasure is finished as long as it could hold old keys; what is in scope stays hidden. Bring it back and run `countenance erase --resume`, or take it off the list with `countenance keys replicate --remove`."""  # noqa: E501

    slug, status, exit_code = "replica-unreachable", 503, 1


class BackupDamaged(VaultError):
    """The backup cannot be used: {what}. Nothing was restored. Take another one with --at, or another copy of the backup."""

    slug, status, exit_code = "backup-damaged", 409, 1


class SourceError(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "source", 502, 1


class SourceGone(SourceError):
    """The source cannot be reached any more: {why}. What was added before is kept; run the same command again when it is back."""  # noqa: E501

    slug, status, exit_code = "source-gone", 502, 1


class AddressUnreadable(SourceError):
    """One photo of the source cannot be read: {why}."""

    slug, status, exit_code = "unreadable", 502, 1


BAD_IMAGE = {
    "empty": "the file has no bytes",
    "not-an-image": "it is not a picture in a format that Countenance reads",
    "truncated": "the picture ends before it should",
    "corrupt": "the picture's data contradicts itself",
    "too-many-pixels": "the picture claims more pixels than the limit",
    "too-many-bytes": "the file is larger than the limit",
    "too-slow": "decoding took longer than the limit",
    "too-much-memory": "decoding needed more memory than the limit",
    "not-redactable": "it has parts that cannot be redacted safely, such as further frames or pages",
    "decoder-crashed": "the decoder crashed on it; only its worker process was lost",
}


class BadImage(CountenanceError):
    """This picture cannot be used: {why}."""

    slug, status, exit_code = "bad-image", 422, 1

    def __init__(self, reason: str, **facts: Any) -> None:
        facts.pop("message", None)
        facts.pop("why", None)
        self.reason = reason
        super().__init__(reason=reason, why=BAD_IMAGE[reason], **facts)


class NoFace(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "no-face", 422, 1


class ModelError(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "model", 500, 1


class DiskFull(CountenanceError):
    """The disk is full. What was added before is kept and whole; free some space and run the same command again."""

    slug, status, exit_code = "disk-full", 507, 1


class WitnessError(CountenanceError):
    """The witness gave no cosignature: {why}. The log is as it was; put this right or try again later."""

    slug, status, exit_code = "witness", 502, 1


class Partly(CountenanceError):
    """{message}"""  # noqa: D415

    slug, status, exit_code = "partly", 207, 3


class Interrupted(CountenanceError):
    """Stopped. What was finished is kept; run the same command again to go on."""

    slug, status, exit_code = "interrupted", 499, 130


class ProofFailed(CountenanceError):
    """The proof does not hold: {why}."""

    slug, status, exit_code = "proof-failed", 409, 6
