"""`chromogen profile calibrate` and what follows it: calibrations by the gRPC API, over stored nuclei."""

import csv
import io
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from chromogen.v1 import calibration_pb2, plot_pb2
from chromogen.v1 import profile_service_pb2 as pb

from inference.analyzers.nuclear import COMPARTMENTS, NUCLEAR
from inference.annotations import Names, read_names
from inference.calibration.fit import HueBy, Objective
from inference.calibration.sample import Quantity
from inference.errors import Failed, Reason, Refused
from inference.measures import ALL
from server.cli.calibrate import METHODS, read_text
from server.cli.client import Api, api, as_json_option, limit_option, pages, show, show_all, show_table, to_json
from server.cli.manifest import read_manifest
from server.cli.profile import FIELDS as PROFILE_FIELDS
from server.cli.profile import profile
from server.cli.regions import read_marks
from server.cli.result import window_of
from server.cli.sent_pictures import MEASURES, messages, nucleus, of_pictures
from server.domain.errors import ServiceReason

NEEDED = ("result", "annotation")
SCORES = {f"{quantity}_{part}": (quantity, part) for quantity in Quantity for part in (*COMPARTMENTS, ALL)}
FIELDS = {
    "id": "calibration",
    "state": "state",
    "profile": "profile",
    "marker": "marker",
    "by": "by",
    "reason": "reason",
    "detail": "detail",
    "criteria.method": "method",
    "criteria.numbers": "criteria",
    "mean_error": "left-out error",
    "fit_error": "fit error",
    "kappa": "kappa",
    "nuclei": "nuclei",
    "slides": "slides",
    "regions": "regions",
    "asked_by": "asked by",
    "create_time": "asked",
}
COLUMNS = {name: FIELDS[name] for name in ("id", "state", "profile", "marker", "by", "mean_error", "create_time")}


