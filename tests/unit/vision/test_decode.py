from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from countenance.errors import BadImage
from countenance.vision.decode import decode

if TYPE_CHECKING:
    from pathlib import Path


def gradient(width: int = 96, height: int = 64) -> Image.Image:
    x, y = np.meshgrid(np.linspace(20, 230, width), np.linspace(20, 230, height))
    return Image.fromarray(np.stack([x, y, 255 - x], axis=-1).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def reason(content: bytes, **limits) -> str:
    with pytest.raises(BadImage) as caught:
        decode(content, **limits)
    return caught.value.reason


def claimed_png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "AVIF", "HEIF"])
def test_each_format_decodes_to_the_same_picture(kind: str):
    picture = gradient()
    if kind == "HEIF":
        stream = BytesIO()
        pillow_heif.from_pillow(picture).save(stream, quality=95)
        content = stream.getvalue()
    else:
        content = saved(picture, kind, **({"quality": 95} if kind in ("JPEG", "WEBP", "AVIF") else {}))
    result = decode(content)
    assert (result.width, result.height, result.scale) == (96, 64, 1.0)
    assert result.pixels.dtype == np.uint8
    assert result.pixels.shape == (64, 96, 3)
    assert np.abs(result.pixels.astype(int) - np.asarray(picture)).mean() < 4


