"""A zip or tar archive of photos, read in place: nothing is unpacked to disk, so a member's name leads nowhere.

A zip is listed in the order of its central directory (about 600 bytes of memory a member), a tar in the order it is
stored, in one pass, with one member in memory. Neither is written to.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Self, cast

from countenance.errors import AddressUnreadable, BadImage, SourceError, SourceGone, UsageError
from countenance.records import Address
from countenance.sources.opened import HEAD, LIMIT, WELL_KNOWN, Content, Fetch, hidden, sift, unchangeable, unwanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Literal

    from countenance.sources.companion import Companion

    Form = Literal["zip", "", "gz", "bz2", "xz"]
    Member = tuple[Address, Fetch]

RATIO = 200
"""What unpacks to more than this many times its size is a bomb: deflate reaches 1,032 on zeros, a photo as BMP 3. It
counts for a member above 1 MB, and for a whole tar above `LIMIT`, as a hundred copies of one photo are still honest."""

_ZIP = (b"PK\3\4", b"PK\5\6")  # a first member, or none
_TAR = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}
_UNPACK: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    "": lambda file: file,
    "gz": lambda file: cast("IO[bytes]", gzip.GzipFile(fileobj=file)),
    "bz2": lambda file: cast("IO[bytes]", bz2.BZ2File(file)),
    "xz": lambda file: cast("IO[bytes]", lzma.LZMAFile(file)),  # noqa: SIM115 (closed with its file)
}
_DAMAGE = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError),
    *(ValueError, OverflowError, struct.error, NotImplementedError),  # what the readers also raise on damage
)
_LOCKED = 0x1 | 0x20 | 0x40  # zip flags: encrypted, patched, strongly encrypted
_LONGEST_NAME = 2**20  # bytes of a tar's extended header; names have at most 4,096
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_BOMB = "The archive unpacks to more than {ratio} times its size, which photos do not. It was not read further."
_DAMAGED = "The archive is damaged, and what comes after the damage cannot be read. What came before is kept."


class Archive:
    """An open archive. It holds no descriptor between calls."""

    writable = False

    def __init__(self, location: str) -> None:
        self.skipped: Counter[str] = Counter()
        self._path = os.path.realpath(location)
        self._members, self._notes = (_zip, _zip_notes) if form_of(self._path) == "zip" else (_tar, _tar_notes)

    def list(self) -> Iterator[Address]:
        """Yield members in stored order; of those with the same name, the first."""
        self.skipped.clear()
        return (address for address, _ in self._members(self._path, self.skipped))

    def photos(self, wanted: Callable[[Address], bool]) -> Iterator[tuple[Address, Content]]:
        """Read the wanted members in one pass."""
        self.skipped.clear()
        return sift(self._members(self._path, self.skipped), wanted)

    def notes(self, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, bytes]]:
        """Look through the archive once more, and unpack only what is wanted."""
        seen: set[int] = set()

        def chosen(name: str) -> bool:
            open_to_all = not hidden(name) or name.startswith(WELL_KNOWN)
            return open_to_all and wanted(name) and not _repeats(name, seen)

        for name, fetch in self._notes(self._path, chosen, most):
            with suppress(AddressUnreadable, BadImage):
                yield name, fetch()

    def read(self, address: Address) -> bytes:
        """Look through the archive for one member and return its content."""
        for found, fetch in self._members(self._path, Counter()):
            if found.path == address.path:
                return fetch()
        raise AddressUnreadable(why="it is not in the archive any more")

    def find(self, path: str) -> Address | None:
        """Look through the archive for one member."""
        return next((found for found, _ in self._members(self._path, Counter()) if found.path == path), None)

    def companions(self, paths: Iterable[str]) -> dict[str, Sequence[Companion]]:  # noqa: ARG002
        """Give none: nothing here is changed, and who removes the photo from the archive has the whole archive."""
        return {}

    def part(self, address: Address, at: int, size: int) -> bytes:  # noqa: ARG002 - as the protocol has it
        """Refuse: members are packed."""
        raise unchangeable()

    def erase_file(self, address: Address) -> int:  # noqa: ARG002
        """Refuse: an archive is not changed."""
        raise unchangeable()

    def replace(self, address: Address, content: bytes) -> Address:  # noqa: ARG002
        """Refuse: an archive is not changed."""
        raise unchangeable()

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def form_of(path: str) -> Form:
    """Return which archive the file at `path` is, by its first bytes: "zip", or how a tar is packed.

    Raises:
        UsageError: it is neither.
        SourceGone: it is not there, or may not be read.
    """
    with _file(path) as file:
        head = file.read(HEAD)
        if head.startswith(_ZIP):
            return "zip"
        form = next((form for mark, form in _TAR.items() if head.startswith(mark)), "")
        file.seek(0)
        try:
            tarfile.TarInfo.frombuf(_UNPACK[form](file).read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        except (*_DAMAGE, OSError) as error:
            if isinstance(error, OSError) and _gone(error):
                raise
            raise UsageError("A source is a folder, or a zip or tar archive (plain, gzip, bzip2 or xz).") from None
    return cast("Form", form)


@contextmanager
def _file(path: str) -> Iterator[IO[bytes]]:
    """Open the archive's file."""
    with _sound(), os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError("A source is a folder or an archive; this is a device or pipe.")
        yield file


