from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.gate.beside import Signs, disallowed_in, gather, in_headers, matches, read, speaks
from countenance.gate.reservations import refusal


def tdmrep(*rules: tuple[str, object]) -> Signs:
    return read(tdmrep=json.dumps([{"location": where, "tdm-reservation": what} for where, what in rules]).encode())


def robots(text: str) -> Signs:
    return read(robots=text.encode())


def texts(signs: Signs, path: str) -> list[str]:
    return [each.text for each in signs.at(path)]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("/", "/a.jpg", True),
        ("/a", "/a.jpg", True),
        ("/A", "/a.jpg", False),
        ("/a$", "/a.jpg", False),
        ("/a.jpg$", "/a.jpg", True),
        ("/2014/*.jpg", "/2014/x/a.jpg", True),
        ("/2014/*.jpg", "/2014/x/a.jpg.png", True),
        ("/2014/*.jpg$", "/2014/x/a.jpg.png", False),
        ("/2014/*.jpg$", "/2014/x/a.jpg", True),
        ("*.jpg$", "/a.jpg.jpg", True),
        ("/*a*a$", "/a", False),
        ("/*a*a$", "/aa", True),
        ("/a*b*c", "/a-c-b", False),
        ("/*", "/", True),
        ("/%7Ejane/", "/~jane/a.jpg", True),
        ("/%C3%A9t%C3%A9/", "/été/a.jpg", True),
        ("/%e9t/", "/\udce9t/a.jpg", True),
        ("/foo-%24", "/foo-$", True),
        ("/foo-%2A", "/foo-x", False),
    ],
)
def test_a_pattern_matches_as_in_robots_txt(pattern, path, expected):
    assert matches(pattern, path) == expected


@given(st.text("ab*$/", max_size=12), st.text("ab$*/", max_size=12))
def test_a_pattern_matches_as_the_regular_expression_that_it_stands_for(pattern, path):
    stem = pattern.removesuffix("$")
    expression = ".*".join(map(re.escape, stem.split("*"))) + ("" if stem == pattern else r"\Z")
    assert matches(pattern, path) == bool(re.match(expression, path))


def test_the_first_location_that_matches_decides():
    signs = tdmrep(("/open/", 0), ("/", 1))
    assert texts(signs, "2014/a.jpg") == ["tdm-reservation 1"]
    assert texts(signs, "open/a.jpg") == []
    assert texts(tdmrep(("/", 1), ("/open/", 0)), "open/a.jpg") == ["tdm-reservation 1"]


def test_the_example_of_the_specification():
    signs = tdmrep(("/directory-a/", 1), ("/directory-b/html/", 1), ("/directory-b/images/*.jpg", 0))
    assert [bool(texts(signs, path)) for path in ("directory-a/x.jpg", "directory-b/images/x.jpg", "x.jpg")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "content", [b'{"tdm-reservation": 1}', b'[{"tdm-reservation": "1"}]', b'[7, {"tdm-reservation": 1}]']
)
def test_a_tdmrep_file_with_a_fault_that_plainly_reserves_does(content):
    found = read(tdmrep=content).at("a.jpg")
    assert [(each.kind, each.reserves, each.origin) for each in found] == [
        ("tdmrep", "mining", ".well-known/tdmrep.json of the source")
    ]
    assert refusal(found)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[", b"\xff", b"null", b"[[]]", b"7", b'"x"', b"[" * 100_000, b"[" + b"9" * 5000 + b"]"),
        *(b'[{"location": "/", "tdm-reservation": 2}]', b'[{"location": "/", "tdm-reservation": null}]'),
        *(b'[{"location": 3, "tdm-reservation": 1}]', b'[{"location": "/", "tdm-reservation": [1]}]'),
        b'[{"location": "/", "tdm-reservation": 1}]' + b" " * 600_000 + b"x",
    ],
)
def test_a_tdmrep_file_that_says_nothing_plain_reserves_nothing(content):
    signs = read(tdmrep=content)
    assert signs.at("a.jpg") == () or content.endswith(b" x")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ("train-ai=n", {"train-ai"}),
        ("train-ai=y", set()),
        ("train-ai=n, search=y", {"train-ai"}),
        ("search=n,ai-use=n", {"search", "ai-use"}),
        ("train-ai=n, train-ai=y", set()),
        ("train-ai=y, train-ai=n", {"train-ai"}),
        ("train-ai=n, train-ai", set()),
        ("train-ai=n;until=never", {"train-ai"}),
        ("train-ai;allow=n, search=y", set()),
        ('train-ai="n"', set()),
        ("Train-AI=N", {"train-ai"}),
        ("train-ai = n", {"train-ai"}),
        ("other=n", set()),
        ("", set()),
        ("n", set()),
        (",".join(["x" * 300, "train-ai=n"]), {"train-ai"}),
    ],
)
def test_a_usage_preference_disallows_what_it_says_n_to(usage, expected):
    assert disallowed_in(usage) == expected


