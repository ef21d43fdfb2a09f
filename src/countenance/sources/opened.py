"""What every opened source offers, and which of its files could be pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from countenance.errors import AddressUnreadable, BadImage, SourceError

if TYPE_CHECKING:
    from collections import Counter
    from types import TracebackType
    from typing import Self

    from countenance.records import Address
    from countenance.sources.companion import Companion

LIMIT = 256 * 2**20
"""Bytes: no larger file is read."""

SKIPPED = {
    "hidden": "hidden files and folders, such as .git, @eaDir and __MACOSX",
    "not-a-picture": "files that are not pictures",
    "archive": "archives inside the source, which are not opened",
    "link": "links, which are not followed; a picture inside the source is listed under its own name",
    "special": "devices, pipes and sockets",
    "mount": "other file systems mounted inside the folder",
    "unreadable": "files and folders that could not be opened",
    "repeated": "members whose name the archive has used before",
}

PICTURES = frozenset(
    {"avif", "bmp", "dib", "gif", "heic", "heif", "hif", "j2k", "jfif", "jp2", "jpe", "jpeg", "jpg", "jpx", "png"}
    | {"tif", "tiff", "webp"}
)

WELL_KNOWN = ".well-known/"
"""The folder at a source's root for files that say something of all of it (RFC 8615)."""

HEAD = 512
"""Bytes at the start of a file that tell what it is; the mark of a tar is at 257."""

Fetch = Callable[[], bytes]
Content = bytes | AddressUnreadable | BadImage

_JUNK = frozenset(
    {"@eadir", "@recycle", "@tmp", "#recycle", "#snapshot"}  # network storage
    | {"__macosx", "$recycle.bin", "system volume information", "lost+found"}
)
_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"})
_BITMAP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})  # sizes of the headers that a BMP may have
_STARTS = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",  # TIFF, and BigTIFF below
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  \r\n\x87\n",  # JPEG 2000, and its bare code stream below
    b"\xff\x4f\xff\x51",
)
_PACKED = (b"PK\3\4", b"PK\5\6", b"PK\7\x08", b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\7")


class Opened(Protocol):
    """An open source. Addresses come in the same order at each listing, each path once."""

    skipped: Counter[str]
    """What the last listing left out: a key of `SKIPPED` and how often."""

    @property
    def writable(self) -> bool:
        """Whether `erase_file` and `replace` may work; where False, the change belongs on a worklist."""

    def list(self) -> Iterator[Address]:
        """Yield every file that could be a picture.

        Raises:
            SourceGone: the source vanished, before or midway.
            SourceError: an archive is damaged midway; what was yielded before is sound.
        """

    def photos(self, wanted: Callable[[Address], bool]) -> Iterator[tuple[Address, Content]]:
        """Yield the content of each listed file that is `wanted`, or why it cannot be read, in one pass."""

    def notes(self, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, bytes]]:
        """Yield path and first `most` bytes of each ordinary file whose path is `wanted`, in one pass; pictures or not.

        Of hidden files only those in `WELL_KNOWN`. What cannot be read is left out.

        Raises:
            SourceGone: the source vanished, before or midway.
            SourceError: an archive is damaged midway; what was yielded before is sound.
        """

    def read(self, address: Address) -> bytes:
        """Return the content of one file, at most `LIMIT` bytes. From a packed archive this takes a pass.

        Raises:
            AddressUnreadable: the file has vanished, is locked away or is not an ordinary file.
            BadImage: it is larger than `LIMIT`, or damaged inside its archive.
            SourceGone: the whole source has vanished.
        """

    def part(self, address: Address, at: int, size: int) -> bytes:
        """Return up to `size` bytes of one file from byte `at` on, without reading the rest.

        Raises:
            SourceError: it cannot be read, or the source is an archive, where nothing can be read in part.
        """

    def find(self, path: str) -> Address | None:
        """Return the address of the file that is at `path` now, or None if there is none any more.

        Raises:
            AddressUnreadable: something is there that is not an ordinary file, or it cannot be looked at.
            SourceGone: the whole source has vanished.
        """

    def companions(self, paths: Iterable[str]) -> dict[str, Sequence[Companion]]:
        """Return for each of these files the files beside it that can keep its face or a name; see `companion`.

        A file without any is left out; it need not be there any more. An archive gives none: its members stay together.

        Raises:
            SourceGone: the whole source has vanished.
        """

    def erase_file(self, address: Address) -> int:
        """Delete one file and return how many other names (hard links) its content still has.

        The name is removed and the removal is made durable; a file that has gone already is no error. The medium may
        keep the bytes until it needs the space: a certificate must not claim more.

        Raises:
            SourceError: it cannot be deleted, or is no longer the file that `address` describes.
        """

    def replace(self, address: Address, content: bytes) -> Address:
        """Put `content` in the place of one file, whole or not at all, and return its new address.

        Owner and permissions stay; the time of change is now. Of the old bytes the same holds as in `erase_file`.

        Raises:
            SourceError: it cannot be written, has other hard links, or is no longer the file that `address` describes.
            DiskFull: the medium is full; nothing was changed.
        """

    def close(self) -> None:
        """Let go of what is open."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def hidden(path: str) -> bool:
    """Tell whether a part of `path` is hidden or belongs to a system rather than to a person."""
    return any(
        (part.startswith(".") and part not in {".", ".."}) or part.casefold() in _JUNK for part in path.split("/")
    )


def unwanted(path: str, head: Callable[[], bytes]) -> str | None:
    """Return None if the file could be a picture, else the key of `SKIPPED` that says what it is.

    `head` gives the first `HEAD` bytes and is called only where the name does not settle it, so a picture with a
    wrong ending is found and a million JPEGs are not opened to list them.
    """
    if not path:
        return "unreadable"  # a damaged or hostile archive may leave a name out
    if path.rpartition("/")[2].rpartition(".")[2].lower() in PICTURES:
        return None
    start = head()
    if start.startswith(_STARTS) or _riff_iso_or_bitmap(start):
        return None
    return "archive" if start.startswith(_PACKED) or start[257:262] == b"ustar" else "not-a-picture"


def _riff_iso_or_bitmap(start: bytes) -> bool:
    return (
        (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in _BRANDS)
        or (start[:2] == b"BM" and int.from_bytes(start[14:18], "little") in _BITMAP_HEADERS)
    )


def sift(
    listed: Iterable[tuple[Address, Fetch]], wanted: Callable[[Address], bool]
) -> Iterator[tuple[Address, Content]]:
    """Fetch what is wanted while its place in the source is still at hand."""
    for address, fetch in listed:
        if wanted(address):
            content: Content
            try:
                content = fetch()
            except (AddressUnreadable, BadImage) as error:
                content = error
            yield address, content


def unchangeable() -> SourceError:
    """Return the refusal of a source that is not written to."""
    return SourceError("An archive is not changed in place. Remove the photo from it by hand; it is on the worklist.")
