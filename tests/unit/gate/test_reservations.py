from __future__ import annotations

import json
import struct
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from countenance.gate import jumbf
from countenance.gate.reservations import REFUSING, Reservation, in_picture, in_xmp, refusal

VOCABULARY = "http://ns.useplus.org/ldf/vocab/"
FORMS = {
    "element": "<plus:DataMining>{}</plus:DataMining>",
    "lines": "<plus:DataMining>\n   {}\n  </plus:DataMining>",
    "resource": '<plus:DataMining rdf:resource="{}"/>',
    "other prefix": "<p:DataMining xmlns:p='http://ns.useplus.org/ldf/xmp/1.0/'>{}</p:DataMining>",
    "bag": "<plus:DataMining><rdf:Bag><rdf:li>{}</rdf:li></rdf:Bag></plus:DataMining>",
}
NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"'
)


def packet(inside: str = "", attributes: str = "") -> bytes:
    described = f"<rdf:Description {attributes}>{inside}</rdf:Description>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}>{described}</rdf:RDF></x:xmpmeta>'.encode()


def picture(kind: str = "JPEG", **options: object) -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 6)).save(out, kind, **options)
    return out.getvalue()


def texts(content: bytes) -> list[str]:
    return [each.text for each in in_picture(content)]


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body) + 8) + kind + body


def text(value: str) -> bytes:
    raw = value.encode()
    assert len(raw) < 256
    return (bytes([0x60 + len(raw)]) if len(raw) < 24 else bytes([0x78, len(raw)])) + raw


def cbor(value: object) -> bytes:
    if isinstance(value, dict):
        return bytes([0xA0 + len(value)]) + b"".join(cbor(key) + cbor(each) for key, each in value.items())
    return text(str(value))


def assertion(entries: dict[str, str], label: str = "cawg.training-mining", body: bytes | None = None) -> bytes:
    described = box(b"jumd", b"cbor\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71" + b"\x03" + label.encode() + b"\0")
    document = cbor({"entries": {name: {"use": use} for name, use in entries.items()}}) if body is None else body
    return box(b"jumb", described + box(b"cbor", document))


def manifest(*assertions: bytes) -> bytes:
    described = box(b"jumd", b"c2pa\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71" + b"\x03c2pa\0")
    return box(b"jumb", described + b"".join(assertions))


def in_jpeg(store: bytes, piece: int = 60_000) -> bytes:
    """Cut a box into APP11 segments, each with the head of the box."""
    pieces = [store[8:][start : start + piece] for start in range(0, len(store) - 8, piece)]
    bodies = [b"JP\0\x01" + struct.pack(">I", number) + store[:8] + each for number, each in enumerate(pieces, 1)]
    plain = picture()
    return plain[:2] + b"".join(b"\xff\xeb" + struct.pack(">H", len(each) + 2) + each for each in bodies) + plain[2:]


def in_png(store: bytes) -> bytes:
    plain = picture("PNG")
    return plain[:33] + struct.pack(">I", len(store)) + b"caBX" + store + b"\0\0\0\0" + plain[33:]


def in_gif(store: bytes, piece: int = 255) -> bytes:
    plain = picture("GIF")
    pieces = [store[start : start + piece] for start in range(0, len(store), piece)]
    blocks = b"".join(bytes([len(each)]) + each for each in pieces)
    return plain[:-1] + b"\x21\xff\x0bC2PA_GIF\x01\0\0" + blocks + b"\0" + plain[-1:]


@pytest.mark.parametrize(
    ("value", "refused"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("DMI-PROHIBITED-SEEEMBEDDEDRIGHTSEXPR", True),
        ("DMI-PROHIBITED-SEELINKEDRIGHTSEXPR", True),
        ("DMI-PROHIBITED-AIMLTRAINING", False),
        ("DMI-PROHIBITED-GENAIMLTRAINING", False),
    ],
)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("prefix", [VOCABULARY, VOCABULARY.replace("http:", "https:"), ""])
def test_a_plus_value_is_a_reservation_in_every_form_of_xmp_and_refuses_unless_it_is_of_training(
    value, refused, form, prefix
):
    found = in_picture(picture(xmp=packet(FORMS[form].format(prefix + value))))
    assert [(each.kind, each.origin, each.text) for each in found] == [("plus", "XMP", f"plus:DataMining {value}")]
    assert (refusal(found) is not None) == refused


def test_a_plus_value_is_found_in_an_attribute():
    found = texts(picture(xmp=packet(attributes=f'plus:DataMining = "{VOCABULARY}DMI-PROHIBITED"')))
    assert found == ["plus:DataMining DMI-PROHIBITED"]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_plus_value_is_found_in_every_format_that_pillow_writes_xmp_into(kind):
    xmp = packet(FORMS["element"].format(VOCABULARY + "DMI-PROHIBITED"))
    chunk = PngImagePlugin.PngInfo()
    chunk.add_itxt("XML:com.adobe.xmp", xmp.decode())
    options = {"PNG": {"pnginfo": chunk}, "TIFF": {"tiffinfo": {700: xmp}}}.get(kind, {"xmp": xmp})
    assert texts(picture(kind, **options)) == ["plus:DataMining DMI-PROHIBITED"]


