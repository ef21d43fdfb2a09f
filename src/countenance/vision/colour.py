"""Any colour space to sRGB: profiles, CMYK, grey, palettes, 16 bits a sample, and transparency over white."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Pixels = NDArray[np.uint8]
"""Shape (height, width, 3), sRGB."""

PROFILE_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}  # ICC.1:2022, 7.2.6, to Pillow's modes
DEEP = ("I", "F")  # modes of more than 8 bits a sample: I;16, I;16B, I, F


def from_image(image: Image.Image) -> Pixels:
    """Return an opened picture as sRGB, decoding it if that has not happened yet."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith(DEEP):
        image = _eight_bits(image)
    elif image.mode == "LAB" and (to_srgb := _transform(None, "LAB")):
        image = cast("Image.Image", ImageCms.applyTransform(image, to_srgb))
    elif image.mode == "1":
        image = image.convert("L")
    elif "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBa"):
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        image = image.convert("RGB")
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    image = _in_srgb(image.convert("RGB") if alpha else image, profile)
    if alpha:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image = white
    return np.asarray(image)


def from_rgb(pixels: Pixels, profile: bytes | None) -> Pixels:
    """Return RGB pixels that are in `profile` (None: already sRGB) as sRGB."""
    transform = _transform(profile, "RGB") if profile else None
    if transform is None:
        return pixels
    return np.asarray(ImageCms.applyTransform(Image.fromarray(pixels), transform))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    transform = _transform(profile, image.mode) if profile else None
    if transform is None:
        return image.convert("RGB")
    return cast("Image.Image", ImageCms.applyTransform(image, transform))


@lru_cache(maxsize=16)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way from `profile` (None: the standard one of `mode`) to sRGB; None if there is nothing to do.

    A profile that cannot be read, or is for another colour space than the picture's, is passed over as browsers do.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile)) if profile else ImageCms.createProfile("LAB")
        if profile:
            space = cast("Any", source).profile.xcolor_space.strip()
            if PROFILE_MODES.get(space) != mode or "srgb" in ImageCms.getProfileDescription(source).lower():
                return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit and float samples to 8 bits; the range is guessed from the mode or, failing that, the brightest."""
    values = np.asarray(image)
    top = 65535.0 if image.mode.startswith("I;16") else float(values.max(initial=0))
    span = next((span for span in (1.0, 255.0, 65535.0) if top <= span), top)
    return Image.fromarray(np.clip(values * (255.0 / span), 0, 255).astype(np.uint8))
