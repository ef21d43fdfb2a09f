"""The letters of the rights desk, in plain words, as text and HTML. What is not known stands as a gap, never invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from html import escape

from countenance.errors import UsageError
from countenance.requests.clock import PAUSES, Standing, law_of

WANTED = {
    "access": "to see what we hold of you",
    "erasure": "to erase what we hold of you",
    "objection": "to stop using your data, to which you object",
    "rectification": "to correct what we hold of you",
    "restriction": "to restrict what we do with your data",
    "portability": "to give you your data in a form that other systems read",
    "withdrawal": "to end what we do with your consent, which you withdrew",
    "complaint": "to look into your complaint",
    "unclear": "to act on what you wrote",
}

OUTCOMES = {
    "granted": "We did what you asked.",
    "partly": "We did a part of what you asked. What we did not do, and why, stands below.",
    "passed-on": "We do not decide on these data. We passed your request on to those who do; they are named below.",
    "taken-back": "You took your request back, so we did nothing more.",
}


STYLE = """
:root { font: 17px/1.5 system-ui, sans-serif; }
body { max-width: 42rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.25rem; }
@page { size: A4; margin: 25mm; }
@media print { :root { font-size: 11pt; } body { max-width: none; margin: 0; padding: 0; } }
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who answers. What is left empty stands in the letter as a gap."""

    controller: str = ""
    contact: str = ""
    representative: str = ""  # Art. 27 GDPR; say so in words where none is needed
    authority: str = ""  # where the person can complain, with its address


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the letter is about."""

    reference: str  # the request's id
    kind: str
    law: str  # a key of clock.LAWS
    received: date
    today: date
    standing: Standing
    name: str = field(repr=False, default="")  # the person's, as they gave it
    receipt: str = ""  # the number of the receipt that goes with this letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A letter, ready to be sent by a person: nothing here sends it."""

    kind: str  # a key of `LETTERS`
    subject: str
    paragraphs: tuple[str, ...] = field(repr=False)
    gaps: tuple[str, ...]  # what is not stated

    @property
    def text(self) -> str:
        """The letter as plain text."""
        return "\n\n".join((self.subject, *self.paragraphs)) + "\n"

    @property
    def html(self) -> str:
        """The letter as a whole HTML page, to print on A4, without scripts or anything from elsewhere."""
        lines = "\n".join(f"<p>{escape(one).replace(chr(10), '<br>')}</p>" for one in self.paragraphs)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(self.subject)}</title><style>{STYLE}</style></head>\n<body>\n<h1>{escape(self.subject)}</h1>\n{lines}\n</body>\n</html>\n"
        )


