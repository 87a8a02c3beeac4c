"""Results and cells as messages. Pure."""

from collections.abc import Iterable
from itertools import chain

from chromogen.v1 import result_pb2 as pb

from inference.analysis import ModelFacts
from inference.analyzers.analyzer import Analyzer
from inference.cells.values import Cells
from inference.criteria import Criteria
from inference.geometry import Region
from inference.measures import Score
from inference.slide import SlideFacts
from server.api import fields
from server.api.convert_control import control_message
from server.api.convert_profile import profile_message
from server.domain.choice import ProfileChoice
from server.domain.states import ResultState
from server.domain.views import SummaryView
from server.services.cells import Square

STATES = {getattr(pb, f"RESULT_STATE_{state}"): state for state in ResultState}
STATE_NUMBERS = {state: number for number, state in STATES.items()}
CONFIDENCE = "confidence"
"""Of the columns of every schema; it has a field of its own."""


def result_message(view: SummaryView) -> pb.Result:
    result, analysis = view.result, view.result.analysis
    return pb.Result(
        id=result.id,
        lab=view.lab,
        order_id=result.order_id or "",
        predecessor_id=result.predecessor or "",
        create_time=fields.stamp(result.created_at),
        marker=result.marker,
        clinical_region=result.clinical_region,
        profile=profile_message(result.profile),
        model=model_message(analysis.model),
        slide=_slide(analysis.slide),
        scores=score_messages(result.scores),
        tissue_mm2=analysis.tissue_mm2,
        warnings=result.warnings,
        state=STATE_NUMBERS[view.state],
        signed_by=view.signed_by,
        sign_time=fields.stamp(view.signed_at),
        reason=view.reason,
        research_use_only=result.research_use_only,
        etag=view.etag,
        software_version=result.software,
        control=control_message(result.control),
        profile_choice=None if result.choice is None else _choice(result.choice),
    )


def _choice(choice: ProfileChoice) -> pb.ProfileChoice:
    slide = choice.preparation
    return pb.ProfileChoice(
        clone=slide.clone,
        stainer=slide.stainer,
        scanner=slide.scanner,
        by_slide=slide.by_slide,
        validation_id="" if choice.validated is None else choice.validated.id,
        alternatives=[pb.ProfileAlternative(profile=a.label, against=a.against) for a in choice.alternatives],
    )


def model_message(model: ModelFacts) -> pb.Model:
    graphs = [pb.Graph(name=name, sha256=sha256) for name, sha256 in model.graphs]
    return pb.Model(name=model.name, version=model.version, sha256=model.sha256, engine=model.engine, graphs=graphs)


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


def score_messages(scores: Iterable[Score]) -> list[pb.Score]:
    """In their order."""
    return [_score(score) for score in scores]


def _score(score: Score) -> pb.Score:
    interval = score.interval
    return pb.Score(
        code=score.code,
        scheme=score.scheme,
        display=score.display,
        region=score.region,
        value=score.value,
        category=score.category or "",
        unit=score.unit,
        interval=None if interval is None else pb.Interval(low=interval[0], high=interval[1]),
        n=score.n,
        measure=score.measure,
        comment=score.comment,
        rule=score.rule,
    )


def score_in(message: pb.Score) -> Score:
    """The inverse, for clients."""
    interval = (message.interval.low, message.interval.high) if message.HasField("interval") else None
    return Score(
        measure=message.measure,
        code=message.code,
        scheme=message.scheme,
        display=message.display,
        region=message.region,
        unit=message.unit,
        n=message.n,
        value=message.value if message.HasField("value") else None,
        category=message.category or None,
        interval=interval,
        comment=message.comment,
        rule=message.rule,
    )


def group_messages(analyzer: Analyzer) -> list[pb.CellGroup]:
    return [pb.CellGroup(name=g.name, title=g.title, region=g.region) for g in analyzer.groups]


def region_names(analyzer: Analyzer) -> list[str]:
    """Every region that a score or a cell can be of, those of the groups among them."""
    return list(dict.fromkeys(chain((r.name for r in analyzer.regions), (g.region for g in analyzer.groups))))


def cells_message(cells: Cells, analyzer: Analyzer, criteria: Criteria) -> pb.Cells:
    """Their columns, grouped under the criteria."""
    measured = [column for column in cells.schema.columns if column.name != CONFIDENCE and column.scalar]
    return pb.Cells(
        x_px=cells.x,
        y_px=cells.y,
        group=analyzer.group_of(cells, criteria),
        confidence=cells[CONFIDENCE],
        measurements=[pb.Measurement(name=c.name, unit=c.unit, values=cells[c.name]) for c in measured],
    )


def square_messages(squares: Iterable[Square]) -> list[pb.CellSquare]:
    return [pb.CellSquare(x_um=square.x_um, y_um=square.y_um, counts=square.counts) for square in squares]


def window_of(asked: pb.Window) -> Region:
    """Raises Refused ARGUMENT_INVALID."""
    region = Region(x=asked.x_px, y=asked.y_px, width=asked.width_px, height=asked.height_px)
    if region.empty or region.x < 0 or region.y < 0:
        fields.invalid("window needs x_px and y_px from 0, width_px and height_px from 1")
    return region
