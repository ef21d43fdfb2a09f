"""The log's commands, and a witness in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from countenance.audit import proof, tiles, verify
from countenance.vault import Vault

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def witness(start: Callable[..., subprocess.Popen[str]], empty: Vault, tmp_path: Path) -> Iterator[dict[str, object]]:
    """What a witness said when it started; it watches this vault's log."""
    key = tmp_path / "log.key"
    key.write_text(empty.log.key() + "\n")
    running = start("witness", tmp_path / "witness", "--log", key, "--port", "0", "--json")
    assert running.stdout
    yield json.loads(running.stdout.readline())
    running.send_signal(signal.SIGINT)
    running.communicate()
    assert running.returncode == 130


def test_a_vault_and_a_witness_in_another_process_make_a_checkpoint_that_can_be_kept(
    witness: dict[str, str], empty: Vault, run: Callable[..., object], tmp_path: Path
) -> None:
    key, kept = tmp_path / "witness.key", tmp_path / "kept"
    key.write_text(witness["key"] + "\n")
    assert witness["logs"] == {empty.log.key().split("+")[0]: 0}
    assert run("log", "checkpoint", "--cosigned").code == 1
    dry = run("log", "cosign", witness["address"], "--witness", key, "--dry-run", "--json")
    assert (dry.code, dry.json["entry"]) == (0, None)
    told = run("log", "cosign", witness["address"], "--witness", key, "--json")
    assert (told.code, told.json["size"], told.json["entry"]) == (0, 1, 1)
    shown = run("log", "checkpoint", "--cosigned")
    assert shown.out.count("\N{EM DASH} ") == 2
    kept.write_text(shown.out)
    assert run("log", "verify", "--since", kept).code == 0
    file = tmp_path / "line.tlog-proof"
    for line, code in ((0, 0), (1, 6)):  # line 1 says that it was cosigned, so it comes after
        file.write_text(run("log", "prove", line).out)
        assert run("log", "check", file, "--key", tmp_path / "log.key").code == 0
        assert run("log", "check", file, "--key", tmp_path / "log.key", "--witness", key).code == code
    kept.write_text(shown.out.replace("\n1\n", "\n2\n"))
    assert run("log", "verify", "--since", kept).code == 6


def test_a_log_that_lost_lines_fails_against_a_kept_checkpoint_with_exit_code_6(
    empty: Vault, run: Callable[..., object], vault_path: Path, tmp_path: Path
) -> None:
    empty.close()
    old = (vault_path / "records.db").read_bytes()
    assert run("collection", "create", "second", "--purpose", "testing").code == 0
    (tmp_path / "kept").write_text(run("log", "checkpoint").out)
    assert run("log", "verify", "--since", tmp_path / "kept").code == 0
    (vault_path / "records.db").write_bytes(old)
    ran = run("log", "verify", "--since", tmp_path / "kept")
    assert ran.code == 6
    assert "rolled back" in ran.out
    assert run("log", "verify").code == 0


def test_a_proof_and_the_published_log_are_checked_with_the_printed_key(
    filled: Vault, run: Callable[..., object], tmp_path: Path
) -> None:
    key = verify.parse_key(run("log", "key").out.strip())
    file, folder = tmp_path / "line.tlog-proof", tmp_path / "out"
    assert run("log", "prove", 2, file).code == 0
    assert run("log", "prove", 2, file).code == 2
    assert proof.read(file.read_text("utf-8"), key).number == 2
    assert proof.read(run("log", "prove", 2).out, key).number == 2
    told = run("log", "check", file, "--key", key, "--json").json
    assert (told["line"], told["lines"], json.loads(told["says"])["number"]) == (2, len(filled.log.lines()), 2)
    file.write_text(file.read_text("utf-8").replace("index 2", "index 3"))
    assert run("log", "check", file, "--key", key).code == 6
    assert run("log", "check", file, "--key", "nonsense").code == 2
    assert run("log", "publish", folder, "--json").json["size"] == len(filled.log.lines())
    assert tiles.read(folder, key)[0].size == len(filled.log.lines())


def test_a_witness_is_not_started_without_the_key_of_a_log(run: Callable[..., object], tmp_path: Path) -> None:
    assert run("witness", tmp_path / "w", "--log", "nonsense").code == 2
    assert not (tmp_path / "w").exists()
