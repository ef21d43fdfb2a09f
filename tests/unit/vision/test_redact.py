"""A redacted face is gone, and the rest of the picture is not."""

from __future__ import annotations

import csv
import io
import pickle
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin
from PIL.IptcImagePlugin import getiptcinfo

from countenance.errors import BadImage, UsageError
from countenance.vision.redact import KEPT, redact

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.records import Box

WIDTH, HEIGHT = 240, 160
BOX: Box = (100, 60, 40, 40)
GONE = np.s_[60:100, 100:140]  # the box itself
AREA = np.s_[44:116, 84:156]  # with its margin, which is 16 pixels at least
FORMATS: list[tuple[str, str, dict[str, Any]]] = [
    ("JPEG", "RGB", {"quality": 80}),
    ("JPEG", "RGB", {"quality": 97, "subsampling": 0, "progressive": True}),
    ("JPEG", "L", {}),
    ("JPEG", "CMYK", {"quality": 90}),
    ("PNG", "RGB", {}),
    ("PNG", "RGBA", {}),
    ("PNG", "L", {}),
    ("PNG", "LA", {}),
    ("PNG", "P", {}),
    ("WEBP", "RGB", {"quality": 80}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "CMYK", {}),
    ("BMP", "RGB", {}),
    ("HEIF", "RGB", {"quality": 80}),
    ("AVIF", "RGB", {"quality": 80}),
]


