"""What lies beside a photo's file and can keep its face or a name, told by how the tools that write it name it.

========== ===================================================================================================
kind       files
========== ===================================================================================================
xmp        ``NAME.ext.xmp`` (digiKam, darktable, immich), ``NAME.xmp`` (Adobe, Capture One)
takeout    ``NAME.ext.json``, ``NAME.ext.supplemental-metadata.json`` and its shortened forms (Google Takeout)
json       ``NAME.json``: what it is, only its content tells
thumbnail  ``NAME.THM`` (cameras), ``@eaDir/NAME.ext/*``, ``@eaDir/NAME.ext@Syno*`` (Synology),
           ``.@__thumb/*NAME.ext`` (QNAP), ``._NAME.ext`` (macOS, on disks that are not its own)
film       ``NAME.MOV``, ``NAME.MP4``, ``NAME.MP`` (Live Photo, motion photo)
settings   ``NAME.AAE``, ``IMG_O1234.AAE`` (Apple), ``NAME.ext.pp3`` (RawTherapee), ``NAME.ext.dop`` (DxO),
           ``.comments/NAME.ext.xml`` (gThumb)
original   ``NAME.ext_original`` (ExifTool), ``.picasaoriginals/NAME.ext`` (Picasa)
raw        ``NAME.CR3``, ``NAME.NEF``, … beside ``NAME.JPG``
list       ``Thumbs.db`` (Windows), ``.picasa.ini`` (Picasa): one for the whole folder
link       any of these names, as a symbolic link
unlisted   stands for those of a photo whose folder cannot be listed
========== ===================================================================================================
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from countenance.sources.opened import PICTURES

FOLDERS = ("@eadir", ".@__thumb", ".picasaoriginals", ".comments")
"""Folders beside photos in which their companions are, in lower case; in the first, a folder for each photo."""

RAW = frozenset(
    {"3fr", "arw", "cr2", "cr3", "crw", "dng", "erf", "iiq", "kdc", "mef", "mos", "mrw", "nef", "nrw", "orf", "pef"}
    | {"raf", "raw", "rw2", "rwl", "sr2", "srf", "srw", "x3f"}
)

_OF_NAME = {"xmp": "xmp", "pp3": "settings", "dop": "settings"}  # NAME.ext.*
_OF_STEM = {"xmp": "xmp", "thm": "thumbnail", "aae": "settings", "mov": "film", "mp4": "film", "mp": "film"}
_OF_STEM |= dict.fromkeys(RAW, "raw")  # NAME.*
_OF_FOLDER = {"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "picasa.ini", ".picasa.ini", "zbthumbnail.info"}
_ORIGINAL = "_original"
_QNAP = re.compile(r"(?:s\d+|default)?(.+)")  # s100IMG_1.JPG, s800IMG_1.JPG
_APPLE = re.compile(r"img_o(\d+)")
_NUMBERED = re.compile(r"(.+)(\(\d+\))")
_SUPPLEMENT = "supplemental-metadata"
_CUT = 46  # characters of a Takeout name before ".json"; longer photo names lose their end
_EDITED = "-edited"  # Takeout gives an edited copy no file of its own

Key = tuple[str, str]  # ("name" | "stem" | "cut" | "folder", in lower case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """One file beside a photo's."""

    path: str  # inside the source
    kind: str  # as in the table above
    shared: bool  # it belongs to other photos too


