"""P7: everything leaves an entry."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from tests.conftest import WHY
from tests.orders import ASSESSMENT, order_text

from countenance import Consent, errors
from countenance.audit import log
from countenance.store.tables import entry, part
from countenance.vault import Vault

ACTS = {  # verb -> the kinds of entry it leaves
    "create_collection": {"collection:made"},
    "set_collection": {"collection:changed"},
    "create_source": {"source:registered"},
    "add": {"scan:begun", "photo:added", "scan:finished"},
    "search": {"search:done"},
    "export": {"export:written"},
    "delete_export": {"export:deleted"},
    "compare": {"compare:done"},
    "enrol": {"subject:enrolled"},
    "keep_out": {"wish:recorded"},
    "withdraw_wish": {"wish:withdrawn", "keys:rotated"},
    "withdraw": {"erasure:planned", "erasure:stopped", "erasure:keys-destroyed", "erasure:purged", "erasure:certified"},
    "erase": {"erasure:planned", "erasure:stopped", "erasure:keys-destroyed", "erasure:purged", "erasure:certified"},
    "finish_work": {"work:finished"},
    "rotate_keys": {"keys:rotated"},
    "replicate_keys": {"keys:replicated"},
    "remove_replica": {"keys:replica-removed"},
    "backup": {"vault:backed-up"},
    "orders.draft": {"order:drafted"},
    "orders.sheet": {"export:written"},
    "orders.approve": {"order:approved", "order:stopped"},
    "correct_evidence": {"photo:corrected"},
    "orders.confirm": {"order:reviewed"},
    "orders.carry_out": {"order:erased", "order:completed", "erasure:certified"},
    "orders.lift": {"order:lifted"},
    "resume": set(),  # nothing was left unfinished
}
ELSEWHERE = {"cosign"}  # needs a witness: tests/unit/audit/test_cosign.py shows its entry
LOOKS = {  # the operator's own view of records, log and proofs
    *("collection", "collections", "source", "sources", "subjects", "would_add", "scope", "preview", "erasures"),
    *("certificate", "worklist", "log", "verify_log", "checkpoint", "why", "check", "refused", "photos", "counts"),
    *("exports", "wishes", "keys_status", "check_residue", "certificate_view"),
    *("orders.preview", "orders.list", "orders.show", "orders.proof", "orders.to_review"),
    *("log_key", "prove", "publish_log", "pool", "close"),
}


def verbs():
    """The names of all verbs, those of a group as `orders.draft`."""
    for name, member in vars(Vault).items():
        group = get_type_hints(member.fget)["return"] if isinstance(member, property) else None
        if group and group.__module__.startswith("countenance.verbs"):
            yield from (
                f"{name}.{verb}" for verb in vars(group) if inspect.isfunction(getattr(group, verb)) and verb[0] != "_"
            )
        elif name[0] != "_":
            yield name


def play(vault, photos, clock):
    """Use every verb once; yields (verb, kinds of the entries it left)."""
    consent = Consent(by="x", given_at=clock(), text="y", until=clock() + timedelta(days=1))
    stated = {name: getattr(vault.collection("club"), name) for name in ("purpose", "controller", "contact", "art6")}

    def waiting():
        return vault.orders.to_review(vault.orders.list()[0].id)

    acts = {
        "create_collection": lambda: vault.create_collection("second", **stated),
        "set_collection": lambda: vault.set_collection("second", art9="made-public", notice="told", retention_days=9),
        "create_source": lambda: vault.create_source(photos, collection="second", controller="x", evidence="y"),
        "add": lambda: vault.add(photos, collection="club"),
        "search": lambda: vault.search(photos / "portrait.png", **WHY),
        "export": lambda: vault.export(vault.search(photos / "portrait.png", **WHY), photos.parent / "sheet.html"),
        "delete_export": lambda: vault.delete_export(vault.exports()[0].id),
        "compare": lambda: vault.compare(photos / "portrait.png", photos / "smaller.jpg", **WHY),
        "enrol": lambda: vault.enrol("X", [photos / "portrait.png"], collection="second", consent=consent),
        "keep_out": lambda: vault.keep_out([photos / "portrait.png"], wish=consent),
        "withdraw_wish": lambda: vault.withdraw_wish(vault.wishes()[0].id),
        "withdraw": lambda: vault.withdraw("X", collection="second"),
        "finish_work": lambda: vault.finish_work(vault.worklist()[0].id),
        "orders.draft": lambda: vault.orders.draft(order_text(scope="{territories: [GB-SCT], unknown: review}")),
        "orders.sheet": lambda: vault.orders.sheet(
            vault.orders.draft(order_text("FR")).id, photos.parent / "samples.html"
        ),
        "orders.approve": lambda: vault.orders.approve(vault.orders.list()[0].id, confirm=4),
        "correct_evidence": lambda: vault.correct_evidence(waiting()[0], "GB-ENG"),
        "orders.confirm": lambda: vault.orders.confirm(vault.orders.list()[0].id, waiting()[:1]),
        "orders.carry_out": lambda: vault.orders.carry_out(vault.orders.list()[0].id, signed_by="x"),
        "orders.lift": lambda: vault.orders.lift(vault.orders.list()[0].id, reason="r", assessment=ASSESSMENT),
        "erase": lambda: vault.erase(vault.scope(source=vault.sources("club")[0].id)),
        "resume": vault.resume,
        "rotate_keys": vault.rotate_keys,
        "replicate_keys": lambda: vault.replicate_keys(photos.parent / "replica"),
        "remove_replica": lambda: vault.remove_replica(photos.parent / "replica"),
        "backup": lambda: vault.backup(photos.parent / "backup"),
    }
    for verb, act in acts.items():
        before = len(vault.log())
        act()
        yield verb, {line.kind for line in vault.log(first=before)}


def test_each_verb_that_changes_or_shows_something_leaves_its_entries(vault, photos, clock):
    left = dict(play(vault, photos, clock))
    assert left.keys() == ACTS.keys()
    for verb, kinds in ACTS.items():
        assert kinds <= left[verb], verb
    assert vault.verify_log().problems == ()


def test_no_verb_is_left_out_of_this_list():
    assert set(verbs()) == ACTS.keys() | LOOKS | ELSEWHERE


def test_an_act_that_fails_leaves_no_entry_and_an_entry_that_fails_leaves_no_act(vault, monkeypatch):
    before = len(vault.log())
    with pytest.raises(errors.UsageError):
        vault.create_collection("club")
    monkeypatch.setattr("countenance.audit.checkpoint.sign", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vault.create_collection("third")
    monkeypatch.undo()
    assert len(vault.log()) == before
    assert [c.name for c in vault.collections()] == ["club"]


def test_a_refused_search_is_logged_without_saying_who_was_searched(filled, photos):
    with pytest.raises(errors.Refused):
        filled.search(photos / "portrait.png", collection="club", purpose="p", case="")
    assert filled.log()[-1].kind == "act:refused"
    assert filled.log()[-1].public["reason"] == "no-case"


def test_the_lasting_part_of_the_log_names_no_photo_face_subject_or_word_of_a_person(filled, photos, clock):
    for _ in play_filled(filled, photos, clock):
        pass
    for line in filled.log():
        assert not any(mark in str(line.public) for mark in ("pho_", "fac_", "sub_", "portrait", "case 1", "a test"))


def play_filled(vault, photos, clock):
    vault.search(photos / "portrait.png", **WHY)
    yield from ()


def test_entries_about_what_was_erased_lose_their_details_and_the_tree_still_verifies(filled, photos):
    found = filled.search(photos / "portrait.png", **WHY)
    before = filled.verify_log()
    filled.erase(filled.scope(search=found.id))
    after = filled.verify_log()
    assert after.problems == ()
    assert before.erased == 0
    assert after.erased >= 9  # three photos added, three faces in them, three hits


@pytest.mark.parametrize("harm", ["altered", "removed", "reordered", "inserted", "detail", "cut", "emptied"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_altered_removed_reordered_or_inserted_line_is_found(filled, harm, data):
    number = data.draw(st.integers(0, len(filled.log()) - 1))

    class Undo(Exception):
        pass

    with pytest.raises(Undo), filled.database.write() as tx:
        rows = tx.sql.execute(entry.select().order_by(entry.c.number)).all()
        row = rows[number]
        if harm == "altered":
            at = data.draw(st.integers(0, len(row.leaf) - 1))
            changed = row.leaf[:at] + bytes([row.leaf[at] ^ 1]) + row.leaf[at + 1 :]
            tx.sql.execute(update(entry).where(entry.c.number == number).values(leaf=changed))
        elif harm in {"removed", "cut"}:
            least = number if harm == "removed" else len(rows) - 1
            tx.sql.execute(delete(part).where(part.c.entry == least))
            tx.sql.execute(delete(entry).where(entry.c.number == least))
        elif harm == "reordered":
            other = rows[number - 1]
            tx.sql.execute(update(entry).where(entry.c.number == number).values(leaf=other.leaf, hash=other.hash))
            tx.sql.execute(update(entry).where(entry.c.number == other.number).values(leaf=row.leaf, hash=row.hash))
        elif harm == "inserted":
            tx.sql.execute(entry.insert().values(number=len(rows), kind=row.kind, leaf=row.leaf, hash=row.hash))
        elif harm == "emptied":
            one = data.draw(st.sampled_from(tx.sql.execute(part.select()).all()))
            tx.sql.execute(update(part).where(part.c.row == one.row).values(detail=None))
        else:
            held = tx.sql.execute(part.select()).all()
            one = data.draw(st.sampled_from(held))
            at = data.draw(st.integers(0, len(one.detail) - 1))
            changed = one.detail[:at] + bytes([one.detail[at] ^ 1]) + one.detail[at + 1 :]
            tx.sql.execute(update(part).where(part.c.row == one.row).values(detail=changed))
        assert log.verify(tx).problems
        raise Undo
    assert filled.verify_log().problems == ()
