"""The inside of one worker process: limits first, then one task after another until the pipe closes."""

from __future__ import annotations

import ctypes
import os
import pickle
import resource
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from countenance.errors import BadImage, CountenanceError

OPEN_FILES = 64
PR_SET_PDEATHSIG = 1  # prctl(2)

Task = tuple[Callable[..., Any], tuple[Any, ...]]


def serve(descriptor: int, parent: int, memory_mb: int) -> None:
    """Answer tasks from the pipe at `descriptor` until it closes; end with the process `parent` at the latest.

    Each message is a pickled (function, arguments); each answer a pickled (True, result) or (False, error of our tree).
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            return
    _limit(memory_mb * 1024 * 1024)
    import cv2  # noqa: PLC0415  (a worker that decodes needs it anyway)

    cv2.setNumThreads(1)
    with Connection(descriptor) as pipe:
        while True:
            try:
                message = pipe.recv_bytes()
            except (EOFError, OSError):
                return
            pipe.send_bytes(_answer(message))


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[bool, Any]:
    """Call `function`; return (True, its result), or (False, an error of our tree)."""
    try:
        return True, function(*arguments)
    except CountenanceError as error:
        return False, error
    except MemoryError:
        return False, BadImage("too-much-memory")
    except Exception as error:  # noqa: BLE001  (whatever a library raises must not carry its text, or stop the others)
        text = str(error).lower()
        slug = "too-much-memory" if "alloc" in text or "insufficient memory" in text else "decoder-crashed"
        return False, BadImage(slug, kind=type(error).__name__)


def _answer(message: bytes) -> bytes:
    function, arguments = pickle.loads(message)  # noqa: S301  (from our own parent process)
    done, value = outcome(function, arguments)
    try:
        return pickle.dumps((done, value), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps((False, BadImage("too-much-memory")), pickle.HIGHEST_PROTOCOL)


def _limit(memory: int) -> None:
    """Bound memory (RLIMIT_DATA: private writable pages, so mapped libraries do not count) and forbid writing files."""
    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CORE, 0),  # a core file would hold pixels in the clear
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        resource.setrlimit(what, (most, most))
