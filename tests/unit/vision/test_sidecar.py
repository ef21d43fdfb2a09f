"""A sidecar that was rewritten neither shows nor names anybody."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countenance.vision.sidecar import KEPT, KEPT_TAKEOUT, LIMIT, SCRUBBERS, scrub

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SECRETS = {  # namespace -> what tools write in it about people, or that shows them
    "http://www.metadataworkinggroup.com/schemas/regions/": "Regions",
    "http://ns.microsoft.com/photo/1.2/": "RegionInfo",
    "http://ns.microsoft.com/photo/1.0/": "LastKeywordXMP",
    "http://iptc.org/std/Iptc4xmpExt/2008-02-29/": "PersonInImage",
    "http://www.digikam.org/ns/1.0/": "TagsList",
    "http://ns.adobe.com/lightroom/1.0/": "hierarchicalSubject",
    "http://ns.acdsee.com/regions/": "Regions",
    "http://ns.iview-ms.com/mediapro/1.0/": "People",
    "http://ns.apple.com/faceinfo/1.0/": "Regions",
    "http://ns.google.com/photos/1.0/image/": "Data",
    "http://ns.adobe.com/xap/1.0/": "Thumbnails",
    "http://purl.org/dc/elements/1.1/": "subject",
    "http://ns.adobe.com/photoshop/1.0/": "Headline",
    "http://ns.adobe.com/exif/1.0/": "UserComment",
    "http://ns.adobe.com/tiff/1.0/": "ImageDescription",
    "http://ns.adobe.com/camera-raw-settings/1.0/": "MaskGroupBasedCorrections",
    "http://darktable.sf.net/": "multi_name",
    "http://example.org/a-tool-of-tomorrow/": "Who",
}


def xmp(inside: str, attributes: str = "") -> bytes:
    return (
        f'<?xpacket begin="\ufeff" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about="SECRET" {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


PLAIN = xmp("<dc:format>image/jpeg</dc:format>", f'xmlns:dc="{KEPT["dc"][0]}"')


@pytest.mark.parametrize(("namespace", "name"), SECRETS.items())
@pytest.mark.parametrize("shape", ["bag", "struct", "resource", "text", "attribute", "nested"])
def test_nothing_that_names_or_points_at_a_person_stays_whatever_its_shape(namespace, name, shape):
    inner = {
        "bag": "<rdf:Bag><rdf:li>SECRET</rdf:li></rdf:Bag>",
        "struct": '<rdf:Description p:Name="SECRET"><p:Area p:x="0.5">SECRET</p:Area></rdf:Description>',
        "resource": "<p:List><rdf:Bag><rdf:li rdf:parseType='Resource'><p:Name>SECRET</p:Name></rdf:li></rdf:Bag></p:List>",
        "text": "SECRET",
    }
    declared = f'xmlns:p="{namespace}" xmlns:dc="{KEPT["dc"][0]}"'
    if shape == "attribute":
        content = xmp("", f'{declared} p:{name}="SECRET"')
    elif shape == "nested":
        content = xmp(f"<dc:rights><rdf:Alt><rdf:li p:{name}='SECRET'>free</rdf:li></rdf:Alt></dc:rights>", declared)
    else:
        content = xmp(f"<p:{name}>{inner[shape]}</p:{name}>", declared)
    result = scrub("xmp", content)
    assert result
    assert b"SECRET" not in result
    assert b"<p:" not in result
    assert (b"free" in result) == (shape == "nested")


def test_date_place_rights_and_how_it_was_developed_stay():
    declared = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, (namespace, _) in KEPT.items())
    inside = (
        "<dc:creator><rdf:Seq><rdf:li>A. Photographer</rdf:li></rdf:Seq></dc:creator>"
        '<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">(c) them</rdf:li></rdf:Alt></dc:rights>'
        "<exif:GPSLatitude>51,30.5N</exif:GPSLatitude><photoshop:Country>Norway</photoshop:Country>"
        "<crs:ToneCurvePV2012><rdf:Seq><rdf:li>0, 0</rdf:li></rdf:Seq></crs:ToneCurvePV2012>"
        '<darktable:history><rdf:Seq><rdf:li darktable:operation="exposure" darktable:params="00ff"/></rdf:Seq>'
        "</darktable:history>"
    )
    attributes = (
        'xmp:Rating="4" exif:DateTimeOriginal="2024-05-01T10:00:00" crs:Exposure2012="+0.50" tiff:Orientation="6"'
    )
    result = (scrub("xmp", xmp(inside, f"{declared} {attributes}")) or b"").decode()
    for kept in ("A. Photographer", "(c) them", "51,30.5N", "Norway", "0, 0", 'operation="exposure"', 'params="00ff"'):
        assert kept in result
    for kept in (
        'xmp:Rating="4"',
        'DateTimeOriginal="2024-05-01T10:00:00"',
        'Exposure2012="+0.50"',
        'lang="x-default"',
    ):
        assert kept in result
    assert "Orientation" not in result  # the redacted picture stands upright


def test_a_rewritten_sidecar_is_xmp_and_rewriting_it_again_changes_nothing():
    once = scrub("xmp", PLAIN)
    assert once
    assert b"image/jpeg" in once
    assert once.startswith('<?xpacket begin="\ufeff"'.encode())
    assert scrub("xmp", once) == once


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no markup",
        b"<x>no RDF</x>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + PLAIN,
        b'<!DOCTYPE x SYSTEM "http://example.org/x.dtd">' + xmp(""),
        PLAIN + b"<!ELEMENT x ANY>",
        xmp("&undeclared;"),
        xmp("<unclosed>"),
        xmp("").decode().encode("utf-16"),
        b"\xff" + xmp(""),
        xmp(" " * LIMIT),
    ],
)
def test_what_is_no_plain_xmp_is_not_rewritten(content):
    assert scrub("xmp", content) is None


def test_elements_within_elements_without_end_are_no_danger():
    deep = "<rdf:Bag>" * 100_000 + "</rdf:Bag>" * 100_000
    assert scrub("xmp", xmp(f"<dc:rights>{deep}</dc:rights>", f'xmlns:dc="{KEPT["dc"][0]}"')) is None
    assert b"<a" not in (scrub("xmp", xmp("<a>" * 100_000 + "</a>" * 100_000)) or b"<a")


def test_a_takeout_file_keeps_when_and_where_and_loses_who_and_the_address_at_google():
    content = {
        "title": "IMG_1.jpg",
        "description": "SECRET",
        "people": [{"name": "SECRET"}],
        "photoTakenTime": {"timestamp": "1714557600"},
        "geoData": {"latitude": 51.5},
        "url": "https://photos.google.com/photo/SECRET",
        "sharedAlbumComments": [{"text": "SECRET"}],
        "something of tomorrow": "SECRET",
    }
    result = scrub("takeout", json.dumps(content).encode())
    assert result
    assert b"SECRET" not in result
    assert json.loads(result) == {name: content[name] for name in KEPT_TAKEOUT if name in content}
    assert scrub("takeout", result) == result


@pytest.mark.parametrize("content", [b"{}", b"[]", b'{"title": "album"}', b"{", b"[" * 100_000, b'"\xff"', b"NaN"])
def test_other_json_is_not_rewritten(content):
    assert scrub("json", content) is None


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(SCRUBBERS)), st.binary(max_size=60), st.integers(0, 400))
def test_damage_never_lets_a_name_through(kind, damage, at):
    content = xmp("<dc:subject><rdf:Bag><rdf:li>SECRET</rdf:li></rdf:Bag></dc:subject>", f'xmlns:dc="{KEPT["dc"][0]}"')
    result = scrub(kind, content[:at] + damage + content[at:])
    assert result is None or (b"SECRET" not in result and scrub(kind, result) == result)
