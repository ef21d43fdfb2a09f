"""What the operating system says no to, in our words."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from countenance.errors import DiskFull, VaultError


@contextmanager
def spoken(what: str) -> Iterator[None]:
    """Raise `DiskFull`, or `VaultError` naming `what` could not be used, where the system refuses with an `OSError`."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull from None
        why = (error.strerror or "no reason given").lower()
        raise VaultError(
            f"The system does not let {what} be used ({why}). What was finished before is kept. Look at the folder's "
            "permissions and its medium, and run the same command again."
        ) from None
