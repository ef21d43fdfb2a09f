from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from countenance import errors, ingest
from countenance.sources.folder import Folder

COUNT = """
from sqlalchemy import Engine, event
import os, signal
from countenance import ingest
ingest.BATCH_PHOTOS = 1
seen = 0
@event.listens_for(Engine, "before_cursor_execute")
def _(connection, cursor, statement, *_):
    global seen
    seen += 1
    if seen == {kill}:
        os.kill(os.getpid(), signal.SIGKILL)
"""
TOLD = """
from countenance import ingest
from countenance.cli import output
output.EVERY_SECONDS = 0
ingest.BATCH_PHOTOS = ingest.WINDOW = 1
"""


@pytest.fixture
def bad(photos: Path) -> Path:
    """One more picture, of which half is missing."""
    whole = (photos / "mirrored.jpg").read_bytes()
    (photos / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "deeper").mkdir()
    shutil.copy(photos / "smaller.jpg", photos / "deeper" / "again.jpg")
    return photos


def statements(start, photos, tmp_path) -> int:
    """How many statements a whole `add` runs."""
    note = tmp_path / "statements"
    before = (
        COUNT.format(kill=0) + f"\nimport atexit; atexit.register(lambda: open({str(note)!r}, 'w').write(str(seen)))"
    )
    process = start("add", photos, before=before)
    assert process.wait() == errors.Partly.exit_code
    process.communicate()
    return int(note.read_text())


def test_an_add_killed_anywhere_and_run_again_holds_what_an_undisturbed_one_holds(
    vault, reopen, bad, start, tmp_path, held
):
    source = vault.sources()[0].id
    pristine = tmp_path / "pristine"
    shutil.copytree(vault.path, pristine)
    total = statements(start, bad, tmp_path)
    wanted = held(vault)
    assert [about[1] for about, _, _ in wanted].count("held") == 5
    vault.close()
    for share in (0.1, 0.3, 0.45, 0.6, 0.75, 0.9, 0.98):
        shutil.rmtree(vault.path)
        shutil.copytree(pristine, vault.path)
        process = start("add", source, before=COUNT.format(kill=int(share * total)))
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        again = reopen()
        before = held(again)
        assert all(photo in wanted for photo in before)
        again.add(source)
        assert held(again) == wanted
        assert again.check().problems == ()
        assert again.add(source).looked_at == 0
        again.close()


def test_an_interrupted_add_exits_130_with_a_sentence_and_keeps_what_was_finished(vault, photos, portrait, start, held):
    for n in range(12):
        portrait.resize((260 + n, 260 + n)).save(photos / f"more-{n:02}.jpg")
    process = start("add", photos, before=TOLD)
    while not process.stderr.readline().startswith("3 of 16"):
        pass
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == str(errors.Interrupted())
    kept = held(vault)
    assert 3 <= len(kept) < 16
    assert all(about[1] == "held" for about, _, _ in kept)
    added = vault.add(photos)
    assert (added.unchanged, added.added, added.vanished) == (len(kept), 16 - len(kept), 0)
    assert vault.check().problems == ()


def test_what_was_looked_at_when_the_interrupt_came_is_kept(vault, photos):
    def stop(now):
        if now.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(errors.Interrupted):
        vault.add(photos, report=stop)
    assert sum(photo.state == "held" for photo in vault.photos(vault.sources()[0].id)) >= 2
    assert vault.add(photos).looked_at <= 2


def test_a_second_scan_adds_only_what_is_new_and_marks_what_vanished(filled, photos, portrait):
    (photos / "smaller.jpg").unlink()
    portrait.rotate(3).save(photos / "tilted.png")
    added = filled.add(photos)
    assert (added.added, added.unchanged, added.vanished, added.faces) == (1, 3, 1, 1)
    assert filled.add(photos).vanished == 0
    states = {photo.address: photo.state for photo in filled.photos(added.source_id)}
    assert states["smaller.jpg"] == "vanished"


def test_what_vanished_and_came_back_is_held_again_and_not_doubled(filled, photos, tmp_path, held):
    before = held(filled)
    shutil.move(photos / "smaller.jpg", tmp_path / "away.jpg")
    assert filled.add(photos).vanished == 1
    shutil.move(tmp_path / "away.jpg", photos / "smaller.jpg")
    added = filled.add(photos)
    assert (added.added, added.unchanged) == (0, 4)
    assert held(filled) == before


def test_a_photo_that_was_replaced_takes_the_place_of_the_old_one(filled, photos, portrait):
    source = filled.sources()[0].id
    old = {photo.address: photo.id for photo in filled.photos(source)}
    portrait.rotate(3).resize((340, 340)).save(photos / "smaller.jpg")
    added = filled.add(photos)
    new = {photo.address: photo.id for photo in filled.photos(source)}
    assert (added.added, added.unchanged) == (1, 3)
    assert old.keys() == new.keys()
    assert [name for name in old if old[name] != new[name]] == ["smaller.jpg"]
    assert filled.check().problems == ()


def test_the_log_can_be_read_after_a_replaced_photo_lost_its_key(filled, photos, portrait):
    portrait.rotate(3).resize((340, 340)).save(photos / "smaller.jpg")
    filled.add(photos)
    chosen = next(p for p in filled.photos(filled.sources()[0].id) if p.address == "mirrored.jpg")
    filled.erase(filled.scope(photo=chosen.id))
    assert filled.log.lines()
    assert filled.log.verify().problems == ()
    assert filled.check().problems == ()


def test_a_photo_left_unreadable_is_looked_at_again_by_the_next_scan(vault, photos, monkeypatch):
    whole = Folder.read

    def locked(self, address):
        if address.path == "smaller.jpg":
            raise errors.AddressUnreadable(why="permission denied")
        return whole(self, address)

    monkeypatch.setattr(Folder, "read", locked)
    assert vault.add(photos).refused == {"unreadable": 1}
    monkeypatch.undo()
    added = vault.add(photos)
    assert (added.added, added.unchanged, added.refused) == (1, 3, {})


def test_progress_tells_rate_and_time_left_and_counts_what_is_unchanged(filled, photos):
    told = []
    filled.add(photos, report=told.append)
    assert [now.done for now in told] == [1, 2, 3, 4]
    assert {now.total for now in told} == {4}
    now = ingest.Progress(done=50, total=200, faces=9, refused=1, seconds=10)
    assert (now.rate, now.seconds_left) == (5, 30)
    assert ingest.Progress(done=0, total=5, faces=0, refused=0, seconds=0).seconds_left is None


def test_progress_goes_to_stderr_and_the_result_to_stdout(vault, photos, start):
    process = start("add", photos, "--json", before=TOLD)
    out, err = process.communicate()
    assert process.returncode == 0
    assert json.loads(out)["added"] == 4
    assert "of 4 photos" in err
    assert "a second" in err
    assert "s left" in err
