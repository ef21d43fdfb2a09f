from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from countenance.errors import KeysMissing, VaultDamaged, VaultError, VaultExists, WrongKey
from countenance.store.keys import Keys
from countenance.store.tree import Punctured

if TYPE_CHECKING:
    from pathlib import Path

EASY = 16  # scrypt's n, for tests


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def keys(folder: Path) -> Keys:
    return Keys.create(folder)


def holds(folder: Path, secret: bytes) -> bool:
    return any(secret in path.read_bytes() for path in folder.iterdir())


def test_new_keys_are_three_files_that_only_their_owner_can_read(keys: Keys, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["epoch.slots", "lock", "state.1"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert (keys.epoch, keys.provider, keys.medium.cls in "BC") == (1, "slot-file", True)


def test_opened_again_they_give_the_same_keys_tokens_and_signatures(keys: Keys, folder: Path) -> None:
    again = Keys.open(folder)
    assert again.item_keys([1, 2, 3]) == keys.item_keys([1, 2, 3])
    assert again.lookup_token("address", b"x") == keys.lookup_token("address", b"x")
    assert again.suppression_token("content", b"x") == keys.suppression_token("content", b"x")
    assert again.public_key() == keys.public_key()
    assert again.derived_key("cache") == keys.derived_key("cache")
    assert again.state_hash == keys.state_hash


def test_every_key_and_token_differs_by_what_it_is_for(keys: Keys) -> None:
    made = [
        *keys.item_keys([1, 2]),
        keys.lookup_token("a", b"bc"),
        keys.lookup_token("ab", b"c"),
        keys.lookup_token("a", b"b"),
        keys.suppression_token("a", b"bc"),
        keys.derived_key("cache"),
        keys.derived_key("export"),
        keys.public_key(),
    ]
    assert {len(one) for one in made} == {32}
    assert len(set(made)) == len(made)


def test_the_public_key_verifies_what_the_signing_key_signs(keys: Keys) -> None:
    keys.signing_key().public_key().verify(keys.signing_key().sign(b"entry"), b"entry")


def test_two_vaults_share_nothing(keys: Keys, tmp_path: Path) -> None:
    other = Keys.create(tmp_path / "other")
    assert other.item_key(1) != keys.item_key(1)
    assert other.lookup_token("a", b"b") != keys.lookup_token("a", b"b")
    assert other.public_key() != keys.public_key()


def test_keys_are_never_made_over_something_else(keys: Keys, folder: Path, tmp_path: Path) -> None:
    before = keys.item_key(1)
    with pytest.raises(VaultExists):
        Keys.create(folder)
    assert Keys.open(folder).item_key(1) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(VaultExists):
        Keys.create(tmp_path / "full")
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]


def test_without_a_folder_a_file_or_a_whole_slot_the_keys_are_missing(keys: Keys, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeysMissing):
        Keys.open(tmp_path / "nowhere")
    (folder / "epoch.slots").write_bytes(bytes(8192))
    with pytest.raises(KeysMissing):
        Keys.open(folder)
    with pytest.raises(KeysMissing):
        keys.reload()
    (folder / "epoch.slots").unlink()
    with pytest.raises(KeysMissing):
        Keys.open(folder)
    with pytest.raises(KeysMissing):
        keys.advance([1])
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "state.1"]


@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flipped", "of another vault"])
def test_a_state_that_does_not_open_is_damage_and_nothing_is_changed(
    keys: Keys, folder: Path, tmp_path: Path, damage: str
) -> None:
    path = folder / "state.1"
    good = path.read_bytes()
    Keys.create(tmp_path / "other")
    if damage == "gone":
        path.unlink()
    else:
        foreign = (tmp_path / "other" / "state.1").read_bytes()
        flipped = good[:-1] + bytes([good[-1] ^ 1])
        path.write_bytes({"empty": b"", "cut": good[:-1], "flipped": flipped, "of another vault": foreign}[damage])
    slots = (folder / "epoch.slots").read_bytes()
    with pytest.raises(VaultDamaged, match="key state of epoch 1"):
        Keys.open(folder)
    assert (folder / "epoch.slots").read_bytes() == slots
    assert path.exists() == (damage != "gone")


def test_a_passphrase_opens_its_vault_in_every_epoch_and_no_other_one_does(folder: Path) -> None:
    keys = Keys.create(folder, "passphrase", "correct horse", cost=EASY)
    kept = keys.item_key(2)
    for epoch in (1, 2, 3):
        assert Keys.open(folder, "correct horse").item_key(2) == kept
        for wrong in ("wrong", "", None):
            with pytest.raises(WrongKey):
                Keys.open(folder, wrong)
        assert not holds(folder, bytes(keys._now.key))
        assert keys.advance([10 + epoch]).epoch_after == epoch + 1
    assert keys.provider == "passphrase"


