from __future__ import annotations

import csv
import struct
from io import BytesIO

import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, PngImagePlugin
from PIL.TiffImagePlugin import IFDRational

from countenance.errors import BadImage
from countenance.gate import metadata
from countenance.gate.metadata import read

EDINBURGH = {1: "N", 2: (55.0, 57.0, 11.88), 3: "W", 4: (3.0, 11.0, 17.88)}
NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    f'xmlns:core="{metadata.CORE}" xmlns:ext="{metadata.EXT}" '
    f'xmlns:photoshop="{metadata.PHOTOSHOP}" xmlns:exif="{metadata.EXIF}"'
)


def picture(kind: str = "JPEG", **options: object) -> bytes:
    out = BytesIO()
    Image.new("RGB", (8, 6)).save(out, kind, **options)
    return out.getvalue()


def exif(gps: dict[int, object] | None = None, taken: str | None = None) -> bytes:
    made = Image.Exif()
    if gps:
        made[0x8825] = gps
    if taken:
        made[0x8769] = {0x9003: taken}
    return made.tobytes()


def with_iptc(*fields: tuple[int, bytes]) -> bytes:
    block = b"".join(struct.pack(">BBBH", 0x1C, 2, number, len(value)) + value for number, value in fields)
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(block)) + block + b"\0" * (len(block) % 2)
    segment = b"Photoshop 3.0\0" + resource
    plain = picture()
    return plain[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def packet(inside: str = "", attributes: str = "") -> bytes:
    description = f"<rdf:Description {attributes}>{inside}</rdf:Description>"
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {NAMESPACES}>{description}</rdf:RDF></x:xmpmeta>'.encode()


def found(content: bytes) -> list[tuple[str, str, str]]:
    return [(each.kind, each.territory, each.origin) for each in read(content).evidence]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_every_format_gives_its_name_and_size(kind):
    facts = read(picture(kind))
    assert (facts.format, facts.width, facts.height) == (kind, 8, 6)
    assert (facts.taken_at, facts.latitude, facts.longitude, facts.evidence) == (None, None, None, ())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_time_and_position_are_read_from_the_exif_of_every_format_that_has_it(kind):
    facts = read(picture(kind, exif=exif(EDINBURGH, "2014:05:10 13:24:55")))
    assert facts.taken_at == "2014-05-10T13:24:55"
    assert facts.latitude == pytest.approx(55.9533, abs=1e-6)
    assert facts.longitude == pytest.approx(-3.1883, abs=1e-6)
    assert [(each.kind, each.territory, each.origin) for each in facts.evidence] == [
        ("gps", "GB", "EXIF GPS position"),
        ("gps", "GB-SCT", "EXIF GPS position"),
    ]


def test_a_heic_picture_is_read():
    out = BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 64))).save(out, exif=exif(EDINBURGH))
    facts = read(out.getvalue())
    assert (facts.format, facts.width, facts.height) == ("HEIF", 64, 64)
    assert [each.territory for each in facts.evidence] == ["GB", "GB-SCT"]


def test_exif_behind_the_pixels_of_a_png_is_read_without_decoding_them():
    content = picture("PNG", exif=exif(EDINBURGH))
    start = content.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(content[start : start + 4])
    chunk, rest = content[start:end], content[:start] + content[end:]
    broken = rest.replace(b"IDAT\x78", b"IDAT\x00")  # cannot be decoded any more
    assert broken != rest
    assert len(read(broken[:-12] + chunk + broken[-12:]).evidence) == 2


@pytest.mark.parametrize(
    ("south", "west", "expected"), [("S", "W", (-34.6, -58.4)), ("n", "e", (34.6, 58.4)), ("S\0", "E", (-34.6, 58.4))]
)
def test_the_hemisphere_gives_the_sign(south, west, expected):
    facts = read(picture(exif=exif({1: south, 2: (34.6, 0.0, 0.0), 3: west, 4: (58.4, 0.0, 0.0)})))
    assert (facts.latitude, facts.longitude) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("latitude", [(55.9533,), (55.0, 57.198), (55.0, 57.0, 11.88), 55.9533])
