"""Markdown and HTML say the same, whatever the words are, and neither lets words become markup."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tests.unit.documents.conftest import DOCUMENTS, FACTS, STATED

from countenance.documents.document import Document, Gap, Heading, Paragraph, Table, closed
from countenance.documents.render import html, markdown, visible
from countenance.documents.statements import Statements

TAGS = {"table", "thead", "tbody", "tr", "th", "td", "p", "mark"} | {f"h{level}" for level in range(1, 5)}
PAGE = {"html", "head", "meta", "title", "style", "body", "main"}
SCOPES = {("scope", "col"), ("scope", "row")}
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b || c \\| d",
    "*stars* _lines_ `code` ~~gone~~ # hash $x$",
    "[text](http://evil.example) ![x](y)",
    "&lt;b&gt; &amp; &#60;",
    "two\nlines\r\n\r\n# heading\n---",
    "turned \u202e round \u2066 \x1b[31m \x00 \u200b",
    "not UTF-8 \udcff",
    "  blanks  ",
    '" onload="x',
    "https://evil.example/?a=1&b=<2>",
    "1. one",
    "- one",
    "</td></tr></table>",
)
hostile = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=60))


class Page(HTMLParser):
    """The tags of a page, and its visible text by block."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.blocks: list[str] = []
        self.hidden = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [each for each in attrs if tag not in PAGE]
        self.hidden = tag in {"style", "title"}
        if tag in TAGS - {"mark", "table", "thead", "tbody", "tr"}:
            self.blocks.append("")

    def handle_endtag(self, tag):
        self.hidden = False

    def handle_data(self, data):
        if self.blocks and not self.hidden:
            self.blocks[-1] += data

    @property
    def said(self):
        return [" ".join(block.split()) for block in self.blocks if block.strip()]


def rendered(text):
    return Page(MarkdownIt("commonmark").enable("table").enable("strikethrough").render(text))


def document(words):
    return Document(
        f"Title {words}",
        (
            Heading(2, f"Heading {words}"),
            Paragraph(("Said: ", words, "; and ", Gap(words))),
            Table(("Name", f"Head {words}"), (("one", words), (words, Gap("what")))),
            Table(("", ""), (("fact", words),)),
        ),
    )


@settings(max_examples=300, deadline=None)
@given(hostile)
@example("\\")
@example("|")
def test_no_word_becomes_markup_and_both_forms_say_the_same(words):
    page = Page(html(document(words)))
    assert page.tags <= TAGS | PAGE
    assert set(page.attributes) <= SCOPES
    again = rendered(markdown(document(words)))
    assert again.tags <= TAGS | {"strong"}
    assert again.said == page.said
    assert visible(words) in page.said[1]


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_words_in_any_field_of_a_collection_stay_words_in_every_document(words, kind):
    fields = ("name", "purpose", "controller", "contact", "notice", "justification", "representative", "policy")
    collection = replace(FACTS.held[0].collection, **dict.fromkeys(fields, words))
    source = replace(FACTS.held[0].sources[0], controller=words, evidence=words)
    order = replace(FACTS.orders[0], order=replace(FACTS.orders[0].order, authority=words, reference=words))
    held = replace(FACTS.held[0], collection=collection, sources=(source,))
    stated = Statements(dict.fromkeys(STATED, words), [words])
    made = closed(DOCUMENTS[kind](replace(FACTS, held=(held,), orders=(order,)), stated))
    page = Page(html(made))
    assert page.tags <= TAGS | PAGE
    assert set(page.attributes) <= SCOPES
    again = rendered(markdown(made))
    assert again.tags <= TAGS | {"strong"}
    assert again.said == page.said


def test_a_page_runs_nothing_takes_nothing_from_elsewhere_and_prints(kind):
    page = html(closed(DOCUMENTS[kind](FACTS, Statements({}, [FACTS.held[0].collection.name]))))
    assert "default-src 'none'" in page
    assert "@page { size: A4" in page
    assert not {"script", "link", "img", "iframe"} & Page(page).tags
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_facts_give_the_same_bytes_in_whatever_order_they_were_counted(kind):
    held = FACTS.held[0]
    turned = replace(
        FACTS,
        held=(
            replace(
                held,
                territories=dict(reversed(held.territories.items())),
                photos={name: dict(reversed(states.items())) for name, states in held.photos.items()},
            ),
        ),
    )
    stated = Statements(STATED, [held.collection.name])
    backwards = Statements(dict(reversed(STATED.items())), [held.collection.name])
    assert html(DOCUMENTS[kind](FACTS, stated)) == html(DOCUMENTS[kind](turned, backwards))


def test_no_document_says_a_time_of_day(kind):
    text = markdown(closed(DOCUMENTS[kind](FACTS, Statements(STATED, [FACTS.held[0].collection.name]))))
    assert "State of 2026-11-23." in text
    assert not any(mark in text for mark in ("T00:", "00:00", "UTC"))
