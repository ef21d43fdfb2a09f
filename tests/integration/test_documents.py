"""Documents and consent receipts as people use them: from the command line and from Python, over a real vault."""

from __future__ import annotations

import hashlib
import itertools
import json
import stat
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.conftest import STATED
from tests.orders import order_text

from countenance import errors
from countenance.records import Consent, Subject
from countenance.requests import identify, receipt
from countenance.requests.receipt import Event
from countenance.store import counts, subjects
from countenance.store.requests import Clue

KINDS = ("notice", "ropa", "dpia", "retention", "evidence")
NAME = "Somebody Unmistakable"


@pytest.fixture
def enrolled(filled, photos, clock):
    """A vault with three faces, and a person enrolled in a collection of their own."""
    own = {"mode": "enrolled", "art6": "consent", "art9": "explicit-consent", "retention_days": 40}
    filled.create_collection("Members", **STATED | own)
    given, until = datetime(2026, 5, 18, tzinfo=UTC), datetime(2060, 2, 1, tzinfo=UTC)  # commands run on today's day
    consent = Consent(by=NAME, given_at=given, text="I agree to be found.", until=until)
    filled.enrol(NAME, [photos / "portrait.png"], collection="Members", consent=consent)
    return filled


@pytest.mark.parametrize("form", ["html", "md"])
def test_a_document_is_written_once_prints_the_same_again_and_exits_3_while_gaps_are_left(
    enrolled, run, tmp_path, form
):
    for kind in KINDS:
        file = tmp_path / f"{kind}.{form}"
        first = run("document", kind, "--format", form, "--out", file)
        assert (first.code, first.out.strip()) == (3 if kind != "retention" else 0, str(file))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert f"SHA-256 {digest}" in first.err
        printed = run("document", kind, "--format", form)
        assert printed.out == file.read_text("utf-8")
        again = run("document", kind, "--format", form, "--out", file)
        assert (again.code, "is there already" in again.err) == (2, True)
        assert hashlib.sha256(file.read_bytes()).hexdigest() == digest
        told = run("document", kind, "--format", form, "--json")
        assert (told.json["sha256"], told.json["text"]) == (digest, printed.out)
        assert bool(told.json["gaps"]) == (told.code == 3)


def test_a_document_is_not_written_in_the_place_of_a_link_to_nothing(enrolled, run, tmp_path):
    link = tmp_path / "notice.html"
    link.symlink_to(tmp_path / "elsewhere")
    told = run("document", "notice", "--out", link)
    assert (told.code, "is there already" in told.err, link.is_symlink()) == (2, True, True)
    assert not (tmp_path / "elsewhere").exists()


def test_a_document_names_no_person_no_photo_and_no_path_and_leaves_no_entry(enrolled, photos):
    before = len(enrolled.log.lines())
    for kind, form in itertools.product(KINDS, ("html", "md")):
        text = getattr(enrolled.documents, kind)(form=form).text
        for word in (NAME, "portrait.png", "mirrored.jpg", str(photos), "photos/", "pho_", "fac_", "sub_"):
            assert word not in text.replace("\\", ""), kind
    assert len(enrolled.log.lines()) == before


def test_the_counts_in_a_document_are_those_of_the_vault(enrolled, photos, clock):
    said = enrolled.documents.evidence("club", form="md").text
    assert "| Photos | 4 |" in said
    assert "| Faces with a template | 3 |" in said
    assert "| 2026-12 | 4 | 3 | 0 |" in enrolled.documents.retention("club", form="md").text
    assert "| 2027-01 | 1 | 1 | 0 |" in enrolled.documents.retention("Members", form="md").text
    assert "| 2060-02 | 0 | 0 | 1 |" in enrolled.documents.retention("Members", form="md").text
    clock.forward(days=31)
    assert (
        "| of these expired, found by nothing, waiting for the sweep | 3 |" in enrolled.documents.ropa(form="md").text
    )
    done = enrolled.erase(enrolled.scope(source=enrolled.sources("club")[0].id))
    digest = hashlib.sha256(enrolled.erasures.certificate(done.id)).hexdigest()
    after = enrolled.documents.evidence("club", form="md").text
    assert f"| {done.id} | certified |".replace("_", "\\_") in after
    assert digest in after
    assert "| Faces with a template | 0 |" in after