def test_degrees_may_come_with_or_without_minutes_and_seconds(latitude):
    assert metadata._exif_position(EDINBURGH | {2: latitude}) == pytest.approx((55.9533, -3.1883), abs=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
        {2: (IFDRational(55, 0), IFDRational(57, 1), IFDRational(11, 1))},
        {2: (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))},
        {2: (90.5, 0.0, 0.0)},
        {4: (180.5, 0.0, 0.0)},
        {2: (55.0, 61.0, 0.0)},
        {2: (55.0, 57.0, 1188.0)},
        {2: (-55.0, 57.0, 0.0)},
        {2: ()},
        {2: (1.0, 2.0, 3.0, 4.0)},
        {1: None},
        {1: "?"},
        {1: "E"},
        {1: ""},
        {2: None},
        {2: "55.95"},
        {2: b"55"},
        {4: (float("nan"), 0.0, 0.0)},
        {4: (float("inf"), 0.0, 0.0)},
    ],
)
def test_a_position_that_cannot_be_is_no_evidence(change):
    assert metadata._exif_position(EDINBURGH | change) is None


def test_zero_denominators_in_a_file_are_no_evidence():
    content = picture(exif=exif(EDINBURGH))
    one = struct.pack(">II", 57, 1) if b"Exif\0\0MM" in content else struct.pack("<II", 57, 1)
    assert content.count(one) == 1
    assert read(content.replace(one, one[:4] + bytes(4))).evidence == ()
    assert read(content).evidence != ()


def test_a_position_at_sea_is_kept_and_is_no_evidence():
    facts = read(picture(exif=exif({1: "N", 2: (40.0, 0.0, 0.0), 3: "W", 4: (40.0, 0.0, 0.0)})))
    assert (facts.latitude, facts.longitude, facts.evidence) == (40.0, -40.0, ())


@pytest.mark.parametrize(
    "taken", ["0000:00:00 00:00:00", "2014:02:30 10:00:00", "    :  :     :  :  ", "yesterday", "2014"]
)
def test_a_time_that_does_not_parse_is_no_time(taken):
    assert read(picture(exif=exif(taken=taken))).taken_at is None


def test_iptc_code_name_and_state_are_evidence_each_with_its_origin():
    assert found(with_iptc((100, b"USA"), (101, b"United States"), (95, b"Illinois"))) == [
        ("iptc", "US", "IPTC 2:100 country code"),
        ("iptc", "US", "IPTC 2:101 country name"),
        ("iptc", "US-IL", "IPTC 2:95 province or state"),
    ]


@pytest.mark.parametrize(
    ("name", "territory"),
    [("Österreich".encode(), "AT"), ("Österreich".encode("latin-1"), "AT"), (b"Scotland", "GB-SCT")],
)
def test_iptc_names_are_read_in_utf8_and_latin1(name, territory):
    assert [each[1] for each in found(with_iptc((101, name)))] == [territory]


@pytest.mark.parametrize(
    "fields", [[(95, b"Illinois")], [(101, b"Atlantis")], [(100, b"R19")], [(101, b"")], [(90, b"London")]]
)
def test_iptc_that_names_no_country_is_no_evidence(fields):
    assert found(with_iptc(*fields)) == []


@pytest.mark.parametrize(("length", "territories"), [(9000, ["HU", "HU"]), (0xFFFF, [])])
def test_iptc_with_a_length_beyond_its_end_is_no_error(length, territories):
    content = with_iptc((101, b"Hungary"), (100, b"HUN"))
    head = struct.pack(">BBBH", 0x1C, 2, 100, 3)
    assert [each[1] for each in found(content.replace(head, head[:3] + struct.pack(">H", length)))] == territories


