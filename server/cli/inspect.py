"""`chromogen inspect`: what was understood of a slide, and why it would be refused."""

from collections.abc import Callable, Iterator
from functools import partial
from json import dumps
from pathlib import Path
from typing import Any

import click

from inference.assay import USUAL_MARKER, assay_of
from inference.errors import ChromogenError, Reason, Refused
from inference.geometry import Size
from inference.model import read_model, shipped_models
from inference.overlay import write_png
from inference.slide import Rgb
from server.report.result_json import slide_json
from server.settings import Slides
from server.slides.found_image import FoundImage
from server.slides.inspection import Inspection, Reading, size_text, thumbnail
from server.slides.inspection import inspect as inspect_slide
from server.slides.view import View

Json = dict[str, Any]


@click.command()
@click.argument("slide", type=click.Path(path_type=Path))
@click.option("--mpp", type=float, help="pixel size in µm of the largest level, where the slide doesn't say")
@click.option("--marker", default=USUAL_MARKER, help="the stain, whose model says at which resolution it is read")
@click.option("--pyramid", metavar="N", help="of a DICOM slide with several: its number in the refusal, or Pyramid UID")
@click.option("--optical-path", metavar="ID", help="of a DICOM slide with several")
@click.option("--focal-plane", type=int, metavar="N", help="of a DICOM slide with several, from 1")
@click.option("--png", type=click.Path(path_type=Path, dir_okay=False), help="write a thumbnail of what would be read")
@click.option("--untried", envvar="CHROMOGEN_SLIDES_UNTRIED", default="", help="formats to read that were never tried")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
def inspect(
    slide: Path,
    mpp: float | None,
    marker: str,
    pyramid: str | None,
    optical_path: str | None,
    focal_plane: int | None,
    png: Path | None,
    untried: str,
    as_json: bool,
) -> None:
    """Say what is understood of SLIDE: its images, what would be read for a marker, or why it would be refused (exit
    code 2).
    """
    resolution = read_model(shipped_models(), assay_of(marker, "--marker").model).resolution
    view = View(pyramid=pyramid, optical_path=optical_path, focal_plane=focal_plane)
    names = Slides(untried=untried).names
    found = inspect_slide(slide, resolution, mpp=mpp, view=view, untried=names)
    if as_json:
        click.echo(dumps(inspection_json(slide, found)))
    else:
        for line in _lines(slide, found):
            click.echo(line)
    if png is not None:
        _write_thumbnail(png, partial(thumbnail, slide, resolution, mpp=mpp, view=view, untried=names))
    if found.refused is not None:
        raise found.refused


def _write_thumbnail(png: Path, make: Callable[[], Rgb]) -> None:
    """What can't be shown is said, and the slide's own refusal follows. Raises Refused OUTPUT_NOT_WRITABLE."""
    if not png.parent.is_dir():
        raise Refused(Reason.OUTPUT_NOT_WRITABLE, f"{png.parent} isn't there: make the folder of --png")
    try:
        picture = make()
    except ChromogenError as error:
        click.echo(f"no thumbnail: {error}", err=True)
        return
    write_png(png, picture)


def inspection_json(slide: Path, found: Inspection) -> Json:
    """`images` as they lie in the file; `slide` and `read` are null where it is refused."""
    facts = found.facts
    return {
        "name": slide.name,
        "format": found.format,
        "scanner": found.scanner or None,
        "images": [_image_json(image) for image in found.images],
        "slide": None if facts is None else slide_json(facts),
        "read": None if found.reading is None else _reading_json(found.reading),
        "warnings": [] if facts is None else list(facts.notes),
        "refused": _refusal_json(found.refused),
    }


def _image_json(image: FoundImage) -> Json:
    return {
        "name": image.name,
        "kind": image.kind,
        "size": _pair(image.size),
        "frame": _pair(image.frame),
        "spacing_um": image.spacing_um and list(image.spacing_um),
        "origin_mm": image.origin_mm and list(image.origin_mm),
        "pyramid": image.pyramid or None,
        "optical_paths": list(image.optical_paths),
        "focal_planes": image.focal_planes,
        "compression": image.compression or None,
        "colour": image.colour or None,
        "icc_sha256": image.icc_sha256,
        "reader": image.reader or None,
        "problem": image.problem or None,
    }


def _reading_json(reading: Reading) -> Json:
    grid = reading.working
    return {
        "level": reading.level,
        "decoded_at": f"1/{reading.shrink}",
        "resampled": reading.resampled,
        "mpp": grid.mpp,
        "size": _pair(grid.size),
    }


def _refusal_json(error: ChromogenError | None) -> Json | None:
    return None if error is None else {"reason": str(error.reason), "message": error.message}


def _pair(size: Size | None) -> list[int] | None:
    return None if size is None else [size.width, size.height]


def _lines(slide: Path, found: Inspection) -> Iterator[str]:
    yield f"{slide.name}: {found.format}" + (f", {found.scanner}" if found.scanner else "")
    for image in found.images:
        yield f"  {': '.join(filter(None, (f'{image.kind} in {image.name}', ', '.join(_said(image)))))}"
    if found.facts is not None and found.reading is not None:
        yield from _slide_lines(found, found.reading)


def _said(image: FoundImage) -> Iterator[str]:
    if image.problem:
        yield image.problem
    if image.size is not None:
        yield size_text(image.size) + (f" in frames of {size_text(image.frame)}" if image.frame else "")
    if image.spacing_um is not None:
        yield "{:.6g} x {:.6g} µm/px".format(*image.spacing_um)
    if image.origin_mm is not None:
        yield "at {:.6g}, {:.6g} mm".format(*image.origin_mm)
    if image.optical_paths:
        yield f"optical paths {', '.join(map(repr, image.optical_paths))}"
    if image.focal_planes > 1:
        yield f"{image.focal_planes} focal planes"
    yield from (text for text in (image.compression, image.colour) if text)
    if image.icc_sha256:
        yield f"ICC profile {image.icc_sha256[:12]}"
    if image.pyramid:
        yield f"pyramid {image.pyramid}"
    if image.reader:
        yield f"read by {image.reader}"


def _slide_lines(found: Inspection, reading: Reading) -> Iterator[str]:
    facts, grid = found.facts, reading.working
    assert facts is not None
    levels = "; ".join(f"{k}: {size_text(level.size)} of {level.mpp:.6g} µm" for k, level in enumerate(facts.levels))
    yield f"slide: levels {levels}"
    how = f"decoded at 1/{reading.shrink}" + (", resampled" if reading.resampled else "")
    yield f"read: level {reading.level}, {how}: {size_text(grid.size)} of {grid.mpp:.6g} µm"
    for note in facts.notes:
        yield f"warning: {note}"
