"""One image taken apart, its nuclei found and counted, whichever door it comes by: pictures and counts in a folder."""

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inference.analyze import cast_doubted
from inference.assay import USUAL_MARKER, Assay, assay_of, criteria_values
from inference.cells.values import Cells, Mask
from inference.errors import Reason
from inference.geojson import detections
from inference.infer import Engine
from inference.multiplex.bands import (
    ORIGINAL,
    Counts,
    Progress,
    auto_marker,
    given_layers,
    least_px,
    separated_layers,
    shrink_of,
    write_pictures,
)
from inference.multiplex.nuclei import found_in, on_map
from inference.multiplex.segmentation import Gates
from inference.outline import OUTLINE, RAYS, UNIT_UM
from inference.quality import Warning
from inference.slide import FrameUnreadable, Slide, SlideFacts
from inference.white import white_of
from server.domain.errors import Failed, Refused, ServiceReason
from server.services.image_request import AUTO, ImageRequest
from server.services.wanted_slide import WantedSlide
from server.slides.whole_picture import open_whole

IMAGE, SEG_IMAGE, MARKER_IMAGE = "img", "seg_img", "marker_img"
"""Names of the files that are sent."""
ANSWER, NUCLEI, COLUMNS, VIEWS = "answer.json", "nuclei.geojson", "nuclei.json", "views"
SHOWN = ("compartment", "hue", "value", "white_hue", "white_value", "dab_od_centi", "nucleus_od_centi")
TOO_COARSE = "TOO_COARSE"
BYTES_PER_PX = 24
"""On disk: the pixels, and seven pictures of them."""
OVERVIEW_MPP = 2.0

