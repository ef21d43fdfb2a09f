"""Worker processes that decode, so that the parent never does.

::

    with Pool(workers=2, setup=(examine.ready, cache)) as pool:
        seen = pool.submit(examine.examine, admitted).result()

A picture that makes a worker crash, hang or eat memory costs that worker only: its future fails with `BadImage`, a new
worker takes the place, the other pictures go on. Workers start afresh (nothing is forked), see nothing of the parent's
environment, may not write a byte to any file, and die with the parent.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from countenance.errors import BadImage, CountenanceError, Interrupted
from countenance.vision import worker

if TYPE_CHECKING:
    from types import TracebackType

AHEAD = 4  # tasks under way per worker: enough work for 60 ms, while the caller commits what came back
START_SECONDS = 60.0  # a worker is ready in about half a second; a loaded machine gets time
BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from countenance.vision.worker import serve; serve(*map(int, sys.argv[2:]))"
)
PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH")  # the rest of the environment may hold secrets
NUMPY = {("numpy", "ndarray"), ("numpy", "dtype")} | {
    (module, name)
    for module in ("numpy._core.multiarray", "numpy._core.numeric")
    for name in ("_reconstruct", "_frombuffer", "scalar")
}

Call = tuple[Callable[..., Any], *tuple[Any, ...]]


class Pool:
    """A fixed number of worker processes, each with its limits.

    Args:
        workers: processes; 0 runs everything in this process, without limits (for tests and debugging).
        memory_mb: a worker's private memory. Idle it is 170 MB; a picture of 50 Mpx with 364 faces needs
            1 GB as a progressive JPEG, 1.5 GB as a PNG.
        seconds: for one task, after which its worker is killed.
        setup: (function, *arguments) that each worker runs before its first task, such as loading the models.
    """

    def __init__(
        self, *, workers: int = 2, memory_mb: int = 2048, seconds: float = 60.0, setup: Call | None = None
    ) -> None:
        self._workers, self._memory_mb, self._seconds = workers, memory_mb, seconds
        self._setup: Call = setup or (divmod, 1, 1)  # keeps the start out of the first task's time
        self._tasks: queue.SimpleQueue[tuple[Future[Any], bytes] | None] = queue.SimpleQueue()
        self._room = threading.BoundedSemaphore(max(1, AHEAD * workers))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(workers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        if not self._workers:
            self._setup[0](*self._setup[1:])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Wait for what was submitted; after an exception, drop it and kill the workers instead."""
        if kind is not None:
            self._stopping.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have a worker call `function`, a top-level function of an importable module, and return the future result.

        Blocks while `AHEAD` tasks per worker are under way. The future raises errors of our tree only.
        """
        future: Future[Any] = Future()
        if not self._workers:
            done, value = worker.outcome(function, arguments)
            (future.set_result if done else future.set_exception)(value)
            return future
        task = _pickled(function, *arguments)
        self._room.acquire()
        future.add_done_callback(lambda _: self._room.release())
        self._tasks.put((future, task))
        return future

    def _run(self) -> None:
        """Keep one worker busy. It is started from this thread because it dies with the thread that started it."""
        process: _Process | None = None
        while (item := self._tasks.get()) is not None:
            future, task = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                if process is None or process.gone():
                    process = _Process(self._memory_mb, self._stopping)
                    process.ask(_pickled(*self._setup), max(START_SECONDS, self._seconds))
                result = process.ask(task, self._seconds)
            except CountenanceError as error:
                future.set_exception(error)
            else:
                future.set_result(result)
        if process is not None:
            process.end()


def _pickled(function: Callable[..., Any], *arguments: Any) -> bytes:
    return pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)


class _Process:
    """One worker process and the pipe to it."""

    def __init__(self, memory_mb: int, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._pipe, theirs = Pipe()
        path = json.dumps([str(Path(entry).absolute()) for entry in sys.path])
        limits = (theirs.fileno(), os.getpid(), memory_mb)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter and code)
            [sys.executable, "-B", "-c", BOOT, path, *map(str, limits)],
            pass_fds=[theirs.fileno()],
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            cwd="/",
            process_group=0,  # Ctrl-C on the terminal is the parent's to handle
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # decoders print pieces of what they read
        )
        theirs.close()

    def gone(self) -> bool:
        return self._process.poll() is not None

    def ask(self, task: bytes, seconds: float) -> Any:
        """Return what the worker answers; raise what it raises, or say how it died."""
        try:
            self._pipe.send_bytes(task)
            self._wait(self._pipe, seconds)
            done, value = _Answer(io.BytesIO(self._pipe.recv_bytes())).load()
        except (OSError, EOFError):
            self.end()
            killed = self._process.returncode == -signal.SIGKILL  # not by us: the kernel was out of memory
            raise BadImage("too-much-memory" if killed else "decoder-crashed") from None
        except (BadImage, Interrupted):
            self.end()
            raise
        except Exception:  # noqa: BLE001  (an answer that cannot be read, whatever is wrong with it)
            self.end()
            raise BadImage("decoder-crashed") from None
        if not done:
            raise value
        return value

    def end(self) -> None:
        """Kill the worker, which holds nothing worth keeping, and wait until it is gone."""
        self._pipe.close()
        if not self.gone():
            self._process.kill()
        self._process.wait()

    def _wait(self, pipe: Connection, seconds: float) -> None:
        """Wait for an answer, in short steps so that stopping the pool takes effect."""
        ends = time.monotonic() + seconds
        while not pipe.poll(min(0.2, max(0.0, ends - time.monotonic()))):
            if self._stopping.is_set():
                raise Interrupted
            if time.monotonic() >= ends:
                raise BadImage("too-slow")


class _Answer(pickle.Unpickler):
    """Reads answers: plain values, our records and errors, numpy arrays.

    A worker is where a hostile file strikes, so its answers must not be able to run code here.
    """

    def find_class(self, module: str, name: str) -> Any:
        ours = module in ("countenance.records", "countenance.errors") and "." not in name
        if ours or (module, name) in NUMPY:
            found = super().find_class(module, name)
            if not ours or found.__module__ == module:
                return found
        raise pickle.UnpicklingError(name)
