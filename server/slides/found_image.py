"""An image that lies in a slide's file, as `inspection` tells of it."""

from dataclasses import dataclass

from inference.geometry import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundImage:
    """`kind` is level, label, overview, thumbnail, macro or another word; None and empty where the file doesn't say.

    `spacing_um` is a pixel's width and height, `origin_mm` where the first pixel lies on the slide, `optical_paths`
    name those that the image holds (`not bright field` behind those that aren't), `problem` says what can't be
    understood of it.
    """

    name: str
    kind: str
    size: Size | None = None
    frame: Size | None = None
    spacing_um: tuple[float, float] | None = None
    origin_mm: tuple[float, float] | None = None
    pyramid: str = ""
    optical_paths: tuple[str, ...] = ()
    focal_planes: int = 1
    compression: str = ""
    colour: str = ""
    icc_sha256: str | None = None
    reader: str = ""
    problem: str = ""
