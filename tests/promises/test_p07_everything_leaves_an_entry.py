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

DSR = (
    b'{"regulation": "gdpr", "subject_request_type": "access", "submitted_time": "2026-11-20T10:00:00Z", '
    b'"subject_request_id": "a7551968-d5d6-44b2-9831-815ac9017798", "subject_identities": '
    b'[{"identity_type": "email", "identity_format": "raw", "identity_value": "a@b.example"}]}'
)
ACTS = {  # verb -> the kinds of entry it leaves
    "create_collection": {"collection:made"},
    "set_collection": {"collection:changed"},
    "create_source": {"source:registered"},
    "add": {"scan:begun", "photo:added", "scan:finished"},
    "search": {"search:done"},
    "exports.write": {"export:written"},
    "exports.delete": {"export:deleted"},
    "compare": {"compare:done"},
    "enrol": {"subject:enrolled"},
    "documents.receipt": {"receipt:given"},
    "wishes.record": {"wish:recorded"},
    "wishes.withdraw": {"wish:withdrawn", "keys:rotated"},
    "withdraw": {"erasure:planned", "erasure:stopped", "erasure:keys-destroyed", "erasure:purged", "erasure:certified"},
    "erase": {"erasure:planned", "erasure:stopped", "erasure:keys-destroyed", "erasure:purged", "erasure:certified"},
    "erasures.finish_work": {"work:finished"},
    "custody.rotate": {"keys:rotated"},
    "custody.replicate": {"keys:replicated"},
    "custody.remove_replica": {"keys:replica-removed"},
    "backup": {"vault:backed-up"},
    "orders.draft": {"order:drafted"},
    "orders.sheet": {"export:written"},
    "orders.approve": {"order:approved", "order:stopped"},
    "correct_evidence": {"photo:corrected"},
    "orders.confirm": {"order:reviewed"},
    "orders.carry_out": {"order:erased", "order:completed", "erasure:certified"},
    "orders.lift": {"order:lifted"},
    "faces.not_same": {"face:not-same"},
    "faces.restrict": {"restriction:set"},
    "faces.unrestrict": {"restriction:lifted"},
    "requests.open": {"request:opened"},
    "requests.open_mail": {"request:opened"},
    "requests.open_opendsr": {"request:opened"},
    "requests.settle": {"request:settled"},
    "requests.identify": {"request:looked"},
    "requests.sheet": {"export:written"},
    "requests.review": {"request:reviewed"},
    "requests.freeze": {"request:frozen"},
    "requests.access": {"request:compiled"},
    "requests.erase": {"erasure:planned", "erasure:certified"},
    "requests.acknowledge": {"request:acknowledged"},
    "requests.pause": {"request:paused"},
    "requests.resume": {"request:resumed"},
    "requests.extend": {"request:extended"},
    "requests.answer": {"request:answered"},
    "requests.close": {"request:closed"},
    "sweep": {"vault:swept"},
    "resume": set(),  # nothing was left unfinished
}
ELSEWHERE = {"log.cosign"}  # needs a witness: tests/unit/audit/test_cosign.py shows its entry
LOOKS = {  # the operator's own view of records, log and proofs
    *("collection", "collections", "source", "sources", "subjects", "would_add", "scope", "preview", "erasures.list"),
    *(
        "erasures.certificate",
        "erasures.worklist",
        "log.lines",
        "log.verify",
        "log.checkpoint",
        "why",
        "check",
        "refused",
        "photos",
        "counts",
    ),
    *("exports.list", "wishes.list", "custody.status", "check_residue", "erasures.view"),
    *("faces.links", "faces.restrictions"),
    *("orders.preview", "orders.list", "orders.show", "orders.proof", "orders.to_review"),
    *(f"documents.{name}" for name in ("notice", "ropa", "dpia", "retention", "evidence", "consent")),
    *("requests.list", "requests.show", "requests.scope", "requests.letter"),
    *("log.key", "log.prove", "log.publish", "pool", "close"),
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
    stated = {
        name: getattr(vault.collection("club"), name)
        for name in ("purpose", "controller", "contact", "art6", "takes_in", "established", "representative")
    }

    def waiting():
        return vault.orders.to_review(vault.orders.list()[0].id)

    def asked(channel):
        return next(one.id for one in vault.requests.list() if one.request.channel == channel)

    def confirmed(request):
        found = vault.requests.identify(request, clues=[("album", str(photos))])
        vault.requests.review(request, {one.photo_id: "yes" for one in found})
        return found

    def found():
        return [hit.face_id for hit in vault.search(photos / "portrait.png", **WHY).faces[0].hits]

    acts = {
        "create_collection": lambda: vault.create_collection("second", **stated),
        "set_collection": lambda: vault.set_collection("second", art9="made-public", notice="told", retention_days=9),
        "create_source": lambda: vault.create_source(photos, collection="second", controller="x", evidence="y"),
        "add": lambda: vault.add(photos, collection="club"),
        "search": lambda: vault.search(photos / "portrait.png", **WHY),
        "exports.write": lambda: vault.exports.write(
            vault.search(photos / "portrait.png", **WHY), photos.parent / "sheet.html"
        ),
        "exports.delete": lambda: vault.exports.delete(vault.exports.list()[0].id),
        "compare": lambda: vault.compare(photos / "portrait.png", photos / "smaller.jpg", **WHY),
        "faces.not_same": lambda: vault.faces.not_same(*found()[:2], reason="r"),
        "faces.restrict": lambda: vault.faces.restrict(found()[0], ground="accuracy"),
        "faces.unrestrict": lambda: vault.faces.unrestrict(
            vault.faces.restrictions()[0].id, reason="r", told="by letter"
        ),
        "enrol": lambda: vault.enrol("X", [photos / "portrait.png"], collection="second", consent=consent),
        "documents.receipt": lambda: vault.documents.receipt("X", collection="second"),
        "wishes.record": lambda: vault.wishes.record([photos / "portrait.png"], consent=consent),
        "wishes.withdraw": lambda: vault.wishes.withdraw(vault.wishes.list()[0].id),
        "withdraw": lambda: vault.withdraw("X", collection="second"),
        "erasures.finish_work": lambda: vault.erasures.finish_work(vault.erasures.worklist()[0].id),
        "orders.draft": lambda: vault.orders.draft(order_text(scope="{territories: [GB-SCT], unknown: review}")),
        "orders.sheet": lambda: vault.orders.sheet(
            vault.orders.draft(order_text("FR")).id, photos.parent / "samples.html"
        ),
        "orders.approve": lambda: vault.orders.approve(vault.orders.list()[0].id, confirm=4),
        "correct_evidence": lambda: vault.correct_evidence(waiting()[0], "GB-ENG"),
        "orders.confirm": lambda: vault.orders.confirm(vault.orders.list()[0].id, waiting()[:1]),
        "orders.carry_out": lambda: vault.orders.carry_out(vault.orders.list()[0].id, signed_by="x"),
        "orders.lift": lambda: vault.orders.lift(vault.orders.list()[0].id, reason="r", assessment=ASSESSMENT),
        "requests.open": lambda: vault.requests.open("erasure", text="portrait.png"),
        "requests.open_mail": lambda: vault.requests.open_mail(b"From: a@b.example\r\n\r\naccess"),
        "requests.open_opendsr": lambda: vault.requests.open_opendsr(DSR),
        "requests.settle": lambda: vault.requests.settle(asked("mail"), "access"),
        "requests.identify": lambda: vault.requests.identify(asked("form"), clues=[("album", str(photos))]),
        "requests.sheet": lambda: vault.requests.sheet(asked("form"), photos.parent / "candidates.html"),
        "requests.review": lambda: vault.requests.review(
            asked("form"), {one.photo_id: "yes" for one in vault.requests.show(asked("form")).request.reviews}
        ),
        "requests.freeze": lambda: vault.requests.freeze(one.photo_id for one in confirmed(asked("mail"))),
        "requests.access": lambda: vault.requests.access(asked("mail")),
        "requests.erase": lambda: vault.requests.erase(asked("form")),
        "requests.acknowledge": lambda: vault.requests.acknowledge(asked("form")),
        "requests.pause": lambda: vault.requests.pause(asked("mail"), "identity"),
        "requests.resume": lambda: vault.requests.resume(asked("mail")),
        "requests.extend": lambda: vault.requests.extend(asked("mail"), "r"),
        "requests.answer": lambda: vault.requests.answer(asked("form"), "granted"),
        "requests.close": lambda: vault.requests.close(asked("form")),
        "erase": lambda: vault.erase(vault.scope(source=vault.sources("club")[0].id)),
        "sweep": vault.sweep,
        "resume": vault.resume,
        "custody.rotate": vault.custody.rotate,
        "custody.replicate": lambda: vault.custody.replicate(photos.parent / "replica"),
        "custody.remove_replica": lambda: vault.custody.remove_replica(photos.parent / "replica"),
        "backup": lambda: vault.backup(photos.parent / "backup"),
    }
    for verb, act in acts.items():
        before = len(vault.log.lines())
        act()
        yield verb, {line.kind for line in vault.log.lines(first=before)}


def test_each_verb_that_changes_or_shows_something_leaves_its_entries(vault, photos, clock):
    left = dict(play(vault, photos, clock))
    assert left.keys() == ACTS.keys()
    for verb, kinds in ACTS.items():
        assert kinds <= left[verb], verb
    assert vault.log.verify().problems == ()


def test_no_verb_is_left_out_of_this_list():
    assert set(verbs()) == ACTS.keys() | LOOKS | ELSEWHERE


def test_an_act_that_fails_leaves_no_entry_and_an_entry_that_fails_leaves_no_act(vault, monkeypatch):
    before = len(vault.log.lines())
    with pytest.raises(errors.UsageError):
        vault.create_collection("club")
    monkeypatch.setattr("countenance.audit.checkpoint.sign", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        vault.create_collection("third")
    monkeypatch.undo()
    assert len(vault.log.lines()) == before
    assert [c.name for c in vault.collections()] == ["club"]


def test_a_refused_search_is_logged_without_saying_who_was_searched(filled, photos):
    with pytest.raises(errors.Refused):
        filled.search(photos / "portrait.png", collection="club", purpose="p", case="")
    assert filled.log.lines()[-1].kind == "act:refused"
    assert filled.log.lines()[-1].public["reason"] == "no-case"


def test_the_lasting_part_of_the_log_names_no_photo_face_subject_or_word_of_a_person(filled, photos, clock):
    for _ in play_filled(filled, photos, clock):
        pass
    for line in filled.log.lines():
        assert not any(mark in str(line.public) for mark in ("pho_", "fac_", "sub_", "portrait", "case 1", "a test"))


def play_filled(vault, photos, clock):
    vault.search(photos / "portrait.png", **WHY)
    yield from ()


def test_entries_about_what_was_erased_lose_their_details_and_the_tree_still_verifies(filled, photos):
    found = filled.search(photos / "portrait.png", **WHY)
    before = filled.log.verify()
    filled.erase(filled.scope(search=found.id))
    after = filled.log.verify()
    assert after.problems == ()
    assert before.erased == 0
    assert after.erased >= 9  # three photos added, three faces in them, three hits


@pytest.mark.parametrize("harm", ["altered", "removed", "reordered", "inserted", "detail", "cut", "emptied"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_altered_removed_reordered_or_inserted_line_is_found(filled, harm, data):
    number = data.draw(st.integers(0, len(filled.log.lines()) - 1))

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
    assert filled.log.verify().problems == ()
