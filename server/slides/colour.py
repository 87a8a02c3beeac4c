"""ICC profiles: the digest that names one, and the conversion to sRGB where a laboratory asks for it."""

import hashlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from inference.errors import Reason, Refused
from inference.slide import Rgb

Transform = Callable[[Rgb], Rgb]


def icc_digest(profile: bytes | None) -> str | None:
    """SHA-256 of a profile without padding (its first four bytes are its length); None without one."""
    if not profile:
        return None
    return hashlib.sha256(profile[: int.from_bytes(profile[:4], "big")] or profile).hexdigest()


def to_srgb(profile: bytes) -> Transform:
    """A conversion of (height, width, 3) uint8 pixels from the profile to sRGB, relative colorimetric.

    Raises Refused.
    """
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            "RGB",
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        )
    except (OSError, ImageCms.PyCMSError):
        message = "the slide's ICC profile is not one for RGB: score without colour conversion, or correct the profile"
        raise Refused(Reason.WRONG_COLOUR_SPACE, message) from None

    def apply(rgb: Rgb) -> Rgb:
        return np.asarray(ImageCms.applyTransform(Image.fromarray(rgb), transform))

    return apply