EngineOf = Callable[[Assay], Engine]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a run tells of itself, and asks: `go_on` raises where nobody waits any more."""

    progress: Progress = lambda _: None
    go_on: Callable[[], None] = lambda: None


class ImageService:
    """Each method reads what was sent from `folder` and leaves pictures and ANSWER there."""

    def __init__(self, engine: EngineOf) -> None:
        self._engine = engine

    def infer(self, asked: ImageRequest, folder: Path, running: Running, *, shown: bool = False) -> None:
        """Where it is `shown` to people the image itself, views in VIEWS, the nuclei as GeoJSON (those that are
        counted) and as columns are left too.

        Raises Refused as `open_whole`, ASSAY_UNSUPPORTED, OUTLINES_UNSUPPORTED, OUTPUT_NOT_WRITABLE; Failed
        ENGINE_FAILED.
        """
        assay = assay_of(asked.marker or USUAL_MARKER)
        engine = self._engine(assay)
        image = opened(folder, IMAGE, asked)
        try:
            cells = found_in(WantedSlide(image, running.go_on), engine)
            counting = engine.model.counting_threshold
            on = on_map(cells, assay.built_in.criteria, counting=counting, mpp=asked.mpp)
            counted = cells["nucleus"] >= counting
            gates, layers = gates_of(asked, image, None), separated_layers(image, on, counted)
            pictures, views = (*asked.pictures, *((ORIGINAL,) if shown else ())), folder / VIEWS if shown else None
            if views is not None:
                views.mkdir(exist_ok=True)
            counts = _written(
                image,
                lambda: write_pictures(image, layers, gates, folder, pictures, running.progress, views=views),
            )
            said = [] if (m := assay.analyzer.mismatch(image.overview(OVERVIEW_MPP)[0])) is None else [str(m.reason)]
            cast = cast_doubted(assay.analyzer, engine, white_of(image))
            said += [str(Warning.COLOUR_CAST)] if cast else []
            said += [TOO_COARSE] if asked.mpp > engine.model.resolution.coarsest else []
        finally:
            image.close()
        if shown or asked.nuclei:
            leave_nuclei(folder, cells, counted, assay, image.facts)
        if shown:
            leave_columns(folder, cells, assay, image.facts, counting)
        _answer(folder, asked.pictures, None if asked.raw else scoring(counts, gates), said)

    def postprocess(self, asked: ImageRequest, folder: Path, running: Running) -> None:
        """Of a map that was made before, without inference. Raises as `infer`, and ARGUMENT_INVALID."""
        image = opened(folder, IMAGE, asked)
        seg = opened(folder, SEG_IMAGE, asked)
        marker = opened(folder, MARKER_IMAGE, asked) if (folder / MARKER_IMAGE).exists() else None
        for name, other in ((SEG_IMAGE, seg), (MARKER_IMAGE, marker)):
            if other is not None and other.facts.size != image.facts.size:
                raise Refused(ServiceReason.ARGUMENT_INVALID, f"{name} must have as many pixels as {IMAGE}")
        gates = gates_of(asked, image, marker)
        layers = given_layers(image, seg, marker)
        counts = _written(
            image, lambda: write_pictures(image, layers, gates, folder, asked.read_alone, running.progress)
        )
        _answer(folder, asked.read_alone, scoring(counts, gates), [])


def leave_nuclei(folder: Path, cells: Cells, counted: Mask, assay: Assay, facts: SlideFacts) -> None:
    """Those that are counted as NUCLEI, for QuPath."""
    features = detections(cells.taken(counted), assay.analyzer, assay.built_in.criteria, mpp=facts.mpp)
    (folder / NUCLEI).write_text('{"type":"FeatureCollection","features":[' + ",".join(features) + "]}\n")


def leave_columns(folder: Path, cells: Cells, assay: Assay, facts: SlideFacts, counting: float) -> None:
    """Every candidate as COLUMNS, for the page: in px of its view, its radii as base64 (uint8); `counting`: from which
    probability on one is counted.
    """
    shrink = shrink_of(facts.size)
    columns: dict[str, Any] = {name: cells[name].tolist() for name in SHOWN}
    columns |= {"nucleus": np.round(cells["nucleus"], 4).tolist(), "area_um2": np.round(cells["area_um2"], 2).tolist()}
    columns |= {name: np.round((v + 0.5) / shrink, 2).tolist() for name, v in (("x", cells.x), ("y", cells.y))}
    radii = base64.b64encode(np.ascontiguousarray(cells[OUTLINE]).tobytes()).decode()
    told = columns | {
        "radii": radii,
        "rays": RAYS,
        "px_per_unit": UNIT_UM / facts.mpp / shrink,
        "criteria": criteria_values(assay.built_in.criteria),
        "counted_from": counting,
        "size": [facts.size.width, facts.size.height],
        "mpp": facts.mpp,
        "shrink": shrink,
    }
    (folder / COLUMNS).write_text(json.dumps(told))


def opened(folder: Path, name: str, asked: ImageRequest) -> Slide:
    """Its pixels are laid beside it. Raises Refused as `open_whole`, OUTPUT_NOT_WRITABLE."""
    if not (folder / name).exists():
        raise Refused(ServiceReason.FIELD_MISSING, f"the file {name} is missing: send it as multipart/form-data")
    laid = folder / f"{name}-pixels"
    laid.mkdir(exist_ok=True)
    image = open_whole(folder / name, asked.mpp, laid)
    if shutil.disk_usage(folder).free < image.facts.size.area * BYTES_PER_PX:
        image.close()
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, "the disk has no room for the image's pictures", retryable=True)
    return image


def gates_of(asked: ImageRequest, image: Slide, marker: Slide | None) -> Gates:
    """What `auto` stands for put in."""
    return Gates(
        probability=asked.probability,
        least=least_px(asked.mpp) if asked.least == AUTO else asked.least,
        most=asked.most,
        marker=auto_marker(image, marker) if asked.marker_gate == AUTO else asked.marker_gate,
    )


def scoring(counts: Counts, gates: Gates) -> dict[str, Any]:
    """Under the names that clients know."""
    share = 100 * counts.positive / counts.total if counts.total else 0.0
    return {
        "num_total": counts.total,
        "num_pos": counts.positive,
        "num_neg": counts.negative,
        "percent_pos": round(share, 1),
        "prob_thresh": gates.probability,
        "size_thresh": gates.least,
        "size_thresh_upper": gates.most,
        "marker_thresh": gates.marker,
    }


def _written(image: Slide, write: Callable[[], Counts]) -> Counts:
    try:
        return write()
    except FrameUnreadable as error:
        raise Refused(Reason.SLIDE_DAMAGED, f"the image is damaged: {error.message}") from None
    except OSError:
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, "the image's pictures can't be written", retryable=True) from None


def _answer(folder: Path, pictures: tuple[str, ...], counted: dict[str, Any] | None, warnings: list[str]) -> None:
    """Whole or not at all: its being there says that all is done."""
    part = folder / f"{ANSWER}.part"
    answer = {"pictures": pictures, "scoring": counted, "warnings": warnings}
    part.write_text(json.dumps({key: value for key, value in answer.items() if value is not None}))
    part.replace(folder / ANSWER)
