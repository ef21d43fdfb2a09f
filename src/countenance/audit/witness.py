"""A witness: it remembers how far it saw each log grow, and signs only what goes on from there (C2SP tlog-witness).

It runs elsewhere, under somebody else's control, and keeps no vault: one folder with its key, and for each log the last
checkpoint that it signed.

::

    key                     its Ed25519 key, as a signer's key text of golang.org/x/mod/sumdb/note
    lock                    held while it runs
    seen/<hash>.checkpoint  the last checkpoint signed, by the SHA-256 of the log's name; synced before the answer

Who deletes `seen` makes it forget; who copies `key` can sign in its name.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countenance.audit import checkpoint
from countenance.audit.merkle import consistency_holds
from countenance.audit.tiles import put
from countenance.audit.verify import (
    EMPTY_ROOT,
    HASH,
    Checkpoint,
    Key,
    open_checkpoint,
    open_note,
    unbase64,
)
from countenance.errors import UsageError, VaultDamaged
from countenance.store.lock import held
from countenance.store.state import sync

PATH = "/add-checkpoint"
LIMIT = 64 << 10  # bytes of a request; a checkpoint with 63 hashes has 3 kB
PROOF = 63  # hashes of a consistency proof, by the specification
SIGNATURES = 32  # of a checkpoint; the specification asks for room for 16, and checking one takes 3 ms
IDLE_SECONDS = 10.0  # a connection that says nothing
LIFE_SECONDS = 60.0  # any connection: who sends a byte now and then gets no further
CONNECTIONS = 32  # at once

_SIZE = re.compile(r"old (0|[1-9][0-9]{0,15})")
_NOTE = re.compile(r"(?s)[^\n]+\n.*\n\n(\u2014 [^\s+]+ \S+\n)+")
_SIGNER = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    text: str
    kind: str = "text/plain; charset=utf-8"


class Witness:
    """One witness, open on its folder. Threads may share it.

    Args:
        folder: where it keeps its key and what it has seen; made if it is not there.
        logs: the keys of the logs that it watches; a log's name is its key's.
        name: what it signs as; only when the folder is new. Made of its key if not given.
        clock: gives the time in seconds since the epoch.
    """

    def __init__(
        self, folder: Path, logs: Iterable[Key], *, name: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._seen = folder / "seen"
        self._seen.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.name, self._signing = _signer(folder / "key", name)
        self._logs = {key.name: key for key in logs}
        self._clock = clock
        self._lock = threading.Lock()
        self._known = {origin: self._load(origin) for origin in self._logs}

    @property
    def key(self) -> checkpoint.Cosigner:
        """The public key; `str()` of it is what a log's operator is given."""
        return checkpoint.Cosigner(self.name, self._signing.public_key().public_bytes_raw())

    def size(self, origin: str) -> int:
        """How many lines of a log it has seen."""
        return self._known[origin].size

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one `add-checkpoint`: a cosignature, or why not."""
        try:
            old, proof, note = _request(body)
        except ValueError as error:
            return Answer(400, f"The request is not add-checkpoint of C2SP tlog-witness: {error}.\n")
        origin = note.partition("\n")[0]
        if origin not in self._logs:
            return Answer(404, "This witness does not watch a log of that name.\n")
        try:
            text = open_note(note.encode(), self._logs[origin])
        except ValueError as error:
            return Answer(403, f"The log's key did not sign it: {error}.\n")
        try:
            new = open_checkpoint(note.encode(), self._logs[origin])
        except ValueError as error:
            return Answer(400, f"The log's key signed something else: {error}.\n")
        with self._lock:
            refusal = self._refused(old, proof, new)
            if not refusal:
                self._keep(origin, note, new)
        return refusal or Answer(200, checkpoint.cosign(text, self.name, self._signing, int(self._clock())))

    def _refused(self, old: int, proof: list[bytes], new: Checkpoint) -> Answer | None:
        known = self._known[new.origin]
        if old > new.size:
            return Answer(400, "The old size is larger than the checkpoint's.\n")
        if old != known.size or (new.size == known.size and new.root != known.root):
            return Answer(409, f"{known.size}\n", "text/x.tlog.size")
        if not consistency_holds(old, known.root, new.size, new.root, proof):
            return Answer(422, "The log does not begin with what this witness saw of it.\n")
        return None

    def _keep(self, origin: str, note: str, new: Checkpoint) -> None:
        """Record what will be signed, so that a crash can lose the cosignature but never the memory of it."""
        put(self._file(origin), note.encode())
        sync(self._seen)
        self._known[origin] = new

    def _load(self, origin: str) -> Checkpoint:
        try:
            note = self._file(origin).read_bytes()
        except FileNotFoundError:
            return Checkpoint(origin, 0, EMPTY_ROOT)
        try:
            return open_checkpoint(note, self._logs[origin])
        except ValueError as error:
            raise UsageError(
                f"What this witness last saw of {origin} does not open with the key given ({error}). Nothing was "
                "changed. Give the key that the log had then; starting over would forget what was seen."
            ) from None

    def _file(self, origin: str) -> Path:
        return self._seen / f"{hashlib.sha256(origin.encode()).hexdigest()[:32]}.checkpoint"


@contextmanager
def serve(witness: Witness, folder: Path, host: str, port: int) -> Iterator[ThreadingHTTPServer]:
    """A server on which `serve_forever` answers; the folder is held against a second one meanwhile.

    Raises `UsageError` if another process holds the folder.
    """
    with held(folder / "lock", wait=False) as mine:
        if not mine:
            raise UsageError(f"Another witness is running on {folder}. Nothing was changed.")
        with _Server((host, port), witness) as server:
            yield server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], witness: Witness) -> None:
        self.witness = witness
        self._room = threading.BoundedSemaphore(CONNECTIONS)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's business."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "countenance", ""
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS

    def setup(self) -> None:
        super().setup()
        self._end = threading.Timer(LIFE_SECONDS, self._cut)
        self._end.daemon = True
        self._end.start()

    def finish(self) -> None:
        self._end.cancel()
        super().finish()

    def do_POST(self) -> None:
        answer = self._answer()
        data = answer.text.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing is written down about who asked."""

    def _answer(self) -> Answer:
        """Every answer before the body was read closes the connection, since what follows is no request."""
        keep, self.close_connection = self.close_connection, True
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", length):
            return Answer(411, "Say how long the request is: Content-Length.\n")
        if int(length) > LIMIT:
            return Answer(413, f"A request has at most {LIMIT} bytes.\n")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return Answer(400, "The request ended early.\n")
        self.close_connection = keep
        if self.path != PATH:
            return Answer(404, f"There is only {PATH}.\n")
        try:
            return self.server.witness.add_checkpoint(body)
        except OSError:
            return Answer(500, "The witness could not record it, so it signed nothing.\n")

    def _cut(self) -> None:
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is over already


