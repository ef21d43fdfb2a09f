"""The log as static files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

import countenance
from countenance import errors
from countenance.audit import log, merkle, tiles, verify
from countenance.audit.merkle import consistency_holds
from countenance.audit.tiles import Tile
from countenance.records import Entry
from countenance.store import entries
from countenance.store.tables import entry
from countenance.vault import Vault

SIZES = [1, 2, 255, 256, 257, 511, 512, 600]


def grow(held: Vault, size: int) -> None:
    with held.database.write() as tx:
        more = range(entries.head(tx).size, size)
        log.extend(tx, [Entry(kind="act:refused", public={"seen": number}) for number in more])


def files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def key_of(held: Vault) -> verify.Key:
    return verify.parse_key(held.log.key())


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(1, 999, 7), "tile/1/999.p/7"),
        (Tile(2, 1_000, 256), "tile/2/x001/000"),
        (Tile("entries", 1_234_067, 256), "tile/entries/x001/x234/067"),
        (Tile("entries", 1_234_067, 8), "tile/entries/x001/x234/067.p/8"),
    ],
)
def test_paths_are_those_of_the_specification(tile: Tile, path: str) -> None:
    assert tile.path == path


def test_a_log_of_70_000_lines_has_the_files_that_the_specification_counts() -> None:
    of = {level: [t.width for t in tiles.of_size(70_000) if t.level == level] for level in (0, 1, 2, 3, "entries")}
    assert of[0] == of["entries"] == [256] * 273 + [112]
    assert of[1] == [256, 17]
    assert of[2] == [1]
    assert of[3] == []
    assert {tile.path for tile in tiles.of_size(256)} == {"tile/0/000", "tile/entries/000", "tile/1/000.p/1"}


def test_tiles_alone_give_root_lines_inclusion_and_consistency_as_the_log_grows(empty: Vault, tmp_path: Path) -> None:
    folder, kept = tmp_path / "out", []
    for size in SIZES:
        grow(empty, size)
        done = empty.log.publish(folder)
        assert done.size == size
        found, tree = tiles.read(folder, key_of(empty))
        leaves = list(tiles.lines(folder, size))
        hashes = [verify.leaf_hash(leaf) for leaf in leaves]
        assert leaves == [line.leaf for line in stored(empty)]
        assert (found.size, found.root) == (size, merkle.root(hashes))
        for index in {0, size // 2, size - 1}:
            assert verify.inclusion_holds(hashes[index], index, size, tree.inclusion(index), found.root)
        kept.append((size, found.root))
        for old, root in kept:
            assert consistency_holds(old, root, size, found.root, tree.consistency(old))


def stored(held: Vault) -> list[entries.Line]:
    with held.database.read() as tx:
        return list(entries.lines(tx))


def test_publishing_again_writes_what_is_new_and_no_full_tile_twice(empty: Vault, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    grow(empty, 300)
    first = empty.log.publish(folder)
    assert set(first.written) == files(folder).keys()
    before = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    assert empty.log.publish(folder).written == ()
    grow(empty, 520)
    second = empty.log.publish(folder)
    assert set(second.written) == {
        *("tile/0/001", "tile/0/002.p/8", "tile/1/000.p/2", "checkpoint"),
        *("tile/entries/001", "tile/entries/002.p/8"),
    }
    assert set(second.removed) == {"tile/0/001.p", "tile/entries/001.p"}
    assert set(second.written).isdisjoint({"tile/0/000", "tile/entries/000"})
    for name in ("tile/0/000", "tile/entries/000"):
        assert os.path.samestat(before[folder / name], (folder / name).stat())
        assert before[folder / name].st_mtime_ns == (folder / name).stat().st_mtime_ns
    assert "tile/1/000.p/1" in files(folder)  # who still has the checkpoint before needs it


def test_publishing_stopped_at_any_file_leaves_the_state_before_and_the_next_run_finishes(
    empty: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    folder, putting = tmp_path / "out", tiles.put
    grow(empty, 250)
    empty.log.publish(folder)
    size, stops = 250, 0
    while True:
        size += 7
        grow(empty, size)
        left = stops

        def put(path: Path, data: bytes) -> None:
            nonlocal left
            if not left:
                path.with_name(f".{path.name}.new").write_bytes(data[:3])
                raise Crash
            left -= 1
            putting(path, data)

        monkeypatch.setattr(tiles, "put", put)
        shown = (folder / "checkpoint").read_bytes()
        try:
            empty.log.publish(folder)
        except Crash:
            assert (folder / "checkpoint").read_bytes() == shown
            tiles.read(folder, key_of(empty))
        else:
            break
        monkeypatch.setattr(tiles, "put", putting)
        empty.log.publish(folder)
        assert tiles.read(folder, key_of(empty))[0].size == size
        stops += 1
    assert stops == 3


def test_a_dry_run_names_the_files_and_writes_none(
    reopen: Callable[[], Vault], vault_path: Path, settings: countenance.settings.Settings
) -> None:
    with countenance.open(vault_path, settings=settings, dry_run=True) as held:
        done = held.log.publish()
    assert "checkpoint" in done.written
    assert not (vault_path / "log").exists()
    assert reopen().log.publish().folder == vault_path / "log"
    assert (vault_path / "log" / "checkpoint").is_file()


def test_a_log_that_was_rolled_back_or_rewritten_is_not_published_over_what_readers_have_seen(
    empty: Vault, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    grow(empty, 20)
    old = empty.database.path.read_bytes() if empty.database.truncate_wal() else b""
    grow(empty, 30)
    empty.log.publish(folder)
    shown = files(folder)
    empty.database.close()
    empty.database.path.write_bytes(old)
    for size, sentence in ((21, "rolled back"), (40, "are not those published")):
        with empty.database.write() as tx:
            log.append(tx, Entry(kind="act:refused", public={"other": size}))
        grow(empty, size)
        with pytest.raises(errors.ProofFailed, match=sentence):
            empty.log.publish(folder)
        assert files(folder) == shown


def test_a_folder_with_another_log_is_left_alone(empty: Vault, tmp_path: Path, settings: object) -> None:
    other = tmp_path / "other"
    countenance.create(other)
    empty.log.publish(tmp_path / "out")
    shown = files(tmp_path / "out")
    with countenance.open(other) as held, pytest.raises(errors.UsageError, match="another log"):
        held.log.publish(tmp_path / "out")
    assert files(tmp_path / "out") == shown


def test_an_altered_line_is_not_published(empty: Vault, tmp_path: Path) -> None:
    grow(empty, 3)
    with empty.database.write() as tx:
        tx.sql.execute(update(entry).where(entry.c.number == 1).values(leaf=b"{}"))
    with pytest.raises(errors.VaultDamaged):
        empty.log.publish(tmp_path / "out")
    assert not (tmp_path / "out" / "checkpoint").exists()


def test_published_files_that_were_altered_prove_nothing(empty: Vault, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    grow(empty, 300)
    empty.log.publish(folder)
    for name in ("checkpoint", "tile/0/001.p/44", "tile/1/000.p/1"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes([data[0] ^ 1]) + data[1:])
        with pytest.raises(errors.ProofFailed):
            tiles.read(folder, key_of(empty))
        (folder / name).write_bytes(data)
    tiles.read(folder, key_of(empty))


def test_what_is_published_names_nobody(filled: Vault, tmp_path: Path) -> None:
    filled.log.publish(tmp_path / "out")
    held = b"".join(files(tmp_path / "out").values())
    assert not any(mark in held for mark in (b"pho_", b"fac_", b"portrait", b"smaller", str(filled.by).encode()))