def companions(wanted: Iterable[str], beside: Iterable[tuple[str, bool]], folder: str) -> dict[str, list[Companion]]:
    """Match the files of one folder: for each wanted file name that has companions, those.

    `beside` lists the folder's own files and those in its `FOLDERS`, as (path from the folder, whether it is a link);
    `folder` is empty or ends in a slash, and is put before the paths.
    """
    listed = sorted(beside)
    pictures = [name.casefold() for name, _ in listed if "/" not in name and _ending(name) in PICTURES | RAW]
    owners: Counter[Key] = Counter()
    for name in pictures:
        owners.update({("name", name): 1, ("stem", _stem(name)): 1, ("cut", name[:_CUT]): len(name) > _CUT})
    index: defaultdict[Key, list[tuple[str, str]]] = defaultdict(list)
    for path, link in listed:
        for key, kind in _belongs(path.casefold()):
            index[key].append((path, "link" if link else kind))
    found: dict[str, list[Companion]] = {}
    for name in wanted:
        low = name.casefold()
        here: dict[str, Companion] = {}
        for key in _keys(low):
            others = owners[key] - (low in pictures)  # it may be deleted already
            edited = key[0] == "name" and key[1] != low
            shared = key[0] == "folder" or others > 0 or edited
            for path, kind in index.get(key, ()):
                if path != name and path not in here and (kind == "takeout" or not edited):
                    here[path] = Companion(path=folder + path, kind=kind, shared=shared)
        if here:
            found[name] = list(here.values())
    return found


def _keys(name: str) -> Iterator[Key]:
    """What a photo's companions are found by, the surest first."""
    stem = _stem(name)
    yield "name", name
    yield "stem", stem
    if len(name) > _CUT:
        yield "cut", name[:_CUT]
    if stem.endswith(_EDITED):
        yield "name", stem.removesuffix(_EDITED) + name[len(stem) :]
    yield "folder", ""


def _belongs(path: str) -> Iterator[tuple[Key, str]]:
    """Which photos a file could belong to, by its path in lower case, and what it then is."""
    folder, _, name = path.rpartition("/")
    top, _, inner = folder.partition("/")
    if top == "@eadir":
        yield ("name", inner or name.partition("@syno")[0]), "thumbnail"
    elif top == ".@__thumb":
        sized = _QNAP.fullmatch(name)
        yield ("name", name), "thumbnail"
        if sized:
            yield ("name", sized[1]), "thumbnail"
    elif top == ".picasaoriginals":
        yield ("name", name), "original"
    elif top == ".comments":
        yield ("name", name.removesuffix(".xml")), "settings"
    elif not folder:
        yield from _plain(name)


def _plain(name: str) -> Iterator[tuple[Key, str]]:
    """The same for a file that lies in the folder itself."""
    stem, ending = _stem(name), _ending(name)
    if name in _OF_FOLDER:
        yield ("folder", ""), "list"
    if name.startswith("._"):
        yield ("name", name[2:]), "thumbnail"
        yield from ((key, "thumbnail") for key, _ in _plain(name[2:]))  # it can go with any of the others too
    if name.endswith(_ORIGINAL):
        yield ("name", name.removesuffix(_ORIGINAL)), "original"
    if ending in _OF_NAME:
        yield ("name", stem), _OF_NAME[ending]
    if ending in _OF_STEM:
        yield ("stem", stem), _OF_STEM[ending]
    if ending == "mp":  # PXL_1.MP beside PXL_1.MP.jpg
        yield ("stem", name), "film"
    if ending == "aae" and (apple := _APPLE.fullmatch(stem)):
        yield from ((("stem", f"img_{mark}{apple[1]}"), "settings") for mark in ("", "e"))
    if ending == "json":
        yield from _takeout(stem)


def _takeout(body: str) -> Iterator[tuple[Key, str]]:
    """The photos that a Takeout file with this name, without ".json", can describe.

    ``.supplemental-metadata`` is cut where the whole would be longer than `_CUT`, and the number of a repeated name
    stands behind it: ``IMG_1.jpg.supplemental-metadata(1)`` is about ``IMG_1(1).jpg``.
    """
    numbered = _NUMBERED.fullmatch(body)
    base, number = numbered.groups() if numbered else (body, "")
    head, dot, tail = base.rpartition(".")
    for name in (base, head) if dot and _SUPPLEMENT.startswith(tail) else (base,):
        stem = _stem(name)
        yield ("name", stem + number + name[len(stem) :]), "takeout"
        if _ending(name) not in PICTURES:
            yield ("stem", name + number), "json"
    if len(body) == _CUT:
        yield ("cut", body), "takeout"


def _stem(name: str) -> str:
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def _ending(name: str) -> str:
    return name[len(_stem(name)) + 1 :].casefold()
