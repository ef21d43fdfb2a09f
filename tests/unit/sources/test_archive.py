"""Archives are read in place, and those made to harm do none."""

from __future__ import annotations

import io
import os
import struct
import tarfile
import tracemalloc
import zipfile
from typing import TYPE_CHECKING

import pytest

from countenance.errors import AddressUnreadable, BadImage, SourceError
from countenance.sources import archive as module
from countenance.sources.archive import Archive

if TYPE_CHECKING:
    from pathlib import Path

    from countenance.sources import Content

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4


def contents(path: Path) -> dict[str, Content]:
    return {address.path: content for address, content in Archive(str(path)).photos(lambda _: True)}


def zip_of(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content, method)
    return path


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode, **({"compresslevel": 1} if mode == "w:bz2" else {})) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zip_of(tmp_path / "a.zip", ("bomb.jpg", bytes(4_000_000)), ("bomb", bytes(4_000_000)), ("a.jpg", JPEG))
    opened = []
    real = zipfile.ZipFile.open
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda self, info: opened.append(info.filename) or real(self, info))
    source = Archive(str(path))
    bomb, good = [content for _, content in source.photos(lambda _: True)]
    assert isinstance(bomb, AddressUnreadable)
    assert "200 times" in str(bomb)
    assert good == JPEG
    assert opened == ["a.jpg"]
    assert source.skipped == {"unreadable": 1}


def test_a_zip_whose_members_share_their_bytes_is_refused(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a.jpg", os.urandom(5000)))
    content = path.read_bytes()
    start = content.index(b"PK\1\2")
    end = content.index(b"PK\5\6")
    entry = content[start:end]
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 40, 40, len(entry) * 40, start, 0)
    path.write_bytes(content[:start] + entry * 40 + tail)
    with pytest.raises(SourceError, match="200 times"):
        list(Archive(str(path)).list())


