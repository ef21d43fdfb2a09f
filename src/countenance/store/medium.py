"""What lies under the key slots: whether writing over 32 bytes writes over them on this file system.

Measured on loop devices, 20 keys each overwritten in place and synced: ext4 and xfs kept none of the 19 old ones, ext4
with `data=journal` and btrfs kept all 19. The class goes into every certificate: A a chip, module or service destroys
the key (no provider here does yet), B the slots lie where overwriting overwrites, C that is uncertain.
"""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_IN_PLACE = {"ext4", "xfs"}
_WHY_NOT = {
    "btrfs": "writes every change to a new place and leaves the old bytes for a while",
    "zfs": "writes every change to a new place and leaves the old bytes for a while",
    "bcachefs": "writes every change to a new place and leaves the old bytes for a while",
    "f2fs": "writes every change to a new place and leaves the old bytes for a while",
    "overlay": "lies over another file system that it does not name",
    "nfs": "is on another machine, whose disk cannot be seen from here",
    "nfs4": "is on another machine, whose disk cannot be seen from here",
    "cifs": "is on another machine, whose disk cannot be seen from here",
    "tmpfs": "is in memory, which may be swapped to disk, and loses the keys when the machine stops",
}
_CAVEAT = (
    "The old key is overwritten in place and read back. On flash (SSD, memory card) the drive itself may keep a worn "
    "or remapped copy of overwritten bytes that no program can reach; so may a snapshot of the disk taken from outside."
)
_GET_FLAGS = 0x8008_6601  # FS_IOC_GETFLAGS of linux/fs.h on 64-bit machines
_JOURNAL_DATA = 0x4000  # FS_JOURNAL_DATA_FL, chattr +j


@dataclass(frozen=True, slots=True)
class Medium:
    """Whether overwriting overwrites here, and why, in plain words."""

    cls: Literal["B", "C"]
    note: str


def classify(path: Path, mountinfo: str | None = None) -> Medium:
    """Return the class of the file system that holds `path`; `mountinfo` stands in for /proc/self/mountinfo."""
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return Medium("C", "This system does not say what file system the keys are on.")
    mount = _mount(path.resolve(), mountinfo)
    if mount is None:
        return Medium("C", "The keys are under no mount that this system lists.")
    device, kind, options = mount
    if kind not in _IN_PLACE:
        why = _WHY_NOT.get(kind, "is not one that was measured to overwrite in place")
        return Medium("C", f"The keys are on {kind}, which {why}.")
    if "data=journal" in options or _journals(path, device):
        return Medium("C", f"The keys are on {kind} with data=journal, which keeps old bytes in its journal.")
    return Medium("B", f"The keys are on {kind}. {_CAVEAT}")


def _mount(path: Path, mountinfo: str) -> tuple[str, str, list[str]] | None:
    """Return device, type and options of the mount over `path` (proc(5)); of equals the last hides the others."""
    best, depth = None, -1
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        point = Path(_unescape(fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= depth:
            tail = fields[fields.index("-", 6) + 1 :]
            best, depth = (tail[1], tail[0], [*fields[5].split(","), *tail[-1].split(",")]), len(point.parts)
    return best


def _unescape(point: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, character)
    return point


def _journals(path: Path, device: str) -> bool:
    """Whether ext4 journals data here though no mount option says so: by the superblock's default, or by chattr +j."""
    options = Path("/proc/fs/ext4", Path(device).resolve().name, "options")
    try:
        if "data=journal" in options.read_text(encoding="ascii").split():
            return True
    except OSError:
        pass  # xfs, or a container that hides it
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        flags = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("=I", flags[:4])[0] & _JOURNAL_DATA)
