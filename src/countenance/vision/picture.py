"""Pictures as callers have them, made bytes: what is decoded, and where, is the worker's business."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from countenance import errors

if TYPE_CHECKING:
    from PIL import Image

    Picture = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]

LIMIT = 256 * 2**20  # bytes, as for a source


def content_of(picture: Picture) -> bytes:
    """The bytes of a picture: a path, a file's bytes, a PIL image, or an array of shape (h, w, 3), uint8, RGB."""
    from PIL import Image  # noqa: PLC0415 - only needed for two of four kinds

    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, str | os.PathLike):
        return _read(Path(picture).expanduser())
    if isinstance(picture, np.ndarray):
        if picture.dtype != np.uint8 or picture.ndim not in {2, 3}:
            raise errors.UsageError(
                "An array must be uint8 of shape (height, width, 3), RGB, or (height, width), grey."
            )
        picture = Image.fromarray(picture)
    memory = io.BytesIO()
    picture.save(memory, "PNG", compress_level=1)
    return memory.getvalue()


def _read(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size > LIMIT:
            raise errors.BadImage("too-many-bytes")
        return path.read_bytes()
    except OSError as error:
        raise errors.AddressUnreadable(why=f"{path}: {error.strerror}") from None