def test_a_zip_member_that_claims_to_be_smaller_than_it_is_is_corrupt(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a.jpg", bytes(300_000)))
    path.write_bytes(path.read_bytes().replace(struct.pack("<L", 300_000), struct.pack("<L", 1000)))
    assert contents(path)["a.jpg"].reason == "corrupt"


def test_a_member_with_a_wrong_checksum_is_corrupt_and_the_next_is_read(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a.jpg", JPEG), ("b.jpg", JPEG + b"b"), method=zipfile.ZIP_STORED)
    content = path.read_bytes()
    path.write_bytes(content.replace(JPEG, JPEG[:-1] + b"x", 1))
    result = contents(path)
    assert result["a.jpg"].reason == "corrupt"
    assert result["b.jpg"] == JPEG + b"b"


def test_an_encrypted_member_is_unreadable_with_a_sentence(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "a.zip", ("a.jpg", JPEG), ("b.jpg", JPEG))
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    result = contents(path)
    assert str(result["a.jpg"]) == "One photo of the source cannot be read: it is encrypted inside its archive."
    assert result["b.jpg"] == JPEG


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_packed_without_a_bound_on_memory_is_not_unpacked(tmp_path: Path, method: int) -> None:
    path = zip_of(tmp_path / "a.zip", ("a.jpg", JPEG), method=method)
    assert "pack it with deflate" in str(contents(path)["a.jpg"])


@pytest.mark.parametrize("name", ["../../etc/x.jpg", "/abs.jpg", "a/../../b.jpg", "C:\\x.jpg", "./a.jpg", "a//b.jpg"])
def test_a_name_that_leads_elsewhere_is_only_a_name(tmp_path: Path, name: str) -> None:
    for path in (zip_of(tmp_path / "z", (name, JPEG)), tar_of(tmp_path / "t", (member(name), JPEG))):
        assert contents(path) == {name: JPEG}
        source = Archive(str(path))
        assert source.read(next(source.list())) == JPEG
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t", "z"]


def test_links_and_devices_in_an_archive_are_counted_and_not_read(tmp_path: Path) -> None:
    path = tar_of(
        tmp_path / "t",
        (member("a.jpg"), JPEG),
        (member("sym.jpg", tarfile.SYMTYPE, "/etc/passwd"), b""),
        (member("hard.jpg", tarfile.LNKTYPE, "a.jpg"), b""),
        (member("dev.jpg", tarfile.CHRTYPE), b""),
        (member("pipe.jpg", tarfile.FIFOTYPE), b""),
        (member("folder.jpg", tarfile.DIRTYPE), b""),
    )
    source = Archive(str(path))
    assert [address.path for address in source.list()] == ["a.jpg"]
    assert source.skipped == {"link": 2, "special": 2}
    link = zipfile.ZipInfo("link.jpg")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    source = Archive(str(zip_of(tmp_path / "z", (link, b"/etc/passwd"), ("dir.jpg/", b""))))
    assert list(source.list()) == []
    assert source.skipped == {"link": 1}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_members_with_the_same_name_the_first_counts(tmp_path: Path) -> None:
    both = [("a.jpg", JPEG), ("a.jpg", b"second")]
    for path in (
        zip_of(tmp_path / "z", *both),
        tar_of(tmp_path / "t", *[(member(name), content) for name, content in both]),
    ):
        source = Archive(str(path))
        (address,) = source.list()
        assert source.skipped == {"repeated": 1}
        assert source.read(address) == JPEG


def test_a_zip_name_without_a_statement_of_its_encoding_keeps_its_bytes(tmp_path: Path) -> None:
    path = zip_of(tmp_path / "z", ("b\x81.jpg", JPEG))
    content = path.read_bytes()
    flagged = "b\x81.jpg".encode()
    for raw in (b"b\xe4\xf6.jpg", "bä.jpg".encode()):
        changed = bytearray(content.replace(flagged, raw))
        for mark, flag in ((b"PK\3\4", 7), (b"PK\1\2", 9)):
            changed[changed.index(mark) + flag] = 0
        path.write_bytes(changed)
        assert [os.fsencode(name) for name in contents(path)] == [raw]


def test_a_zip_time_is_read_as_utc_and_an_impossible_one_as_none(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("a.jpg", (2020, 2, 29, 12, 0, 2))
    path = zip_of(tmp_path / "z", (info, JPEG))
    assert next(Archive(str(path)).list()).modified_ns == 1_582_977_602 * 10**9
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 14 : content.index(b"PK\1\2") + 16] = b"\0\0"
    path.write_bytes(content)
    assert next(Archive(str(path)).list()).modified_ns == 0


@pytest.mark.parametrize(("time", "expected"), [("1.5", 1_500_000_000), ("nan", 0), ("inf", 0), ("-1", 0), ("9e99", 0)])
def test_a_tar_time_that_is_no_time_counts_as_none(tmp_path: Path, time: str, expected: int) -> None:
    info = member("a.jpg")
    info.pax_headers = {"mtime": time}
    assert next(Archive(str(tar_of(tmp_path / "t", (info, JPEG)))).list()).modified_ns == expected


def test_a_tar_that_is_damaged_midway_says_so_after_what_is_sound(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "t", *[(member(f"{n}.jpg"), JPEG) for n in range(3)])
    content = bytearray(path.read_bytes())
    content[content.index(b"2.jpg")] ^= 1
    path.write_bytes(content)
    seen = []
    with pytest.raises(SourceError, match="damaged"):
        seen.extend(address.path for address in Archive(str(path)).list())
    listing = Archive(str(path)).list()
    assert [next(listing).path, next(listing).path] == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_that_ends_too_early_says_so(tmp_path: Path, mode: str) -> None:
    path = tar_of(tmp_path / "t", *[(member(f"{n}.jpg"), os.urandom(9000)) for n in range(30)], mode=mode)
    path.write_bytes(path.read_bytes()[:200_000])
    results: list[Content] = []
    with pytest.raises(SourceError, match="damaged"):
        results.extend(content for _, content in Archive(str(path)).photos(lambda _: True))
    assert all(isinstance(content, bytes) for content in results[:-1])
    assert isinstance(results[-1], BadImage | bytes)


def test_a_tar_that_ends_within_a_header_says_so(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "t", *[(member(f"{n}.jpg"), JPEG) for n in range(2)])
    path.write_bytes(path.read_bytes()[: 512 + 1536 + 100])
    listing = Archive(str(path)).list()
    assert next(listing).path == "0.jpg"
    with pytest.raises(SourceError, match="damaged"):
        next(listing)


def test_members_that_were_passed_are_forgotten(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "t", *[(member(f"{n}.jpg"), b"") for n in range(3000)])
    tracemalloc.start()
    assert sum(1 for _ in Archive(str(path)).list()) == 3000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000  # 64 bits a name; the headers alone would be 3 MB


def test_a_tar_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 1_000_000)
    path = tar_of(tmp_path / "t", (member("a.jpg"), JPEG), (member("b.bin"), bytes(20_000_000)), mode="w:gz")
    listing = Archive(str(path)).list()
    assert next(listing).path == "a.jpg"
    with pytest.raises(SourceError, match="200 times"):
        next(listing)


def test_a_header_that_wants_megabytes_of_memory_for_a_name_is_refused(tmp_path: Path) -> None:
    name = member("././@LongLink", tarfile.GNUTYPE_LONGNAME)
    tar_of(tmp_path / "t", (member("a.jpg"), JPEG), (name, b"x" * 2_000_000), (member("b.jpg"), JPEG))
    listing = Archive(str(tmp_path / "t")).list()
    assert next(listing).path == "a.jpg"
    with pytest.raises(SourceError, match="damaged"):
        next(listing)


def test_a_size_that_leads_backwards_does_not_go_round_for_ever(tmp_path: Path) -> None:
    info = member("b.jpg")
    info.pax_headers = {"size": "-1536"}  # from its data to its own extended header
    path = tar_of(tmp_path / "t", (member("a.jpg"), JPEG), (info, b""))
    with pytest.raises(SourceError, match="damaged"):
        list(Archive(str(path)).list())


def test_a_packed_tar_is_read_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip  # noqa: PLC0415

    path = tar_of(tmp_path / "t", *[(member(f"{n}"), JPEG + bytes([n])) for n in range(40)], mode="w:gz")
    rewinds: list[int] = []
    monkeypatch.setattr(gzip._GzipReader, "_rewind", lambda _: rewinds.append(1))
    assert contents(path) == {str(n): JPEG + bytes([n]) for n in range(40)}
    assert rewinds == []