def test_counts_by_the_database_are_those_by_hand(enrolled, clock):
    club, members = enrolled.collections()
    with enrolled.database.read() as tx:
        assert counts.photos(tx, club.id) == {enrolled.sources("club")[0].id: {"held": 4}}
        assert sum(counts.territories(tx, club.id).values()) == 4
        assert counts.linked(tx, members.id) == 1
        assert counts.consenting(tx, members.id) == 1
        assert counts.expiring(tx, members.id)["subjects"] == {"2060-02": 1}
    clock.forward(days=13_000)
    with enrolled.database.read() as tx:
        assert counts.consenting(tx, members.id) == 0
        assert counts.past_due(tx, club.id) == 3


def test_ends_are_counted_in_the_month_that_they_fall_in(empty, clock):
    club = empty.create_collection("club").id
    edges = [datetime(year, month, 1, tzinfo=UTC) for year in (2026, 2027, 2028) for month in range(1, 13)]
    ends = [edge + timedelta(seconds=off) for edge in edges for off in (-1, 0, 1, 86_400 * 27)]
    with empty.database.write() as tx:
        for number, end in enumerate(ends):
            consent = Consent(by="x", given_at=clock(), text="y", until=end)
            subjects.insert(
                tx, Subject(id=f"sub_{number}", collection_id=club, name=f"{number}", consent=consent, faces=0)
            )
        assert counts.expiring(tx, club)["subjects"] == Counter(f"{end:%Y-%m}" for end in ends)
        assert counts.expiring(tx, "col_other")["subjects"] == {}


def test_an_order_in_force_and_what_it_hides_stand_in_the_evidence(filled):
    order = filled.orders.draft(order_text(scope="{everything: yes}"))
    filled.orders.approve(order.id, confirm=4)
    said = filled.documents.evidence(form="md").text
    assert f"| {order.id} | An Authority (GB) | case A 1 | 2022-05-18 | stopped, in force |".replace("_", "\\_") in said
    assert "| of these hidden by an order or a restriction | 4 |" in said
    assert "| Faces with a template | 3 |" in said  # hidden is not gone


def test_what_the_operator_states_in_a_file_fills_the_gaps(enrolled, run, tmp_path):
    file = tmp_path / "stated.toml"
    file.write_text('recipients = "the board"\n["Members"]\nrecipients = "nobody else"\n')
    told = run("document", "notice", "--stated", file, "--format", "md", "--json").json
    assert "| Recipients | the board |" in told["text"]
    assert "| Recipients | nobody else |" in told["text"]
    assert not any("recipients" in gap for gap in told["gaps"])
    file.write_text('recipiens = "a slip"\n')
    assert run("document", "notice", "--stated", file).code == 2
    file.write_text("no toml")
    assert run("document", "notice", "--stated", file).code == 2


def test_one_collection_is_written_alone_and_an_unknown_one_or_format_is_refused(enrolled, run):
    assert "Members" not in run("document", "ropa", "-c", "club").out
    assert run("document", "ropa", "-c", "nothing").code == 1
    assert run("document", "ropa", "--format", "pdf").code == 2


def test_the_digest_of_an_assessment_lifts_an_order_and_stands_in_the_evidence(filled, run, tmp_path):
    order = filled.orders.draft(order_text(scope="{everything: yes}"))
    filled.orders.approve(order.id, confirm=4)
    told = run("document", "dpia", "--json").json
    assert run("order", "lift", order.id, "--reason", "r", "--assessment", told["sha256"]).code == 0
    assert f"lifted, on the assessment with SHA-256 {told['sha256']}" in run("document", "evidence").out


def test_a_receipt_leads_a_request_back_to_the_person_and_is_logged(enrolled, run, tmp_path):
    file = tmp_path / "receipt.jsonld"
    given = run("subject", "receipt", NAME, "--out", file)
    assert given.code == 3  # its gaps: the vault does not know the address, the language, ...
    assert stat.S_IMODE(file.stat().st_mode) == 0o600  # it names them
    read = receipt.load(file.read_bytes())
    assert (read.record.text, read.record.events[0].by) == ("I agree to be found.", NAME)
    assert read.record.controller.representative == STATED["representative"]
    line = enrolled.log.lines()[-1]
    assert (line.kind, line.public) == ("receipt:given", {"collection": enrolled.collection("Members").id})
    with enrolled.database.read() as tx:
        (found,) = identify.find(tx, [Clue(kind="receipt", value=read.receipt_id)])
        assert found.collection_id == enrolled.collection("Members").id
    enrolled.withdraw(NAME, collection="Members")
    with enrolled.database.read() as tx:
        assert identify.find(tx, [Clue(kind="receipt", value=read.receipt_id)]) == []


