"""`chromogen live`: a folder of microscope frames, scored as they come."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from inference.analyze import cast_doubted, find_cells
from inference.assay import Assay, assay_of
from inference.control import kind_named
from inference.engines.factory import make_engine
from inference.errors import Reason, Refused
from inference.infer import Engine
from inference.live import Running
from inference.measures import value_text
from inference.quality import Warning
from server.cli.profile_file import read_profile
from server.domain.profile import Profile, built_in, check_marker
from server.report.result_json import score_json
from server.scoring import uncalibrated
from server.slides.opening import open_slide

FRAMES = (".png", ".jpg", ".jpeg")
POLL_S = 0.2


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--marker", required=True, help="the stain, such as HER2")
@click.option("--mpp", type=float, default=0.25, show_default=True, help="µm per pixel of the frames")
@click.option("--profile", "profile_file", type=click.Path(path_type=Path), help="JSON file with criteria")
@click.option(
    "--control", type=click.Path(path_type=Path, dir_okay=False), help="a frame of control tissue: judged first"
)
@click.option("--expected", help="what the control must show, such as 3+")
@click.option("--follow", is_flag=True, help="wait for more frames until interrupted")
@click.option("--json", "as_json", is_flag=True, help="a JSON object a line for each frame")
def live(
    folder: Path,
    marker: str,
    mpp: float,
    profile_file: Path | None,
    control: Path | None,
    expected: str | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Score the frames of FOLDER (PNG, JPEG), in the order of their names, each as it comes; a running score over them.

    What frames share is counted once. A frame that can't be scored is said and passed over, and ends the command with
    an error when the others are done.
    """
    assay = assay_of(marker, "--marker")
    profile = read_profile(profile_file) if profile_file else built_in(assay)
    check_marker(profile, assay)
    if not folder.is_dir():
        raise Refused(Reason.NOT_A_SLIDE, f"{folder} is no folder: name one of frames")
    engine = make_engine("local", model=assay.model, together=True)
    running = Running(analyzer=assay.analyzer, criteria=profile.criteria, measures=assay.measures)
    if control is not None:
        check_control(control, expected, mpp, engine, running)
    refused: list[Refused] = []
    for frame in frames(folder, follow=follow):
        try:
            said = seen(frame, mpp, engine, assay, profile, running)
        except Refused as error:
            refused.append(Refused(error.reason, f"{frame.name}: {error.message}"))
            said = {"frame": frame.name, "refused": error.reason.value, "message": error.message}
        click.echo(json.dumps(said) if as_json else line(said))
    if refused:
        raise Refused(refused[0].reason, f"{len(refused)} frames not scored, the first {refused[0].message}")
    if running.fields == 0:
        raise Refused(Reason.NOT_A_SLIDE, f"{folder} holds no frame ({', '.join(FRAMES)})")


def frames(folder: Path, *, follow: bool) -> Iterator[Path]:
    """Each once, when its size has stopped growing where they are waited for."""
    done: set[Path] = set()
    sizes: dict[Path, int] = {}
    while True:
        waiting = sorted(p for p in folder.iterdir() if p.suffix.lower() in FRAMES and p not in done)
        for path in waiting:
            size = path.stat().st_size
            if not follow or sizes.get(path) == size:
                done.add(path)
                yield path
            sizes[path] = size
        if not follow:
            return
        time.sleep(POLL_S)


def seen(frame: Path, mpp: float, engine: Engine, assay: Assay, profile: Profile, running: Running) -> dict[str, Any]:
    """A frame's answer."""
    began = time.perf_counter()
    slide = open_slide(frame, engine.model.resolution, mpp=mpp)
    try:
        white = running.white_with(slide)
        cells = find_cells(slide, engine, assay.analyzer, engine.model.counting_threshold, white=white, fit=False)
        new = running.add_field(slide, cells)
    finally:
        slide.close()
    cast = [Warning.COLOUR_CAST.value] if cast_doubted(assay.analyzer, engine, white) else []
    return {
        "frame": frame.name,
        "cells": len(cells),
        "new": len(new),
        "fields": running.fields,
        "control": running.control.status.value,
        "scores": [score_json(row, row.value) for row in running.scores()],
        "warnings": [*cast, *running.remarks(mpp), *uncalibrated(assay, profile, running.histograms)],
        "notes": [*filter(None, [assay.analyzer.unvalidated]), *assay.analyzer.notes],
        "seconds": round(time.perf_counter() - began, 4),
    }


def line(said: dict[str, Any]) -> str:
    if "refused" in said:
        return f"{said['frame']}   {said['refused']}: {said['message']}"
    first = said["scores"][0]
    value = first["category"] or value_text(None) if first["value"] is None else f"{first['value']:.1f}"
    parts = (f"{said['new']} new cells", f"{said['fields']} fields", *said["warnings"], f"{first['display']} {value}")
    return "   ".join((said["frame"], *parts))


def check_control(path: Path, expected: str | None, mpp: float, engine: Engine, running: Running) -> None:
    """Raises Refused CONTROL_FAILED, and CONTROL_INVALID for a kind that the assay lacks."""
    kinds = running.analyzer.controls
    kind = kind_named(expected or next((k.name for k in kinds), ""), kinds)
    slide = open_slide(path, engine.model.resolution, mpp=mpp)
    try:
        white = running.white_with(slide)
        cells = find_cells(slide, engine, running.analyzer, engine.model.counting_threshold, white=white, fit=False)
    finally:
        slide.close()
    running.add_control(kind, cells)
    if running.withheld:
        message = f"{running.control.detail}: no score; stain the slide again with its control"
        raise Refused(Reason.CONTROL_FAILED, message)
