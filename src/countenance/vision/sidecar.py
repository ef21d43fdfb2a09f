"""Rewrite what tools write beside a photo, so that it neither shows nor names anybody.

As in the picture itself (`redact`), what is not known to be harmless goes: `KEPT` and `KEPT_TAKEOUT` list what stays, so
a face region, a person's name, a keyword, a caption or an embedded preview is left behind whichever tool invented its
tag. A region of one person cannot be told from another's reliably, so all go.

XML is read without a document type: there are no entities to expand and nothing to fetch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree as ET

LIMIT = 16 * 2**20
"""Bytes: a larger file is not rewritten; darktable's with hundreds of edits have 1 MB."""

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

KEPT = {  # prefix -> (namespace, local names)
    "xmp": ("http://ns.adobe.com/xap/1.0/", r"CreateDate|ModifyDate|MetadataDate|CreatorTool|Rating"),
    "xmpRights": ("http://ns.adobe.com/xap/1.0/rights/", r"Marked|Owner|UsageTerms|WebStatement"),
    "xmpMM": ("http://ns.adobe.com/xap/1.0/mm/", r"(Original)?DocumentID|InstanceID"),
    "dc": ("http://purl.org/dc/elements/1.1/", r"creator|rights|format"),
    "photoshop": ("http://ns.adobe.com/photoshop/1.0/", r"DateCreated|City|State|Country|Credit|Source"),
    "Iptc4xmpCore": ("http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/", r"CountryCode"),
    "tiff": ("http://ns.adobe.com/tiff/1.0/", r"Make|Model|Artist|Copyright|DateTime"),
    "exif": (
        "http://ns.adobe.com/exif/1.0/",
        r"DateTime\w+|Exposure(Time|Program)|FNumber|ISOSpeedRatings|FocalLength|GPS(\w+itude|AltitudeRef|TimeStamp)",
    ),
    "aux": ("http://ns.adobe.com/exif/1.0/aux/", r"Lens|LensInfo|LensID"),
    # How a raw photo was developed. Corrections of a part of the picture can lie on a face and be called by a name.
    "crs": (
        "http://ns.adobe.com/camera-raw-settings/1.0/",
        r"(?!\w*(Name|Info|Areas|Corrections|Masks?|Look|Saved|Preset|Snapshot|Group))\w+",
    ),
    "darktable": (
        "http://darktable.sf.net/",
        r"xmp_version|(raw_|blendop_)?params|auto_presets_applied|history(_end)?|num|operation|enabled|\w+_?version|\w+_priority",
    ),
}
"""XMP properties that stay. Not the orientation: a redacted picture is turned upright."""

KEPT_TAKEOUT = (
    *("title", "imageViews", "creationTime", "photoTakenTime", "photoLastModifiedTime", "modificationTime"),
    *("geoData", "geoDataExif", "favorited", "archived", "trashed"),
)
"""Members of a Google Takeout file that stay: not ``people``, ``description``, comments, or the address at Google."""

_PREFIXES = {namespace: (prefix, re.compile(names)) for prefix, (namespace, names) in KEPT.items()}
_CONTAINERS = {"Description", "Bag", "Seq", "Alt", "li"}
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_DECLARATION = re.compile(r"<!(?!--|\[CDATA\[)")
_FRAME = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n{}\n</x:xmpmeta>\n<?xpacket end="w"?>\n'
)


def scrub(kind: str, content: bytes) -> bytes | None:
    """Return the file with only what is kept, or None where it is not what a `kind` of `SCRUBBERS` looks like.

    Done twice it is the same as done once.
    """
    if len(content) > LIMIT:
        return None
    try:
        return SCRUBBERS[kind](content.decode("utf-8-sig"))
    except (ValueError, ET.ParseError, RecursionError):  # a UnicodeDecodeError is a ValueError
        return None


def _xmp(text: str) -> bytes | None:
    if _DECLARATION.search(text):
        return None
    found = next(ET.fromstring(text).iter(f"{{{_RDF}}}RDF"), None)  # noqa: S314 (see above: nothing is declared)
    if found is None:
        return None
    declared = {f"xmlns:{prefix}": namespace for prefix, (namespace, _) in KEPT.items()}
    kept = ET.Element("rdf:RDF", {"xmlns:rdf": _RDF, **declared})
    kept.extend([_copy(child, "rdf:Description") for child in found if child.tag == f"{{{_RDF}}}Description"])
    ET.indent(kept)
    return _FRAME.format(ET.tostring(kept, encoding="unicode")).encode()


def _copy(element: ET.Element, name: str) -> ET.Element:
    """An element under its usual prefix, with those of its attributes and children that are kept."""
    copied = ET.Element(name, dict(_attributes(element)))
    for child in element:
        if kept := _name(child.tag):
            copied.append(_copy(child, kept))
    text = (element.text or "").strip()
    if text and not len(element):
        copied.text = text
    return copied


def _attributes(element: ET.Element) -> Iterator[tuple[str, str]]:
    for tag, value in element.items():
        if tag == f"{{{_RDF}}}about":
            yield "rdf:about", ""
        elif tag == f"{{{_RDF}}}parseType" and value == "Resource":
            yield "rdf:parseType", value
        elif tag == _LANGUAGE:
            yield "xml:lang", value
        elif (name := _name(tag)) and not name.startswith("rdf:"):
            yield name, value


def _name(tag: Any) -> str | None:
    """The usual name of an element or attribute that is kept, with its prefix; None for the others."""
    namespace, _, local = str(tag).removeprefix("{").partition("}")
    if namespace == _RDF:
        return f"rdf:{local}" if local in _CONTAINERS else None
    prefix, names = _PREFIXES.get(namespace, ("", None))
    return f"{prefix}:{local}" if names and names.fullmatch(local) else None


def _takeout(text: str) -> bytes | None:
    found = json.loads(text)
    if not (isinstance(found, dict) and "title" in found and found.keys() & {"photoTakenTime", "creationTime"}):
        return None
    kept = {name: found[name] for name in KEPT_TAKEOUT if name in found}
    return json.dumps(kept, indent=2, ensure_ascii=False).encode()


SCRUBBERS: dict[str, Callable[[str], bytes | None]] = {"xmp": _xmp, "takeout": _takeout, "json": _takeout}