@profile.command()
@click.argument("name")
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--marker", required=True, help="the stain that the profile is for")
@click.option("--by", type=click.Choice([o.value for o in Objective]), default=Objective.H_SCORE.value)
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], help="kind of criteria")
@click.option("--hue-by", type=click.Choice([h.value for h in HueBy]), default=HueBy.SEARCH.value)
@click.option("--classes", type=click.Path(path_type=Path, dir_okay=False), help="JSON of class names, as of calibrate")
@click.option("--request-id", help="UUID; the same again is the same calibration. A new one where left out")
@click.option("--no-wait", is_flag=True, help="don't wait until it ends")
@as_json_option
def calibrate(
    name: str,
    manifest: Path,
    marker: str,
    by: str,
    method: str,
    hue_by: str,
    classes: Path | None,
    request_id: str | None,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Fit criteria for profile NAME to the stored results of MANIFEST, in the background.

    MANIFEST is a CSV, result,annotation and optionally slide, region, annotator and scores a region, as of `chromogen
    calibrate`; `result` is a result's UUID. Of slides that aren't stored it is a manifest of `chromogen calibrate`,
    slide,image,mpp,annotation: its pictures (PNG, JPEG) are sent.
    """
    names = read_names(read_text(classes), classes.name) if classes else {}
    request = pb.CalibrateProfileRequest(
        request_id=request_id or str(uuid.uuid4()), name=name, marker=marker, by=by, method=method, hue_by=hue_by
    )
    pictures = None
    if of_pictures(read_text(manifest)):
        pictures = list(messages(request, read_manifest(manifest, NUCLEAR), names))
    else:
        request.regions.extend(read_regions(manifest, names))
    with api() as server:
        found = _asked(server, request, pictures)
        last = found if no_wait else _last(server, found.id)
    _show(last, as_json=as_json)
    if last.state == calibration_pb2.CALIBRATION_STATE_FAILED:
        raise Failed(ServiceReason.JOB_STATE, f"the calibration failed: {last.reason}: {last.detail}")


@profile.command("calibration")
@click.argument("calibration_id")
@click.option(
    "--plots", type=click.Path(path_type=Path, file_okay=False), help="folder for pictures, as PNG: nuclei, thresholds"
)
@as_json_option
def calibration(calibration_id: str, plots: Path | None, as_json: bool) -> None:
    """Show one calibration."""
    wanted = plot_pb2.PLOT_FORMAT_PNG if plots else plot_pb2.PLOT_FORMAT_UNSPECIFIED
    with api() as server:
        answer = server.profiles.GetCalibration(pb.GetCalibrationRequest(calibration_id=calibration_id, picture=wanted))
    if plots:
        plots.mkdir(parents=True, exist_ok=True)
        for name, picture in (("nuclei", answer.nuclei_picture), ("thresholds", answer.surface_picture)):
            if picture:
                (plots / f"{name}.png").write_bytes(picture)
    _show(answer.calibration, as_json=as_json)


@profile.command("calibrations")
@limit_option
@as_json_option
def calibrations(limit: int, as_json: bool) -> None:
    """List calibrations, newest first."""
    with api() as server:
        found = pages(server.profiles.ListCalibrations, pb.ListCalibrationsRequest(), "calibrations", limit)
    show_all(found, COLUMNS, as_json=as_json)


@profile.command()
@click.argument("calibration_id")
@click.option("--clone", default="", show_default=False, help="of a new profile; any where left out")
@click.option("--stainer", default="", show_default=False, help="likewise")
@click.option("--scanner", default="", show_default=False, help="likewise")
@click.option("--pathologist", default="", show_default=False, help="whose own it is, likewise")
@as_json_option
def adopt(calibration_id: str, clone: str, stainer: str, scanner: str, pathologist: str, as_json: bool) -> None:
    """Make a calibration's criteria the next revision of its profile, as a draft."""
    request = pb.AdoptCalibrationRequest(
        request_id=str(uuid.uuid4()),
        calibration_id=calibration_id,
        clone=clone,
        stainer=stainer,
        scanner=scanner,
        pathologist=pathologist,
    )
    with api() as server:
        show(server.profiles.AdoptCalibration(request).profile, PROFILE_FIELDS, as_json=as_json)


def _asked(
    server: Api, request: pb.CalibrateProfileRequest, pictures: Sequence[pb.CalibratePicturesRequest] | None
) -> calibration_pb2.Calibration:
    """By pictures where there are any, saying of each what was found."""
    if pictures is None:
        answer: calibration_pb2.Calibration = server.profiles.CalibrateProfile(request).calibration
        return answer
    told = pb.CalibratePicturesResponse()
    for told in server.profiles.CalibratePictures(iter(pictures)):
        for warning in told.warnings:
            click.echo(f"warning: picture {told.pictures}: {warning}", err=True)
    return told.calibration


def _last(server: Api, calibration_id: str) -> calibration_pb2.Calibration:
    last = calibration_pb2.Calibration()
    for answer in server.profiles.WatchCalibration(pb.WatchCalibrationRequest(calibration_id=calibration_id)):
        last = answer.calibration
    return last


def _show(found: calibration_pb2.Calibration, *, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(found))
        return
    show(found, FIELDS, as_json=False)
    if found.left_out:
        rows = [
            (r.slide, r.compartment, str(r.n), f"{r.annotated:.1f}", f"{r.fitted:.1f}", f"{r.error:.1f}")
            for r in found.left_out
        ]
        show_table(("left out", "compartment", "nuclei", "annotated", "fitted", "error"), rows)
    for said in found.warnings:
        click.echo(f"warning: {said.warning}: {said.text}", err=True)


def read_regions(path: Path, names: Names) -> list[calibration_pb2.CalibrationRegion]:
    """Raises Refused MANIFEST_INVALID naming the line, ANNOTATION_INVALID."""
    rows = csv.DictReader(io.StringIO(read_text(path)))
    given = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = given
    missing = [name for name in NEEDED if name not in given]
    unknown = [name for name in given if name not in (*NEEDED, "slide", "region", "annotator", *SCORES)]
    if missing or unknown:
        said = f"lacks {', '.join(missing)}" if missing else f"has unknown columns: {', '.join(unknown)}"
        raise Refused(Reason.MANIFEST_INVALID, f"{path} {said}; its first line begins {','.join(NEEDED)}")
    found = [_region(path, row, names, f"{path}, line {rows.line_num}") for row in rows]
    if not found:
        raise Refused(Reason.MANIFEST_INVALID, f"{path} names no region: add a line {','.join(NEEDED)} for each")
    return found


def _region(path: Path, row: Mapping[str, Any], names: Names, where: str) -> calibration_pb2.CalibrationRegion:
    if None in row or None in row.values():
        raise Refused(Reason.MANIFEST_INVALID, f'{where} has more or fewer fields than the first; quote "X,Y,W,H"')
    text = {name: value.strip() for name, value in row.items()}
    marks = read_marks(path.parent / text["annotation"], names) if text["annotation"] else []
    return calibration_pb2.CalibrationRegion(
        result_id=text["result"],
        slide=text.get("slide", ""),
        window=window_of(text["region"]) if text.get("region") else None,
        annotator=text.get("annotator", ""),
        nuclei=map(nucleus, marks),
        scores=[score_of(name, text[name], where) for name in SCORES if text.get(name)],
    )


def score_of(name: str, text: str, where: str) -> calibration_pb2.RegionScore:
    quantity, part = SCORES[name]
    try:
        return calibration_pb2.RegionScore(region=part, measure=MEASURES[quantity], value=float(text))
    except ValueError:
        raise Refused(Reason.MANIFEST_INVALID, f"{where}: {name} {text!r} isn't a number") from None
