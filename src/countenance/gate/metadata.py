"""What a picture's own bytes say about where and when it was taken, read without decoding a pixel.

::

    facts = read(content)
    facts.evidence    # (Evidence(kind="gps", territory="GB", origin="EXIF GPS position"), …)

Runs in worker processes: every byte is taken for hostile. Broken metadata is no evidence, and a photo without evidence
is in the scope of every order (promise P3), so nothing escapes an order by being broken. Read are EXIF 2.32, IPTC IIM
4.2 and XMP (ISO 16684-1) with the IPTC Photo Metadata Standard's places.
"""

from __future__ import annotations

import math
import re
import warnings
from contextlib import contextmanager, suppress
from datetime import datetime
from io import BytesIO
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from PIL import Image, IptcImagePlugin

from countenance.errors import BadImage
from countenance.gate.place import territories_at, territory_of_name
from countenance.records import Evidence, PictureFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from PIL.ImageFile import ImageFile

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
MAX_PIXELS = 200_000_000  # the largest phone sensors give 199.8 Mpx

MAX_XMP_BYTES = 1024 * 1024  # 29 kB is the IPTC's own test file with every property set
MAX_XMP_DEPTH = 64  # that file is 10 deep
MAX_XMP_VALUES = 100
MAX_TEXT = 200  # characters of one value; the longest country name has 56

EXIF_IFD, GPS_IFD, DATE_TIME_ORIGINAL = 0x8769, 0x8825, 0x9003
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE = 1, 2, 3, 4

IPTC_CODE, IPTC_NAME, IPTC_STATE = (2, 100), (2, 101), (2, 95)

CORE = "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"
EXT = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PHOTOSHOP = "http://ns.adobe.com/photoshop/1.0/"
EXIF = "http://ns.adobe.com/exif/1.0/"
RDF_ITEM = "http://www.w3.org/1999/02/22-rdf-syntax-ns# li"

XMP_COUNTRY = {
    f"{CORE} CountryCode": "Iptc4xmpCore:CountryCode",
    f"{PHOTOSHOP} Country": "photoshop:Country",
    f"{EXT} CountryCode": "Iptc4xmpExt:CountryCode",
    f"{EXT} CountryName": "Iptc4xmpExt:CountryName",
}
XMP_STATE = {f"{PHOTOSHOP} State": "photoshop:State", f"{EXT} ProvinceState": "Iptc4xmpExt:ProvinceState"}
XMP_GPS = {f"{EXIF} GPSLatitude": "exif:GPSLatitude", f"{EXIF} GPSLongitude": "exif:GPSLongitude"}
XMP_READ = XMP_COUNTRY | XMP_STATE | XMP_GPS
XMP_PLACES = {f"{EXT} LocationCreated", f"{EXT} LocationShown"}
XMP_ANGLE = re.compile(r"(\d+(?:\.\d+)?)(?:,(\d+(?:\.\d+)?))?(?:,(\d+(?:\.\d+)?))?([NSEW])")

Position = tuple[float, float]


def read(content: bytes) -> PictureFacts:
    """Read size, time, position and evidence of a JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF picture.

    Raises BadImage if it cannot be opened as a picture; never for its metadata.
    """
    if not content:
        raise BadImage("empty")
    with _limited(), _opened(content) as image:
        width, height = image.size
        if width < 1 or height < 1:
            raise BadImage("corrupt")
        taken_at, position = None, None
        evidence: list[Evidence] = []
        with suppress(Exception):
            exif = _exif(image, content)
            taken_at = _time(exif.get_ifd(EXIF_IFD).get(DATE_TIME_ORIGINAL))
            position = _exif_position(exif.get_ifd(GPS_IFD))
        if position:
            evidence += _gps_evidence(position, "EXIF GPS position")
        with suppress(Exception):
            evidence += _iptc_evidence(IptcImagePlugin.getiptcinfo(image) or {})
        with suppress(Exception):
            values = _xmp_values(_xmp_packet(image, content))
            evidence += _xmp_evidence(values)
            for xmp_position in _xmp_positions(values):
                evidence += _gps_evidence(xmp_position, "XMP exif:GPSLatitude")
                position = position or xmp_position
        latitude, longitude = position or (None, None)
        return PictureFacts(
            format=image.format or "",
            width=width,
            height=height,
            taken_at=taken_at,
            latitude=latitude,
            longitude=longitude,
            evidence=tuple(dict.fromkeys(evidence)),
        )