def test_of_a_gif_the_first_frame_is_taken():
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    assert decode(saved(red, "GIF", save_all=True, append_images=[blue])).pixels[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_undone(kind: str, orientation: int):
    upright = gradient()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's Transpose that stores it so
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = decode(saved(stored, kind, exif=exif, **({"quality": 95} if kind != "PNG" else {})))
    assert (result.width, result.height) == (96, 64)
    assert np.abs(result.pixels.astype(int) - np.asarray(upright)).mean() < 5


@pytest.mark.parametrize(
    ("long_side", "scale"), [(None, 1.0), (1601, 1.0), (800, 0.5), (401, 0.5), (400, 0.25), (10, 0.125)]
)
def test_a_jpeg_comes_out_smaller_but_never_below_the_side_asked_for(long_side: int | None, scale: float):
    result = decode(saved(gradient(1600, 1201), "JPEG"), long_side)
    assert (result.width, result.height, result.scale) == (1600, 1201, scale)
    assert result.pixels.shape[:2] == (-(-1201 // round(1 / scale)), 1600 * scale)


def test_a_scaled_jpeg_lies_where_the_whole_one_does():
    content = saved(gradient(1600, 1200), "JPEG", quality=95)
    whole, small = decode(content).pixels.astype(float), decode(content, 400).pixels
    assert np.abs(whole.reshape(300, 4, 400, 4, 3).mean(axis=(1, 3)) - small).mean() < 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16", "YCbCr", "LAB"])
def test_each_colour_mode_comes_out_as_rgb_of_the_same_grey(mode: str):
    grey = Image.new("L", (16, 16), 255 if mode == "1" else 120)
    if mode == "I;16":
        image = Image.fromarray(np.full((16, 16), 120 * 257, np.uint16))
    elif mode == "LAB":
        image = Image.new("LAB", (16, 16), (129, 128, 128))  # L* 50.6 is sRGB 121
    elif mode == "CMYK":
        image = Image.new("CMYK", (16, 16), (0, 0, 0, 135))
    elif mode == "P":
        image = grey.convert("RGB").quantize(4)
    else:
        image = grey.convert("RGB").convert(mode) if mode == "YCbCr" else grey.convert(mode)
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "LAB") else "PNG"
    pixel = decode(saved(image, kind)).pixels[8, 8].astype(int)
    assert np.abs(pixel - (255 if mode == "1" else 120)).max() <= 3


def test_a_cmyk_jpeg_with_adobes_inverted_values_is_not_a_negative():
    content = saved(Image.new("CMYK", (16, 16), (0, 0, 0, 20)), "JPEG")
    assert decode(content).pixels.mean() > 220


def test_what_is_transparent_is_white():
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.putpixel((1, 1), (255, 0, 0, 255))
    pixels = decode(saved(image, "PNG")).pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_colour_profile_is_converted_to_srgb(kind: str):
    linear = xyz_profile()
    content = saved(Image.new("RGB", (16, 16), (55, 55, 55)), kind, icc_profile=linear)
    assert abs(int(decode(content).pixels[8, 8, 0]) - 128) <= 4  # 0.2157 in linear light is 128 in sRGB


def xyz_profile() -> bytes:
    """Return sRGB's own profile with its transfer curves made linear."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = bytearray(profile)
    for index in range(struct.unpack(">I", data[128:132])[0]):
        tag, offset, _ = struct.unpack(">4sII", data[132 + 12 * index : 144 + 12 * index])
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + 12] = b"curv" + bytes(8)  # a curve without entries is the identity
        if tag == b"desc":
            text = data.find("sRGB".encode("utf-16-be"), offset)
            data[text : text + 8] = "line".encode("utf-16-be")
    return bytes(data)


def test_a_colour_profile_that_is_garbage_or_for_another_space_is_passed_over():
    for profile in (b"garbage", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()):
        content = saved(Image.new("RGB", (16, 16), (55, 55, 55)), "PNG", icc_profile=profile)
        assert decode(content).pixels[8, 8].tolist() == [55, 55, 55]


def test_a_broken_exif_block_does_not_cost_the_picture():
    assert decode(saved(gradient(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")).width == 96


def test_zero_bytes_are_refused_with_reason_empty():
    assert reason(b"") == "empty"


@pytest.mark.parametrize("content", [b"\0" * 1000, b"not a picture", b"<svg/>", b"%PDF-1.7"])
def test_garbage_is_refused_with_reason_not_an_image(content: bytes):
    assert reason(content) == "not-an-image"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_cut_picture_is_refused_with_reason_truncated_or_corrupt(kind: str):
    content = saved(gradient(300, 200), kind)
    assert reason(content[: len(content) // 2]) in ("truncated", "corrupt")


def test_a_truncated_jpeg_is_refused_with_reason_truncated_at_every_scale():
    content = saved(gradient(1600, 1200), "JPEG")
    assert {reason(content[: len(content) // 2], long_side=side) for side in (None, 800, 200)} == {"truncated"}


def test_a_picture_that_claims_too_many_pixels_is_refused_before_decoding():
    assert reason(claimed_png(100_000, 100_000)) == "too-many-pixels"
    assert reason(claimed_png(20_000, 10_001)) == "too-many-pixels"


def test_the_pixel_limit_is_the_last_size_that_passes():
    content = saved(gradient(100, 50), "PNG")
    assert decode(content, max_pixels=5000).width == 100
    assert reason(content, max_pixels=4999) == "too-many-pixels"


def test_a_file_above_the_byte_limit_is_refused():
    assert reason(b"x" * 11, max_bytes=10) == "too-many-bytes"


def test_pillows_own_settings_are_as_before():
    before = Image.MAX_IMAGE_PIXELS
    decode(saved(gradient(), "PNG"))
    assert before == Image.MAX_IMAGE_PIXELS


def test_a_photo_of_50_megapixels_decodes_small():
    result = decode(saved(Image.new("RGB", (8660, 5774), "grey"), "JPEG"), 640)
    assert (result.width, result.height, result.scale) == (8660, 5774, 0.125)


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"]), st.integers(0, 200))
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_decoding_gives_a_picture_or_bad_image(noise: bytes, kind: str, where: int):
    content = saved(gradient(24, 16), kind)
    damaged = content[:where] + noise + content[where + len(noise) :]
    try:
        result = decode(damaged, 16)
    except BadImage:
        return
    assert result.pixels.ndim == 3
    assert result.pixels.shape[2] == 3


def test_of_the_hostile_files_33_decode_and_the_others_are_refused(shared_photos: Path):
    decoded = 0
    for path in sorted((shared_photos / "corrupt").iterdir()):
        try:
            decode(path.read_bytes(), 640)
        except BadImage:
            continue
        decoded += 1
    assert decoded == 33


def test_the_eight_orientations_of_one_photo_come_out_alike(shared_photos: Path):
    for form in ("landscape", "portrait"):
        pictures = [
            decode(path.read_bytes()) for path in sorted((shared_photos / "orientation").glob(f"*{form}_*.jpg"))
        ]
        assert len(pictures) == 8
        first = pictures[0].pixels.astype(int)
        assert all(np.abs(picture.pixels - first).mean() < 12 for picture in pictures)


def test_no_warning_of_a_decoder_gets_out(recwarn: pytest.WarningsRecorder):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        decode(saved(gradient(), "TIFF"))
    assert not recwarn.list