def scene(mode: str = "RGB", seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    """Smooth colours, with a detailed pattern where the face would be."""
    random = np.random.default_rng(seed)
    rough = random.integers(0, 256, (size[1] // 20 + 2, size[0] // 20 + 2, 3), np.uint8)
    pixels = np.array(Image.fromarray(rough).resize(size, Image.Resampling.BICUBIC))
    left, top, width, height = BOX
    pixels[top : top + height, left : left + width] = np.kron(
        random.integers(0, 256, (height // 4, width // 4, 3)), np.ones((4, 4, 1))
    )
    return Image.fromarray(pixels).convert(mode)


def saved(picture: Image.Image, kind: str, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def shown(content: bytes, mode: str = "RGB") -> np.ndarray:
    with Image.open(io.BytesIO(content)) as picture:
        return np.array(ImageOps.exif_transpose(picture).convert(mode)).astype(float)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(((one - other) ** 2).mean(), 1e-9)))


def outside(pixels: np.ndarray, area: Any = AREA) -> np.ndarray:
    mask = np.ones(pixels.shape[:2], bool)
    mask[area] = False
    return pixels[mask]


@pytest.mark.parametrize(("kind", "mode", "options"), FORMATS)
def test_the_face_is_gone_and_the_rest_is_kept_in_the_same_format(kind: str, mode: str, options: dict) -> None:
    content = saved(scene(mode), kind, **options)
    result = redact(content, [BOX])
    with Image.open(io.BytesIO(result)) as picture:
        assert picture.format == kind
        assert picture.size == (WIDTH, HEIGHT)
    before, after = shown(content), shown(result)
    assert before[GONE].std() > 30
    assert after[GONE].std(axis=(0, 1)).max() < 2
    assert psnr(outside(before), outside(after)) > 36


@pytest.mark.parametrize(("kind", "mode", "options"), [f for f in FORMATS if f[0] in {"PNG", "BMP", "TIFF"}])
def test_a_lossless_format_keeps_every_pixel_outside(kind: str, mode: str, options: dict) -> None:
    content = saved(scene(mode), kind, **options)
    before, after = shown(content, "RGBA"), shown(redact(content, [BOX]), "RGBA")
    assert (outside(before) == outside(after)).all()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([f for f in FORMATS if f[1] != "P"]), st.integers(1, 2**32))
def test_two_pictures_that_differ_only_in_the_face_give_the_same_bytes(form: tuple, seed: int) -> None:
    kind, mode, _ = form
    lossless = {"JPEG": "PNG", "HEIF": "PNG", "AVIF": "PNG"}.get(kind, kind)
    if mode == "CMYK":
        lossless = "TIFF"
    options = {"lossless": True} if lossless == "WEBP" else {}
    one, other = scene(mode), scene(mode)
    left, top, width, height = BOX
    face = scene(mode, seed).crop((left, top, left + width, top + height))
    other.paste(face, (left, top))
    assert one.tobytes() != other.tobytes()
    assert redact(saved(one, lossless, **options), [BOX]) == redact(saved(other, lossless, **options), [BOX])


def test_in_a_jpeg_too_nothing_that_is_left_depends_on_the_face() -> None:
    one, other = scene(), scene()
    other.paste((250, 10, 10), (BOX[0], BOX[1], BOX[0] + BOX[2], BOX[1] + BOX[3]))
    results = [shown(redact(saved(picture, "JPEG", quality=50), [BOX])) for picture in (one, other)]
    assert np.abs(results[0] - results[1]).max() <= 1


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_jpeg_keeps_its_quantisation_and_blocks_away_from_the_box_stay_as_they_were(subsampling: int) -> None:
    content = saved(scene(), "JPEG", quality=60, subsampling=subsampling)
    result = redact(content, [BOX])
    with Image.open(io.BytesIO(content)) as old, Image.open(io.BytesIO(result)) as new:
        assert old.quantization == new.quantization
    assert psnr(outside(shown(content), np.s_[32:128, 64:176]), outside(shown(result), np.s_[32:128, 64:176])) > 45


def test_a_jpeg_on_its_side_is_written_with_its_quantisation_on_its_side() -> None:
    exif = Image.Exif()
    exif[274] = 6
    table = [min(255, 3 + 2 * (index % 8) + 9 * (index // 8)) for index in range(64)]
    content = saved(scene(), "JPEG", qtables=[table, table], subsampling=0, exif=exif)
    result = redact(content, [(0, 0, 8, 8)])
    with Image.open(io.BytesIO(result)) as picture:
        assert picture.quantization[0] == np.array(table).reshape(8, 8).T.ravel().tolist()
    assert psnr(shown(content)[40:], shown(result)[40:]) > 45


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_boxes_are_those_of_the_upright_picture_and_the_result_is_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    upright = scene()
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # to the transposition that stores it so
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    content = saved(stored, kind, exif=exif, **({"quality": 95} if kind in {"JPEG", "WEBP"} else {}))
    assert psnr(shown(content), np.array(upright).astype(float)) > 25
    result = redact(content, [BOX])
    with Image.open(io.BytesIO(result)) as picture:
        assert picture.size == upright.size
        assert picture.getexif().get(274, 1) == 1
    assert shown(result)[GONE].std(axis=(0, 1)).max() < 2
    assert psnr(outside(shown(content)), outside(shown(result))) > 34


def test_every_second_look_at_the_face_is_left_behind() -> None:
    exif = Image.Exif()
    exif[270], exif[315], exif[33432], exif[306] = (
        "SECRET caption",
        "A. Photographer",
        "(c) them",
        "2024:05:01 10:00:00",
    )
    exif[0x8769] = {36867: "2024:05:01 10:00:00", 37500: b"SECRET maker note" * 90, 42033: "SECRET serial"}
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 0.5), 3: "W", 4: (0.0, 7.0, 1.0), 28: b"SECRET area"}
    thumbnail = saved(scene().resize((80, 60)), "JPEG")
    block = exif.tobytes() + b"SECRET" + thumbnail
    jpeg = saved(scene(), "JPEG", exif=block, xmp=b"<x>SECRET mwg-rs:Regions</x>", comment=b"SECRET", dpi=(300, 300))
    irb = b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + len(thumbnail).to_bytes(4) + thumbnail
    marker = b"\xff\xed" + (len(irb) + 2).to_bytes(2) + irb
    content = jpeg[:2] + marker + jpeg[2:] + b"SECRET" + saved(scene(), "JPEG")
    assert content.count(b"SECRET") >= 7
    result = redact(content, [BOX])
    assert b"SECRET" not in result
    assert thumbnail[-200:-140] not in result  # the coded pixels; the tables before them are everyone's
    assert result.count(b"\xff\xd8\xff") == 1
    for marker in (b"8BIM", b"MPF\0", b"http://ns.adobe.com", b"mwg-rs"):
        assert marker not in result
    with Image.open(io.BytesIO(result)) as picture:
        kept = picture.getexif()
        assert (kept[315], kept[33432], kept[306]) == ("A. Photographer", "(c) them", "2024:05:01 10:00:00")
        assert dict(kept.get_ifd(0x8769)) == {36867: "2024:05:01 10:00:00"}
        assert set(kept.get_ifd(0x8825)) == {1, 2, 3, 4}
        assert kept.get_ifd(0x8825)[2] == (51.0, 30.0, 0.5)
        assert picture.info["dpi"] == (300, 300)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
def test_other_formats_too_leave_captions_and_xmp_behind_and_keep_date_and_place(kind: str) -> None:
    exif = Image.Exif()
    exif[270], exif[306] = "SECRET caption", "2024:05:01 10:00:00"
    exif[0x8825] = {1: "N", 2: (51.0, 30.0, 0.5)}
    if kind == "TIFF":
        exif[700] = b"<x>SECRET</x>"
    options: dict[str, Any] = {"exif": exif.tobytes()}
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_text("Comment", "SECRET")
    elif kind != "TIFF":
        options["xmp"] = b"<x>SECRET</x>"
    if kind == "HEIF":
        options["thumbnails"] = [64]
    content = saved(scene(), kind, **options)
    assert content.count(b"SECRET") >= 2
    result = redact(content, [BOX])
    assert b"SECRET" not in result
    with Image.open(io.BytesIO(result)) as picture:
        assert picture.info.get("thumbnails", []) == []
        assert picture.getexif()[306] == "2024:05:01 10:00:00"
        assert picture.getexif().get_ifd(0x8825)[2] == (51.0, 30.0, 0.5)


def test_the_second_picture_of_a_multi_picture_jpeg_is_left_behind() -> None:
    second = scene(seed=5)
    file = io.BytesIO()
    scene().save(file, "MPO", save_all=True, append_images=[second])
    content = file.getvalue()
    assert content.count(b"\xff\xd8\xff") == 2
    result = redact(content, [BOX])
    assert result.count(b"\xff\xd8\xff") == 1
    assert b"MPF\0" not in result
    assert len(result) < 0.75 * len(content)


def test_an_iptc_caption_with_a_name_is_left_behind() -> None:
    caption = b"\x1c\x02\x78" + struct.pack(">H", 11) + b"SECRET name"  # IIM 2:120
    record = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(caption)) + caption + b"\0" * (len(caption) % 2)
    segment = b"Photoshop 3.0\0" + record
    jpeg = saved(scene(), "JPEG")
    content = jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
    with Image.open(io.BytesIO(content)) as picture:
        assert getiptcinfo(picture) == {(2, 120): b"SECRET name"}
    result = redact(content, [BOX])
    assert b"SECRET" not in result
    with Image.open(io.BytesIO(result)) as picture:
        assert not getiptcinfo(picture)


def test_every_kind_of_text_in_a_png_is_left_behind() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Title", "SECRET")
    info.add_text("Comment", "SECRET" * 20, zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x>SECRET mwg-rs:Regions</x>", zip=True)
    info.add(b"prVW", b"SECRET preview")
    result = redact(saved(scene(), "PNG", pnginfo=info) + b"SECRET after the end", [BOX])
    assert b"SECRET" not in result
    with Image.open(io.BytesIO(result)) as picture:
        picture.load()
        assert picture.text == {}
    for chunk in (b"tEXt", b"zTXt", b"iTXt", b"prVW"):
        assert chunk not in result


@pytest.mark.parametrize("kind", ["JPEG", "HEIF", "WEBP"])
def test_the_film_at_the_end_of_a_motion_photo_is_left_behind(kind: str) -> None:
    film = struct.pack(">I", 24) + b"ftypmp42" + b"\0" * 12 + b"SECRET mdat" * 400
    content = saved(scene(), kind) + film + b"MotionPhoto_Data"
    result = redact(content, [BOX])
    assert b"SECRET" not in result
    assert b"ftypmp42" not in result
    assert b"MotionPhoto_Data" not in result


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_what_is_encoded_is_one_colour_under_the_box_so_that_nothing_can_be_recovered(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded = []
    original = Image.fromarray

    def spy(pixels: np.ndarray, *rest: Any) -> Image.Image:
        encoded.append(pixels.copy())
        return original(pixels, *rest)

    content = saved(scene(), kind)
    monkeypatch.setattr(Image, "fromarray", spy)
    redact(content, [BOX])
    (pixels,) = encoded
    assert (pixels[AREA] == pixels[AREA][0, 0]).all()


def test_the_same_picture_with_another_face_gives_the_same_file() -> None:
    other = np.array(scene())
    other[GONE] //= 2
    content, exchanged = saved(scene(), "PNG"), saved(Image.fromarray(other), "PNG")
    assert content != exchanged
    assert redact(content, [BOX]) == redact(exchanged, [BOX])


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP", "AVIF", "HEIF"])
def test_a_file_with_several_pictures_is_refused_with_a_sentence(kind: str) -> None:
    content = saved(scene(), kind, save_all=True, append_images=[scene(seed=1)])
    with pytest.raises(BadImage) as refusal:
        redact(content, [BOX])
    assert "more than one picture" in refusal.value.facts["sentence"]
    assert pickle.loads(pickle.dumps(refusal.value)).facts == refusal.value.facts


def test_more_than_eight_bits_a_channel_are_refused() -> None:
    deep = Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint16))
    for kind in ("PNG", "TIFF"):
        with pytest.raises(BadImage) as refusal:
            redact(saved(deep, kind), [BOX])
        assert "8 bits" in refusal.value.facts["sentence"]


@pytest.mark.parametrize(
    ("mode", "kind"), [("1", "PNG"), ("F", "TIFF"), ("P", "GIF"), ("RGB", "PPM"), ("RGB", "JPEG2000")]
)
def test_what_cannot_be_written_back_is_refused_with_a_sentence(mode: str, kind: str) -> None:
    with pytest.raises(BadImage) as refusal:
        redact(saved(scene(mode), kind), [BOX])
    assert refusal.value.facts["sentence"].endswith(".")


def test_sixteen_bits_a_channel_are_seen_where_the_decoder_would_quietly_drop_them() -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress((b"\0" + bytes(6 * WIDTH)) * HEIGHT)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    with pytest.raises(BadImage) as refusal:
        redact(content, [BOX])
    assert "more than 8 bits" in refusal.value.facts["sentence"]


def test_transparency_of_a_palette_stays_and_the_box_is_opaque() -> None:
    content = saved(scene("P"), "PNG", transparency=0)
    before, after = shown(content, "RGBA"), shown(redact(content, [BOX]), "RGBA")
    assert (outside(before) == outside(after)).all()
    assert (after[AREA][..., 3] == 255).all()


def test_the_box_is_opaque_even_where_the_picture_is_not() -> None:
    picture = scene("RGBA")
    picture.putalpha(40)
    after = shown(redact(saved(picture, "PNG"), [BOX]), "RGBA")
    assert (after[AREA][..., 3] == 255).all()
    assert (outside(after)[..., 3] == 40).all()


def test_an_icc_profile_stays() -> None:
    from PIL import ImageCms  # noqa: PLC0415

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"):
        with Image.open(io.BytesIO(redact(saved(scene(), kind, icc_profile=profile), [BOX]))) as picture:
            assert picture.info["icc_profile"] == profile


@pytest.mark.parametrize("box", [(240, 0, 10, 10), (0, 160, 10, 10), (-20, 0, 20, 20), (5, 5, 0, 5), (5, 5, 5, -1)])
def test_a_box_that_does_not_touch_the_picture_is_refused_because_a_face_would_be_left(box: Box) -> None:
    with pytest.raises(UsageError, match="outside of the picture"):
        redact(saved(scene(), "PNG"), [BOX, box])


def test_no_box_is_refused() -> None:
    with pytest.raises(UsageError, match="no box"):
        redact(saved(scene(), "PNG"), [])


def test_boxes_that_reach_over_the_edge_or_fill_the_picture_are_filled() -> None:
    content = saved(scene(), "PNG")
    assert shown(redact(content, [(-10, -10, 40, 40)]))[:46, :46].std(axis=(0, 1)).max() == 0
    assert (shown(redact(content, [(0, 0, WIDTH, HEIGHT)])) == 128).all()


def test_the_colour_of_one_box_owes_nothing_to_the_face_in_the_next() -> None:
    plain = Image.new("RGB", (WIDTH, HEIGHT), (10, 200, 30))
    plain.paste((255, 0, 0), (100, 60, 140, 100))
    plain.paste((255, 0, 0), (180, 60, 200, 80))
    result = shown(redact(saved(plain, "PNG"), [BOX, (180, 60, 20, 20)]))
    assert (result == (10, 200, 30)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-30, 239), st.integers(-30, 159), st.integers(31, 300), st.integers(31, 300)),
        min_size=1,
        max_size=4,
    )
)
def test_any_boxes_are_each_flat_and_all_else_is_untouched(boxes: list[Box]) -> None:
    content = saved(scene(), "PNG")
    before, after = shown(content), shown(redact(content, boxes))
    touched = np.zeros((HEIGHT, WIDTH), bool)
    for left, top, width, height in boxes:
        x, y = max(16, -(-width // 4)), max(16, -(-height // 4))
        touched[max(0, top - y) : top + height + y, max(0, left - x) : left + width + x] = True
    assert (before[~touched] == after[~touched]).all()
    assert len(np.unique(after[touched].reshape(-1, 3), axis=0)) <= len(boxes)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "not-redactable"), (b"hello", "not-redactable"), (b"\xff\xd8\xff\xe0", "corrupt")]
)
def test_what_is_no_picture_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(BadImage) as refusal:
        redact(content, [BOX])
    assert refusal.value.reason == reason


