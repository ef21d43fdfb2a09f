"""A folder of photos, walked without following a link.

Every path is opened one part at a time from the top folder, each with O_NOFOLLOW, so a link put there while we work
leads nowhere. One folder is open and only its names are in memory at a time, plus the names of folders still to visit.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections import Counter
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from countenance.errors import AddressUnreadable, BadImage, DiskFull, SourceError, SourceGone, UsageError
from countenance.records import Address
from countenance.sources.companion import FOLDERS, Companion, companions
from countenance.sources.opened import HEAD, LIMIT, WELL_KNOWN, Content, hidden, sift, unwanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe swapped in must not hold us up
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_HALF_WRITTEN = re.compile(r"\.countenance-redacted-[0-9a-f]{16}")
_WHY = {
    errno.ENOENT: "it is not there any more",
    errno.ENOTDIR: "it is not there any more, or a folder on the way has become a link",
    errno.ELOOP: "it has become a link, and links are not followed",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the medium is read-only",
    errno.EEXIST: "another process is changing it",
}


class Folder:
    """An open folder. It holds no descriptor between calls."""

    def __init__(self, location: str) -> None:
        self.skipped: Counter[str] = Counter()
        self._identity: tuple[int, int] | None = None
        self._path = os.path.realpath(location)
        top = self._top()
        self._identity = _identity(os.fstat(top))
        os.close(top)

    @property
    def writable(self) -> bool:
        """Whether files in the top folder may be changed; a folder further down may still refuse."""
        return os.access(self._path, os.W_OK | os.X_OK)

    def list(self) -> Iterator[Address]:
        """Yield files in the order of their names, a folder's own files before those of its folders."""
        self.skipped.clear()
        left = [""]  # folders still to visit, the next one last
        while left:
            path = left.pop()
            try:
                with self._folder(path) as folder:
                    files, folders = self._names(folder, self.skipped)
                    left.extend(path + name + "/" for name in reversed(folders))
                    for name in files:
                        if (address := self._address(folder, path, name)) is not None:
                            yield address
            except OSError:
                self.skipped["unreadable"] += 1
        os.close(self._top())  # files that vanished one by one may have gone with the whole source

    def photos(self, wanted: Callable[[Address], bool]) -> Iterator[tuple[Address, Content]]:
        """Read each listed file that is wanted."""
        return sift(((address, partial(self.read, address)) for address in self.list()), wanted)

    def notes(self, wanted: Callable[[str], bool], most: int) -> Iterator[tuple[str, bytes]]:
        """Walk the folder once more, and open only what is wanted."""
        left = ["", WELL_KNOWN]
        while left:
            path = left.pop()
            with suppress(OSError), self._folder(path) as folder:
                files, folders = self._names(folder, Counter())
                left.extend(path + name + "/" for name in reversed(folders))
                for name in files:
                    if wanted(path + name):
                        with suppress(OSError):
                            yield path + name, _head(folder, name, most)
        os.close(self._top())

    def read(self, address: Address) -> bytes:
        """Return the whole content of a regular file of at most `LIMIT` bytes."""
        path, name = _split(address)
        try:
            with self._folder(path) as folder, os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise AddressUnreadable(why="it is not an ordinary file any more")
                if found.st_size > LIMIT:
                    raise BadImage("too-many-bytes")
                content = file.read(found.st_size + 1)
        except OSError as error:
            os.close(self._top())  # says so if the source has gone as a whole
            raise AddressUnreadable(why=_why(error)) from None
        if len(content) != found.st_size:
            raise AddressUnreadable(why="it changed while it was read")
        return content

    def part(self, address: Address, at: int, size: int) -> bytes:
        """Return some bytes of a regular file."""
        path, name = _split(address)
        try:
            with self._folder(path) as folder, os.fdopen(os.open(name, _FILE, dir_fd=folder), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise AddressUnreadable(why="it is not an ordinary file any more")
                return os.pread(file.fileno(), size, at)
        except OSError as error:
            raise AddressUnreadable(why=_why(error)) from None

    def find(self, path: str) -> Address | None:
        """Look at one file."""
        address = Address(path=path, size=0, modified_ns=0)
        inside, name = _split(address)
        try:
            with self._folder(inside) as folder:
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AddressUnreadable(why=_why(error)) from None
        if not stat.S_ISREG(found.st_mode):
            raise AddressUnreadable(why="it is not an ordinary file any more")
        return Address(path=path, size=found.st_size, modified_ns=found.st_mtime_ns)

    def companions(self, paths: Iterable[str]) -> dict[str, Sequence[Companion]]:
        """List each folder of these files once, with the folders in it that tools keep their own files in."""
        by_folder: dict[str, dict[str, str]] = {}
        for path in paths:
            inside, name = _split(Address(path=path, size=0, modified_ns=0))
            by_folder.setdefault(inside, {})[name] = path
        found: dict[str, Sequence[Companion]] = {}
        for inside, names in by_folder.items():
            try:
                with self._folder(inside) as folder:
                    beside = list(_beside(folder, {name.casefold() for name in names}))
            except FileNotFoundError:
                continue
            except OSError:
                found |= {path: [Companion(path=path, kind="unlisted", shared=False)] for path in names.values()}
                continue
            matched = companions(names, beside, inside)
            found |= {names[name]: companions_of for name, companions_of in matched.items()}
        return found

    def erase_file(self, address: Address) -> int:
        """Unlink the file. One that has gone already is no error, so an erasure can be resumed."""
        try:
            with self._changing(address) as (folder, name, found):
                os.unlink(name, dir_fd=folder)
                _settle(folder)
            self._tidy(address.path)
        except FileNotFoundError:
            return 0
        return found.st_nlink - 1

    def replace(self, address: Address, content: bytes) -> Address:
        """Write beside the file, then rename over it. A crash leaves a hidden file that the next listing removes."""
        try:
            with self._changing(address) as (folder, name, found):
                if found.st_nlink > 1:
                    raise SourceError("The file has other names (hard links), and they would keep the old picture.")
                written = _swap(folder, name, content, found)
                _settle(folder)
        except FileNotFoundError:
            raise SourceError("The file cannot be changed: it is not there any more.") from None
        return Address(path=address.path, size=written.st_size, modified_ns=written.st_mtime_ns)

    def close(self) -> None:
        """Nothing is held open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tidy(self, path: str) -> None:
        """Remove the folder of a photo's thumbnails when the last is gone: it bears the photo's name."""
        parts = path.split("/")
        if len(parts) > 2 and parts[-3].casefold() == FOLDERS[0]:  # noqa: PLR2004 (the folder, the photo's, the file)
            with suppress(OSError), self._folder("/".join(parts[:-2]) + "/") as folder:
                os.rmdir(parts[-2], dir_fd=folder)

    def _top(self) -> int:
        """Open the top folder and make sure that it is still the one that was opened first."""
        try:
            top = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        except NotADirectoryError:
            raise UsageError("The source is not a folder.") from None
        except OSError as error:
            raise SourceGone(why=_why(error)) from None
        if self._identity not in {None, _identity(os.fstat(top))}:
            os.close(top)
            raise SourceGone(why="another folder is in its place; is its medium still mounted?")
        return top

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        """Open the folder at `path`, which is empty or ends in a slash."""
        folder = self._top()
        try:
            for part in path.split("/")[:-1]:
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)

    def _names(self, folder: int, skipped: Counter[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Return the sorted names of ordinary files and of folders; count the rest."""
        files, folders = [], []
        if self._identity is not None and os.fstat(folder).st_dev != self._identity[0]:
            skipped["mount"] += 1
            return (), ()
        with os.scandir(folder) as entries:
            for entry in entries:
                if _HALF_WRITTEN.fullmatch(entry.name):
                    _sweep(folder, entry.name)
                elif hidden(entry.name):
                    skipped["hidden"] += 1
                elif entry.is_symlink():
                    skipped["link"] += 1
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                elif entry.is_file(follow_symlinks=False):
                    files.append(entry.name)
                else:
                    skipped["special"] += 1
        return sorted(files), sorted(folders)

    def _address(self, folder: int, path: str, name: str) -> Address | None:
        """Return the file's address, or None where it is not a picture or has just vanished."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            reason = unwanted(name, lambda: _head(folder, name))
        except FileNotFoundError:
            return None
        except OSError:
            reason = "unreadable"
        if reason is not None:
            self.skipped[reason] += 1
            return None
        return Address(path=path + name, size=found.st_size, modified_ns=found.st_mtime_ns)

    @contextmanager
    def _changing(self, address: Address) -> Iterator[tuple[int, str, os.stat_result]]:
        """Open the folder of a file that is to be changed, and compare the file with its address."""
        path, name = _split(address)
        try:
            with self._folder(path) as folder:
                _sweep(folder, _half_written(name))
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                same = stat.S_ISREG(found.st_mode) and found.st_size == address.size
                if not same or found.st_mtime_ns != address.modified_ns:
                    raise SourceError(
                        "The file has changed since it was listed. Nothing was done; scan the source again."
                    )
                yield folder, name, found
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise DiskFull from None
            raise SourceError(f"The file cannot be changed: {_why(error)}.") from None


def _beside(folder: int, names: set[str]) -> Iterator[tuple[str, bool]]:
    """Yield (path from the folder, whether it is a link) of each file in a folder and in its `FOLDERS`.

    Of the first of those, the folders that are called as one of `names` (in lower case).
    """
    inner = []
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            inner.extend([entry.name] * (entry.name.casefold() in FOLDERS))
        else:
            yield entry.name, entry.is_symlink()
    for top in inner:
        with _inside(folder, top) as tool:
            for entry in _entries(tool):
                if not entry.is_dir(follow_symlinks=False):
                    yield f"{top}/{entry.name}", entry.is_symlink()
                elif top.casefold() == FOLDERS[0] and entry.name.casefold() in names:
                    with _inside(tool, entry.name) as of_photo:
                        for file in _entries(of_photo):
                            if not file.is_dir(follow_symlinks=False):
                                yield f"{top}/{entry.name}/{file.name}", file.is_symlink()


def _entries(folder: int) -> Sequence[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


@contextmanager
def _inside(folder: int, name: str) -> Iterator[int]:
    inner = os.open(name, _FOLDER, dir_fd=folder)
    try:
        yield inner
    finally:
        os.close(inner)


def _split(address: Address) -> tuple[str, str]:
    folder, slash, name = address.path.rpartition("/")
    if "\0" in address.path or any(part in {"", ".", ".."} for part in address.path.split("/")):
        raise AddressUnreadable(why="its address leads out of the source")
    return folder + slash, name


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _why(error: OSError) -> str:
    return _WHY.get(error.errno or 0, f"the medium reports {error.strerror or 'an error'}")


def _head(folder: int, name: str, most: int = HEAD) -> bytes:
    file = os.open(name, _FILE, dir_fd=folder)
    try:
        return os.read(file, most) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)


def _half_written(name: str) -> str:
    return ".countenance-redacted-" + hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()


def _swap(folder: int, name: str, content: bytes, old: os.stat_result) -> os.stat_result:
    """Write `content` to a hidden file, readable by its owner only until it is whole, and rename it to `name`."""
    temporary = _half_written(name)
    with os.fdopen(os.open(temporary, _NEW, 0o600, dir_fd=folder), "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # tells a sweep that this one is alive
            file.write(content)
            file.flush()
            with suppress(PermissionError):  # only root may give a file away
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), old.st_mode & 0o777)
            os.fsync(file.fileno())
            written = os.fstat(file.fileno())
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
    return written


def _sweep(folder: int, name: str) -> None:
    """Remove what a crash left, unless its writer lives or nothing may be written here."""
    with suppress(OSError):
        file = os.open(name, _FILE, dir_fd=folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
        finally:
            os.close(file)


def _settle(folder: int) -> None:
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot do this for a folder
            raise
