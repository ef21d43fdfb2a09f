"""Destroy faces in a picture and keep the rest of it.

Each box is filled with one flat colour: the mean of a narrow ring of pixels around it, which stay visible anyway. A
blur or a mosaic is a function of the face, and both have been undone (McPherson, Shokri and Shmatikov, 2016,
arXiv:1609.00408); here nothing that is written depends on a pixel of the face, so there is nothing to undo. Noise would
add no protection to that, only bytes.

The file is made anew from the pixels of its first picture, so every other place where a file keeps a second look at a
face is left behind: EXIF, MPF, XMP and Photoshop thumbnails, previews, depth and gain maps, mattes, appended video,
maker notes, face regions, captions. Kept are the colour profile, the resolution and, of EXIF, what `KEPT` lists.
"""

from __future__ import annotations

import io
import warnings
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin

from countenance.errors import BadImage, UsageError
from countenance.vision.decode import MAX_PIXELS, format_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from numpy.typing import NDArray

    from countenance.records import Box

MARGIN = 0.25
"""Of the box's width and height, added on each side, as hair and ears identify too: 1.5 times the box in all."""

BLOCK = 16
"""Pixels, the least margin: JPEG codes up to 16 by 16 as one, and what is left of a block tells of the rest."""

RING = 0.125
"""Of the box's shorter side: the width of the ring that gives the colour."""

KEPT = {
    0: (306, 315, 33432),  # DateTime, Artist, Copyright
    0x8769: (36867, 36868, 36880, 36881, 36882, 37520, 37521, 37522),  # when it was taken, with zone and fraction
    0x8825: (0, 1, 2, 3, 4, 5, 6, 7, 18, 29),  # position, altitude, time, datum
}
"""EXIF tags that stay, by directory (CIPA DC-008, EXIF 2.32); text of more than 1,000 characters does not."""

QUALITY = 95
"""Where the original's quantisation cannot be used again: mean error below 1 of 255 levels."""

