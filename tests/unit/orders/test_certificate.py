"""Every part of a real certificate, altered one at a time."""

from __future__ import annotations

import copy
import functools
import json
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.orders import order_text
from tests.unit.audit.bundles import OTHER_KEY, b64, envelope

from countenance.audit import checkpoint, verify
from countenance.cli.main import run
from countenance.orders import certificate

CAUGHT = "certificate alterations caught"
FREE = ("issued_at", "software", "approved_by")  # in the log stand only the times of the steps and how many approved
MUTATIONS = 5_000


@dataclass(frozen=True)
class Proof:
    bundle: bytes
    files: dict[str, bytes]
    statement: dict[str, Any]
    key: Ed25519PrivateKey
    public: str  # hex


MADE: list[Proof] = []


@pytest.fixture
def real(request) -> Proof:
    """The proof of an erasure that was really carried out; it is made once."""
    if not MADE:
        vault = request.getfixturevalue("filled")
        order = vault.orders.draft(order_text(scope="{everything: yes}"))
        vault.orders.approve(order.id, by="Approver Number One", confirm=4)
        vault.orders.carry_out(order.id, signed_by="x")
        bundle = vault.erasures.certificate(vault.erasures.list()[0].id)
        with vault.database.read() as tx:
            key = tx.keys.signing_key()
        files = verify.unpack(bundle)
        statement = verify.examine(files).statement
        assert statement
        MADE.append(Proof(bundle, files, statement, key, vault.keys.public_key().hex()))
    return MADE[0]


@pytest.fixture(autouse=True, scope="module")
def _remembered():
    """Each signature is checked once in these tests: that takes 3 ms, and thousands of bundles carry the same one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "signature_holds", functools.cache(verify.signature_holds))
        yield


@pytest.fixture
def caught(tally):
    """Assert that the verifier refuses these files with a reason, and count it."""

    def refuse(files: dict[str, bytes], given: str | None = None) -> str:
        report = verify.examine(files, given)
        name, why = report.checks[-1]
        assert report.statement is None
        assert name
        assert why
        tally[CAUGHT] += 1
        return f"{name}: {why}"

    return refuse


def nodes(value: Any, path: tuple[Any, ...] = ()):
    """Every object, list and leaf of a JSON value, with the way to it."""
    yield path, value
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in parts:
        yield from nodes(inner, (*path, name))


def variants(value: Any):
    """Other values: (whether of the same type, value)."""
    if isinstance(value, dict):
        for name in value:
            rest = {other: inner for other, inner in value.items() if other != name}
            yield False, rest
            yield False, rest | {f"{name}s": value[name]}
        yield False, value | {"more": 1}
        yield False, {}
        return
    if isinstance(value, list):
        for at in range(len(value)):
            yield True, value[:at] + value[at + 1 :]
            yield True, [*value, value[at]]
        yield True, value[::-1]
        yield True, []
        yield False, {}
        yield True, [*value, "more"]
        return
    if isinstance(value, int):
        yield from ((True, other) for other in (value + 1, value - 1, -value - 1, 0, 2**53 - 1))
        yield False, value + 0.5
        yield False, str(value)
        yield False, bool(value)
    else:
        yield from (
            (True, other) for other in ("", value + "1", value[1:], value[::-1], value.upper(), value[:-1] + "~")
        )
        yield False, 1
        yield False, f"{value}\n"
    yield False, None
    yield False, [value]
    yield False, {"value": value}


def alterations(whole: Any):
    """(way to the part, whether of the same type, the whole with that part altered), for every part."""
    for path, value in list(nodes(whole)):
        for same_type, other in variants(value):
            if rfc8785.dumps(other) == rfc8785.dumps(value):
                continue
            altered = copy.deepcopy(whole)
            if not path:
                altered = other
            else:
                functools.reduce(lambda inner, name: inner[name], path[:-1], altered)[path[-1]] = other
            yield path, same_type, altered


def with_payload(real: Proof, statement: Any) -> dict[str, bytes]:
    """The statement put into the envelope, under the old signature."""
    outer = json.loads(real.files["certificate.json"]) | {"payload": b64(rfc8785.dumps(statement))}
    return real.files | {"certificate.json": rfc8785.dumps(outer)}


def signed_anew(real: Proof, statement: Any, key: Ed25519PrivateKey) -> bytes:
    return envelope(rfc8785.dumps(statement), key, real.statement["vault"])


def forged(real: Proof, statement: Any) -> dict[str, bytes]:
    """Everything that is signed, signed with another key under the vault's name."""
    name = real.statement["vault"]
    said = real.files["checkpoint.txt"].decode().split("\n")
    return real.files | {
        "certificate.json": signed_anew(real, statement, OTHER_KEY),
        "checkpoint.txt": checkpoint.sign(name, int(said[1]), verify.unbase64(said[2]), OTHER_KEY).encode(),
        "key.txt": f"{checkpoint.key_of(name, OTHER_KEY)}\n".encode(),
    }


