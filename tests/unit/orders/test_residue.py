"""The byte scan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
def test_a_part_that_holds_the_start_the_middle_or_the_end_of_a_value_is_enough(value, data):
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
