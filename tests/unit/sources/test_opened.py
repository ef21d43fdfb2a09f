"""What could be a picture is told by its ending, else by its first bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countenance.sources.opened import PICTURES, hidden, unwanted

STARTS = {
    "jpeg": b"\xff\xd8\xff\xdb",
    "png": b"\x89PNG\r\n\x1a\n\0",
    "gif": b"GIF89a",
    "tiff": b"II*\0\x08\0\0\0",
    "bigtiff": b"MM\0+\0\x08",
    "webp": b"RIFF\x10\0\0\0WEBPVP8 ",
    "heic": b"\0\0\0\x24ftypheic",
    "avif": b"\0\0\0\x20ftypavif",
    "bmp": b"BM" + bytes(12) + b"\x28\0\0\0",
    "jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("name", ["x", "x.txt", "a.b/x", "x.mov.bak", "x."])
def test_a_picture_with_a_wrong_ending_or_none_is_found_by_its_first_bytes(start: bytes, name: str) -> None:
    assert unwanted(name, lambda: start) is None


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        (b"", "not-a-picture"),
        (b"BMW is a maker of cars", "not-a-picture"),
        (b"\0\0\0\x20ftypisom", "not-a-picture"),
        (b"RIFF\x10\0\0\0WAVE", "not-a-picture"),
        (b"PK\3\4", "archive"),
        (b"Rar!\x1a\7\1\0", "archive"),
        (bytes(257) + b"ustar\0", "archive"),
    ],
)
def test_what_is_no_picture_is_counted_as_what_it_is(start: bytes, reason: str) -> None:
    assert unwanted("x.bin", lambda: start) == reason


@given(st.sampled_from(sorted(PICTURES)), st.booleans())
def test_a_known_ending_needs_no_look_at_the_bytes(ending: str, loud: bool) -> None:
    assert unwanted("a/b." + (ending.upper() if loud else ending), lambda: pytest.fail("looked")) is None


@pytest.mark.parametrize("path", [".x", "a/.git/b.jpg", "@eaDir/x.jpg", "__MACOSX/._x.jpg", "$RECYCLE.BIN/x", "a/.b/c"])
def test_hidden_parts_hide_the_file(path: str) -> None:
    assert hidden(path)


@pytest.mark.parametrize("path", ["a.jpg", "./a.jpg", "../a.jpg", "a/b.c/d", "eaDir/x", "…jpg"])
def test_other_names_do_not(path: str) -> None:
    assert not hidden(path)
