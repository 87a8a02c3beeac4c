"""Calibrations as messages and back. Pure."""

import math
from collections.abc import Mapping
from typing import Any

from chromogen.v1 import calibration_pb2 as pb
from chromogen.v1 import profile_pb2, result_pb2
from chromogen.v1 import profile_service_pb2 as service_pb

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from inference.annotations import Kind, Mark, kind_of
from inference.assay import criteria_of
from inference.calibration.fit import HueBy, Objective, Settings
from inference.calibration.sample import Quantity, Target
from inference.criteria import Criteria
from inference.grade import GRADES, DensityThresholds, HueValueThresholds
from inference.measures import ALL
from server.api import fields
from server.api.convert_profile import criteria_message, name_of
from server.api.convert_result import window_of
from server.domain.job import Job, Json
from server.domain.profile import ANY
from server.domain.result import ResultId
from server.domain.states import JobState
from server.report.calibration_pictures import NUCLEI, THRESHOLDS, pictures, plotted_in
from server.report.plots import Format
from server.services.asked_calibration import AskedCalibration, AskedRegion, Picture
from server.services.calibrations import Adoption, nuclear

STATES = {getattr(pb, f"CALIBRATION_STATE_{state}"): state for state in JobState}
STATE_NUMBERS = {state: number for number, state in STATES.items()}
QUANTITIES = {H_SCORE.code: (Quantity.H_SCORE, 300.0), PERCENT_POSITIVE.code: (Quantity.PERCENT_POSITIVE, 100.0)}
METHODS = (HueValueThresholds.method, DensityThresholds.method)


def asked_of(request: service_pb.CalibrateProfileRequest) -> AskedCalibration:
    """Raises Refused FIELD_MISSING, ARGUMENT_INVALID, ASSAY_UNSUPPORTED, ANNOTATION_INVALID."""
    name = name_of(request.name, "name")
    assay = nuclear(fields.text(request.marker, "marker", least=1))
    names = [region.name for region in assay.analyzer.regions]
    if len(request.result_ids) != len(request.h_scores):
        fields.invalid("h_scores needs one value for each of result_ids")
    regions = [_region(region, names, number) for number, region in enumerate(request.regions, 1)]
    for given, value in zip(request.result_ids, request.h_scores, strict=True):
        whole = pb.RegionScore(region=ALL, measure=H_SCORE.code, value=value)
        source = fields.identifier(given, "result_ids")
        target = target_of(whole, names, "h_scores")
        regions.append(AskedRegion(slide=source, source=ResultId(source), targets=(target,)))
    settings = Settings(
        method=_choice(request.method, "method", METHODS),
        by=Objective(_choice(request.by, "by", tuple(Objective))),
        hue_by=HueBy(_choice(request.hue_by, "hue_by", tuple(HueBy))),
    )
    return AskedCalibration(profile=name, marker=assay.marker, settings=settings, regions=tuple(regions))


def _choice(given: str, field: str, known: tuple[str, ...]) -> str:
    """The first where it is left out."""
    if given and given not in known:
        fields.invalid(f"{field} is none of {', '.join(known)}")
    return given or known[0]


def _region(asked: pb.CalibrationRegion, names: list[str], number: int) -> AskedRegion:
    where = f"regions, number {number}"
    source = ResultId(fields.identifier(asked.result_id, f"{where}: result_id"))
    return region_of(asked, names, where, source, fields.text(asked.slide, f"{where}: slide") or source)


def picture_region(asked: pb.CalibrationRegion, names: list[str], where: str, picture: Picture) -> AskedRegion:
    """Raises Refused FIELD_MISSING, ARGUMENT_INVALID."""
    if asked.result_id:
        fields.invalid(f"{where}: region names a result: a picture is its own")
    return region_of(asked, names, where, picture, fields.text(asked.slide, f"{where}: slide", least=1))


def region_of(
    asked: pb.CalibrationRegion, names: list[str], where: str, source: ResultId | Picture, slide: str
) -> AskedRegion:
    return AskedRegion(
        slide=slide,
        source=source,
        window=window_of(asked.window) if asked.HasField("window") else None,
        annotator=fields.text(asked.annotator, f"{where}: annotator"),
        marks=tuple(_mark(nucleus, where) for nucleus in asked.nuclei),
        targets=tuple(target_of(score, names, where) for score in asked.scores),
    )


def _mark(asked: pb.AnnotatedNucleus, where: str) -> Mark:
    if not (math.isfinite(asked.x_px) and math.isfinite(asked.y_px)):
        fields.invalid(f"{where}: a nucleus has no place")
    kind = kind_of(fields.text(getattr(asked, "class"), f"{where}: class", least=1), {}, where)
    assert kind is not None, "without names of one's own no class is passed over"
    if not asked.HasField("grade"):
        return Mark(x=asked.x_px, y=asked.y_px, kind=kind)
    grade = fields.number(asked.grade, f"{where}: grade", 0, GRADES - 1)
    return Mark(x=asked.x_px, y=asked.y_px, kind=Kind(compartment=kind.compartment, grade=grade))