@contextmanager
def _sound() -> Iterator[None]:
    """Tell a medium that fails from an archive that is damaged."""
    try:
        yield
    except IsADirectoryError:
        raise UsageError("A source is a folder or an archive; this is a folder.") from None
    except _DAMAGE:
        raise SourceError(_DAMAGED) from None
    except OSError as error:
        raise _gone(error) or SourceError(_DAMAGED) from None


def _gone(error: OSError) -> SourceGone | None:
    """Return what to say of a failing medium, or None where a reader failed: no number, or a seek below zero."""
    return None if error.errno in {None, errno.EINVAL} else SourceGone(why=os.strerror(error.errno or 0).lower())


@contextmanager
def _reading() -> Iterator[None]:
    """Say of one member what is wrong with it."""
    try:
        yield
    except (EOFError, tarfile.ReadError):
        raise BadImage("truncated") from None
    except _DAMAGE:
        raise BadImage("corrupt") from None
    except OSError as error:
        raise _gone(error) or BadImage("corrupt") from None


def _zip(path: str, skipped: Counter[str]) -> Iterator[Member]:
    seen: set[int] = set()
    for archive, info, name in _zip_members(path):
        reason = _zip_reason(archive, info, name)
        if reason is None and _repeats(name, seen):
            reason = "repeated"
        if reason is not None:
            skipped[reason] += 1
            continue
        address = Address(path=name, size=info.file_size, modified_ns=_zip_time(info))
        yield address, lambda archive=archive, info=info: _zip_read(archive, info)  # type: ignore[misc]


def _zip_notes(path: str, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, Fetch]]:
    for archive, info, name in _zip_members(path):
        if _zip_special(info) is None and wanted(name):
            yield name, lambda archive=archive, info=info: _zip_read(archive, info, most)  # type: ignore[misc]


def _zip_members(path: str) -> Iterator[tuple[zipfile.ZipFile, zipfile.ZipInfo, str]]:
    """Yield each member that is no folder, with the open archive and the member's name."""
    with _file(path) as file:
        archive = zipfile.ZipFile(file)
        if sum(info.compress_size for info in archive.infolist()) > os.fstat(file.fileno()).st_size:
            raise SourceError(_BOMB.format(ratio=RATIO))  # members that share their bytes
        for info in archive.infolist():
            name = _zip_name(info)
            if not name.endswith("/"):
                yield archive, info, name


def _zip_name(info: zipfile.ZipInfo) -> str:
    """Undo the reader's guess of code page 437: without a flag the bytes are mostly UTF-8, and always bytes."""
    if info.flag_bits & 0x800:
        return info.filename
    return info.orig_filename.partition("\0")[0].encode("cp437").decode("utf-8", "surrogateescape")


def _zip_time(info: zipfile.ZipInfo) -> int:
    """Return the DOS time as if it were UTC (a zip does not say the zone); 0 where it is no date."""
    try:
        return int(datetime(*info.date_time, tzinfo=UTC).timestamp()) * 10**9
    except ValueError:
        return 0


