"""The side of a pixel, from what a file says and what the caller gives."""

from inference.errors import Reason, Refused

FINEST_UM, COARSEST_UM = 0.01, 1000.0
"""What a pixel of a slide can be: an oil immersion's is ten times the finest, an overview's a fifth of the coarsest."""

ANISOTROPY = 0.02
"""Share by which a pixel's width and height may differ and still be taken for a square."""

CONTRADICTION = 1.1
"""What a volume may differ by that is measured over the tissue, or rounded."""


def square(name: str, spacing_um: tuple[float, float] | None, mpp: float | None) -> float:
    """µm per pixel of the largest level; `mpp` overrides the file. Raises Refused NO_PIXEL_SIZE."""
    if mpp is not None:
        check_given(mpp)
        return mpp
    if spacing_um is None:
        raise Refused(Reason.NO_PIXEL_SIZE, f"{name} says nothing of its pixel size: give --mpp, in µm per pixel")
    width, height = spacing_um
    if not (_possible(width) and _possible(height)):
        message = f"{name} says that its pixels are {width:.4g} x {height:.4g} µm, which no slide's are: give --mpp"
        raise Refused(Reason.NO_PIXEL_SIZE, message)
    if abs(width - height) > ANISOTROPY * min(width, height):
        message = (
            f"{name} has pixels of {width:.4g} x {height:.4g} µm, which are not square: give --mpp if that is wrong"
        )
        raise Refused(Reason.NO_PIXEL_SIZE, message)
    return round((width + height) / 2, 9)  # what mm as decimal text leaves of binary noise


def contradicted(spacing_um: tuple[float, float] | None, imaged_um: tuple[float, float] | None) -> bool:
    """Does a file's imaged volume make its pixels another size than it says? Where that makes them square at all:
    converters that know none write one that is.
    """
    if spacing_um is None or imaged_um is None or max(imaged_um) > (1 + ANISOTROPY) * min(imaged_um):
        return False
    return not 1 / CONTRADICTION < imaged_um[0] / spacing_um[0] < CONTRADICTION


def check_given(mpp: float) -> None:
    """Raises Refused NO_PIXEL_SIZE for µm per pixel that no slide has."""
    if not _possible(mpp):
        raise Refused(
            Reason.NO_PIXEL_SIZE,
            f"{mpp:.4g} µm per pixel is no slide's pixel size: give --mpp from {FINEST_UM:g} to {COARSEST_UM:g}",
        )


def _possible(um: float) -> bool:
    """Not NaN, which compares false."""
    return FINEST_UM <= um <= COARSEST_UM