def test_the_real_certificate_holds_and_a_whole_forgery_holds_only_until_the_key_is_compared(real):
    assert verify.examine(real.files, real.public).statement
    assert verify.examine(forged(real, real.statement)).statement
    assert verify.examine(forged(real, real.statement), real.public).statement is None


def test_each_part_of_the_statement_altered_under_the_old_signature_is_caught(real, caught):
    for _, _, altered in alterations(real.statement):
        assert "this key signed the certificate" in caught(with_payload(real, altered))


def test_each_part_of_the_statement_altered_and_signed_with_another_key_is_caught(real, caught):
    for _, _, altered in alterations(real.statement):
        if len(rfc8785.dumps(altered)) % 8 == 0:  # one in eight: signing is not what is looked at
            assert "the key you gave" in caught(forged(real, altered), real.public)
            only = real.files | {"certificate.json": signed_anew(real, altered, OTHER_KEY)}
            assert "this key signed the certificate" in caught(only)


def test_each_part_of_the_statement_altered_and_signed_by_the_operator_is_caught_by_the_log_or_by_its_form(
    real, caught, monkeypatch
):
    monkeypatch.setattr(verify, "signature_holds", lambda *_: True)  # the operator signs whatever he wants to
    free = 0
    for path, same_type, altered in alterations(real.statement):
        files = with_payload(real, altered)
        if verify.examine(files).statement:
            assert path[0] in FREE
            assert same_type
            assert len(altered["approved_by"]) == len(real.statement["approved_by"])
            free += 1
        else:
            caught(files)
    assert 0 < free < 20


def test_what_the_operator_does_not_cover_cannot_be_left_out_later(real, caught):
    assert real.statement["not_covered"] == list(certificate.NOT_COVERED)
    fewer = real.statement | {"not_covered": real.statement["not_covered"][1:]}
    files = real.files | {"certificate.json": signed_anew(real, fewer, real.key)}
    assert "differ in not_covered" in caught(files)


@pytest.mark.parametrize("name", ["certificate.json", "proofs.json"])
def test_each_part_of_the_envelope_and_of_the_proofs_altered_is_caught(real, caught, name):
    for _, _, altered in alterations(json.loads(real.files[name])):
        caught(real.files | {name: rfc8785.dumps(altered)})


@pytest.mark.parametrize("name", ["READ-ME.txt", "checkpoint.txt", "key.txt", "verify.py"])
def test_each_line_altered_removed_doubled_or_moved_is_caught(real, caught, name):
    lines = real.files[name].splitlines(keepends=True)
    for at, line in enumerate(lines):
        for put in ([], [line, line], [line.rstrip(b"\n") + b" \n"], [line.replace(b"\n", b"\r\n")], [b"\n", line]):
            caught(real.files | {name: b"".join([*lines[:at], *put, *lines[at + 1 :]])})
        if at and lines[at - 1] != line:
            caught(real.files | {name: b"".join([*lines[: at - 1], line, lines[at - 1], *lines[at + 1 :]])})


@pytest.mark.parametrize("name", ["checkpoint.txt", "key.txt"])
def test_each_byte_altered_removed_or_doubled_is_caught(real, caught, name):
    data = real.files[name]
    for at in range(len(data)):
        for put in (bytes([data[at] ^ 1]), bytes([data[at] ^ 32]), b"", data[at : at + 1] * 2):
            if (altered := data[:at] + put + data[at + 1 :]) != data:
                caught(real.files | {name: altered})


def test_a_checkpoint_that_a_witness_signed_too_is_no_part_of_a_bundle(real, caught):
    said = real.files["checkpoint.txt"].decode().split("\n")
    more = checkpoint.sign(said[0], int(said[1]), verify.unbase64(said[2]), OTHER_KEY, "witness.example")
    files = real.files | {"checkpoint.txt": real.files["checkpoint.txt"] + more.split("\n\n")[1].encode()}
    assert "further" in caught(files)


