"""A lock between processes: held as long as the file is open, let go by the kernel if the process dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from countenance.store.system import spoken


@contextmanager
def held(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock; yields False instead of waiting if another process holds it and `wait` is False."""
    with spoken(path.name):
        file = path.open("ab")
    with file:
        path.chmod(0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
