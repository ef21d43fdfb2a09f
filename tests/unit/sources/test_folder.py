"""A folder is walked without following a link, and one file of it is changed wholly or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countenance.errors import AddressUnreadable, DiskFull, SourceError, SourceGone
from countenance.records import Address
from countenance.sources.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Callable

JPEG = b"\xff\xd8\xff\xe0 content"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    (tmp_path / "photos" / "a.jpg").write_bytes(JPEG)
    (tmp_path / "photos" / "sub" / "b.jpg").write_bytes(JPEG)
    return tmp_path / "photos"


def paths(source: Folder) -> list[str]:
    return [address.path for address in source.list()]


def address_of(source: Folder, path: str) -> Address:
    return next(address for address in source.list() if address.path == path)


def names_in(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir())


def descriptors() -> set[str]:
    return set(names_in(Path("/proc/self/fd")))


def failing(monkeypatch: pytest.MonkeyPatch, call: str, number: int, when: Callable[..., bool]) -> None:
    real = getattr(os, call)

    def fail(*args: object, **options: object) -> object:
        if when(*args):
            raise OSError(number, os.strerror(number))
        return real(*args, **options)

    monkeypatch.setattr(os, call, fail)


def test_a_folders_own_files_come_before_those_of_its_folders_each_in_order_of_name(place: Path) -> None:
    for name in ("z.jpg", "sub/a.jpg", "Sub/x.jpg", "sub/deep/c.jpg", "sub.jpg"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(JPEG)
    assert paths(Folder(str(place))) == [
        "a.jpg", "sub.jpg", "z.jpg", "Sub/x.jpg", "sub/a.jpg", "sub/b.jpg", "sub/deep/c.jpg",
    ]  # fmt: skip


def test_links_are_not_followed_wherever_they_lead(place: Path) -> None:
    outside = place.parent / "outside.jpg"
    outside.write_bytes(JPEG)
    (place / "in.jpg").symlink_to("a.jpg")
    (place / "out.jpg").symlink_to(outside)
    (place / "broken.jpg").symlink_to("nothing")
    (place / "sub" / "loop").symlink_to(place)
    source = Folder(str(place))
    assert paths(source) == ["a.jpg", "sub/b.jpg"]
    assert source.skipped == {"link": 4}
    for path in ("in.jpg", "out.jpg", "broken.jpg", "sub/loop/a.jpg"):
        with pytest.raises(AddressUnreadable, match="link"):
            source.read(Address(path=path, size=0, modified_ns=0))


def test_the_source_itself_may_be_named_by_a_link(place: Path) -> None:
    (place.parent / "name").symlink_to(place)
    assert paths(Folder(str(place.parent / "name"))) == ["a.jpg", "sub/b.jpg"]


def test_a_link_that_is_swapped_in_between_listing_and_reading_leads_nowhere(place: Path) -> None:
    secret = place.parent / "secret"
    secret.mkdir()
    (secret / "b.jpg").write_bytes(b"secret")
    source = Folder(str(place))
    results = []
    for address, content in source.photos(lambda _: True):
        results.append((address.path, content))
        if address.path == "a.jpg":
            (place / "sub").rename(place.parent / "away")
            (place / "sub").symlink_to(secret)
    assert results == [("a.jpg", JPEG)]
    with pytest.raises(AddressUnreadable):
        source.read(Address(path="sub/b.jpg", size=6, modified_ns=0))
    for change in (source.erase_file, lambda address: source.replace(address, b"x")):
        found = (secret / "b.jpg").stat()
        with pytest.raises(SourceError):
            change(Address(path="sub/b.jpg", size=6, modified_ns=found.st_mtime_ns))
    assert (secret / "b.jpg").read_bytes() == b"secret"


def test_pipes_and_sockets_are_counted_and_never_opened(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(place / "pipe.jpg")
    monkeypatch.chdir(place)  # a socket's path has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.jpg")
        source = Folder(str(place))
        assert paths(source) == ["a.jpg", "sub/b.jpg"]
    assert source.skipped == {"special": 2}
    with pytest.raises(AddressUnreadable, match="not an ordinary file"):
        source.read(Address(path="pipe.jpg", size=0, modified_ns=0))


def test_a_file_system_mounted_inside_is_counted_and_left_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Folder(str(place))
    inner = (place / "sub").stat().st_ino
    real = os.fstat

    def elsewhere(file: int) -> object:
        found = real(file)
        return SimpleNamespace(st_dev=found.st_dev + 1, st_ino=inner) if found.st_ino == inner else found

    monkeypatch.setattr(os, "fstat", elsewhere)
    assert paths(source) == ["a.jpg"]
    assert source.skipped == {"mount": 1}


def test_an_unreadable_folder_is_counted_and_the_rest_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "zoo").mkdir()
    (place / "zoo" / "c.jpg").write_bytes(JPEG)
    failing(monkeypatch, "open", errno.EACCES, lambda path, *_: path == "sub")
    source = Folder(str(place))
    assert paths(source) == ["a.jpg", "zoo/c.jpg"]
    assert source.skipped == {"unreadable": 1}


def test_a_file_that_may_not_be_read_is_listed_and_says_why_when_read(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, "open", errno.EACCES, lambda path, *_: path in {"a.jpg", "unknown"})
    (place / "unknown").write_bytes(JPEG)
    source = Folder(str(place))
    results = {address.path: content for address, content in source.photos(lambda _: True)}
    assert str(results["a.jpg"]) == "One photo of the source cannot be read: permission denied."
    assert results["sub/b.jpg"] == JPEG
    assert source.skipped == {"unreadable": 1}


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_medium_that_fails_for_one_file_is_named(place: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    failing(monkeypatch, "open", number, lambda path, *_: path == "a.jpg")
    with pytest.raises(AddressUnreadable, match="the medium reports"):
        Folder(str(place)).read(Address(path="a.jpg", size=0, modified_ns=0))


def test_a_file_that_vanishes_during_the_listing_is_left_out(place: Path) -> None:
    (place / "b.jpg").write_bytes(JPEG)
    source = Folder(str(place))
    listing = source.list()
    assert next(listing).path == "a.jpg"
    (place / "b.jpg").unlink()
    assert [address.path for address in listing] == ["sub/b.jpg"]


def test_a_source_that_vanishes_midway_says_so_even_after_its_last_folder(place: Path) -> None:
    (place / "sub" / "c.jpg").write_bytes(JPEG)
    for number in (1, 2):  # while files of the first folder are listed, and those of the last
        source = Folder(str(place))
        listing = source.list()
        for _ in range(number):
            next(listing)
        place.rename(place.parent / "away")
        with pytest.raises(SourceGone):
            list(listing)
        (place.parent / "away").rename(place)


def test_an_empty_mount_point_in_place_of_the_source_is_not_taken_for_it(place: Path) -> None:
    source = Folder(str(place))
    place.rename(place.parent / "away")
    place.mkdir()
    with pytest.raises(SourceGone, match="mounted"):
        list(source.list())


def test_a_file_that_grows_while_it_is_read_is_not_taken_for_whole(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fstat
    monkeypatch.setattr(
        os,
        "fstat",
        lambda file: os.stat_result(list(real(file))[:6] + [3] + list(real(file))[7:]),  # noqa: RUF005
    )
    source = Folder.__new__(Folder)
    source._path, source._identity = str(place), None
    with pytest.raises(AddressUnreadable, match="changed while it was read"):
        source.read(Address(path="a.jpg", size=3, modified_ns=0))


def test_a_tree_deeper_than_the_number_of_files_that_may_be_open_is_walked(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    (deep / "x.jpg").write_bytes(JPEG)
    before = descriptors()
    source = Folder(str(tmp_path))
    listing = source.list()
    assert next(listing).path == "d/" * 300 + "x.jpg"
    assert len(descriptors() - before) <= 2
    listing.close()
    assert len(descriptors() - before) == 0


def test_a_file_with_a_known_ending_is_listed_without_being_opened(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    failing(monkeypatch, "open", errno.EIO, lambda path, *_: bool(opened.append(path)))
    assert paths(Folder(str(place))) == ["a.jpg", "sub/b.jpg"]
    assert not {"a.jpg", "b.jpg"} & set(opened)


NAMES = st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & {0, 47} and not name.startswith(b"."))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=12))
def test_any_tree_with_any_names_is_listed_once_and_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: set[tuple[bytes, ...]]
) -> None:
    place = tmp_path_factory.mktemp("tree")
    made = {}
    for parts in names:
        path = place.joinpath(
            *[os.fsdecode(b"d" + part) for part in parts[:-1]], os.fsdecode(b"f" + parts[-1] + b".jpg")
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(JPEG + parts[-1])
        made[str(path.relative_to(place))] = JPEG + parts[-1]
    source = Folder(str(place))
    listed = [(address.path, content) for address, content in source.photos(lambda _: True)]
    assert dict(listed) == made
    assert len(listed) == len(made)


def test_erasing_says_how_many_other_names_the_file_still_has(place: Path) -> None:
    (place / "same.jpg").hardlink_to(place / "a.jpg")
    source = Folder(str(place))
    first, second = address_of(source, "a.jpg"), address_of(source, "same.jpg")
    with pytest.raises(SourceError, match="hard links"):
        source.replace(first, b"redacted")
    assert source.erase_file(first) == 1
    assert source.erase_file(second) == 0


@pytest.mark.parametrize("change", ["size", "time", "kind"])
def test_a_file_that_is_no_longer_the_one_listed_is_not_changed(place: Path, change: str) -> None:
    source = Folder(str(place))
    address = address_of(source, "a.jpg")
    if change == "kind":
        (place / "a.jpg").unlink()
        (place / "a.jpg").symlink_to("sub/b.jpg")
    else:
        (place / "a.jpg").write_bytes(JPEG if change == "time" else JPEG + b"more")
        os.utime(place / "a.jpg", ns=(1, address.modified_ns + (change == "time")))
    before = sorted((path, path.lstat().st_mtime_ns) for path in place.rglob("*"))
    for act in (source.erase_file, lambda address: source.replace(address, b"x")):
        with pytest.raises(SourceError, match="has changed since it was listed"):
            act(address)
    assert sorted((path, path.lstat().st_mtime_ns) for path in place.rglob("*")) == before


def test_a_file_whose_folder_has_gone_counts_as_erased_but_cannot_be_replaced(place: Path) -> None:
    source = Folder(str(place))
    address = address_of(source, "sub/b.jpg")
    (place / "sub" / "b.jpg").unlink()
    (place / "sub").rmdir()
    assert source.erase_file(address) == 0
    with pytest.raises(SourceError, match="not there any more"):
        source.replace(address, b"x")


def test_replacing_keeps_the_permissions_and_returns_what_a_new_listing_says(place: Path) -> None:
    (place / "a.jpg").chmod(0o640)
    source = Folder(str(place))
    changed = source.replace(address_of(source, "a.jpg"), b"redacted")
    assert stat.S_IMODE((place / "a.jpg").stat().st_mode) == 0o640
    assert address_of(source, "a.jpg") == changed
    assert names_in(place) == ["a.jpg", "sub"]


@pytest.mark.parametrize(
    ("call", "number", "error"),
    [
        ("fsync", errno.EIO, SourceError),
        ("fsync", errno.ENOSPC, DiskFull),
        ("replace", errno.EACCES, SourceError),
        ("fchmod", errno.EDQUOT, DiskFull),
    ],
)
def test_a_replacement_that_fails_leaves_the_old_file_and_nothing_else(
    place: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, error: type[Exception]
) -> None:
    source = Folder(str(place))
    address = address_of(source, "a.jpg")
    failing(monkeypatch, call, number, lambda *_: True)
    with pytest.raises(error):
        source.replace(address, b"redacted")
    assert (place / "a.jpg").read_bytes() == JPEG
    assert names_in(place) == ["a.jpg", "sub"]


def test_an_erasure_is_durable_before_it_counts(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Folder(str(place))
    address = address_of(source, "a.jpg")
    failing(monkeypatch, "fsync", errno.EIO, lambda *_: True)
    with pytest.raises(SourceError, match="cannot be changed: the medium reports"):
        source.erase_file(address)
    monkeypatch.undo()
    failing(monkeypatch, "fsync", errno.EINVAL, lambda *_: True)  # a file system that cannot do it for folders
    assert source.erase_file(address_of(source, "sub/b.jpg")) == 0


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("call", ["fchmod", "replace"])
def test_what_a_crash_leaves_is_not_listed_and_is_removed_by_the_next_listing_or_the_next_try(
    place: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    source = Folder(str(place))
    address = address_of(source, "a.jpg")

    def killed(*_: object, **__: object) -> None:
        raise Killed

    for again in (lambda: paths(source), lambda: source.replace(address, b"redacted")):
        with monkeypatch.context() as patch:
            patch.setattr(os, call, killed)
            with pytest.raises(Killed):
                source.replace(address, b"redacted")
        (left,) = set(names_in(place)) - {"a.jpg", "sub"}
        assert left.startswith(".countenance-redacted-")
        assert (place / "a.jpg").read_bytes() == JPEG
        again()
        assert names_in(place) == ["a.jpg", "sub"]
    assert (place / "a.jpg").read_bytes() == b"redacted"


def test_a_listing_leaves_alone_what_a_living_process_is_writing(place: Path) -> None:
    busy = place / ".countenance-redacted-0123456789abcdef"
    with busy.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert paths(Folder(str(place))) == ["a.jpg", "sub/b.jpg"]
        assert busy.exists()
    assert paths(Folder(str(place))) == ["a.jpg", "sub/b.jpg"]
    assert not busy.exists()


def test_a_half_written_picture_can_be_read_by_its_owner_only(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Folder(str(place))
    address = address_of(source, "a.jpg")
    modes = []
    real = os.fchmod

    def spy(file: int, mode: int) -> None:
        modes.append(stat.S_IMODE(os.fstat(file).st_mode))
        real(file, mode)

    monkeypatch.setattr(os, "fchmod", spy)
    source.replace(address, b"redacted")
    assert modes == [0o600]


def test_companions_are_never_looked_for_behind_a_link(place: Path, tmp_path: Path) -> None:
    (tmp_path / "outside" / "a.jpg").mkdir(parents=True)
    (tmp_path / "outside" / "a.jpg" / "SYNOPHOTO_THUMB_M.jpg").write_bytes(JPEG)
    (place / "@eaDir").symlink_to(tmp_path / "outside")
    (place / "a.jpg.xmp").symlink_to(tmp_path / "outside")
    (place / "sub" / "@eaDir").mkdir()
    (place / "sub" / "@eaDir" / "b.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    found = Folder(str(place)).companions(["a.jpg", "sub/b.jpg"])
    listed = {c.path: c.kind for companions in found.values() for c in companions}
    assert listed == {"a.jpg.xmp": "link", "sub/@eaDir/b.jpg": "link"}


def test_a_companion_that_becomes_a_link_or_another_file_meanwhile_is_not_touched(place: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.xmp").write_bytes(b"outside")
    (place / "a.xmp").write_bytes(b"first")
    source = Folder(str(place))
    address = source.find("a.xmp")
    assert address
    (place / "a.xmp").unlink()
    (place / "a.xmp").symlink_to(tmp_path / "outside.xmp")
    for change in (lambda: source.erase_file(address), lambda: source.replace(address, b"new")):
        with pytest.raises(SourceError, match="has changed since"):
            change()
    with pytest.raises(AddressUnreadable, match="not an ordinary file"):
        source.find("a.xmp")
    assert (tmp_path / "outside.xmp").read_bytes() == b"outside"


def test_where_a_folder_cannot_be_listed_the_companions_of_its_photos_are_said_to_be_unknown(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "@eaDir" / "a.jpg").mkdir(parents=True)
    source = Folder(str(place))
    before = descriptors()
    failing(monkeypatch, "open", errno.EACCES, lambda path, *_: path == "@eaDir")
    found = source.companions(["a.jpg", "sub/b.jpg"])
    assert {path: [(c.path, c.kind) for c in companions] for path, companions in found.items()} == {
        "a.jpg": [("a.jpg", "unlisted")]
    }
    assert descriptors() == before


def test_the_folder_of_a_photos_thumbnails_goes_with_the_last_of_them_and_not_before(place: Path) -> None:
    thumbnails = place / "@eaDir" / "a.jpg"
    thumbnails.mkdir(parents=True)
    for name in ("SYNOPHOTO_THUMB_M.jpg", "SYNOPHOTO_THUMB_S.jpg"):
        (thumbnails / name).write_bytes(JPEG)
    source = Folder(str(place))
    for number, companion in enumerate(source.companions(["a.jpg"])["a.jpg"]):
        address = source.find(companion.path)
        assert address
        source.erase_file(address)
        assert thumbnails.exists() == (number == 0)
    assert (place / "@eaDir").exists()