def test_a_receipt_with_all_that_was_stated_has_no_gap_and_each_has_its_own_number(enrolled, run, tmp_path):
    keys = ("address", "jurisdiction", "language", "method", "recipients", "storage_location", "withdraw_at")
    file = tmp_path / "stated.toml"
    file.write_text("".join(f'{key} = "x"\n' for key in keys))
    first, second = (run("subject", "receipt", NAME, "--stated", file) for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    numbers = {json.loads(one.out)["dct:identifier"] for one in (first, second)}
    assert len(numbers) == 2
    told = run("subject", "receipt", NAME, "--json", "--stated", file).json
    assert (told["document"], told["gaps"]) == ("receipt", [])
    dry = run("subject", "receipt", NAME, "--dry-run", "--stated", file)
    with enrolled.database.read() as tx:
        number = json.loads(dry.out)["dct:identifier"]
        assert identify.find(tx, [Clue(kind="receipt", value=number)]) == []


def test_a_person_is_enrolled_with_the_receipt_that_they_bring(enrolled, run, photos, tmp_path):
    file = tmp_path / "receipt.jsonld"
    file.write_text(enrolled.documents.receipt(NAME).text)
    arguments = ("subject", "enrol", "Again", photos / "smaller.jpg", "-c", "Members", "--consent-receipt", file)
    assert run(*arguments, "--consent-text", "x").code == 2
    assert run(*arguments).code == 0
    first, again = enrolled.subjects("Members")
    assert again.consent == first.consent
    assert run("subject", "enrol", "Third", photos / "smaller.jpg", "-c", "Members").code == 2


def withdrawn(record, at):
    ended = Event(status=receipt.STATUS[1], at=at, by=NAME, how="a letter")
    return replace(record, events=(*record.events, ended))


BAD = {  # what is wrong with a receipt, and the sentence that says so
    "was withdrawn": withdrawn,
    "was withdrawn, in the second": lambda record, now: withdrawn(record, record.events[0].at),
    "has ended": lambda record, now: replace(record, valid_until=now),
    "is given in the future": lambda record, now: replace(
        record, events=(replace(record.events[0], at=now + timedelta(days=1)),)
    ),
    "is for another purpose": lambda record, now: replace(record, purpose="advertising"),
    "was given to another controller": lambda record, now: replace(
        record, controller=replace(record.controller, name="Others")
    ),
}


def test_a_consent_that_does_not_hold_here_is_refused_with_a_sentence_and_nobody_is_enrolled(enrolled, clock):
    given = receipt.load(enrolled.documents.receipt(NAME).text.encode())
    for why, spoil in BAD.items():
        bad = receipt.dump(replace(given, record=spoil(given.record, clock())))
        with pytest.raises(errors.Refused, match=why.partition(",")[0]) as refused:
            enrolled.documents.consent(bad, collection="Members")
        assert NAME not in str(refused.value)
    assert len(enrolled.subjects("Members")) == 1


def test_a_receipt_that_leaves_out_who_consented_or_is_none_is_refused(enrolled):
    given = receipt.load(enrolled.documents.receipt(NAME).text.encode())
    nobody = replace(given.record, events=(replace(given.record.events[0], by=receipt.gap("who")),))
    with pytest.raises(errors.UsageError, match="does not state who consented"):
        enrolled.documents.consent(receipt.dump(replace(given, record=nobody)), collection="Members")
    with pytest.raises(errors.UsageError, match="not JSON"):
        enrolled.documents.consent(b"\xff", collection="Members")


def test_the_receipt_of_a_consent_that_has_ended_says_so(enrolled, clock):
    clock.forward(days=13_000)
    given = receipt.load(enrolled.documents.receipt(NAME).text.encode())
    assert given.record.events[-1].status == "dpv:ConsentExpired"
    with pytest.raises(errors.Refused, match="has ended"):
        enrolled.documents.consent(receipt.dump(given), collection="Members")