def test_a_truncated_jpeg_is_refused_with_reason_truncated() -> None:
    with pytest.raises(BadImage) as refusal:
        redact(saved(scene(), "JPEG", quality=95)[:-2000], [BOX])
    assert refusal.value.reason == "truncated"


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FORMATS), st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=8), st.data())
def test_a_damaged_file_is_redacted_or_refused_and_nothing_else(form: tuple, damage: list, data: st.DataObject) -> None:
    kind, mode, options = form
    content = bytearray(saved(scene(mode), kind, **options))
    for place, value in damage:
        content[place % len(content)] = value
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    try:
        result = redact(bytes(content), [(0, 0, 8, 8)])
    except (BadImage, UsageError):
        return
    assert shown(result)[:8, :8].std(axis=(0, 1)).max() < 6


def test_faces_in_group_photos_are_beyond_recovery_and_the_rest_is_as_before(shared_photos: Path) -> None:
    with (shared_photos / "groups_boxes.csv").open() as file:
        rows = list(csv.DictReader(file))
    boxes: dict[str, list[Box]] = {}
    for row in rows:
        box = (int(row["left"]), int(row["top"]), int(row["width"]), int(row["height"]))
        boxes.setdefault(row["path"], []).append(box)
    for path, faces in sorted(boxes.items()):
        content = (shared_photos / path).read_bytes()
        before = shown(content, "L")
        left, top, width, height = box = faces[0]
        after = shown(redact(content, [box]), "L")
        inside = np.s_[max(0, top) : top + height, max(0, left) : left + width]
        face, fill = before[inside], after[inside]
        assert fill.std() < 1.5
        covariance = ((face - face.mean()) * (fill - fill.mean())).mean() / face.var()
        assert abs(covariance) < 0.005
        x, y = max(16, -(-width // 4)), max(16, -(-height // 4))
        area = np.s_[max(0, top - y) : top + height + y, max(0, left - x) : left + width + x]
        assert psnr(outside(before, area), outside(after, area)) > 40


def test_photos_from_cameras_lose_their_thumbnails_and_keep_their_place(shared_photos: Path) -> None:
    checked = 0
    for path in sorted((shared_photos / "geo").glob("*.jpg")):
        content = path.read_bytes()
        try:
            result = redact(content, [(0, 0, 8, 8)])
        except BadImage:
            continue
        assert result.count(b"\xff\xd8\xff") == 1
        with Image.open(io.BytesIO(content)) as old, Image.open(io.BytesIO(result)) as new:
            assert not new.getexif().get_ifd(1)
            before, after = old.getexif().get_ifd(0x8825), new.getexif().get_ifd(0x8825)
            assert set(after) == set(before) & set(KEPT[0x8825])
            assert all(str(after[tag]) == str(before[tag]) for tag in after)  # in words, as a camera may write 0/0
            checked += 1
    assert checked > 20