def target_of(asked: pb.RegionScore, names: list[str], where: str) -> Target:
    if asked.region not in names:
        fields.invalid(f"{where}: a score's region is none of {', '.join(names)}")
    if asked.measure not in QUANTITIES:
        fields.invalid(f"{where}: a score's measure is none of {', '.join(QUANTITIES)}")
    quantity, most = QUANTITIES[asked.measure]
    if not 0 <= asked.value <= most:
        fields.invalid(f"{where}: {asked.measure} isn't 0 to {most:g}")
    return Target(part=asked.region, value=asked.value, quantity=quantity)


def adoption_of(request: service_pb.AdoptCalibrationRequest) -> Adoption:
    return Adoption(
        clone=fields.text(request.clone, "clone") or ANY,
        stainer=fields.text(request.stainer, "stainer") or ANY,
        scanner=fields.text(request.scanner, "scanner") or ANY,
        pathologist=fields.text(request.pathologist, "pathologist") or ANY,
        valid_from=fields.day(request.valid_from, "valid_from"),
        valid_until=fields.day(request.valid_until, "valid_until"),
    )


def calibration_message(job: Job) -> pb.Calibration:
    made = pb.Calibration(
        id=job.id,
        lab=job.lab,
        profile=job.given["profile"],
        marker=job.given["marker"],
        by=job.given["by"],
        state=STATE_NUMBERS[job.state],
        progress=job.progress,
        reason=job.reason,
        detail=job.detail,
        asked_by=job.subject,
        create_time=fields.stamp(job.created_at),
        update_time=fields.stamp(job.updated_at),
    )
    if job.outcome is not None:
        made.MergeFrom(_outcome(job.outcome))
    return made


def _outcome(found: Json) -> pb.Calibration:
    criteria = _criteria(found["thresholds"])
    return pb.Calibration(
        criteria=criteria,
        thresholds=[_threshold(name, value, found) for name, value in criteria.numbers.items()],
        mean_error=found["mean_error"],
        fit_error=found["fit_error"],
        kappa=found["kappa"],
        nuclei=found["n"],
        slides=found["slides"],
        regions=found["regions"],
        left_out=[pb.LeftOutSlide(**row) for row in _rows(found)],
        warnings=[pb.CalibrationWarning(**advice) for advice in found["advice"]],
        annotators=_agreement(found["annotators"]) if "annotators" in found else None,
        source=found["source"],
    )


def fill_plotted(answer: service_pb.GetCalibrationResponse, found: Json, wanted: Format | None) -> None:
    """What pictures show, and the pictures."""
    shown, criteria = plotted_in(found["plotted"]), _fitted(found["thresholds"])
    answer.nuclei.brown.extend(shown.nuclei.brown.tolist())
    answer.nuclei.blue.extend(shown.nuclei.blue.tolist())
    if shown.grid is not None:
        left, right = shown.grid.left.tolist(), shown.grid.right.tolist()
        answer.surface.CopyFrom(pb.ThresholdSurface(left=left, right=right, error=shown.grid.error.ravel().tolist()))
    if wanted is not None and isinstance(criteria, HueValueThresholds | DensityThresholds):
        drawn = dict(pictures(shown, criteria, wanted))
        answer.nuclei_picture, answer.surface_picture = drawn[NUCLEI], drawn.get(THRESHOLDS, b"")


def _rows(found: Json) -> list[Mapping[str, Any]]:
    """By compartment, then of all nuclei, where that isn't the same."""
    of_all = found["left_out_all"]
    return [*found["left_out"], *(of_all if of_all != found["left_out"] else [])]


def _criteria(thresholds: Mapping[str, Any]) -> profile_pb2.Criteria:
    return criteria_message(_fitted(thresholds))


def _fitted(thresholds: Mapping[str, Any]) -> Criteria:
    return criteria_of(thresholds["method"], {name: value for name, value in thresholds.items() if name != "method"})


def _threshold(name: str, value: float, found: Json) -> pb.FittedThreshold:
    return pb.FittedThreshold(
        name=name, value=value, interval=_ends(found["interval95"].get(name)), flat=_ends(found["flat"].get(name))
    )


def _ends(ends: list[float] | None) -> result_pb2.Interval | None:
    return None if ends is None else result_pb2.Interval(low=ends[0], high=ends[1])


def _agreement(found: Json) -> pb.AnnotatorAgreement:
    return pb.AnnotatorAgreement(
        names=found["names"],
        criteria=[_criteria(found["thresholds"][name]) for name in found["names"]],
        n=found["n"],
        paired=found["paired"],
        kappa_weighted=found["kappa_weighted"],
        kappa_class=found["kappa_class"],
    )
