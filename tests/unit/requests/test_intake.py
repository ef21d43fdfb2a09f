"""Requests as they come in: mails of every kind, and plain fields."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countenance.errors import UsageError
from countenance.requests import mail
from countenance.requests.intake import clues_in, from_fields, from_mail
from countenance.requests.words import WORDS, guess, shows_identity_document
from countenance.store.requests import KINDS, UNCLEAR

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
JPEG = b"\xff\xd8\xff\xe0" + b"not a real picture, but it begins like one"
RECEIVED = "from out.example by mx.club.example with ESMTPS; Sat, 31 Oct 2026 23:30:00 +0000"


def written(text="Please delete my photos.", *, subject="My photos", received=RECEIVED, attach=(), html=None):
    said = EmailMessage(policy=SMTP)
    if received:
        said["Received"] = received
        said["Received"] = "from laptop by out.example; Thu, 01 Jan 2015 00:00:00 +0000"
    said["From"] = "A. Person <person@example.org>"
    said["To"] = "photos@club.example"
    said["Date"] = "Fri, 30 Oct 2026 09:00:00 +0100"
    said["Subject"] = subject
    if text is not None:
        said.set_content(text)
    if html is not None:
        said.add_alternative(html, subtype="html") if text is not None else said.set_content(html, subtype="html")
    for name, kind, content in attach:
        said.add_attachment(content, maintype=kind.split("/")[0], subtype=kind.split("/")[1], filename=name)
    return said.as_bytes()


def test_a_mail_says_who_asks_what_for_and_when_it_arrived_at_the_controllers_server():
    came = from_mail(written(), now=NOW)
    assert (came.asked.name, came.asked.contact, came.asked.subject) == ("A. Person", "person@example.org", "My photos")
    assert came.asked.text == "Please delete my photos."
    assert came.received_at == datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    assert (came.channel, came.kind, came.confirmed) == ("mail", "erasure", False)


def test_a_time_that_is_given_counts_more_than_the_mails():
    given_time = NOW - timedelta(days=40)
    assert from_mail(written(), now=NOW, received_at=given_time).received_at == given_time


@pytest.mark.parametrize(
    "received", [None, "garbage", "from x; Sat, 31 Oct 2099 23:30:00 +0000", "x; 31 Oct 2026 23:30"]
)
def test_a_mail_that_does_not_say_when_it_arrived_starts_the_clock_now_and_says_so(received):
    came = from_mail(written(received=received), now=NOW)
    assert came.received_at == NOW
    assert any("when it arrived" in warning for warning in came.warnings)


def test_a_picture_is_an_offer_in_memory_and_only_its_hash_goes_along():
    came = from_mail(written(attach=[("me.jpg", "image/jpeg", JPEG)]), now=NOW)
    assert [offer.content for offer in came.offers] == [JPEG]
    assert [clue.value for clue in came.asked.clues] == [hashlib.sha256(JPEG).hexdigest()]
    assert "me.jpg" not in repr(came)
    assert "not a real picture" not in repr(came)
    assert "person@example.org" not in repr(came)


@pytest.mark.parametrize(
    "name",
    [
        "passport.jpg",
        "my_Passport-scan.png",
        "Personalausweis vorne.jpg",
        "carte_d_identite.jpg",
        "DNI.jpg",
        "ID 2.jpg",
        "id_card.jpg",
        "driving-licence.jpg",
        "Führerschein.jpg",
        "passeport.jpg",
        "rijbewijs.png",
        "carte d’identité.jpg",
    ],
)
def test_an_attachment_that_looks_like_an_identity_document_is_not_kept_not_even_its_hash(name):
    came = from_mail(written(attach=[(name, "image/jpeg", JPEG)]), now=NOW)
    assert came.offers == ()
    assert came.asked.clues == ()
    assert any("identity document" in warning for warning in came.warnings)
    assert name not in str(came.warnings)


@pytest.mark.parametrize(
    "name", ["holiday.jpg", "IMG_2031.jpg", "at the lake.png", "video.jpg", "kids.jpg", "meeting.png"]
)
def test_the_name_of_an_ordinary_picture_is_no_identity_document(name):
    assert not shows_identity_document(name)


def test_what_is_no_picture_is_not_kept_whatever_it_calls_itself():
    came = from_mail(written(attach=[("me.jpg", "image/jpeg", b"%PDF-1.7"), ("a.exe", "image/png", b"MZ")]), now=NOW)
    assert came.offers == ()
    assert came.warnings[0] == "An attachment that is not a picture was not kept."


@pytest.mark.parametrize(
    "markup", ["<!--", "<a ", "</", "<?", "<a b='", "<a =", "<![CDATA[", "<script>", "&#1", "<a href="]
)
def test_markup_that_is_made_to_hurt_is_read_in_a_second(markup):
    began = time.process_time()
    from_mail(written(None, html=f"<p>{markup * (100_000 // len(markup))}", subject="?"), now=NOW)
    assert time.process_time() - began < 1


def test_a_text_in_a_charset_that_is_slow_to_read_is_read_in_a_second():
    head = b"From: a@example.org\nContent-Type: text/plain; charset=punycode\nContent-Transfer-Encoding: base64\n\n"
    began = time.process_time()
    from_mail(head + base64.encodebytes(b"abc-" + b"a" * 400_000), now=NOW)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", ["Content-Type: multipart/mixed; a", "content-disposition: attachment; filename"])
def test_a_header_of_endless_parameters_is_refused_before_it_is_taken_apart(name):
    began = time.process_time()
    with pytest.raises(UsageError, match="hard to read"):
        from_mail(b"From: a@example.org\n" + name.encode() + b'="' + b";" * 50_000 + b"\n\nhello", now=NOW)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "body",
    [
        b"".join(b"--b%d\nContent-Type: multipart/mixed; boundary=b%d\n\n" % (n, n + 1) for n in range(300))
        + b"--b300\n\n"
        + b"a\n" * 200_000,
        b"--b0\ra\r" * 20_000,
        b"--b0\nContent-Type: message/delivery-status\n\n" + b"a: b\n\n" * 100_000,
    ],
    ids=["nested", "line ends of another kind", "a part for each empty line"],
)
def test_a_mail_of_endless_parts_is_refused_before_it_is_taken_apart(body):
    head = b"From: a@example.org\nContent-Type: multipart/mixed; boundary=b0\n\n"
    began = time.process_time()
    with pytest.raises(UsageError, match="hard to read"):
        from_mail(head + body, now=NOW)
    assert time.process_time() - began < 1


def test_a_time_of_receipt_from_before_there_was_such_a_law_is_none():
    came = from_mail(written(received="from out.example by mx.example; Sat, 31 Oct 0126 23:30:00 +0000"), now=NOW)
    assert came.received_at == NOW
    assert any("when it arrived" in warning for warning in came.warnings)
    with pytest.raises(UsageError, match="time of receipt"):
        from_fields(kind="access", received_at=datetime(1, 1, 1, tzinfo=UTC), now=NOW)


def test_a_mail_that_is_only_html_is_read_without_its_scripts():
    page = "<style>p {}</style><p>Which photos</p><script>evil()</script><p>do you <b>hold</b>? <a href='https://c.example/1.jpg'>this</a>"
    came = from_mail(written(None, html=page, subject="?"), now=NOW)
    assert came.asked.text.splitlines() == ["Which photos", "do you hold? https://c.example/1.jpg this"]
    assert came.kind == "access"
    assert [clue.value for clue in came.asked.clues] == ["https://c.example/1.jpg"]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Please erase me.", ("erasure",)),
        ("Ich bitte um Auskunft, welche Fotos Sie von mir haben.", ("access",)),
        ("Bitte löschen Sie meine Bilder.", ("erasure",)),
        ("Hiermit widerrufe ich meine Einwilligung.", ("withdrawal",)),
        ("Ich lege Widerspruch ein.", ("objection",)),
        ("Je souhaite la suppression de mes photos", ("erasure",)),
        ("Je m’oppose au traitement", ("objection",)),
        ("Solicito acceso a mis datos", ("access",)),
        ("Quiero que borren mis fotos", ("erasure",)),
        ("Chiedo la rettifica dei miei dati", ("rectification",)),
        ("Ik wil inzage in mijn gegevens", ("access",)),
        ("Proszę o dostęp do danych", ("access",)),
        ("I want to make a complaint and have my photos deleted, not deletions later", ("complaint", "erasure")),
        ("SAR under Article 15", ("access",)),
        ("My birthday was in Sarajevo", ()),
        ("Hello", ()),
        ("", ()),
    ],
)
def test_the_kind_is_guessed_from_plain_words_only(text, kinds):
    assert guess(text) == kinds
    came = from_mail(written(text, subject="x"), now=NOW)
    assert came.kind == (kinds[0] if kinds else UNCLEAR)
    assert not came.confirmed


def test_every_kind_has_its_words():
    assert set(WORDS) == set(KINDS)


def test_web_addresses_hashes_and_receipts_are_found_in_the_text():
    sha = "ab" * 32
    found = clues_in(
        f"It is https://club.example/2026/a.jpg. Its SHA-256: {sha.upper()}, receipt rcp_{'a2' * 10}, {sha}ff"
    )
    assert [(clue.kind, clue.value) for clue in found] == [
        ("address", "https://club.example/2026/a.jpg"),
        ("sha256", sha),
        ("receipt", "rcp_" + "a2" * 10),
    ]


def test_plain_fields_are_a_request_too_and_confirmed():
    came = from_fields(
        kind="access", received_at=NOW, now=NOW, name="A\r\nPerson", contact="Street 1", text="see rcp_" + "a" * 20
    )
    assert (came.confirmed, came.asked.name, len(came.asked.clues)) == (True, "A Person", 1)
    with pytest.raises(UsageError, match="no kind"):
        from_fields(kind="coffee", received_at=NOW, now=NOW)
    with pytest.raises(UsageError, match="future"):
        from_fields(kind="access", received_at=NOW + timedelta(seconds=1), now=NOW)
    with pytest.raises(UsageError, match="time zone"):
        from_fields(kind="access", received_at=NOW.replace(tzinfo=None), now=NOW)


PARAMETERS = b"".join(b"; p%d=x" % n for n in range(8000))
HOSTILE = {
    "endless parameters": b"From: a@b.example\r\nContent-Type: text/plain" + PARAMETERS + b"\r\n\r\nhi",
    "nothing": b"",
    "a picture": JPEG,
    "a zip": b"PK\x03\x04" + bytes(range(256)) * 10,
    "no headers": b"\r\n\r\nDelete me",
    "endless line": b"From: a@b.example\r\nSubject: " + b"x" * 300_000 + b"\r\n\r\nhi",
    "endless folded header": b"From: a@b.example\r\nContent-Type: multipart/mixed"
    + b";\r\n p=x" * 60_000
    + b"\r\n\r\nhi",
    "a hundred thousand parts": b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    + b"\r\n--b\r\n\r\nx" * 100_000,
    "too large": b"From: a@b.example\r\n\r\n" + b"x\n" * (mail.MAX_MAIL // 2),
}
READABLE = {
    "many parameters": b"From: a@b.example\r\nContent-Type: text/plain" + PARAMETERS[:1_000] + b"\r\n\r\nhi",
    "brackets in the sender": b"From: " + b"(" * 5_000 + b"a@b.example\r\nSubject: delete\r\n\r\nhi",
    "many senders": b"From: " + b"a@b.example, " * 10_000 + b"\r\nSubject: delete\r\n\r\nhi",
    "unknown charset": b"From: a@b.example\r\nContent-Type: text/plain; charset=x-evil\r\n\r\ndelete \xff\xfe",
    "charset with a zero byte": b'From: a@b.example\r\nContent-Type: text/plain; charset="ut\x00f"\r\n\r\ndelete',
    "broken base64": b"From: a@b.example\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!!=",
    "an open boundary": b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ndelete",
    "mails in mails": b"From: a@b.example\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 200 + b"Subject: x\r\n\r\ndelete",
    "bytes beyond ASCII": "From: Zoë <a@b.example>\r\nSubject: löschen\r\n\r\nhi".encode("latin-1"),
    "control characters": b"From: a@b.example\r\nSubject: =?utf-8?b?CgobWzMxbWRlbGV0ZQ==?=\r\n\r\n\x1b[31m\x00hi",
    "a clock before all time": b"Received: x; Sat, 01 Jan 0001 00:00:00 +1400\r\nFrom: a@b.example\r\n\r\ndelete",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_mail_or_is_built_to_be_hard_to_read_is_refused(name):
    begun = time.monotonic()
    with pytest.raises(UsageError, match="Nothing was kept"):
        from_mail(HOSTILE[name], now=NOW)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("name", READABLE)
def test_a_hostile_mail_has_some_reading_and_starts_the_clock(name):
    begun = time.monotonic()
    came = from_mail(READABLE[name], now=NOW)
    assert time.monotonic() - begun < 2
    assert came.received_at <= NOW
    assert not any(ord(sign) < 32 and sign not in "\n\t" for sign in came.asked.text + came.asked.subject)


def test_mails_in_mails_without_end_are_refused_or_read_but_never_crash():
    nested = b"From: a@b.example\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 20_000 + b"\r\ndelete"
    with pytest.raises(UsageError, match="Nothing was kept"):
        from_mail(nested, now=NOW)


def test_no_more_than_the_bound_is_kept_of_anything():
    many = [(f"{n}.jpg", "image/jpeg", JPEG + bytes([n])) for n in range(mail.MAX_OFFERS + 5)]
    came = from_mail(written("word " * 50_000, subject="s" * 5_000, attach=many), now=NOW)
    assert len(came.offers) == mail.MAX_OFFERS
    assert len(came.asked.text) <= mail.MAX_TEXT
    assert len(came.asked.subject) <= mail.MAX_LINE
    sender = b"From: " + b"n" * 1_500 + b" <a@b.example>\r\n\r\nhi"
    assert len(from_mail(sender, now=NOW).asked.name) == mail.MAX_LINE
    assert any("rest was not kept" in warning for warning in came.warnings)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(content=st.binary(max_size=2_000), where=st.integers(0, 600), insert=st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_and_nothing_else(content, where, insert):
    proper = written(attach=[("me.jpg", "image/jpeg", JPEG)])
    for one in (content, b"From: a@b.example\r\n" + content, proper[:where] + insert + proper[where:]):
        try:
            came = from_mail(one, now=NOW)
        except UsageError:
            continue
        assert came.received_at <= NOW
        assert len(came.asked.text) <= mail.MAX_TEXT
        came.asked.text.encode()
        came.asked.contact.encode()
