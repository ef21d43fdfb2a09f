"""A clock that jumps back does not spoil what an erasure proves."""

from __future__ import annotations

from tests.conftest import WHY

from countenance.audit import verify
from countenance.orders import erase


def test_a_clock_that_jumps_back_a_day_at_each_step_of_an_erasure_leaves_a_certificate_that_holds(
    filled, photos, clock, monkeypatch
):
    for state, step in erase.STEPS.items():

        def late(run, progress, step=step):
            clock.forward(days=-1)
            step(run, progress)

        monkeypatch.setitem(erase.STEPS, state, late)
    scope = filled.scope(search=filled.search(photos / "portrait.png", **WHY).id)
    erasure = filled.erase(scope, approved_by=["somebody"])
    report = verify.examine(verify.unpack(filled.erasures.certificate(erasure.id)))
    assert report.statement, report.checks[-1]
    stamps = [state["at"] for state in report.statement["states"]]
    assert stamps == sorted(stamps)
    assert filled.log.verify().problems == filled.check().problems == ()
