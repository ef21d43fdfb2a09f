"""Backup, restore and keys as people run them."""

from __future__ import annotations

import shutil


def test_a_vault_is_lost_restored_from_a_backup_and_a_replica_and_searched_again(filled, photos, run, tmp_path):
    filled.close()
    replica, backup, new = tmp_path / "replica", tmp_path / "backup", tmp_path / "new"
    made = run("keys", "replicate", replica)
    assert (made.code, "same file system" in made.err, "Never copy it" in made.err) == (0, True, True)
    saved = run("backup", backup)
    assert (saved.code, "No key is in it" in saved.err) == (0, True)
    source = run("source", "list", "--json").json[0]["id"]
    assert run("erase", "--source", source, "--yes").code == 0
    shutil.rmtree(filled.path)
    alone = run("restore", backup, new)
    assert (alone.code, alone.out) == (5, "")
    assert "Without them nothing sealed can be read, by anyone" in alone.err
    restored = run("restore", backup, new, "--keys", replica)
    assert (restored.code, "1 erasure: 4 photos, 3 faces" in restored.out) == (0, True)
    assert "scan the sources again" in restored.err
    assert run("check", "--vault", new).code == 0
    again = run("restore", backup, new, "--keys", replica)
    assert (again.code, "already holds something" in again.err) == (1, True)


def test_status_shows_each_place_and_its_warnings_on_stderr(filled, run, tmp_path):
    alone = run("keys", "status")
    assert (alone.code, "There is no replica" in alone.err) == (0, True)
    run("keys", "replicate", tmp_path / "replica")
    (tmp_path / "replica").rename(tmp_path / "away")
    shown = run("keys", "status")
    assert "OUT OF REACH" in shown.out
    assert "no erasure can be finished without it" in shown.err
    rotated = run("keys", "rotate")
    assert (rotated.code, "cannot be brought along" in rotated.err) == (1, True)
    removed = run("keys", "replicate", "--remove", tmp_path / "replica")
    assert (removed.code, "Destroy that copy by hand" in removed.err) == (0, True)
    assert run("keys", "rotate").out == "Began key epoch 2.\n"
    assert run("keys", "replicate", "--remove", tmp_path / "replica").code == 1


def test_the_progress_of_a_backup_is_on_stderr_and_the_result_on_stdout(filled, run, tmp_path, monkeypatch):
    monkeypatch.setattr("countenance.cli.output.EVERY_SECONDS", 0.0)
    ran = run("backup", tmp_path / "backup")
    assert "backing up:" in ran.err
    assert "backing up:" not in ran.out
    assert run("backup", tmp_path / "backup", "--json").json["bytes_written"] == 0