CREATED = "<ext:LocationCreated><rdf:Bag>{}</rdf:Bag></ext:LocationCreated>"
ITEM = '<rdf:li rdf:parseType="Resource">{}</rdf:li>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<core:CountryCode>FRA</core:CountryCode>", [("FR", "Iptc4xmpCore:CountryCode")]),
        ("<photoshop:Country>France</photoshop:Country>", [("FR", "photoshop:Country")]),
        (
            "<photoshop:State>IL</photoshop:State><photoshop:Country>USA</photoshop:Country>",
            [("US", "photoshop:Country"), ("US-IL", "photoshop:State")],
        ),
        ("<photoshop:State>Illinois</photoshop:State>", []),
        (
            CREATED.format(
                ITEM.format("<ext:CountryCode>de</ext:CountryCode><ext:CountryName>Germany</ext:CountryName>")
            ),
            [("DE", "Iptc4xmpExt:CountryCode"), ("DE", "Iptc4xmpExt:CountryName")],
        ),
        (
            CREATED.replace("Created", "Shown").format("<rdf:li><rdf:Description ext:CountryCode='IT'/></rdf:li>"),
            [("IT", "Iptc4xmpExt:CountryCode")],
        ),
        (
            CREATED.format(
                ITEM.format(
                    "<ext:CountryName><rdf:Alt><rdf:li xml:lang='x-default'>Spain</rdf:li>"
                    "<rdf:li xml:lang='es'>España</rdf:li></rdf:Alt></ext:CountryName>"
                )
            ),
            [("ES", "Iptc4xmpExt:CountryName")],
        ),
        (
            CREATED.format(
                ITEM.format("<ext:CountryCode>US</ext:CountryCode><ext:ProvinceState>Texas</ext:ProvinceState>")
                + ITEM.format("<ext:CountryCode>GE</ext:CountryCode><ext:ProvinceState>Georgia</ext:ProvinceState>")
            ),
            [
                ("US", "Iptc4xmpExt:CountryCode"),
                ("GE", "Iptc4xmpExt:CountryCode"),
                ("US-TX", "Iptc4xmpExt:ProvinceState"),
            ],
        ),
        ("<photoshop:Country/>", []),
        ("<photoshop:Country>" + "x" * 5000 + "</photoshop:Country>", []),
        ("<photoshop:City>Paris</photoshop:City>", []),
    ],
)
def test_countries_in_xmp_are_evidence_each_with_its_origin(inside, expected):
    assert found(picture(xmp=packet(inside))) == [("xmp", code, f"XMP {origin}") for code, origin in expected]


def test_xmp_properties_written_as_attributes_are_read():
    assert found(picture(xmp=packet(attributes='photoshop:Country="Norge"'))) == [
        ("xmp", "NO", "XMP photoshop:Country")
    ]


@pytest.mark.parametrize("position", ["55,57.198N", "55,57,11.88N", "55.9533N"])
def test_a_position_in_xmp_is_evidence(position):
    inside = f"<exif:GPSLatitude>{position}</exif:GPSLatitude><exif:GPSLongitude>3,11.298W</exif:GPSLongitude>"
    facts = read(picture(xmp=packet(inside)))
    assert (facts.latitude, facts.longitude) == pytest.approx((55.9533, -3.1883), abs=1e-6)
    assert [(each.kind, each.territory, each.origin) for each in facts.evidence] == [
        ("gps", "GB", "XMP exif:GPSLatitude"),
        ("gps", "GB-SCT", "XMP exif:GPSLatitude"),
    ]


@pytest.mark.parametrize("position", ["0,0N", "95,0N", "55,57.198", "N", "1" * 150 + "N", "55,57.198E"])
def test_a_position_in_xmp_that_cannot_be_is_no_evidence(position):
    longitude = "0,0E" if position == "0,0N" else "3,11.298W"
    inside = f"<exif:GPSLatitude>{position}</exif:GPSLatitude><exif:GPSLongitude>{longitude}</exif:GPSLongitude>"
    facts = read(picture(xmp=packet(inside)))
    assert (facts.latitude, facts.longitude, facts.evidence) == (None, None, ())