def _zip_reason(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> str | None:
    if hidden(name):
        return "hidden"
    if special := _zip_special(info):
        return special
    try:
        return unwanted(name, lambda: _zip_read(archive, info, HEAD))
    except (AddressUnreadable, BadImage):
        return "unreadable"


def _zip_special(info: zipfile.ZipInfo) -> str | None:
    mode = info.external_attr >> 16
    if info.create_system == 3 and stat.S_IFMT(mode) not in {0, stat.S_IFREG}:  # noqa: PLR2004 (3: Unix)
        return "link" if stat.S_ISLNK(mode) else "special"
    return None


def _zip_read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int = -1) -> bytes:
    """Unpack one member; the reader stops at the size that the directory gives and checks the CRC at the end."""
    if info.flag_bits & _LOCKED:
        raise AddressUnreadable(why="it is encrypted inside its archive")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:  # others unpack without a bound on memory
        raise AddressUnreadable(why="it is packed in a way that is not read; pack it with deflate")
    if limit < 0 and info.file_size > LIMIT:
        raise BadImage("too-many-bytes")
    if info.file_size > RATIO * info.compress_size + 2**20:
        raise AddressUnreadable(why=f"it unpacks to more than {RATIO} times its size, which photos do not")
    with _reading(), archive.open(info) as member:
        return member.read(limit)


class _Header(tarfile.TarInfo):
    """A header that is refused where the standard reader would take damage for the end, or read without a bound."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        if 0 < len(buf) < tarfile.BLOCKSIZE:
            raise SourceError(_DAMAGED)
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.InvalidHeaderError:  # type: ignore[attr-defined]
            raise SourceError(_DAMAGED) from None
        if header.size < 0 or (header.type in _EXTENDED and header.size > _LONGEST_NAME):
            raise SourceError(_DAMAGED)
        return header


def _tar(path: str, skipped: Counter[str]) -> Iterator[Member]:
    seen: set[int] = set()
    for archive, info in _tar_members(path):
        member = _TarMember(archive, info)
        reason = member.reason()
        if reason is None and _repeats(info.name, seen):
            reason = "repeated"
        if reason is not None:
            skipped[reason] += 1
            continue
        yield Address(path=info.name, size=info.size, modified_ns=_tar_time(info)), member.read


def _tar_notes(path: str, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, Fetch]]:
    for archive, info in _tar_members(path):
        name = info.name.removeprefix("./")
        if info.isreg() and not info.issparse() and wanted(name):
            yield name, lambda archive=archive, info=info: _TarMember(archive, info).read(most)  # type: ignore[misc]


def _tar_members(path: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield each member that is no folder, with the open archive, while the pass stands at it."""
    form = form_of(path)
    with _file(path) as file:
        most = RATIO * os.fstat(file.fileno()).st_size + LIMIT
        archive = tarfile.open(  # noqa: SIM115 (closed with its file)
            fileobj=_UNPACK[form](file), mode="r:", tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
        )
        before = -1
        while (info := archive.next()) is not None:
            archive.members.clear()  # type: ignore[attr-defined] # else each header stays in memory
            if archive.offset <= before:
                raise SourceError(_DAMAGED)  # a size that leads backwards, round and round
            if archive.offset > most:
                raise SourceError(_BOMB.format(ratio=RATIO))
            before = archive.offset
            if not info.isdir():
                yield archive, info


class _TarMember:
    """One member while the pass stands at it: its head is read at most once, as a packed tar cannot step back."""

    def __init__(self, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
        self._info = info
        self._file = archive.extractfile(info) if info.isreg() else None
        self._head = b""

    def reason(self) -> str | None:
        if hidden(self._info.name):
            return "hidden"
        if self._file is None or self._info.issparse():
            return "link" if self._info.issym() or self._info.islnk() else "special"
        return unwanted(self._info.name, self._start)

    def _start(self) -> bytes:
        assert self._file is not None
        with _sound():
            self._head = self._file.read(HEAD)
        return self._head

    def read(self, most: int | None = None) -> bytes:
        assert self._file is not None
        if most is None and self._info.size > LIMIT:
            raise BadImage("too-many-bytes")
        with _reading():
            return self._head + self._file.read(-1 if most is None else most)


def _tar_time(info: tarfile.TarInfo) -> int:
    """Return when the member changed; 0 where the archive says something that is no time."""
    try:
        time = int(info.mtime * 10**9)
    except (ValueError, OverflowError):
        return 0
    return time if 0 <= time < 2**63 else 0


def _repeats(name: str, seen: set[int]) -> bool:
    """Tell whether `name` was seen before; 64 bits of a hash stand for it, to save half of the memory."""
    key = hash(name)
    if key in seen:
        return True
    seen.add(key)
    return False
