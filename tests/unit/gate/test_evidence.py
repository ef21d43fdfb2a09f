from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.gate.evidence import collect, territory_of_domain, top_level_domain
from countenance.gate.place import contains
from countenance.records import Evidence, PictureFacts

GPS = Evidence(kind="gps", territory="IE", origin="EXIF GPS position")


def facts(*evidence: Evidence) -> PictureFacts:
    return PictureFacts(
        format="JPEG", width=1, height=1, taken_at=None, latitude=None, longitude=None, evidence=evidence
    )


def test_evidence_of_metadata_source_and_address_is_collected_each_with_its_origin():
    assert collect(facts(GPS), "GB-SCT", "https://www.example.fr/a.jpg") == (
        GPS,
        Evidence(kind="source", territory="GB-SCT", origin="declared by the source"),
        Evidence(kind="tld", territory="FR", origin="top-level domain .fr of the address"),
    )


def test_the_same_evidence_is_kept_once():
    assert collect(facts(GPS, GPS), None, "a.jpg") == (GPS,)


def test_the_same_territory_from_two_origins_is_kept_twice():
    found = collect(facts(GPS), "IE", "http://example.ie/")
    assert [(each.kind, each.territory) for each in found] == [("gps", "IE"), ("source", "IE"), ("tld", "IE")]


def test_no_evidence_at_all_gives_none():
    assert collect(facts(), None, "2014/rally.jpg") == ()


@pytest.mark.parametrize(("declared", "expected"), [("UK", "GB"), ("gb", "GB"), ("US-IL", "US-IL"), ("DE-BY", "DE-BY")])
def test_the_sources_country_is_written_in_one_way(declared, expected):
    assert [each.territory for each in collect(facts(), declared, "a.jpg")] == [expected]


@pytest.mark.parametrize("declared", ["", "ZZ", "Atlantis", "GB-", "GB-SCOTLAND"])
def test_a_declared_country_that_is_none_is_no_evidence(declared):
    assert collect(facts(), declared, "a.jpg") == ()


@pytest.mark.parametrize(
    ("address", "territory"),
    [
        ("https://www.example.co.uk/a/b.jpg", "GB"),
        ("HTTPS://WWW.EXAMPLE.DE:8443/a.jpg?x=1", "DE"),
        ("//example.ie/a.jpg", "IE"),
        ("http://user:word@example.it./a.jpg", "IT"),
        ("https://example.eu/", "EU"),
        ("https://example.com/de/a.de", None),
        ("https://example.io/a.jpg", None),
        ("https://example.tv/a.jpg", None),
        ("https://192.0.2.7/a.jpg", None),
        ("https://[2001:db8::1]/a.jpg", None),
        ("https://[broken/a.jpg", None),
        ("https://de/a.jpg", None),
        ("s3://bucket.de/a.jpg", None),
        ("file://server.de/a.jpg", None),
        ("photos/example.de", None),
        ("/srv/photos.uk/a.jpg", None),
        ("a//b.de/c.jpg", None),
        ("C:\\photos\\a.it", None),
        ("", None),
    ],
)
def test_only_the_host_of_a_web_address_has_a_top_level_domain_that_counts(address, territory):
    assert [each.territory for each in collect(facts(), None, address)] == ([territory] if territory else [])


def test_a_domain_sold_to_anybody_is_no_evidence():
    assert territory_of_domain("ai") is None
    assert territory_of_domain("co") is None


def test_a_generic_domain_is_no_evidence():
    assert territory_of_domain("com") is None
    assert territory_of_domain("museum") is None


@given(st.text(max_size=80))
def test_any_address_is_read_without_error(address):
    for each in collect(facts(), None, address):
        assert contains(each.territory, each.territory)
    assert (top_level_domain("https://" + address) or "").count("/") == 0


@given(st.binary(max_size=60))
def test_an_address_that_is_not_utf8_is_read_without_error(raw):
    collect(facts(), None, "https://" + raw.decode("utf-8", "surrogateescape"))