def test_each_byte_of_the_zip_around_the_files_altered_is_caught(real, tally):
    inside = bytearray(len(real.bundle))
    at = 0
    for name in verify.MEMBERS:
        start = at + 30 + len(name)
        at = start + len(real.files[name])
        inside[start:at] = b"\1" * (at - start)
    around = [place for place, within in enumerate(inside) if not within]
    assert len(around) > 600
    for place in around:
        for bit in (1, 16, 128):
            altered = bytearray(real.bundle)
            altered[place] ^= bit
            with pytest.raises(ValueError, match="zip"):
                verify.unpack(bytes(altered))
            tally[CAUGHT] += 1


def test_a_member_added_left_out_named_otherwise_or_moved_is_caught(real, tally, monkeypatch):
    members = list(verify.MEMBERS)
    others = [members[:at] + members[at + 1 :] for at in range(len(members))]
    others += [[*members[:at], f"{name}x", *members[at + 1 :]] for at, name in enumerate(members)]
    others += [[*members, "more.txt"], members[::-1], [*members, members[0]]]
    files = real.files | {f"{name}x": data for name, data in real.files.items()} | {"more.txt": b"more"}
    for names in others:
        with monkeypatch.context() as patch:
            patch.setattr(verify, "MEMBERS", names)
            packed = verify.pack(files)
        with pytest.raises(ValueError, match="zip"):
            verify.unpack(packed)
        tally[CAUGHT] += 1
    for altered in (real.bundle + b"\0", b"\0" + real.bundle, real.bundle[:-1], real.bundle * 2, b""):
        with pytest.raises(ValueError, match="zip"):
            verify.unpack(altered)
        tally[CAUGHT] += 1


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Other bytes: a piece of them replaced, removed, doubled, turned round, in the other case, or with a byte before it."""
    while True:
        at, size = rng.randrange(len(data)), rng.choice((1, 1, 1, 2, 8, 64))
        piece = data[at : at + size]
        puts = (rng.randbytes(len(piece)), b"", piece * 2, piece[::-1], piece.swapcase(), rng.randbytes(1) + piece)
        altered = data[:at] + rng.choice(puts) + data[at + size :]
        if altered != data:
            return altered


def test_random_alterations_of_any_file_are_caught(real, caught):
    rng = random.Random(20261123)
    for _ in range(MUTATIONS):
        name = rng.choice(verify.MEMBERS)
        caught(real.files | {name: mutated(rng, real.files[name])})


def test_random_alterations_of_the_zip_are_caught(real, tally):
    rng = random.Random(20261124)
    for _ in range(1_000):
        with pytest.raises(ValueError, match="zip"):
            verify.unpack(mutated(rng, real.bundle))
        tally[CAUGHT] += 1


def told(arguments: list[str], capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        run(arguments)
    return int(ended.value.code or 0), capsys.readouterr().out


def test_the_command_and_the_file_from_the_bundle_give_the_same_verdict_and_exit_code(real, tmp_path, capsys):
    (tmp_path / "verify.py").write_bytes(real.files["verify.py"])
    rng = random.Random(20261125)
    bundles = [(real.bundle, 0)]
    bundles += [
        (verify.pack(real.files | {name: mutated(rng, real.files[name])}), 6)
        for name in verify.MEMBERS
        for _ in range(2)
    ]
    bundles += [(mutated(rng, real.bundle), 6), (verify.pack(forged(real, real.statement)), 6), (b"", 6)]
    for bundle, code in bundles:
        (tmp_path / "proof.zip").write_bytes(bundle)
        asked = [str(tmp_path / "proof.zip"), "--key", real.public, "--json"]
        command = [sys.executable, "-I", "-S", str(tmp_path / "verify.py"), *asked]
        alone = subprocess.run(command, capture_output=True, text=True, env={}, cwd=tmp_path, check=False)
        assert (alone.returncode, alone.stdout) == told(["certificate", "verify", *asked], capsys)
        assert alone.returncode == code
        assert json.loads(alone.stdout)["holds"] == (code == 0)


def test_the_verifier_in_the_bundle_is_the_one_of_this_package(real):
    assert Path(verify.__file__).read_bytes() == real.files["verify.py"]
