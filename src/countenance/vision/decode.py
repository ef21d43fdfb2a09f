"""Bytes of a picture to upright sRGB pixels, within limits, or `BadImage` with a reason.

Runs in worker processes only (`pool`): decoders are where a hostile file strikes. The content decides the format, not
the name. JPEGs come out smaller where that is enough, scaled inside the DCT: 12 Mpx in 20 ms instead of 50 to 98.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import simplejpeg
from PIL import Image

from countenance.errors import BadImage
from countenance.vision import colour

if TYPE_CHECKING:
    from collections.abc import Iterator

    from countenance.vision.colour import Pixels

MAX_PIXELS = 200_000_000  # the largest phone sensors give 199.8 Mpx
MAX_BYTES = 256 * 1024 * 1024
ORIENTATION = 0x0112  # EXIF tag

MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Decoded pixels and the size they stand for."""

    pixels: Pixels = field(repr=False)  # (height * scale, width * scale, 3) uint8 sRGB, upright
    width: int  # of the whole picture, upright
    height: int
    scale: float  # pixels held per pixel of the picture, 0.125 to 1


def decode(
    content: bytes, long_side: int | None = None, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> Picture:
    """Decode a JPEG, PNG, WebP, TIFF, BMP, GIF (first frame), HEIC or AVIF picture.

    With `long_side`, a JPEG may come out at 1/2, 1/4 or 1/8 of its size, its longer side never below `long_side`.
    Raises BadImage.
    """
    if not content:
        raise BadImage("empty")
    if len(content) > max_bytes:
        raise BadImage("too-many-bytes")
    kind = format_of(content)
    if kind is None:
        raise BadImage("not-an-image")
    try:
        with _limited(max_pixels):
            return _decoded(content, kind, long_side, max_pixels)
    except BadImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage("too-many-pixels") from error
    except MemoryError as error:
        raise BadImage("too-much-memory") from error
    except Exception as error:  # decoders fail in every way there is: OSError, SyntaxError, struct.error, IndexError …
        raise BadImage(_reason(error)) from error


def format_of(content: bytes) -> str | None:
    """Return Pillow's name of the format that the first bytes announce, or None."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content[4:8] == b"ftyp":
        brands = content[8 : min(int.from_bytes(content[:4]), 128)]
        return "AVIF" if b"avif" in brands or b"avis" in brands else "HEIF"
    return next((kind for magic, kind in MAGIC if content.startswith(magic)), None)


def _decoded(content: bytes, kind: str, long_side: int | None, max_pixels: int) -> Picture:
    if kind == "HEIF":
        import pillow_heif  # noqa: PLC0415  (slow to import, and seldom needed)

        pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    with Image.open(BytesIO(content), formats=(kind,)) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise BadImage("too-many-pixels")
        if width < 1 or height < 1:
            raise BadImage("corrupt")
        pixels = _jpeg(content, image, long_side) if kind == "JPEG" else None
        if pixels is None:
            pixels = colour.from_image(image)
        scale = 2.0 ** round(np.log2(max(pixels.shape) / max(image.size))) if kind == "JPEG" else 1.0
        orientation = _orientation(image)  # after decoding: Pillow turns some formats itself and then drops the tag
        if orientation > 4:  # noqa: PLR2004  (EXIF 2.32: 5 to 8 lie on their side)
            width, height = image.height, image.width
        return Picture(pixels=_upright(pixels, orientation), width=width, height=height, scale=scale)


def _jpeg(content: bytes, image: Image.Image, long_side: int | None) -> Pixels | None:
    """Decode an RGB or grey JPEG by the fast way; None leaves it to Pillow, which forgives more and knows CMYK."""
    if image.mode not in ("RGB", "L") or (image.mode == "L" and "icc_profile" in image.info):
        return None
    longest = max(image.size)
    divisor = next((n for n in (8, 4, 2) if long_side and longest >= n * long_side), 1)
    try:
        pixels = simplejpeg.decode_jpeg(
            content, "RGB", min_width=-(-image.width // divisor), min_height=-(-image.height // divisor)
        )
    except ValueError as error:
        if _reason(error) == "too-much-memory":
            raise  # Pillow would call the same picture corrupt
        return None
    return colour.from_rgb(pixels, image.info.get("icc_profile"))


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001  (a broken EXIF block must not cost the picture)
        return 1
    return value if value in range(1, 9) else 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn as EXIF 2.32, table 6, says."""
    if orientation > 4:  # noqa: PLR2004
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _reason(error: Exception) -> str:
    text = str(error).lower()
    if "memory" in text or "alloc" in text:
        return "too-much-memory"
    if "size limit" in text or "maximum image size" in text:
        return "too-many-pixels"
    cut = ("truncated", "premature", "end of", "unexpected eof", "incomplete", "not enough")
    if isinstance(error, EOFError) or any(word in text for word in cut):
        return "truncated"
    return "corrupt"


@contextmanager
def _limited(max_pixels: int) -> Iterator[None]:
    """Let Pillow's own bomb check use our limit, and keep its warnings about odd files from the terminal."""
    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