def test_positions_of_two_places_are_not_mixed():
    first = "<exif:GPSLatitude>55,57.198N</exif:GPSLatitude><exif:GPSLongitude>3,11.298W</exif:GPSLongitude>"
    second = "<exif:GPSLatitude>46,30N</exif:GPSLatitude><exif:GPSLongitude>8,0E</exif:GPSLongitude>"
    content = picture(xmp=packet(CREATED.format(ITEM.format(first) + ITEM.format(second))))
    assert [each[1] for each in found(content)] == ["GB", "GB-SCT", "CH"]


def test_a_list_inside_a_place_does_not_split_it():
    inside = (
        "<ext:CountryCode>US</ext:CountryCode>"
        "<ext:LocationId><rdf:Bag><rdf:li>x</rdf:li><rdf:li>y</rdf:li></rdf:Bag></ext:LocationId>"
        "<ext:ProvinceState>Ohio</ext:ProvinceState>"
    )
    assert [each[1] for each in found(picture(xmp=packet(CREATED.format(ITEM.format(inside)))))] == ["US", "US-OH"]


def xmp_in(kind: str, xmp: bytes) -> bytes:
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
        return picture("PNG", pnginfo=text)
    if kind == "TIFF":
        return picture("TIFF", tiffinfo={700: xmp})
    if kind == "GIF":
        return picture("GIF", comment=b"-")[:-1] + b"\x21\xff\x0bXMP DataXMP" + xmp + b"\x01\xff\xfe\0\0;"
    return picture(kind, xmp=xmp)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "AVIF"])
def test_xmp_is_read_from_every_format_that_has_it(kind):
    content = xmp_in(kind, packet("<core:CountryCode>PT</core:CountryCode>"))
    assert found(content) == [("xmp", "PT", "XMP Iptc4xmpCore:CountryCode")]


COUNTRY = "<photoshop:Country>France</photoshop:Country>"


@pytest.mark.parametrize(
    "xmp",
    [
        b'<!DOCTYPE x [<!ENTITY a "France">]>' + packet("<photoshop:Country>&a;</photoshop:Country>"),
        b"<!DOCTYPE x>" + packet(COUNTRY),
        b'<?xml version="1.0" encoding="no-such-code"?>' + packet(COUNTRY),
        packet(COUNTRY)[:-5],
        packet("<undeclared:x/>" + COUNTRY),
        packet("<photoshop:x>" * 80 + COUNTRY + "</photoshop:x>" * 80),
        b"\xff\xfe" + packet(COUNTRY),
        b"",
        b"\0" * 40,
    ],
)
def test_xmp_that_is_broken_deep_or_has_a_document_type_is_no_evidence(xmp):
    assert found(picture(xmp=xmp)) == []


def test_xmp_beyond_the_limit_is_no_evidence(monkeypatch):
    content = picture(xmp=packet(COUNTRY))
    assert found(content) != []
    monkeypatch.setattr(metadata, "MAX_XMP_BYTES", 200)
    assert found(content) == []


def test_values_in_xmp_are_counted_up_to_a_limit():
    many = packet(
        "".join(f"<photoshop:Country>{'France' if n < 100 else 'Spain'}</photoshop:Country>" for n in range(200))
    )
    assert [each[1] for each in found(picture(xmp=many))] == ["FR"]


def test_exif_iptc_and_xmp_that_disagree_are_all_evidence():
    content = with_iptc((100, b"DEU"))
    segment = b"http://ns.adobe.com/xap/1.0/\0" + packet(COUNTRY)
    content = content[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + content[2:]
    block = exif(EDINBURGH)
    content = content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]
    assert [each[1] for each in found(content)] == ["GB", "GB-SCT", "DE", "FR"]


