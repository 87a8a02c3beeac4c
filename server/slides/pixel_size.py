"""The side of a pixel, from what a file says and what the caller gives."""

from inference.errors import Reason, Refused

ANISOTROPY = 0.02
"""Share by which a pixel's width and height may differ and still be taken for a square."""


def square(name: str, spacing_um: tuple[float, float] | None, mpp: float | None) -> float:
    """µm per pixel of the largest level; `mpp` overrides the file. Raises Refused NO_PIXEL_SIZE."""
    if mpp is not None:
        return mpp
    if spacing_um is None:
        raise Refused(Reason.NO_PIXEL_SIZE, f"{name} says nothing of its pixel size: give --mpp, in µm per pixel")
    width, height = spacing_um
    if abs(width - height) > ANISOTROPY * min(width, height):
        message = (
            f"{name} has pixels of {width:.4g} x {height:.4g} µm, which are not square: give --mpp if that is wrong"
        )
        raise Refused(Reason.NO_PIXEL_SIZE, message)
    return round((width + height) / 2, 9)  # what mm as decimal text leaves of binary noise