_MODES = {"L", "LA", "RGB", "RGBA", "CMYK"}
_TIFF_PACKING = {"raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "jpeg"}
_BITS_PER_SAMPLE, _SUB_DIRECTORIES, _ORIENTATION = 258, 330, 274


def redact(content: bytes, boxes: Sequence[Box]) -> bytes:
    """Return the picture, turned upright and in its own format, with the boxes and their margins destroyed.

    Args:
        content: a whole file: JPEG, PNG, WebP, TIFF, BMP, HEIC or AVIF.
        boxes: in pixels of the picture turned upright; at least one, and each touches the picture.

    Raises:
        BadImage: it cannot be decoded, or it cannot be written back without a loss or a leak (then `facts["sentence"]`
            says why): several frames or pages, more than 8 bits a channel, another format.
        UsageError: there is no box, or one lies outside of the picture, so that a face would be left.
    """
    kind = format_of(content)
    if kind is None or kind == "GIF":
        _refuse("Only JPEG, PNG, WebP, TIFF, BMP, HEIC and AVIF pictures are redacted.")
    picture, upright = _decoded(content, kind)
    pixels = np.array(upright)
    destroy(pixels[..., np.newaxis] if pixels.ndim == 2 else pixels, boxes, opaque=upright.mode[-1] == "A")  # noqa: PLR2004
    saved = io.BytesIO()
    try:
        Image.fromarray(pixels, upright.mode).save(saved, kind, **_settings(picture, kind, content))
    except (OSError, ValueError, RuntimeError):
        _refuse("The picture cannot be written back in its own format.")
    return saved.getvalue()


def _decoded(content: bytes, kind: str) -> tuple[Image.Image, Image.Image]:
    """Return the first picture as stored, with its metadata, and turned upright in one of `_MODES`."""
    if kind == "HEIF":
        import pillow_heif  # noqa: PLC0415  (slow to import, and seldom needed)

        pillow_heif.register_heif_opener(thumbnails=False, decode_threads=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow speaks of odd files on stderr
            picture = Image.open(io.BytesIO(content), formats=(kind,))
            _check(picture, kind, content)
            picture.load()
            upright = ImageOps.exif_transpose(picture)
    except BadImage:
        raise
    except Image.DecompressionBombError:
        raise BadImage("too-many-pixels") from None
    except Exception as error:  # noqa: BLE001  (decoders fail in every way there is)
        raise BadImage("truncated" if "truncated" in str(error).lower() else "corrupt") from None
    if "transparency" in upright.info:
        upright = upright.convert("LA" if upright.mode == "L" else "RGBA")
    elif upright.mode == "P":
        upright = upright.convert("RGB")
    if upright.mode not in _MODES:
        _refuse("The picture does not have 8 bits a channel, and writing it back would lose some of them.")
    return picture, upright


def _check(picture: Image.Image, kind: str, content: bytes) -> None:
    """Refuse what the first picture alone would not do justice to, before its pixels are decoded."""
    if picture.width * picture.height > MAX_PIXELS:
        raise BadImage("too-many-pixels")
    if kind != "JPEG" and getattr(picture, "n_frames", 1) > 1:  # a JPEG's further pictures repeat the first (MPF)
        _refuse("The file holds more than one picture, and the face may be in each of them.")
    tags: Any = getattr(picture, "tag_v2", {})
    if _SUB_DIRECTORIES in tags:
        _refuse("The file holds a raw photo or further versions of the picture, and the face is in each of them.")
    av1 = content.find(b"av1C") if kind == "AVIF" else -1
    bits = {
        "PNG": content[24],  # IHDR, ISO/IEC 15948 section 11.2.2
        "TIFF": max(tags.get(_BITS_PER_SAMPLE, (8,))),
        "HEIF": picture.info.get("bit_depth", 8),
        "AVIF": 10 if av1 > 0 and content[av1 + 6] & 0x40 else 8,  # high_bitdepth, AV1-ISOBMFF section 2.3.3
    }
    if bits.get(kind, 8) > 8:  # noqa: PLR2004
        _refuse("The picture has more than 8 bits a channel, and writing it back would lose some of them.")
    if kind == "TIFF" and picture.info.get("compression") not in _TIFF_PACKING:
        _refuse("The TIFF is packed in a way that is not written.")


def destroy(pixels: NDArray[np.uint8], boxes: Sequence[Box], *, opaque: bool = False) -> None:
    """Fill the boxes and their margins in `pixels`, (height, width, channels), in place.

    With `opaque` the last channel is alpha. Raises `UsageError` as `redact` does.
    """
    if not boxes:
        raise UsageError("There is no box to redact.")
    height, width = pixels.shape[:2]
    gone = np.zeros((height, width), bool)
    areas = []
    for left, top, across, down in boxes:
        if across < 1 or down < 1 or left >= width or top >= height or left + across <= 0 or top + down <= 0:
            raise UsageError("A box lies outside of the picture. Nothing was redacted; is this the picture it is for?")
        x, y = max(BLOCK, ceil(across * MARGIN)), max(BLOCK, ceil(down * MARGIN))
        ring = ceil(min(across, down) * RING)
        area, around = (
            np.s_[max(0, top - y - more) : top + down + y + more, max(0, left - x - more) : left + across + x + more]
            for more in (0, ring)
        )
        gone[area] = True
        areas.append((area, around))
    # All colours first: a ring may cross another box, and no pixel of a face may count.
    rings = [pixels[around][~gone[around]] for _, around in areas]
    colours = [ring.mean(axis=0).round() if len(ring) else np.full(pixels.shape[2], 128) for ring in rings]
    for (area, _), colour in zip(areas, colours, strict=True):
        pixels[area] = colour
        if opaque:
            pixels[area][..., -1] = 255


def _settings(picture: Image.Image, kind: str, content: bytes) -> dict[str, Any]:
    """Return what to save with, so that the rest of the picture keeps its look."""
    kept = {"exif": _exif(picture), "icc_profile": picture.info.get("icc_profile")}
    settings: dict[str, Any] = {name: value for name, value in kept.items() if value}
    if kind in {"JPEG", "PNG", "TIFF"} and "dpi" in picture.info:
        settings["dpi"] = picture.info["dpi"]
    if kind == "JPEG":
        settings |= _jpeg(picture)
    elif kind == "WEBP":
        settings |= {"lossless": b"VP8L" in content, "exact": True, "quality": QUALITY}
    elif kind == "TIFF":
        settings["compression"] = picture.info["compression"]
        if settings["compression"] == "jpeg":
            settings["quality"] = QUALITY
    elif kind == "AVIF":
        settings |= {"quality": QUALITY, "subsampling": "4:4:4", "speed": 8}
    elif kind == "HEIF":  # the quickest preset: 3 Mpx in 0.5 s instead of 2.8, a third larger, PSNR not lower
        subsampling = {444: "4:4:4", 422: "4:2:2"}.get(picture.info.get("chroma", 420), "4:2:0")
        settings |= {"quality": 90, "subsampling": subsampling, "enc_params": {"preset": "ultrafast"}}
    return settings


def _jpeg(picture: Image.Image) -> dict[str, Any]:
    """Use the same quantisation again: blocks away from the boxes then come out as they were, within rounding."""
    assert isinstance(picture, JpegImagePlugin.JpegImageFile)
    settings: dict[str, Any] = {"progressive": "progressive" in picture.info}
    tables = [np.array(picture.quantization[key]).reshape(8, 8) for key in sorted(picture.quantization)]
    if picture.mode == "CMYK" or max(table.max() for table in tables) > 255:  # noqa: PLR2004 (baseline JPEG)
        return settings | {"quality": QUALITY}
    sampling = JpegImagePlugin.get_sampling(picture)
    if picture.getexif().get(_ORIENTATION, 1) in range(5, 9):  # on its side: columns become rows
        tables = [table.T for table in tables]
        sampling = {1: 0}.get(sampling, sampling)  # 4:2:2 turned is not 4:2:2
    return settings | {"qtables": [table.ravel().tolist() for table in tables], "subsampling": max(sampling, 0)}


def _exif(picture: Image.Image) -> bytes:
    """Return a new EXIF block with what `KEPT` lists, or nothing where the old one cannot be read."""
    try:
        old, new = picture.getexif(), Image.Exif()
        for directory, tags in KEPT.items():
            found = old.get_ifd(directory) if directory else old
            kept = {tag: found[tag] for tag in tags if tag in found and _brief(found[tag])}
            if directory and kept:
                new[directory] = kept
            elif kept:
                new.update(kept)
        return new.tobytes() if len(new) else b""
    except Exception:  # noqa: BLE001  (a broken EXIF block must not cost the picture)
        return b""


def _brief(value: Any) -> bool:
    """Tell whether a value is too short to hide a picture: no thumbnail fits into 1,000 bytes."""
    return not isinstance(value, (str, bytes, tuple)) or len(value) <= (1000 if isinstance(value, str) else 32)


def _refuse(sentence: str) -> NoReturn:
    raise BadImage("not-redactable", sentence=sentence)
