"""Asking a witness over the loopback, and what its answers mean."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

import countenance
from countenance import errors
from countenance.audit import checkpoint, proof, verify
from countenance.audit.checkpoint import Cosigner
from countenance.audit.witness import Witness, serve
from countenance.vault import Vault

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@contextmanager
def answering(server: HTTPServer) -> Iterator[str]:
    """Let a server answer in a thread of its own; yields its address."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()


class Running(NamedTuple):
    url: str
    witness: Witness

    @property
    def key(self) -> str:
        return str(self.witness.key)


@pytest.fixture
def running(empty: Vault, tmp_path: Path) -> Iterator[Running]:
    """A witness that watches this vault's log."""
    folder = tmp_path / "witness"
    one = Witness(folder, [verify.parse_key(empty.log.key())], name="witness.example")
    with serve(one, folder, "127.0.0.1", 0) as server, answering(server) as url:
        yield Running(url, one)


def test_a_cosigned_checkpoint_is_kept_and_a_line_says_so(empty: Vault, running: Running) -> None:
    with pytest.raises(errors.NotFound):
        empty.log.checkpoint(cosigned=True)
    for _ in range(3):
        size = len(empty.log.lines())
        done = empty.log.cosign(running.url, witness=running.key)
        assert (done.size, done.entry) == (size, size)
        note = empty.log.checkpoint(cosigned=True)
        log_key = verify.parse_key(empty.log.key())
        assert checkpoint.cosigned_at(note, log_key, running.witness.key) > 0
        assert verify.open_checkpoint(note.encode(), log_key).size == size
        line = empty.log.lines()[-1]
        assert (line.kind, line.public["witness"], line.public["size"]) == ("log:cosigned", running.key, size)
        assert empty.log.verify(note).problems == ()
        empty.create_collection(f"after {size}")


def test_a_proof_of_a_line_that_a_witness_saw_carries_its_signature(empty: Vault, running: Running) -> None:
    empty.create_collection("first")
    empty.log.cosign(running.url, witness=running.key)
    log_key = verify.parse_key(empty.log.key())
    assert "— witness.example " in empty.log.prove(1)
    assert proof.read(empty.log.prove(1), log_key).checkpoint.size == 2
    assert "— witness.example " not in empty.log.prove(2)
    assert proof.read(empty.log.prove(2), log_key).checkpoint.size == 3


def test_a_witness_that_saw_more_than_is_known_here_tells_how_much(empty: Vault, running: Running) -> None:
    empty.log.cosign(running.url, witness=running.key)
    with empty.database.write() as tx:
        countenance.store.entries.keep_cosigned(tx, "")
    assert empty.log.cosign(running.url, witness=running.key).size == 2


def test_old_records_put_back_are_refused_a_cosignature_with_the_reason(
    empty: Vault, running: Running, reopen: Callable[[], Vault], vault_path: Path
) -> None:
    empty.close()
    old = (vault_path / "records.db").read_bytes()
    held = reopen()
    for number in range(3):
        held.create_collection(f"number {number}")
    held.log.cosign(running.url, witness=running.key)
    held.close()
    (vault_path / "records.db").write_bytes(old)
    held = reopen()
    held.create_collection("after")
    with pytest.raises(errors.ProofFailed, match=r"has seen 4 lines of this log, and there are 2: .* rolled back"):
        held.log.cosign(running.url, witness=running.key)
    held.create_collection("at the same length")
    held.create_collection("another")
    with pytest.raises(errors.ProofFailed, match="seen other 4 lines"):
        held.log.cosign(running.url, witness=running.key)
    held.create_collection("and beyond")
    with pytest.raises(errors.ProofFailed, match="does not begin with the 4 lines"):
        held.log.cosign(running.url, witness=running.key)
    assert running.witness.size(running.witness._logs.popitem()[0]) == 4
    assert not [line for line in held.log.lines() if line.kind == "log:cosigned"]


def test_a_witness_that_does_not_know_the_log_or_has_another_key_is_named_as_such(
    empty: Vault, running: Running, tmp_path: Path
) -> None:
    countenance.create(tmp_path / "other")
    with countenance.open(tmp_path / "other") as other:
        with pytest.raises(errors.WitnessError, match="does not watch this log"):
            other.log.cosign(running.url, witness=running.key)
        theirs = str(Cosigner("witness.example", verify.parse_key(other.log.key()).public))
    before = len(empty.log.lines())
    with pytest.raises(errors.WitnessError, match="not signed with the key you gave"):
        empty.log.cosign(running.url, witness=theirs)
    assert len(empty.log.lines()) == before


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://127.0.0.1", "file:///etc", "127.0.0.1:80", "http://", "http://a b/", "http://h:99999", "https://u@h/"),
        *("http://h/?q=1", "http://h/#f", "http://h\r\nX: y/", ""),
    ],
)
def test_what_is_no_http_address_is_refused_before_anything_is_sent(empty: Vault, running: Running, url: str) -> None:
    with pytest.raises(errors.UsageError, match="Nothing was sent"):
        empty.log.cosign(url, witness=running.key)


def test_what_is_no_witness_s_key_is_refused_before_anything_is_sent(empty: Vault, running: Running) -> None:
    for text in ("", "nonsense", empty.log.key()):
        with pytest.raises(errors.UsageError, match="Nothing was sent"):
            empty.log.cosign(running.url, witness=text)


def test_a_dry_run_sends_nothing(running: Running, vault_path: Path, settings: countenance.settings.Settings) -> None:
    with countenance.open(vault_path, settings=settings, dry_run=True) as held:
        done = held.log.cosign(running.url, witness=running.key)
    assert done.entry is None
    assert set(running.witness._known.values()) == {(done.note.partition("\n")[0], 0, verify.EMPTY_ROOT)}


ANSWERS = {
    "redirect": (302, {"Location": "/elsewhere"}, b""),
    "fault": (500, {}, b"sorry"),
    "no signature": (200, {}, b""),
    "nonsense": (200, {}, "— witness.example AAAA\n".encode()),
    "not text": (200, {}, b"\xff\xfe"),
    "too much": (200, {}, b"x" * 100_000),
    "no size": (409, {"Content-Type": "text/x.tlog.size"}, b"many\n"),
    "conflict without size": (409, {}, b"3\n"),
    "never content": (409, {"Content-Type": "text/x.tlog.size"}, b"0\n"),
}


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_strange_answer_changes_nothing_and_is_named(empty: Vault, running: Running, answer: str) -> None:
    status, headers, body = ANSWERS[answer]
    asked = []

    class Strange(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    before = empty.log.checkpoint()
    told = pytest.raises((errors.WitnessError, errors.ProofFailed))
    with HTTPServer(("127.0.0.1", 0), Strange) as server, answering(server) as url, told:
        empty.log.cosign(f"{url}/under/", witness=running.key)
    assert asked == ["/under/add-checkpoint"]
    assert empty.log.checkpoint() == before


def test_a_witness_that_is_not_there_is_named_without_its_address(empty: Vault, running: Running) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_address[1]
    with pytest.raises(errors.WitnessError, match="cannot be reached") as raised:
        empty.log.cosign(f"http://127.0.0.1:{port}", witness=running.key)
    assert str(port) not in str(raised.value)