class _Watched(BytesIO):
    """Bytes that remember whether somebody asked for more than there are."""

    short = False

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.short = self.short or (size is not None and len(found) < size)
        return found


def _opened(content: bytes) -> ImageFile:
    if content[4:8] == b"ftyp":
        import pillow_heif  # noqa: PLC0415 - slow to import, and seldom needed

        pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    stream = _Watched(content)
    try:
        return Image.open(stream, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadImage("too-many-pixels") from error
    except MemoryError as error:
        raise BadImage("too-much-memory") from error
    except Exception as error:  # plug-ins fail in every way there is: OSError, SyntaxError, struct.error, IndexError
        raise BadImage(_reason(content, short=stream.short)) from error


def _reason(content: bytes, *, short: bool) -> str:
    """Say why Pillow could not open it; each plug-in tells from the first 16 bytes whether the format is its own."""
    accepts = (Image.OPEN[name][1] for name in FORMATS if name in Image.OPEN)
    if not any(accept is not None and accept(content[:16]) for accept in accepts):
        return "not-an-image"
    return "truncated" if short else "corrupt"


@contextmanager
def _limited() -> Iterator[None]:
    """Let Pillow's own check use our limit (it refuses above twice the number), and keep its warnings to ourselves."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _exif(image: ImageFile, content: bytes) -> Image.Exif:
    if image.format == "PNG" and "exif" not in image.info:
        at = content.find(b"eXIf")  # may stand after the pixels, where Pillow would have to decode them first
        if at >= 0:
            image.info["exif"] = content[at + 4 : at + 4 + int.from_bytes(content[at - 4 : at])]
    return Image.Image.getexif(image)  # PngImageFile's own getexif decodes the picture


def _time(value: Any) -> str | None:
    """Turn ``2014:05:10 13:24:55`` into ``2014-05-10T13:24:55``; EXIF gives no zone here."""
    match = re.match(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", value if isinstance(value, str) else "")
    if match is None:
        return None
    try:
        return datetime(*map(int, match.groups())).isoformat()  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None


def _exif_position(gps: dict[int, Any]) -> Position | None:
    latitude = _angle(gps.get(LATITUDE), gps.get(LATITUDE_REF), "NS")
    longitude = _angle(gps.get(LONGITUDE), gps.get(LONGITUDE_REF), "EW")
    return _position(latitude, longitude)


def _angle(value: Any, reference: Any, hemispheres: str) -> float | None:
    """Turn degrees, minutes and seconds into degrees; None without its hemisphere, since both would be possible."""
    if not isinstance(reference, (str, bytes)) or isinstance(value, (str, bytes, type(None))):
        return None
    parts = [float(part) for part in (value if isinstance(value, tuple) else (value,))]
    letter = (reference.decode("latin-1") if isinstance(reference, bytes) else reference).strip("\0 ").upper()[:1]
    if letter not in tuple(hemispheres) or not 1 <= len(parts) <= 3:  # noqa: PLR2004
        return None
    if not all(0 <= part <= limit for part, limit in zip(parts, (180, 60, 60), strict=False)):  # false for NaN too
        return None
    degrees = math.fsum(part / unit for part, unit in zip(parts, (1, 60, 3600), strict=False))
    return degrees if letter == hemispheres[0] else -degrees


def _position(latitude: float | None, longitude: float | None) -> Position | None:
    """Return the pair if it can be one. Exactly (0, 0) is what cameras without a fix write."""
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None  # noqa: PLR2004


def _gps_evidence(position: Position, origin: str) -> list[Evidence]:
    return [Evidence(kind="gps", territory=territory, origin=origin) for territory in territories_at(*position)]


def _iptc_evidence(fields: dict[tuple[int, int], bytes | list[bytes]]) -> Iterator[Evidence]:
    def texts(field: tuple[int, int]) -> list[str]:
        value = fields.get(field, [])
        return [_text(each) for each in (value if isinstance(value, list) else [value]) if each]

    countries = []
    for field, words in ((IPTC_CODE, "IPTC 2:100 country code"), (IPTC_NAME, "IPTC 2:101 country name")):
        for text in texts(field):
            if territory := territory_of_name(text.upper() if field == IPTC_CODE else text):
                countries.append(territory)
                yield Evidence(kind="iptc", territory=territory, origin=words)
    for territory in _states(texts(IPTC_STATE), countries):
        yield Evidence(kind="iptc", territory=territory, origin="IPTC 2:95 province or state")


def _text(value: bytes) -> str:
    """Decode as UTF-8, else as Latin-1: the files that declare neither outnumber those that do."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _states(texts: Iterable[str], countries: Iterable[str]) -> Iterator[str]:
    """Look each province or state up within each country that the same metadata names."""
    within = {country.partition("-")[0] for country in countries}
    for text in texts:
        for country in sorted(within):
            if territory := territory_of_name(text, within=country):
                yield territory


def _xmp_packet(image: ImageFile, content: bytes) -> bytes:
    """Return the packet that Pillow found, else the first that a scan finds (GIF, and PNG behind the pixels)."""
    packet = image.info.get("xmp")
    if not isinstance(packet, bytes):
        start = content.find(b"<x:xmpmeta")
        end = content.find(b"</x:xmpmeta>", start)
        packet = content[start : end + 12] if 0 <= start < end else b""
    return packet


def _xmp_values(packet: bytes) -> list[tuple[int, str, str]]:
    """Return (place, property, text) of the properties in `XMP_READ`, as elements or attributes.

    Places are numbered: 0 is the picture's own, each LocationCreated and LocationShown has another. Raises on anything
    that is not well-formed, is too large or deep, or has a document type; without one there are no entities to expand.
    """
    packet = packet.rstrip(b"\0 \r\n")
    if not packet or len(packet) > MAX_XMP_BYTES:
        return []
    walk = _XmpWalk()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = walk.document_type
    parser.StartElementHandler = walk.start
    parser.EndElementHandler = walk.end
    parser.CharacterDataHandler = walk.characters
    parser.Parse(packet, True)
    return walk.found


class _XmpWalk:
    """Where the parser stands in a packet, and what it has found."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str, str]] = []
        self.open: list[str] = []
        self.places = 0
        self.text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in XMP_PLACES or (name == RDF_ITEM and XMP_PLACES.intersection(self.open[-2:-1])):
            self.places += 1
        self.open.append(name)
        self.text = ""
        if len(self.open) > MAX_XMP_DEPTH:
            raise ValueError
        for attribute in XMP_READ.keys() & attributes:
            self.keep(attribute, attributes[attribute])

    def end(self, _name: str) -> None:
        for wanted in XMP_READ.keys() & self.open:
            self.keep(wanted, self.text)
        self.text = ""
        self.open.pop()

    def characters(self, more: str) -> None:
        self.text = (self.text + more)[: MAX_TEXT + 1]

    def keep(self, name: str, value: str) -> None:
        if value.strip() and len(value) <= MAX_TEXT and len(self.found) < MAX_XMP_VALUES:
            self.found.append((self.places if XMP_PLACES.intersection(self.open) else 0, name, value.strip()))

    def document_type(self, *_: object) -> None:
        raise ValueError


def _xmp_evidence(values: list[tuple[int, str, str]]) -> Iterator[Evidence]:
    countries: dict[int, list[str]] = {}
    for place, name, text in values:
        if name in XMP_COUNTRY and (territory := territory_of_name(text.upper() if name.endswith("Code") else text)):
            countries.setdefault(place, []).append(territory)
            yield Evidence(kind="xmp", territory=territory, origin=f"XMP {XMP_COUNTRY[name]}")
    for place, name, text in values:
        if name in XMP_STATE:
            for territory in _states([text], countries.get(place, ())):
                yield Evidence(kind="xmp", territory=territory, origin=f"XMP {XMP_STATE[name]}")


def _xmp_positions(values: list[tuple[int, str, str]]) -> Iterator[Position]:
    """Return the position of each place that has one; XMP writes ``54,59.38N`` or ``54,59,23N``."""
    angles: dict[tuple[int, str], float | None] = {}
    for place, name, text in values:
        if name in XMP_GPS and (match := XMP_ANGLE.fullmatch(text)):
            *parts, letter = match.groups()
            kind = "NS" if XMP_GPS[name] == "exif:GPSLatitude" else "EW"
            angles[place, kind] = _angle(tuple(part for part in parts if part is not None), letter, kind)
    for place in sorted({place for place, _ in angles}):
        if position := _position(angles.get((place, "NS")), angles.get((place, "EW"))):
            yield position