DRAFT = """
User-Agent: *
Allow: /
Disallow: /never/
Content-Usage: / train-ai=n
Content-Usage: /ai-ok/ train-ai=y

User-Agent: ExampleBot
Allow: /
Content-Usage: / search=n
"""


@pytest.mark.parametrize(("path", "expected"), [("test.jpg", ["Content-Usage train-ai=n"]), ("ai-ok/test.jpg", [])])
def test_the_longest_path_of_the_group_for_every_crawler_decides(path, expected):
    assert texts(robots(DRAFT), path) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Content-Usage: / train-ai=n", ["train-ai"]),
        ("User-agent: *\nContent-Usage: train-ai=n", ["train-ai"]),
        ("\ufeffuser-agent:*\r\n content-usage :\t/\ttrain-ai=n # why\r\n", ["train-ai"]),
        ("User-agent: a\nUser-agent: *\nContent-Usage: / train-ai=n", ["train-ai"]),
        ("User-agent: *\nSitemap: x\nUser-agent: b\nContent-Usage: / search=n", ["search"]),
        ("User-agent: *\nContent-Usage: / train-ai=n\nContent-Usage: / search=n", ["train-ai", "search"]),
        ("User-agent: *\nContent-Usage: / train-ai=n\nContent-Usage: / train-ai=y", ["train-ai"]),
        ("User-agent: a\nContent-Usage: / train-ai=n", []),
        ("\ufeffUser-agent: a\nContent-Usage: / train-ai=n", []),
        ("User-agent: *\nDisallow: /\n", []),
        ("User-agent: *\n# Content-Usage: / train-ai=n", []),
        ("User-agent: *\nContent-Usage: /b train-ai=n", []),
        ("\0\n:::\nContent-Usage", []),
    ],
)
def test_robots_txt_reserves_by_its_content_usage(text, expected):
    assert texts(robots(text), "a.jpg") == [f"Content-Usage {each}=n" for each in expected]


@pytest.mark.parametrize(("usage", "refused"), [("train-ai=n", True), ("search=n", True), ("ai-use=n", False)])
def test_a_no_to_ai_or_to_search_refuses_and_one_to_generation_does_not(usage, refused):
    found = robots(f"Content-Usage: / {usage}").at("a.jpg")
    assert [(each.kind, each.origin) for each in found] == [("aipref", "robots.txt of the source")]
    assert (refusal(found) is not None) == refused


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("X-Robots-Tag", "noimageai")], ["noimageai"]),
        ([("x-robots-tag", "noindex, NoAI, noimageai")], ["noai", "noimageai"]),
        ([("X-Robots-Tag", "examplebot:noai")], ["noai"]),
        ([("X-Robots-Tag", "noindex"), ("X-Robots-Tag", "noai")], ["noai"]),
        ([("X-Robots-Tag", "noindex, noaibot")], []),
        ([("TDM-Reservation", " 1 ")], ["tdm-reservation 1"]),
        ([("tdm-reservation", "0")], []),
        ([("Content-Usage", "train-ai=n")], ["Content-Usage train-ai=n"]),
        ([("Content-Type", "image/jpeg; noai")], []),
        ([], []),
    ],
)
def test_headers_reserve(headers, expected):
    found = in_headers(headers)
    assert [each.text for each in found] == expected
    assert (refusal(found) is not None) == bool(expected)


