"""What every source must do, whichever opener it has. A new opener adds a maker to `MAKERS`."""

from __future__ import annotations

import io
import os
import tarfile
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from countenance import sources
from countenance.errors import AddressUnreadable, SourceError, SourceGone, UsageError
from countenance.records import Address

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Files = dict[str, bytes]
    Maker = Callable[[Path, Files], Path]

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(200))
FILES: dict[str, bytes] = {
    "a.jpg": JPEG,
    "b/2.PNG": b"\x89PNG\r\n\x1a\n" + b"two",
    "b/10.png": b"\x89PNG\r\n\x1a\n" + b"ten",
    "b/wrong ending.txt": JPEG + b"wrong ending",
    "b/no ending": b"GIF89a" + b"no ending",
    "b/c/ä ö.jpg": JPEG + b"umlaut",
    os.fsdecode(b"b/c/latin-\xe4.jpg"): JPEG + b"latin",
    "b/c/new\nline.jpg": JPEG + b"line",
    "b/empty.jpg": b"",
    "z.heic": b"\0\0\0\x18ftypheic" + b"z",
}
SKIPPED: dict[str, bytes] = {
    "notes.txt": b"no picture",
    "b/film.mp4": b"\0\0\0\x18ftypisom",
    "b/more.zip": b"PK\3\4 nested",
    "b/more.tgz": b"\x1f\x8b nested",
    ".git/x.jpg": JPEG,
    "@eaDir/x.jpg": JPEG,
    "b/__MACOSX/x.jpg": JPEG,
    "b/._a.jpg": JPEG,
}


def folder(place: Path, files: Files) -> Path:
    for name, content in files.items():
        (place / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "photos" / name).write_bytes(content)
    (place / "photos").mkdir(exist_ok=True)
    return place / "photos"


