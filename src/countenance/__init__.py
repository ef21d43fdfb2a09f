"""Face search that a regulator would let you run.

::

    import countenance

    countenance.create("club.vault")
    with countenance.open("club.vault") as vault:
        ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from countenance import errors
from countenance.records import Consent

if TYPE_CHECKING:
    import os

    from countenance.founding import create
    from countenance.vault import Vault

__all__ = ["Consent", "Vault", "create", "errors", "open"]


def open(path: str | os.PathLike[str], **options: Any) -> Vault:  # noqa: A001 - read as countenance.open
    """Open the vault in a folder; see `Vault` for the options. Use it in a with statement, or close it."""
    from countenance.vault import Vault  # noqa: PLC0415 - importing countenance loads no model and no database

    return Vault(path, **options)


def __getattr__(name: str) -> Any:
    if name == "create":
        from countenance.founding import create  # noqa: PLC0415

        return create
    if name == "Vault":
        from countenance.vault import Vault  # noqa: PLC0415

        return Vault
    raise AttributeError(f"countenance has no {name}")