@pytest.mark.parametrize(
    "inside",
    [
        FORMS["element"].format(VOCABULARY + "DMI-ALLOWED"),
        FORMS["element"].format(VOCABULARY + "DMI-UNSPECIFIED"),
        FORMS["element"].format(""),
        FORMS["element"].format("no"),
        "<plus:DataMining/><dc:rights>DMI-PROHIBITED</dc:rights>",
        "<plus:OtherConstraints>DMI-PROHIBITED</plus:OtherConstraints>",
        "<dc:description>How DataMining works: DMI-PROHIBITED and others</dc:description>",
        "<plus:DataMining>DMI-</plus:DataMining>",
        "<plus:DataMining>DMI-FORBIDDEN</plus:DataMining>",
    ],
)
def test_what_is_allowed_not_said_or_said_elsewhere_is_no_reservation(inside):
    assert in_picture(picture(xmp=packet(inside))) == ()


def test_a_prohibition_of_a_kind_not_known_here_refuses_without_repeating_its_words():
    found = in_xmp(packet(FORMS["element"].format(VOCABULARY + "DMI-PROHIBITED-JANE-DOE")))
    assert [each.text for each in found] == ["plus:DataMining DMI-PROHIBITED with a restriction that is not known here"]
    assert refusal(found)


def test_xmp_that_is_not_well_formed_still_reserves():
    whole = packet(FORMS["element"].format(VOCABULARY + "DMI-PROHIBITED"))
    assert texts(picture(xmp=whole.replace(b"</rdf:RDF>", b"<&"))) == ["plus:DataMining DMI-PROHIBITED"]


def test_a_sidecar_is_read_as_what_it_is():
    (found,) = in_xmp(packet(FORMS["element"].format("DMI-PROHIBITED")), origin="XMP sidecar")
    assert found == Reservation(
        kind="plus", reserves="mining", origin="XMP sidecar", text="plus:DataMining DMI-PROHIBITED"
    )


@pytest.mark.parametrize("prefix", ["c2pa", "cawg"])
@pytest.mark.parametrize(
    ("entry", "use", "expected"),
    [
        ("data_mining", "notAllowed", True),
        ("data_mining", "constrained", True),
        ("data_mining", "allowed", None),
        ("data_mining", "", None),
        ("ai_inference", "notAllowed", True),
        ("ai_inference", "constrained", True),
        ("ai_training", "notAllowed", False),
        ("ai_generative_training", "constrained", False),
        ("ai_dreaming", "notAllowed", None),
    ],
)
def test_an_entry_reserves_if_not_allowed_or_constrained_and_refuses_if_of_mining_or_inference(
    prefix, entry, use, expected
):
    found = in_picture(in_png(manifest(assertion({f"{prefix}.{entry}": use}, f"{prefix}.training-mining"))))
    assert [each.text for each in found] == ([] if expected is None else [f"{prefix}.{entry} {use}"])
    assert (refusal(found) is not None) == bool(expected)


WRAPS = [
    in_png,
    in_gif,
    lambda store: in_gif(store, 40),
    in_jpeg,
    lambda store: in_jpeg(store, 100),
    lambda store: b"x" + store,
]


@pytest.mark.parametrize("wrap", WRAPS)
def test_an_assertion_is_found_in_every_container_also_where_it_is_cut_in_pieces(wrap):
    store = manifest(assertion({"cawg.data_mining": "notAllowed", "cawg.ai_training": "notAllowed"}))
    assert texts(wrap(store)) == ["cawg.data_mining notAllowed", "cawg.ai_training notAllowed"]


def test_an_assertion_that_another_library_wrote_and_signed_is_read():
    """`cawg.avif` is Pillow's own picture of one colour, signed with c2pa-python 0.38.1 and a key thrown away."""
    content = (Path(__file__).parent / "cawg.avif").read_bytes()
    assert texts(content) == [
        "cawg.ai_generative_training notAllowed",
        "cawg.ai_inference constrained",
        "cawg.ai_training notAllowed",
    ]
    assert refusal(in_picture(content))


UNSIZED = b"".join(  # maps and a text whose length is not said
    [b"\xbf", text("entries"), b"\xbf", text("cawg.data_mining"), b"\xbf\x63use\x7f\x63not\x67Allowed\xff\xff\xff\xff"]
)


