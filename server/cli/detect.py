"""`chromogen detect`: the nuclei of pictures of nuclear stains, as JSON lines."""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from inference.analyze import cast_doubted, find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.assay import USUAL_MARKER, assay_of
from inference.cells.values import Cells
from inference.criteria import Criteria
from inference.engines.factory import make_engine
from inference.errors import Reason, Refused
from inference.grade import GRADES
from inference.infer import Engine
from inference.outline import OUTLINE, polygons
from inference.quality import Warning
from inference.slide import Slide
from inference.white import white_of
from server.cli.progress import progress_bar
from server.slides.opening import open_slide

LARGEST_PX = 8192 * 8192
FAINTEST = 0.01


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--mpp", type=float, default=0.5, help="pixel size in µm")
@click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.01)
@click.option("--outlines", is_flag=True, help="the outline of each nucleus too, with its area and density")
@click.option("--model", type=click.Path(path_type=Path), help="folder of another model; the shipped one else")
def detect(images: tuple[Path, ...], mpp: float, min_confidence: float, outlines: bool, model: Path | None) -> None:
    """Find nuclei in each IMAGE and print one JSON object a line: image, mpp, nuclei (x, y in pixels of the image)."""
    assay = assay_of(USUAL_MARKER)  # whose model finds the nuclei, and whose built-in criteria grade them
    engine = make_engine("local", model, model=assay.model)
    with progress_bar("detecting") as progress:
        for i, path in enumerate(images, 1):
            slide = open_slide(path, mpp=mpp, resolution=engine.model.resolution)
            try:
                found = found_in(slide, engine, assay.built_in.criteria, min_confidence, outlines=outlines)
            finally:
                slide.close()
            click.echo(json.dumps({"image": str(path), "mpp": mpp, **found}))
            progress(i / len(images))


def found_in(
    slide: Slide, engine: Engine, criteria: Criteria, min_confidence: float, *, outlines: bool = False
) -> dict[str, Any]:
    """`nuclei`, graded by the criteria, and `warnings` where there are any."""
    if slide.working.size.area > LARGEST_PX:
        raise Refused(Reason.REGION_INVALID, "the picture is too large for detect; use `chromogen score`")
    cells = find_cells(slide, engine, NUCLEAR, FAINTEST, outlines=True)
    picture, _ = slide.overview(2.0)
    mismatch, cast = NUCLEAR.mismatch(picture), cast_doubted(NUCLEAR, engine, white_of(slide))
    warnings = [*slide.facts.notes, *([] if mismatch is None else [mismatch.reason.value])]
    warnings += [Warning.COLOUR_CAST.value] if cast else []
    said = {"warnings": warnings} if warnings else {}
    kept = cells.taken(cells["confidence"] >= min_confidence)
    found = nuclei(kept, criteria, engine.model.counting_threshold)
    if outlines:
        for nucleus, more in zip(found, shapes(kept, slide.facts.mpp), strict=True):
            nucleus.update(more)
    return {"nuclei": found} | said


def nuclei(cells: Cells, criteria: Criteria, counting: float) -> list[dict[str, Any]]:
    """One object a nucleus, under the names that programs know; `class` is its region, `counting` says from which
    probability on `score` counts it. Colours are by the image's own white point, as the built-in criteria grade them.
    """
    measured = ("nucleus", "confidence", "white_hue", "white_value", "white_od_centi")
    columns = (cells.x, cells.y, *(cells[name] for name in measured))
    groups = NUCLEAR.group_of(cells, criteria).tolist()
    return [
        {
            "x": round(x, 2),
            "y": round(y, 2),
            "class": NUCLEAR.groups[group].region,
            "nucleus": round(nucleus, 5),
            "confidence": round(confidence, 5),
            "counted": nucleus >= counting,
            "hue": hue,
            "value": value,
            "dab_od": centi / 100,
            "grade": group % GRADES,
        }
        for x, y, nucleus, confidence, hue, value, centi, group in zip(
            *(c.tolist() for c in columns), groups, strict=True
        )
    ]


def shapes(cells: Cells, mpp: float) -> list[dict[str, Any]]:
    """Of cells with outlines, what `nuclei` says beside the rest; corners in the coordinates of `x` and `y`."""
    corners = np.round(polygons(cells[OUTLINE], cells.x, cells.y, mpp=mpp), 2).tolist()
    areas, densities = cells["area_um2"].tolist(), cells["nucleus_od_centi"].tolist()
    return [
        {"outline": outline, "area_um2": round(area, 2), "nucleus_od": centi / 100}
        for outline, area, centi in zip(corners, areas, densities, strict=True)
    ]