def test_without_files_nothing_is_reserved():
    assert read() == Signs()
    assert read().at("a.jpg") == ()


def test_a_long_file_is_read_in_time_and_only_so_far():
    assert robots("#" * 600_000 + "\nContent-Usage: / train-ai=n").at("a.jpg") == ()
    assert robots("Content-Usage: / train-ai" + " " * 200_000 + "!").at("a.jpg") == ()
    assert len(robots("Content-Usage: / search=n\n" * 10_000).robots) == 1000


@given(st.binary(max_size=400), st.binary(max_size=400), st.text(max_size=30))
def test_no_bytes_raise(one, two, path):
    assert len(read(tdmrep=one, robots=b"User-agent: *\nContent-Usage: " + two).at(path)) <= 4


@given(st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["location", "tdm-reservation", "x"]), inner)), st.text(max_size=9))  # fmt: skip
def test_no_json_raises(document, path):
    read(tdmrep=json.dumps(document).encode()).at(path)


@given(
    st.lists(st.tuples(st.sampled_from(["X-Robots-Tag", "Content-Usage", "tdm-reservation"]) | st.text(), st.text()))
)
def test_no_header_raises_and_no_text_is_long(headers):
    assert all(len(each.text) <= 200 for each in in_headers(headers))


SIDECAR = b'<rdf:Description plus:DataMining="DMI-PROHIBITED"/>'


@pytest.mark.parametrize(
    ("sidecar", "path", "reserved"),
    [
        ("a/b.jpg.xmp", "a/b.jpg", True),
        ("a/b.xmp", "a/b.jpg", True),
        ("a/B.JPG.XMP", "a/b.jpg", True),
        ("a/b.xmp", "./a/b.jpg", True),
        ("a/b.xmp", "a/b.c.jpg", False),
        ("a/b.xmp", "b.jpg", False),
        ("b.xmp", "a/b.jpg", False),
    ],
)
def test_a_sidecar_speaks_for_the_photo_beside_it_alone(sidecar, path, reserved):
    assert speaks(sidecar)
    signs = gather([(sidecar, SIDECAR)])
    assert texts(signs, path) == ["plus:DataMining DMI-PROHIBITED"] * reserved


def test_all_that_stands_beside_the_photos_of_a_source_is_gathered():
    rules = json.dumps([{"location": "/a/", "tdm-reservation": 1}]).encode()
    notes = {".well-known/tdmrep.json": rules, "robots.txt": b"Content-Usage: search=n", "a/b.xmp": SIDECAR}
    assert all(speaks(path) for path in notes)
    assert not any(speaks(path) for path in ("a/robots.txt", "a/.well-known/tdmrep.json", "a.jpg", "xmp", "ai.txt"))
    signs = gather(notes.items())
    assert {each.kind for each in signs.at("a/b.jpg")} == {"tdmrep", "aipref", "plus"}
    assert {each.kind for each in signs.at("b.jpg")} == {"aipref"}
    assert signs.at("./a/b.jpg") == signs.at("a/b.jpg")


def test_a_rule_of_half_a_megabyte_is_taken_apart_once_and_not_for_every_photo():
    signs = read(robots=b"Content-Usage: /" + b"*%61" * 120_000 + b" train-ai=n\n")
    began = time.process_time()
    for number in range(50):  # 0.2 s each when it was taken apart for each
        signs.at(f"{number}" + "a" * 300)
    assert time.process_time() - began < 2