def _request(body: bytes) -> tuple[int, list[bytes], str]:
    """Old size, consistency proof and signed checkpoint of a request. Raises ValueError if it is none."""
    head, _, note = body.decode().partition("\n\n")
    first, *proof = head.split("\n")
    size = _SIZE.fullmatch(first)
    if not size:
        raise ValueError("the first line is not the old size")
    if len(proof) > PROOF:
        raise ValueError(f"the proof has more than {PROOF} lines")
    if not _NOTE.fullmatch(note) or note.count("\n\u2014 ") > SIGNATURES:
        raise ValueError("it ends in no signed checkpoint")
    return int(size[1]), [unbase64(node, HASH) for node in proof], note


def _signer(path: Path, name: str | None) -> tuple[str, Ed25519PrivateKey]:
    """The witness's name and key: those of the file, or new ones."""
    if path.exists():
        return _read_signer(path, name)
    signing = Ed25519PrivateKey.generate()
    public = signing.public_key().public_bytes_raw()
    chosen = name or "countenance-witness/" + hashlib.sha256(public).hexdigest()[:32]
    checkpoint.key_of(chosen, signing)  # refuses a name that cannot stand in a note
    seed = base64.b64encode(b"\x04" + signing.private_bytes_raw()).decode()
    text = f"{_SIGNER}{chosen}+{checkpoint.Cosigner(chosen, public).keyid.hex()}+{seed}\n"
    temporary = path.with_name(".key.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)
    return chosen, signing


def _read_signer(path: Path, name: str | None) -> tuple[str, Ed25519PrivateKey]:
    try:
        found, keyid, seed = path.read_text("utf-8").strip().removeprefix(_SIGNER).split("+", 2)
        signing = Ed25519PrivateKey.from_private_bytes(unbase64(seed, HASH + 1)[1:])
        if checkpoint.Cosigner(found, signing.public_key().public_bytes_raw()).keyid.hex() != keyid:
            raise ValueError  # noqa: TRY301 - one sentence for all that can be wrong
    except ValueError:
        raise VaultDamaged(what=f"the witness's key in {path} cannot be read") from None
    if name not in {None, found}:
        raise UsageError(f"This witness signs as {found}; its name cannot change. Nothing was changed.")
    return found, signing