@pytest.mark.parametrize(
    "body",
    [
        cbor({"cawg.data_mining": {"use": "notAllowed"}}),  # CAWG 1.0
        UNSIZED,
        b"\xa2\x01\x02" + text("entries") + cbor({"cawg.data_mining": {"use": "notAllowed"}}),
        b"\xd9\xd9\xf7" + cbor({"entries": {"cawg.data_mining": {"use": "notAllowed"}}}),
        b"\xa2\x61a\x84\x20\xf4\xfb\0\0\0\0\0\0\0\0\x42xx"
        + text("entries")
        + cbor({"cawg.data_mining": {"use": "notAllowed"}}),
    ],
)
def test_cbor_is_read_however_it_is_written(body):
    assert texts(manifest(assertion({}, body=body))) == ["cawg.data_mining notAllowed"]


def test_an_assertion_in_json_and_a_second_one_of_the_same_name_are_read():
    said = json.dumps({"entries": {"c2pa.data_mining": {"use": "notAllowed"}}}).encode()
    first = assertion({}, "c2pa.training-mining").replace(b"\x0fcbor", b"\x0f????")
    as_json = first[:-18] + box(b"json", said)
    assert texts(as_json + assertion({"c2pa.ai_inference": "notAllowed"}, "c2pa.training-mining__1")) == [
        "c2pa.data_mining notAllowed",
        "c2pa.ai_inference notAllowed",
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xa1",
        b"\xff",
        b"\x81" * 60_000,
        b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x00",
        b"\xa1\x67entries\x80",
        b"\xa1\x67entries\xa1\x70cawg.data_mining\x6anotAllowed",
        b"\xa1\x67entries\xa1\x70cawg.data_mining\xa1\x63use\xf5",
        b"\x7f\x63not\x47Allowed\xff",
        b"\xa1\x80\x80",
        b"\xa2\x61a" + b"\x81" * 20 + b"\x00" + text("entries") + cbor({"cawg.data_mining": {"use": "notAllowed"}}),
        b"\x1c",
    ],
)
def test_an_assertion_that_cannot_be_read_is_none(body):
    assert in_picture(in_png(manifest(assertion({}, body=body)))) == ()


def test_a_label_without_its_boxes_is_none():
    assert in_picture(b"cawg.training-mining\0" + bytes(100)) == ()
    whole = assertion({"cawg.data_mining": "notAllowed"})
    assert in_picture(whole.replace(b"jumd", b"jumx")) == ()
    assert in_picture(whole[:-1]) == ()
    assert in_picture(whole[25:]) == ()


def test_a_file_full_of_labels_and_properties_is_read_in_time():
    assert jumbf.training_mining(b"cawg.training-mining\0" * 100_000) == ()
    assert in_xmp(b"DataMining " * 500_000) == ()
    assert in_xmp(b"DataMining " * 1000 + packet(FORMS["element"].format("DMI-PROHIBITED"))) == ()


def test_the_refusal_names_each_signal_that_forbids_and_where_it_stood():
    found = (
        Reservation(kind="plus", reserves="mining", origin="XMP", text="plus:DataMining DMI-PROHIBITED"),
        Reservation(kind="c2pa", reserves="training", origin="C2PA manifest", text="cawg.ai_training notAllowed"),
        Reservation(kind="noai", reserves="ai", origin="HTTP header X-Robots-Tag", text="noai"),
    )
    refused = refusal(found)
    assert refused
    assert refused.slug == "reserved"
    assert refused.sentence == (
        "The owner reserved this picture: plus:DataMining DMI-PROHIBITED (XMP); noai (HTTP header X-Robots-Tag). "
        "It was not looked at, and no face was kept."
    )
    assert refusal(found[1:2]) is None
    assert refusal(()) is None


SEEDS = [
    picture(xmp=packet(FORMS["resource"].format(VOCABULARY + "DMI-PROHIBITED"))),
    in_jpeg(manifest(assertion({"cawg.data_mining": "notAllowed"})), 50),
    in_png(manifest(assertion({"cawg.data_mining": "notAllowed"}))),
    in_gif(manifest(assertion({"cawg.data_mining": "notAllowed"}))),
]


@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=6)), max_size=8), st.data()
)
def test_no_bytes_raise_and_no_text_is_long_or_of_the_file(seed, changes, data):
    content = bytearray(seed)
    for at, change in changes:
        content[at % len(content) : at % len(content) + len(change)] = change
    end = data.draw(st.integers(0, len(content)))
    for each in in_picture(bytes(content[:end])):
        assert len(each.text) <= 200
        assert each.reserves in REFUSING | {"training"}


@given(st.binary(max_size=200))
@example(b"\x9f" * 100)
@example(b"\xc0" * 100)
def test_no_assertion_raises(body):
    jumbf.training_mining(manifest(assertion({}, body=body)))


@given(st.binary(max_size=300), st.sampled_from([b"\xff\xd8", b"\xff\xd8\xff\xeb", b"GIF89a\x21\xff\x0bC2PA_GIF", b""]))
def test_no_container_raises(rest, start):
    in_picture(start + rest)
