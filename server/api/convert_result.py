"""Results as messages. Pure."""

from collections.abc import Iterator

from chromogen.v1 import result_pb2 as pb
from inference.nuclei import COMPARTMENTS, Nuclei

from inference.analysis import ModelFacts
from inference.grade import Thresholds, grades
from inference.score import CompartmentScore
from inference.slide import SlideFacts
from server.api import fields
from server.api.convert_profile import profile_message
from server.domain.result import Scores
from server.domain.states import ResultState
from server.domain.views import SummaryView

STATES = {getattr(pb, f"RESULT_STATE_{state}"): state for state in ResultState}
STATE_NUMBERS = {state: number for number, state in STATES.items()}
COMPARTMENT_INDEX = {getattr(pb, f"COMPARTMENT_{name.upper()}"): i for i, name in enumerate(COMPARTMENTS)}
COMPARTMENT_NUMBERS = [getattr(pb, f"COMPARTMENT_{name.upper()}") for name in COMPARTMENTS]


def result_message(view: SummaryView) -> pb.Result:
    result, analysis = view.result, view.result.analysis
    return pb.Result(
        id=result.id,
        lab=view.lab,
        order_id=result.order_id or "",
        predecessor_id=result.predecessor or "",
        create_time=fields.stamp(result.created_at),
        profile=profile_message(result.profile),
        model=model_message(analysis.model),
        slide=_slide(analysis.slide),
        scores=scores_message(result.scores),
        tissue_mm2=analysis.tissue_mm2,
        warnings=result.warnings,
        state=STATE_NUMBERS[view.state],
        signed_by=view.signed_by,
        sign_time=fields.stamp(view.signed_at),
        reason=view.reason,
        research_use_only=True,
        etag=view.etag,
        software_version=result.software,
    )


def model_message(model: ModelFacts) -> pb.Model:
    return pb.Model(name=model.name, version=model.version, sha256=model.sha256, engine=model.engine)


def _slide(facts: SlideFacts) -> pb.SlideFacts:
    return pb.SlideFacts(
        mpp=facts.mpp,
        width_px=facts.size.width,
        height_px=facts.size.height,
        study_uid=facts.study_uid or "",
        series_uid=facts.series_uid or "",
        container_id=facts.container_id or "",
        sha256=facts.sha256 or "",
        icc_sha256=facts.icc_sha256 or "",
    )


def scores_message(scores: Scores) -> pb.Scores:
    return pb.Scores(stroma=_score(scores.stroma), epithelium=_score(scores.epithelium), all=_score(scores.all))


def _score(score: CompartmentScore) -> pb.CompartmentScore:
    interval, allred = score.h_score_ci95, score.allred
    return pb.CompartmentScore(
        nuclei=score.n,
        counts=score.counts,
        h_score=score.h_score,
        h_score_ci95=None if interval is None else pb.Interval(low=interval[0], high=interval[1]),
        percent_positive=score.percent_positive,
        allred=None if allred is None else pb.Allred(proportion=allred.ps, intensity=allred.is_, total=allred.total),
        irs=score.irs,
    )


def nuclei_messages(nuclei: Nuclei, thresholds: Thresholds) -> Iterator[pb.Nucleus]:
    """One a nucleus, graded."""
    columns = (nuclei.x, nuclei.y, nuclei.compartment, nuclei.confidence, nuclei.hue, nuclei.value, nuclei.dab_od_centi)
    for x, y, compartment, confidence, hue, value, density, grade in zip(
        *(column.tolist() for column in columns), grades(nuclei, thresholds).tolist(), strict=True
    ):
        yield pb.Nucleus(
            x_px=x,
            y_px=y,
            compartment=COMPARTMENT_NUMBERS[compartment],
            confidence=confidence,
            hue=hue,
            value=value,
            dab_od_centi=density,
            grade=grade,
        )