def test_advancing_destroys_the_items_and_keeps_every_other_key_and_token(keys: Keys, folder: Path) -> None:
    kept, tokens = keys.item_keys([1, 3, 4]), (keys.lookup_token("a", b"b"), keys.suppression_token("a", b"b"))
    public, before, cache = keys.public_key(), keys.state_hash, keys.derived_key("cache")
    done = keys.advance([2, 5])
    for each in (keys, Keys.open(folder)):
        assert each.item_keys([1, 3, 4]) == kept
        assert (each.lookup_token("a", b"b"), each.suppression_token("a", b"b")) == tokens
        assert each.public_key() == public
        assert each.derived_key("cache") != cache
        for item in (2, 5):
            with pytest.raises(Punctured):
                each.item_key(item)
        assert (each.epoch, each.state_hash) == (2, done.state_after)
    assert (done.epoch_before, done.epoch_after, done.state_before) == (1, 2, before)
    assert sorted(path.name for path in folder.iterdir()) == ["epoch.slots", "ledger", "lock", "state.2"]


def test_after_many_rotations_no_old_epoch_key_is_in_any_file_and_the_newest_is(keys: Keys, folder: Path) -> None:
    old = []
    for item in range(5):
        old.append(bytes(keys._now.key))
        keys.advance([item])
    assert not any(holds(folder, key) for key in old)
    assert holds(folder, bytes(keys._now.key))  # the control: the search does find a key that is there


def test_advancing_twice_with_the_same_items_is_the_same_as_once(keys: Keys) -> None:
    kept = keys.item_key(2)
    keys.advance([1])
    assert keys.advance([1, 1]).epoch_after == 3
    assert keys.item_key(2) == kept
    with pytest.raises(Punctured):
        keys.item_key(1)


def test_another_holder_takes_up_the_new_epoch_when_it_looks_and_only_then(keys: Keys, folder: Path) -> None:
    other = Keys.open(folder)
    kept = other.item_key(2)
    assert not other.reload()
    keys.advance([1])
    keys.advance([3])
    assert other.reload()
    assert not other.reload()
    assert (other.epoch, other.item_key(2)) == (3, kept)
    for item in (1, 3):
        with pytest.raises(Punctured):
            other.item_key(item)


def test_a_holder_of_an_older_epoch_that_advances_loses_no_ones_erasure(keys: Keys, folder: Path) -> None:
    other = Keys.open(folder)
    keys.advance([1])
    done = other.advance([2])
    assert (done.epoch_before, done.epoch_after, done.state_before) == (2, 3, keys.state_hash)
    for item in (1, 2):
        with pytest.raises(Punctured):
            other.item_key(item)


def test_advancing_and_closing_overwrite_the_old_secrets_in_memory(keys: Keys, folder: Path) -> None:
    old, other = keys._now, Keys.open(folder)
    followed = other._now
    keys.advance([1])
    other.reload()
    for secret in (old.key, old.items.nodes[1], followed.key, followed.lasting, followed.items.nodes[1]):
        assert not any(secret)
    last = keys._now
    secrets = (last.key, last.lasting, *last.items.nodes.values())
    assert all(any(secret) for secret in secrets)
    keys.close()
    keys.close()
    assert not any(any(secret) for secret in secrets)


def test_a_folder_exchanged_for_another_of_the_same_epoch_is_what_counts(
    keys: Keys, folder: Path, tmp_path: Path
) -> None:
    other = Keys.create(tmp_path / "other")
    for name in ("epoch.slots", "state.1"):
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    keys.advance([1])
    assert keys.item_key(2) == other.item_key(2) == Keys.open(folder).item_key(2)


def test_closed_keys_answer_nothing(keys: Keys) -> None:
    keys.close()
    for ask in (
        lambda: keys.item_key(1),
        lambda: keys.epoch,
        lambda: keys.advance([1]),
        lambda: keys.lookup_token("a", b"b"),
        keys.reload,
        keys.public_key,
    ):
        with pytest.raises(VaultError, match="closed"):
            ask()


def test_nothing_secret_is_in_what_is_printed(keys: Keys) -> None:
    printed = repr(keys) + repr(vars(keys))
    for secret in (keys._now.key, keys._now.lasting, keys._now.items.nodes[1]):
        assert repr(bytes(secret))[2:-1] not in printed


def test_randomness_comes_from_where_it_is_asked(tmp_path: Path) -> None:
    made = [Keys.create(tmp_path / name, random=lambda n: b"\7" * n) for name in ("a", "b")]
    assert made[0].state_hash == made[1].state_hash
    assert made[0].item_key(1) == made[1].item_key(1)


def test_threads_derive_right_keys_while_another_rotates(keys: Keys) -> None:
    expected = keys.item_keys(range(1000, 1020))
    wrong, stop = [], threading.Event()

    def derive() -> None:
        while not stop.is_set():
            wrong.extend(n for n in range(20) if keys.item_key(1000 + n) != expected[n])

    threads = [threading.Thread(target=derive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for item in range(20):
        keys.advance([item])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_opening_and_following_work_while_another_process_rotates(keys: Keys, folder: Path) -> None:
    kept = keys.item_key(1000)
    code = (
        "import sys, pathlib; from countenance.store.keys import Keys\n"
        "keys = Keys.open(pathlib.Path(sys.argv[1]))\n"
        "for item in range(40): keys.advance([item])\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, folder]) as process:
        while process.poll() is None:
            keys.reload()
            assert keys.item_key(1000) == kept
            assert Keys.open(folder).item_key(1000) == kept
    assert process.returncode == 0
    keys.reload()
    assert keys.epoch == 41