def write(kind: str, case: Case, sender: Sender, said: str = "") -> Letter:
    """Write a letter. `said` is what only a person can say: what is needed, the reason, or the answer itself.

    `kind` is a key of `LETTERS`; that of an answer is one of `OUTCOMES` after "answer:", such as "answer:granted".
    Raises `UsageError` for an unknown letter.
    """
    name, _, outcome = kind.partition(":")
    if name not in LETTERS or (name == "answer") != (outcome in OUTCOMES):
        raise UsageError(
            f"{kind} is no letter; choose one of {', '.join(LETTERS)}, with answer:{' or answer:'.join(OUTCOMES)}."
        )
    gaps: list[str] = []

    def stated(value: str, what: str) -> str:
        if value.strip():
            return value.strip()
        gaps.append(what)
        return f"[not stated: {what}]"

    page = _Page(case=case, stated=stated, said=said, outcome=outcome)
    subject, body = LETTERS[name]
    about = (
        f"On {_day(case.received)} we received your request {WANTED[case.kind]}. Its number is {case.reference}."
        + f" Your receipt: {case.receipt}. With it you can ask again without saying who you are." * bool(case.receipt)
    )
    return Letter(
        kind=kind,
        subject=f"{subject} ({case.reference})",
        paragraphs=(
            _day(case.today),
            f"Dear {case.name.strip() or 'Sir or Madam'},",
            about,
            *body(page),
            *_end(page, sender),
        ),
        gaps=tuple(dict.fromkeys(gaps)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    """What a letter is written from."""

    case: Case
    stated: Callable[[str, str], str]
    said: str
    outcome: str

    @property
    def due(self) -> str:
        return _day(self.case.standing.due)

    def by(self) -> str:
        """By when, and by what right."""
        law = law_of(self.case.law)
        if self.case.standing.statutory:
            return f"We answer you at the latest on {self.due} ({law.article})."
        return f"The law sets no date for this. We aim to answer you by {self.due}."


def _acknowledgement(page: _Page) -> tuple[str, ...]:
    return (
        "We look into it now.",
        page.by(),
        (
            "You need not send us an identity document or a photo of yourself. If you know where a photo of you is (its "
            "address, its file, its album and date, or a receipt that you got from us), tell us, and we find it faster."
        ),
    )


def _need(page: _Page) -> tuple[str, ...]:
    return (
        f"To find what you mean, we need to know: {page.stated(page.said, 'what is needed')}",
        "You need not send us an identity document or a photo of yourself.",
        page.by(),
    )


def _pause(page: _Page) -> tuple[str, ...]:
    why = page.case.standing.paused_for or ""
    return (
        f"We cannot go on until we hear from you: {page.stated(PAUSES.get(why, ''), 'why it is paused')}.",
        f"Please tell us: {page.stated(page.said, 'what is needed')}",
        "You need not send us an identity document or a photo of yourself.",
        (
            f"Until your reply our time to answer does not run ({law_of(page.case.law).article}); without this pause it "
            f"would end on {page.due}."
        ),
    )


def _extension(page: _Page) -> tuple[str, ...]:
    return (
        f"We need more time than we hoped. We answer you at the latest on {page.due} ({law_of(page.case.law).article}).",
        f"The reason: {page.stated(page.said, 'the reason for the delay')}",
    )


def _answer(page: _Page) -> tuple[str, ...]:
    return (OUTCOMES[page.outcome], page.stated(page.said, "the answer"))


def _refusal(page: _Page) -> tuple[str, ...]:
    return (
        "We do not do what you asked.",
        f"The reason: {page.stated(page.said, 'the reason for the refusal')}",
        "You can go to a court about this, too.",
    )


def _nothing(page: _Page) -> tuple[str, ...]:
    return (
        "We looked for you by what you gave us, and found nothing that we hold of you.",
        f"We looked by: {page.stated(page.said, 'what was looked by')}",
        (
            "This does not show that there is no photo of you: it shows that none was found in this way. If you can tell us "
            "more (an address, a file, an album and a date), ask us again."
        ),
    )


LETTERS: dict[str, tuple[str, Callable[[_Page], tuple[str, ...]]]] = {
    "acknowledgement": ("We received your request", _acknowledgement),
    "need": ("We need to know more to answer your request", _need),
    "pause": ("Your request is paused until we hear from you", _pause),
    "extension": ("We need more time for your request", _extension),
    "answer": ("The answer to your request", _answer),
    "refusal": ("Your request is refused", _refusal),
    "nothing": ("We found nothing of you", _nothing),
}
"""Each letter's subject and body."""

SAYS = dict.fromkeys(LETTERS, "") | {
    "pause": "paused",
    "extension": "extended",
    "answer": "answered",
    "refusal": "answered",
    "nothing": "answered",
}
"""For each letter, the step of which it tells what was said (`desk.told`)."""


def _end(page: _Page, sender: Sender) -> tuple[str, ...]:
    law = law_of(page.case.law)
    return (
        (
            "If you do not agree, write to us. "
            f"You can also complain to {page.stated(sender.authority, 'the supervisory authority')}. "
            f"The law that we go by is {law.title}, {law.article}."
        ),
        (
            f"Controller: {page.stated(sender.controller, 'the controller')}\n"
            f"Contact: {page.stated(sender.contact, 'a contact')}\n"
            f"Representative: {page.stated(sender.representative, 'a representative')}"
        ),
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
