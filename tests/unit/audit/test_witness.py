"""The witness, by its protocol; further down over the loopback, as logs reach it."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.audit.bundles import KEY, OTHER_KEY, VAULT

from countenance import errors
from countenance.audit import checkpoint, merkle, witness
from countenance.audit.verify import leaf_hash
from countenance.audit.witness import Answer, Witness, serve

LOG = checkpoint.key_of(VAULT, KEY)
NOW = 1_800_000_000
SIZE = "text/x.tlog.size"
loopback = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "witness"


@pytest.fixture
def one(folder: Path) -> Witness:
    return opened(folder)


def opened(folder: Path) -> Witness:
    return Witness(folder, [LOG], clock=lambda: NOW + 0.9)


def hashes(size: int, other: int | None = None) -> list[bytes]:
    """The leaf hashes of a log; with `other`, of one whose lines from there on are others."""
    return [leaf_hash(b"%d %d" % (n, other is not None and n >= other)) for n in range(size)]


def request(old: int, size: int, *, other: int | None = None, key: Ed25519PrivateKey = KEY, name: str = VAULT) -> bytes:
    tree = merkle.of(hashes(size, other))
    proof = [base64.b64encode(node).decode() for node in (tree.consistency(old) if old <= size else [])]
    return "\n".join([f"old {old}", *proof, "", checkpoint.sign(name, size, tree.root(), key)]).encode()


def signs(one: Witness, answer: Answer, size: int, other: int | None = None) -> bool:
    note = checkpoint.sign(VAULT, size, merkle.root(hashes(size, other)), KEY) + answer.text
    return answer.status == 200 and checkpoint.cosigned_at(note, LOG, one.key) == NOW


def test_a_log_that_grows_gets_a_cosignature_for_each_state(one: Witness) -> None:
    old = 0
    for size in (0, 1, 3, 255, 256, 600, 600):
        assert signs(one, one.add_checkpoint(request(old, size)), size)
        assert one.size(VAULT) == size
        old = size


def test_another_old_size_is_answered_with_the_known_one_and_changes_nothing(one: Witness) -> None:
    one.add_checkpoint(request(0, 5))
    for old, size in ((0, 9), (4, 9), (6, 9), (0, 3), (3, 3)):
        assert one.add_checkpoint(request(old, size)) == Answer(409, "5\n", SIZE)
    assert signs(one, one.add_checkpoint(request(5, 9)), 9)


def test_a_log_that_was_rewritten_gets_no_cosignature(one: Witness) -> None:
    one.add_checkpoint(request(0, 5))
    assert one.add_checkpoint(request(5, 9, other=4)).status == 422
    assert one.add_checkpoint(request(5, 5, other=4)) == Answer(409, "5\n", SIZE)
    assert signs(one, one.add_checkpoint(request(5, 9, other=5)), 9, other=5)


@pytest.mark.parametrize("harm", [lambda p: p[1:], lambda p: [*p, p[0]], lambda p: [*p[1:], p[0]], lambda _: []])
def test_a_proof_that_does_not_hold_is_refused(one: Witness, harm: object) -> None:
    one.add_checkpoint(request(0, 5))
    first, *proof = request(5, 9).decode().partition("\n\n")[0].split("\n")
    body = "\n".join([first, *harm(proof)]) + "\n\n" + request(5, 9).decode().partition("\n\n")[2]
    assert one.add_checkpoint(body.encode()).status == 422
    assert one.size(VAULT) == 5


def test_a_proof_from_nothing_must_be_empty(one: Witness) -> None:
    body = request(0, 9).replace(b"old 0\n", b"old 0\n" + base64.b64encode(bytes(32)) + b"\n")
    assert one.add_checkpoint(body).status == 422


def test_an_unknown_log_and_an_unknown_signature_are_told_apart(one: Witness) -> None:
    assert one.add_checkpoint(request(0, 5, name="another.example")).status == 404
    assert one.add_checkpoint(request(0, 5, key=OTHER_KEY)).status == 403
    assert one.size(VAULT) == 0


def test_a_checkpoint_with_further_signatures_is_taken_unless_they_are_too_many(one: Witness) -> None:
    line = f"— somebody.example {base64.b64encode(bytes(68)).decode()}\n".encode()
    assert one.add_checkpoint(request(0, 5) + 40 * line).status == 400
    assert one.add_checkpoint(request(0, 5) + 16 * line).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"old 0",
        b"old 0\n\n",
        request(0, 5).replace(b"old 0", b"old 00"),
        request(0, 5).replace(b"old 0", b"old -1"),
        request(0, 5).replace(b"old 0", b"new 0"),
        request(0, 5).replace(b"old 0\n", b"old 0\nAAAA\n"),
        request(0, 5).replace(b"old 0\n", b"old 0\n" + 64 * (base64.b64encode(bytes(32)) + b"\n")),
        request(0, 5)[:-1],
        request(0, 5).rpartition("— ".encode())[0],
        request(9, 5),
    ],
)
def test_what_is_no_add_checkpoint_is_a_bad_request(one: Witness, body: bytes) -> None:
    assert one.add_checkpoint(body).status == 400


def test_it_remembers_over_a_restart_what_it_saw_and_who_it_is(folder: Path) -> None:
    one = opened(folder)
    one.add_checkpoint(request(0, 5))
    again = opened(folder)
    assert (again.key, again.size(VAULT)) == (one.key, 5)
    assert again.add_checkpoint(request(0, 9)).status == 409
    assert (folder / "key").stat().st_mode & 0o777 == 0o600


def test_it_has_recorded_a_state_before_it_signs_it(
    one: Witness, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped in between, it has forgotten nothing: the log asks again and gets its cosignature."""
    monkeypatch.setattr(checkpoint, "cosign", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        one.add_checkpoint(request(0, 5))
    monkeypatch.undo()
    again = opened(folder)
    assert again.add_checkpoint(request(0, 5)) == Answer(409, "5\n", SIZE)
    assert signs(again, again.add_checkpoint(request(5, 5)), 5)


def test_it_signs_nothing_that_it_could_not_record(one: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(witness, "put", full)
    with pytest.raises(OSError, match="space"):
        one.add_checkpoint(request(0, 5))
    assert one.size(VAULT) == 0


def test_of_requests_at_once_that_fork_the_log_one_is_signed(folder: Path) -> None:
    seen = request(0, 3), request(0, 3, other=0)
    for number in range(5):
        one, start, answers = opened(folder / str(number)), threading.Barrier(8), []

        def ask(body: bytes, one: Witness = one, start: threading.Barrier = start, into: list[int] = answers) -> None:
            start.wait()
            into.append(one.add_checkpoint(body).status)

        threads = [threading.Thread(target=ask, args=(seen[n % 2],)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [200, *[409] * 7]


def test_it_does_not_begin_anew_where_its_record_does_not_open(folder: Path) -> None:
    opened(folder).add_checkpoint(request(0, 5))
    (record,) = (folder / "seen").iterdir()
    record.write_bytes(record.read_bytes()[:-3])
    with pytest.raises(errors.UsageError, match="forget"):
        opened(folder)


def test_its_name_is_chosen_once(folder: Path) -> None:
    assert Witness(folder, [LOG], name="witness.example").key.name == "witness.example"
    assert Witness(folder, [LOG]).key.name == "witness.example"
    with pytest.raises(errors.UsageError, match="cannot change"):
        Witness(folder, [LOG], name="other.example")
    with pytest.raises(errors.UsageError, match="name"):
        Witness(folder.with_name("new"), [LOG], name="two words")
    (folder / "key").write_text("nonsense\n")
    with pytest.raises(errors.VaultDamaged, match="key"):
        Witness(folder, [LOG])


# Over HTTP


@pytest.fixture
def port(one: Witness, folder: Path) -> Iterator[int]:
    with listening(one, folder) as number:
        yield number


@contextmanager
def listening(one: Witness, folder: Path) -> Iterator[int]:
    with serve(one, folder, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@loopback
def test_a_connection_can_be_used_for_several_requests(one: Witness, port: int) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        answers = []
        for old, size in ((0, 5), (0, 9), (5, 9)):
            connection.request("POST", "/add-checkpoint", request(old, size))
            reply = connection.getresponse()
            answers.append(Answer(reply.status, reply.read().decode(), reply.getheader("Content-Type", "")))
        assert signs(one, answers[0], 5)
        assert answers[1] == Answer(409, "5\n", SIZE)
        assert signs(one, answers[2], 9)


@loopback
@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /add-checkpoint HTTP/1.1\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", 413),
        (b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 9\r\n\r\nold", 400),
        (b"POST /other HTTP/1.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", 404),
        (b"GET /add-checkpoint HTTP/1.1\r\nConnection: close\r\n\r\n", 501),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_for_a_cosignature_is_answered_and_the_connection_ended(
    port: int, sent: bytes, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(65_536):
            answer += more
    assert f" {status} ".encode() in answer.split(b"\r\n")[0] or (status == 400 and b"Error code: 400" in answer)


@loopback
def test_a_connection_that_dawdles_is_ended(one: Witness, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "LIFE_SECONDS", 0.05)
    with listening(one, folder) as number, socket.create_connection(("127.0.0.1", number), timeout=5) as connection:
        connection.sendall(b"POST /add-checkpoint HTTP/1.1\r\nContent-Length: 900\r\n\r\nold 0")
        while connection.recv(65_536):
            pass
    assert one.size(VAULT) == 0


@loopback
def test_a_second_witness_on_the_same_folder_is_refused(one: Witness, folder: Path, port: int) -> None:
    assert port
    with pytest.raises(errors.UsageError, match="Another witness"), serve(one, folder, "127.0.0.1", 0):
        pass