class Unflagged(zipfile.ZipInfo):
    """A name as Unix tools store it: bytes that do not say their encoding."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:  # noqa: N802
        return os.fsencode(self.filename), 0


def zipped(place: Path, files: Files) -> Path:
    with zipfile.ZipFile(place / "photos.bin", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(Unflagged(name, (2023, 11, 14, 22, 13, 20)), content)
    return place / "photos.bin"


def tarred(mode: str, **options: int) -> Maker:
    def make(place: Path, files: Files) -> Path:
        with tarfile.open(place / "photos.bin", mode, format=tarfile.GNU_FORMAT, **options) as archive:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size, info.mtime = len(content), 1_700_000_000
                archive.addfile(info, io.BytesIO(content))
        return place / "photos.bin"

    return make


MAKERS: dict[str, dict[str, Maker]] = {
    "folder": {"folder": folder},
    "archive": {
        "zip": zipped,
        "tar": tarred("w"),
        "tar.gz": tarred("w:gz", compresslevel=1),
        "tar.bz2": tarred("w:bz2", compresslevel=1),
        "tar.xz": tarred("w:xz", preset=0),
    },
}
EACH = pytest.mark.parametrize(
    ("kind", "make"),
    [pytest.param(kind, make, id=name) for kind, makers in MAKERS.items() for name, make in makers.items()],
)


def test_every_opener_is_held_to_these_tests() -> None:
    assert set(MAKERS) == set(sources.OPENERS)


@EACH
def test_the_kind_is_told_by_what_is_there_and_not_by_its_name(kind: str, make: Maker, tmp_path: Path) -> None:
    assert sources.kind_of(str(make(tmp_path, FILES))) == kind


@EACH
def test_all_pictures_are_listed_and_the_rest_is_counted(kind: str, make: Maker, tmp_path: Path) -> None:
    with sources.open(kind, str(make(tmp_path, FILES | SKIPPED))) as source:
        listed = {address.path: address.size for address in source.list()}
        assert listed == {path: len(content) for path, content in FILES.items()}
        assert source.skipped == {"not-a-picture": 2, "archive": 2, "hidden": 4}
        assert set(source.skipped) <= set(sources.SKIPPED)


NOTES = {
    "robots.txt": b"r" * 700,
    ".well-known/tdmrep.json": b"[]",
    "b/c/a.jpg.xmp": b"sidecar",
    ".git/a.xmp": b"hidden",
    ".hidden.xmp": b"hidden",
}


@EACH
def test_what_stands_beside_photos_is_read_as_far_as_was_asked(kind: str, make: Maker, tmp_path: Path) -> None:
    wanted = {*FILES, *NOTES} - {"b/c/ä ö.jpg"}
    with sources.open(kind, str(make(tmp_path, FILES | SKIPPED | NOTES))) as source:
        list(source.list())
        skipped = source.skipped.copy()
        notes = dict(source.notes(lambda path: path in NOTES, 600))
        assert notes == {
            "robots.txt": b"r" * 600,
            ".well-known/tdmrep.json": b"[]",
            "b/c/a.jpg.xmp": b"sidecar",
        }
        assert {path for path, _ in source.notes(wanted.__contains__, 1)} == wanted - {".git/a.xmp", ".hidden.xmp"}
        assert source.skipped == skipped


@EACH
def test_two_listings_are_equal_so_that_one_can_be_resumed(kind: str, make: Maker, tmp_path: Path) -> None:
    location = str(make(tmp_path, FILES | SKIPPED))
    with sources.open(kind, location) as source:
        first = list(source.list())
        half = next(iter(source.list()))
        skipped_before = source.skipped.copy()
        assert half == first[0]
        assert list(source.list()) == first
        assert sum(source.skipped.values()) >= sum(skipped_before.values())
    with sources.open(kind, location) as again:
        assert list(again.list()) == first


@EACH
def test_every_address_is_unique_and_says_size_and_time(kind: str, make: Maker, tmp_path: Path) -> None:
    with sources.open(kind, str(make(tmp_path, FILES))) as source:
        addresses = list(source.list())
    assert len({address.path for address in addresses}) == len(addresses)
    assert all(address.modified_ns >= 0 for address in addresses)
    assert any(address.modified_ns > 0 for address in addresses)


@EACH
def test_photos_come_in_listing_order_and_only_the_wanted_are_read(kind: str, make: Maker, tmp_path: Path) -> None:
    with sources.open(kind, str(make(tmp_path, FILES))) as source:
        order = [address.path for address in source.list() if address.size > 210]
        got = [(address.path, content) for address, content in source.photos(lambda address: address.size > 210)]
    assert [path for path, _ in got] == order
    assert dict(got) == {path: content for path, content in FILES.items() if len(content) > 210}


@EACH
def test_each_file_can_be_read_alone_also_by_an_address_that_was_stored(kind: str, make: Maker, tmp_path: Path) -> None:
    with sources.open(kind, str(make(tmp_path, FILES))) as source:
        for path, content in FILES.items():
            assert source.read(Address(path=path, size=0, modified_ns=0)) == content


@EACH
def test_a_file_that_is_not_there_is_unreadable_with_a_sentence(kind: str, make: Maker, tmp_path: Path) -> None:
    with sources.open(kind, str(make(tmp_path, FILES))) as source:
        for path in (
            "gone.jpg",
            "b/gone.jpg",
            "gone/x.jpg",
            "../x.jpg",
            "/etc/passwd",
            "b/../a.jpg",
            "",
            "b",
            "a\0.jpg",
        ):
            with pytest.raises(AddressUnreadable, match=r"cannot be read: .*\.$"):
                source.read(Address(path=path, size=0, modified_ns=0))


@EACH
def test_a_file_above_the_limit_is_refused_and_not_read(
    kind: str, make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = str(make(tmp_path, {"a.jpg": JPEG, "b.jpg": JPEG * 2}))
    for module in ("folder", "archive"):
        monkeypatch.setattr(f"countenance.sources.{module}.LIMIT", len(JPEG))
    with sources.open(kind, location) as source:
        first, second = [content for _, content in source.photos(lambda _: True)]
    assert first == JPEG
    assert getattr(second, "reason", None) == "too-many-bytes"


@EACH
def test_a_source_that_vanishes_says_so(kind: str, make: Maker, tmp_path: Path) -> None:
    place = make(tmp_path, FILES)
    with sources.open(kind, str(place)) as source:
        address = next(iter(source.list()))
        place.rename(tmp_path / "elsewhere")
        with pytest.raises(SourceGone, match="cannot be reached any more"):
            list(source.list())
        with pytest.raises(SourceGone):
            list(source.photos(lambda _: True))
        with pytest.raises(SourceGone):
            source.read(address)


@EACH
def test_a_source_erases_a_file_or_says_that_it_cannot(kind: str, make: Maker, tmp_path: Path) -> None:
    place = make(tmp_path, FILES)
    with sources.open(kind, str(place)) as source:
        addresses = list(source.list())
        if not source.writable:
            before = place.read_bytes()
            for change in (
                lambda: source.part(addresses[0], 0, 9),
                lambda: source.erase_file(addresses[0]),
                lambda: source.replace(addresses[0], b"new"),
            ):
                with pytest.raises(SourceError, match="worklist"):
                    change()
            assert place.read_bytes() == before
            return
        assert source.part(addresses[0], 2, 5) == source.read(addresses[0])[2:7]
        assert source.erase_file(addresses[0]) == 0
        assert list(source.list()) == addresses[1:]
        with pytest.raises(AddressUnreadable):
            source.read(addresses[0])
        assert source.erase_file(addresses[0]) == 0  # resumed
        changed = source.replace(addresses[1], b"new content")
        assert source.read(changed) == b"new content"
        assert changed != addresses[1]
        assert list(source.list()) == [changed, *addresses[2:]]


@EACH
def test_a_single_file_is_found_as_it_is_now_or_not_at_all(kind: str, make: Maker, tmp_path: Path) -> None:
    with sources.open(kind, str(make(tmp_path, FILES))) as source:
        for address in source.list():
            assert source.find(address.path) == address
        assert source.find("gone.jpg") is None
        assert source.find("gone/x.jpg") is None


@EACH
def test_the_companions_of_a_photo_can_be_erased_or_there_are_none(kind: str, make: Maker, tmp_path: Path) -> None:
    beside = {"b/2.PNG.xmp": b"<x/>", "b/@eaDir/2.PNG/SYNOPHOTO_THUMB_M.jpg": JPEG, "b/Thumbs.db": b"thumbnails"}
    with sources.open(kind, str(make(tmp_path, FILES | beside))) as source:
        found = source.companions(["a.jpg", "b/2.PNG", "b/gone.jpg", "gone/gone.jpg"])
        if not source.writable:
            assert found == {}
            return
        assert {path: {c.path for c in companions} for path, companions in found.items()} == {
            "b/2.PNG": set(beside),
            "b/gone.jpg": {"b/Thumbs.db"},
        }
        for path in beside:
            address = source.find(path)
            assert address
            assert source.read(address) == beside[path]
            assert source.erase_file(address) == 0
        assert source.companions(["b/2.PNG"]) == {}
        assert not (tmp_path / "photos" / "b" / "@eaDir" / "2.PNG").exists()


@EACH
def test_nothing_but_the_changed_file_is_ever_written(kind: str, make: Maker, tmp_path: Path) -> None:
    place = make(tmp_path, FILES | {"../outside.jpg": JPEG, "/abs.jpg": JPEG} if kind == "archive" else FILES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with sources.open(kind, str(place)) as source:
        assert sum(1 for _ in source.photos(lambda _: True)) >= len(FILES)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@EACH
def test_listing_needs_memory_for_names_only(kind: str, make: Maker, tmp_path: Path) -> None:
    files = {f"{index // 50}/{index}.jpg": os.urandom(20_000) for index in range(150)}
    location = str(make(tmp_path, files))
    with sources.open(kind, location) as source:
        list(source.list())
        tracemalloc.start()
        for _ in source.list():
            pass
        listing = tracemalloc.get_traced_memory()[1]
        for _ in source.photos(lambda _: True):
            pass
        reading = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert listing < 1_200_000  # of 3 MB of pictures; bzip2 alone takes 0.9 MB to unpack
    assert reading < 1_200_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(sorted(MAKERS["archive"])),
    st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
@example("tar.gz", [], 0.5234375)  # ends in the first bytes of a member
def test_a_damaged_archive_gives_what_is_sound_or_one_of_our_errors(
    tmp_path: Path, name: str, damage: list[tuple[int, int]], cut: float
) -> None:
    place = MAKERS["archive"][name](tmp_path, FILES | SKIPPED)
    content = bytearray(place.read_bytes())
    for where, value in damage:
        content[where % len(content)] = value
    place.write_bytes(content[: int(len(content) * cut)] if cut > 0.5 else content)
    try:
        with sources.open("archive", str(place)) as source:
            for _, content_or_error in source.photos(lambda _: True):
                assert isinstance(content_or_error, bytes | AddressUnreadable | sources.opened.BadImage)
    except (SourceError, UsageError):
        pass


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(UsageError, match="The kinds are: folder, archive"):
        sources.open("crawler", "x")


@pytest.mark.parametrize("location", ["https://example.org/photos", "s3://bucket", "ftp://example.org"])
def test_nothing_is_fetched_from_a_network(location: str) -> None:
    with pytest.raises(UsageError, match="on this machine"):
        sources.kind_of(location)


def test_what_is_not_there_or_is_neither_folder_nor_archive_is_refused_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(JPEG)
    (tmp_path / "a.tar.gz").write_bytes(b"\x1f\x8b not really")
    os.mkfifo(tmp_path / "pipe")
    for name in ("a.zip", "a.tar.gz", "pipe"):
        with pytest.raises(UsageError, match="A source is a folder"):
            sources.kind_of(str(tmp_path / name))
        with pytest.raises(UsageError, match="A source is a folder"):
            sources.open("archive", str(tmp_path / name))
    for kind in sources.OPENERS:
        with pytest.raises(SourceGone):
            sources.open(kind, str(tmp_path / "nothing"))
    with pytest.raises(SourceGone):
        sources.kind_of(str(tmp_path / "nothing"))
    with pytest.raises(UsageError):
        sources.kind_of("a\0b")
    with pytest.raises(UsageError, match="not a folder"):
        sources.open("folder", str(tmp_path / "a.zip"))
    with pytest.raises(UsageError):
        sources.open("archive", str(tmp_path))
