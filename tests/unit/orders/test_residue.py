"""The byte scan."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countenance.errors import VaultError
from countenance.orders import residue
from countenance.orders.residue import SHORTEST, WINDOW, forms_of_template, scan, windows


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.binary(min_size=SHORTEST, max_size=300), before=st.integers(0, 200), small=st.integers(70, 150))
def test_a_value_is_found_at_every_offset_and_across_the_borders_of_what_is_read_at_once(
    value, before, small, tmp_path, monkeypatch
):
    monkeypatch.setattr(residue, "CHUNK", small)
    (tmp_path / "file").write_bytes(b"\x7f" * before + value + b"\x7f" * 100)
    assert scan(tmp_path, [value]).where == ("file",)


@given(st.binary(min_size=WINDOW, max_size=500), st.data())
def test_a_part_that_holds_the_start_or_the_end_of_a_value_is_enough(value, data):
    part = data.draw(st.sampled_from(windows(value)))
    assert part in value
    assert len(part) == WINDOW


def test_values_too_short_to_stand_out_are_not_looked_for(tmp_path):
    (tmp_path / "file").write_bytes(b"abcdefg")
    assert scan(tmp_path, [b"abcdefg"]).patterns == 0


def test_what_is_not_there_is_not_found_and_the_canary_is(tmp_path):
    (tmp_path / "file").write_bytes(bytes(1000))
    found = scan(tmp_path, [b"something else"])
    assert (found.hits, found.control_hits, found.files) == (0, 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("form", range(3))
def test_a_template_is_found_as_float32_float16_and_int8(form, tmp_path):
    template = np.random.default_rng(1).normal(size=128).astype(np.float32)
    template /= np.linalg.norm(template)
    (tmp_path / "file").write_bytes(b"x" * 17 + forms_of_template(template)[form] + b"y" * 9)
    assert scan(tmp_path, forms_of_template(template)).hits == 1


def test_many_values_are_looked_for_in_several_passes_each_with_its_canary(tmp_path, monkeypatch):
    monkeypatch.setattr(residue, "SHARD", 2)
    values = [bytes([n]) * 40 for n in range(7)]
    (tmp_path / "first").write_bytes(values[0])
    (tmp_path / "last").write_bytes(b"...." + values[6])
    found = scan(tmp_path, values)
    assert found.where == ("first", "last")
    assert (found.patterns, found.control_hits) == (7, 4)


@pytest.fixture
def vault(tmp_path):
    """A folder that says when the vault was made."""
    folder = tmp_path / "vault"
    folder.mkdir()
    (folder / "vault.toml").write_text("")
    (tmp_path / "temporary").mkdir()
    return folder


def test_what_was_left_in_the_temporary_folder_since_the_vault_was_made_is_found(vault, tmp_path):
    left = tmp_path / "temporary" / "deep" / "left"
    left.parent.mkdir()
    left.write_bytes(b"..something to find..")
    found = scan(vault, [b"something to find"], temporary=tmp_path / "temporary")
    assert found.where == (str(left),)
    assert (found.places, found.control_hits) == (("vault", "temporary-folder"), 2)
    assert [path.name for path in (tmp_path / "temporary").iterdir()] == ["deep"]


def test_what_lay_in_the_temporary_folder_before_the_vault_was_made_is_passed_over(vault, tmp_path):
    older = tmp_path / "temporary" / "older"
    older.write_bytes(b"something to find")
    os.utime(older, (1, 1))
    assert scan(vault, [b"something to find"], temporary=tmp_path / "temporary").where == ()


def test_a_vault_inside_the_temporary_folder_is_searched_once(vault, tmp_path):
    found = scan(vault, [b"something to find"], temporary=tmp_path)
    assert found.files == 1


def test_known_exports_are_searched_and_one_that_is_gone_is_passed_over(vault, tmp_path):
    (tmp_path / "sheet.html").write_bytes(b"with something to find in it")
    found = scan(vault, [b"something to find"], exports=[tmp_path / "sheet.html", tmp_path / "gone.html"])
    assert found.where == (str(tmp_path / "sheet.html"),)
    assert found.places == ("vault", "exports")


def test_a_canary_that_a_crash_left_is_replaced(vault):
    (vault / residue.CANARY).write_bytes(b"of another search")
    assert scan(vault, [b"something to find"]).control_hits == 1
    assert not (vault / residue.CANARY).exists()


def test_a_file_that_cannot_be_read_stops_the_search_and_is_named(vault, monkeypatch):
    def fails(path, _at, _buffer):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(residue, "_read", fails)
    with pytest.raises(VaultError, match=r"Permission denied: .*canary"):
        scan(vault, [b"something to find"])
    assert not (vault / residue.CANARY).exists()


def test_values_too_short_are_counted(vault):
    found = scan(vault, [b"short", b"long enough"])
    assert (found.patterns, found.short) == (1, 1)


@given(st.binary(min_size=1, max_size=60_000))
def test_the_windows_of_a_value_leave_no_gap_wider_than_the_spacing(value):
    starts = [at for at in range(len(value)) if value[at : at + WINDOW] in windows(value)]
    assert all(after - before <= residue.SPACING for before, after in pairwise(starts))


def test_a_pictures_windows_pass_over_its_header_and_its_padding():
    picture = b"\xff\xd8same for every camera" * 60 + bytes(range(256)) * 40 + bytes(5000)
    found = residue.pixels_of(picture)
    assert found
    assert all(len(set(window)) >= residue.VARIED and b"camera" not in window for window in found)


def test_words_are_searched_for_in_the_vault_and_in_exports_but_not_among_other_programs_temporary_files(
    vault, tmp_path
):
    for folder in (vault, tmp_path / "temporary", tmp_path):
        (folder / "list.txt").write_bytes(b"holiday/portrait.png was copied")
    found = scan(
        vault,
        [b"bytes of a template"],
        words=[b"holiday/portrait.png"],
        temporary=tmp_path / "temporary",
        exports=[tmp_path / "list.txt"],
    )
    assert found.where == (str(tmp_path / "list.txt"), "list.txt")
    assert found.patterns == 2
