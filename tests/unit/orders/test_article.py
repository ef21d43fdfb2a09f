"""Drafting an order from a news record. The records here are made up."""

from __future__ import annotations

import pytest

from countenance.errors import UsageError
from countenance.orders.article import draft_from_article
from countenance.orders.order import parse
from countenance.records import Penalty

RECORD = """---
category: news
title: "A Company Is Fined; the ICO Sets £7.5 Million for Scraped Portraits"
excerpt: "The company must pay £7,552,800, stop collecting portraits in the UK and delete those it has."
publishedDateTime: 2022-06-02T22:00:00Z
originalUrl: "https://news.example/a-company-is-fined/"
provider:
  name: An Example Paper
  domain: news.example
topics:
  - Computer Vision
images:
  - url: "https://news.example/picture.jpg"
    width: 10
secured: "bm90aGluZw==;aXY="
---

Body that is not read.
"""
EVERY_FIELD = ("authority", "country", "reference", "issued", "measures", "fine", "scope")


def test_a_record_becomes_a_draft_with_its_facts_each_to_be_confirmed():
    made = draft_from_article(RECORD)
    found = parse(made.text)
    assert (found.authority, found.country) == ("Information Commissioner's Office", "GB")
    assert found.fine == Penalty(currency="GBP", amount=7_552_800)
    assert found.measures == ("stop", "erase")
    assert found.scope.territories == ("GB",)
    assert found.issued.isoformat() == "2022-06-02"
    assert "news.example" in found.note
    assert found.unconfirmed == EVERY_FIELD
    assert made.ignored == ("category", "images", "secured")


def test_a_draft_with_unconfirmed_fields_cannot_be_approved(filled):
    order = filled.orders.draft(draft_from_article(RECORD).text)
    with pytest.raises(UsageError, match="Nobody has confirmed these fields of the draft: authority"):
        filled.orders.approve(order.id, confirm=4)
    assert filled.orders.show(order.id).state == "drafted"
    assert filled.counts("club")["faces"] == 3


@pytest.mark.parametrize(
    ("words", "country", "fine"),
    [
        ("CNIL orders a firm to pay €20 million", "FR", "EUR 20000000"),
        ("The Garante asks for € 20,000,000.", "IT", "EUR 20000000"),
        ("An FTC order: models made from the data go too", "US", None),
        ("Somebody, somewhere, ordered something", "EU", None),
        ("The ICO asks £0", "GB", None),
    ],
)
def test_authority_and_amount_are_read_by_plain_patterns_and_guessed_by_none(words, country, fine):
    found = parse(draft_from_article(f"---\ntitle: '{words}'\n---\n").text)
    assert found.country == country
    assert (f"{found.fine.currency} {found.fine.amount}" if found.fine else None) == fine
    assert "country" in found.unconfirmed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no front matter",
        "---\n- a list\n---\n",
        "---\ntitle: [\n---\n",
        "---\na: &a [x]\nb: *a\n---\n",
        "---\ntitle: x\n",
        "---\nother: x\n---\n",
        "---\n" + "[" * 30_000 + "\n---\n",
    ],
    ids=range(8),
)
def test_what_is_no_record_is_refused(text):
    with pytest.raises(UsageError, match="Nothing was changed"):
        draft_from_article(text)


@pytest.mark.parametrize("date", ["2022-13-45", "yesterday", "", "[1]"])
def test_a_date_that_cannot_be_read_becomes_a_placeholder_to_confirm(date):
    found = parse(draft_from_article(f"---\ntitle: The ICO\npublishedDateTime: {date}\n---\n").text)
    assert found.issued.isoformat() == "1970-01-01"
    assert "issued" in found.unconfirmed
