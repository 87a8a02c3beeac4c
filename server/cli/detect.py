"""`chromogen detect`: the nuclei of pictures, as JSON lines."""

import json
from pathlib import Path
from typing import Any

import click
from inference.nuclei import COMPARTMENTS

from inference.analyze import find_nuclei
from inference.engines.factory import make_engine
from inference.errors import Reason, Refused
from inference.grade import grades
from inference.infer import Engine
from inference.quality import Warning, looks_like_he
from inference.slide import Slide
from server.cli.progress import progress_bar
from server.domain.profile import BUILT_IN
from server.slides.opening import open_slide

LARGEST_PX = 8192 * 8192


@click.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="IMAGE...")
@click.option("--mpp", type=float, default=0.5, help="pixel size in µm")
@click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.01)
@click.option("--model", type=click.Path(path_type=Path), help="folder of another model; the shipped one else")
def detect(images: tuple[Path, ...], mpp: float, min_confidence: float, model: Path | None) -> None:
    """Find nuclei in each IMAGE and print one JSON object a line: image, mpp, nuclei (x, y in pixels of the image)."""
    engine = make_engine("local", model)
    with progress_bar("detecting") as progress:
        for i, path in enumerate(images, 1):
            slide = open_slide(path, mpp=mpp)
            try:
                click.echo(json.dumps({"image": str(path), "mpp": mpp, **found_in(slide, engine, min_confidence)}))
            finally:
                slide.close()
            progress(i / len(images))


def found_in(slide: Slide, engine: Engine, min_confidence: float) -> dict[str, Any]:
    """`nuclei`, and `warnings` where there are any; grades by the built-in profile."""
    if slide.working.size.area > LARGEST_PX:
        raise Refused(Reason.REGION_INVALID, "the picture is too large for detect; use `chromogen score`")
    n = find_nuclei(slide, engine, 0.01)
    grade = grades(n, BUILT_IN.thresholds)
    nuclei = [
        {
            "x": round(float(n.x[i]), 2),
            "y": round(float(n.y[i]), 2),
            "class": COMPARTMENTS[n.compartment[i]],
            "confidence": round(float(n.confidence[i]), 5),
            "hue": int(n.hue[i]),
            "value": int(n.value[i]),
            "dab_od": int(n.dab_od_centi[i]) / 100,
            "grade": int(grade[i]),
        }
        for i in range(len(n))
        if n.confidence[i] >= min_confidence
    ]
    picture, _ = slide.overview(2.0)
    return {"nuclei": nuclei} | ({"warnings": [Warning.NOT_IHC.value]} if looks_like_he(picture) else {})
