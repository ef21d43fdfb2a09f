"""Every disk state that a power cut during an erasure may leave is finished by the next open (the model: `power`)."""

from __future__ import annotations

import pytest

SEED = 20261123


@pytest.mark.parametrize("act", ["erase"])
def test_any_state_a_power_cut_may_leave_while_keys_and_files_are_destroyed_is_finished(act, rigs, everything, tally):
    limit = 0 if everything else 120
    judged(rigs, tally, act, {"area": "keys", "seed": SEED, "limit": limit})


@pytest.mark.parametrize("act", ["init", "add", "erase", "approve"])
def test_states_that_a_power_cut_may_leave_anywhere_are_finished(act, rigs, everything, tally):
    judged(rigs, tally, act, {"area": "all", "seed": SEED, "limit": 1000 if everything else 32})


def judged(rigs, tally, act, options):
    states = list(rigs.stream({"act": act, "power": options}))
    wrong = [f"after {s['at']} calls, lost {s['lost']}: {p}" for s in states for p in s["problems"]]
    assert not wrong, "\n".join(wrong[:20])
    assert len(states) >= 30
    tally["states after a power cut"] += len(states)