def refused(content: bytes) -> str:
    with pytest.raises(BadImage) as error:
        read(content)
    return error.value.reason


def test_no_bytes_are_refused_with_reason_empty():
    assert refused(b"") == "empty"


@pytest.mark.parametrize("content", [b"x", b"hello, world, this is text", b"%PDF-1.7\n" + b"x" * 40, b"P6 1 1 255 abc"])
def test_other_bytes_are_refused_with_reason_not_an_image(content):
    assert refused(content) == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF"])
def test_a_header_cut_short_is_refused_with_reason_truncated(kind):
    content = picture(kind)
    assert refused(content[: content.index(b"\xff\xc0") if kind == "JPEG" else 12]) == "truncated"


def claiming(width: int, height: int) -> bytes:
    content = picture("BMP")
    return content[:18] + struct.pack("<ii", width, height) + content[26:]


def test_more_than_200_megapixels_are_refused_by_what_the_header_claims():
    assert refused(claiming(20_000, 10_001)) == "too-many-pixels"
    assert refused(claiming(2**30, 2**30)) == "too-many-pixels"
    facts = read(claiming(20_000, 10_000))
    assert (facts.width, facts.height) == (20_000, 10_000)


def test_pillows_own_limit_is_left_as_it_was(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 12_345)
    read(picture())
    assert refused(claiming(2**30, 2**30)) == "too-many-pixels"
    assert Image.MAX_IMAGE_PIXELS == 12_345


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"])
def test_no_pixel_is_decoded(monkeypatch, kind):
    content, decoded = picture(kind), []
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: decoded.append(image.format))
    assert read(content).format == kind
    assert decoded == []


LADEN = [
    with_iptc((100, b"USA"), (101, b"United States"), (95, b"Illinois")),
    *(picture(kind, exif=exif(EDINBURGH, "2014:05:10 13:24:55"), xmp=packet(COUNTRY)) for kind in ("JPEG", "WEBP")),
    picture("PNG", exif=exif(EDINBURGH)),
    picture("TIFF", exif=exif(EDINBURGH), tiffinfo={700: packet(COUNTRY)}),
    picture("GIF"),
    picture("BMP"),
]


def read_or_refused(content: bytes) -> None:
    try:
        facts = read(content)
    except BadImage:
        return
    assert facts.width * facts.height <= metadata.MAX_PIXELS
    assert (facts.latitude is None) == (facts.longitude is None)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content):
    read_or_refused(content)


@given(
    st.sampled_from(LADEN),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=8),
    st.integers(1, 3000),
)
@settings(max_examples=300)
def test_a_picture_with_any_bytes_changed_or_cut_off_is_read_or_refused(content, changes, length):
    hurt = bytearray(content)
    for at, value in changes:
        hurt[at % len(hurt)] = value
    read_or_refused(bytes(hurt[:length]))


@given(st.binary(max_size=300))
def test_any_exif_is_read_without_error(block):
    assert read(picture(exif=b"Exif\0\0MM\0*" + block)).format == "JPEG"


@given(st.text(max_size=200))
def test_any_xmp_is_read_without_error(text):
    assert read(picture(xmp=packet(text))).format == "JPEG"


def test_the_photos_with_a_known_place_give_their_country_and_no_other(shared_photos):
    with (shared_photos / "geo_truth.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["country"]]
    assert len(rows) == 20
    for row in rows:
        facts = read((shared_photos / row["path"]).read_bytes())
        assert (facts.latitude, facts.longitude) == pytest.approx((float(row["lat"]), float(row["lon"])), abs=1e-4)
        assert {e.territory[:2] for e in facts.evidence if e.kind == "gps"} == {row["country"]}


def test_every_broken_file_of_the_larger_set_is_read_or_refused(shared_photos):
    for path in sorted((shared_photos / "corrupt").iterdir()):
        read_or_refused(path.read_bytes())
