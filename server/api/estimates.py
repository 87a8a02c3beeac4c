"""What of ResultService is about pathologists' own estimates."""

from chromogen.v1 import result_service_pb2 as pb

from inference.assay import assay_of
from inference.calibration.agreement import of_numbers
from inference.measures import ALL
from server.api import fields
from server.api.controls import format_in, marker_in
from server.api.convert_validation import agreement_message
from server.api.gate import Call
from server.domain.estimate import Compared, Estimate, EstimateFilter, Given, Said, asked_measure
from server.domain.result import ResultId
from server.report.plots import Format, agreement_plot
from server.services.estimates import Comparison, EstimateService

MOST_VALUES = 20


class EstimateMethods:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, estimates: EstimateService) -> None:
        self._estimates = estimates

    def EstimateResult(self, request: pb.EstimateResultRequest, call: Call) -> pb.EstimateResultResponse:
        result_id = ResultId(fields.identifier(request.result_id, "result_id"))
        values = {
            fields.text(one.region, "values: region", least=1): Given(
                number=one.value, word=fields.text(one.category, "values: category")
            )
            for one in request.values[:MOST_VALUES]
        }
        if len(values) != len(request.values):
            fields.invalid(f"values names a region twice, or more than {MOST_VALUES}")
        kept = self._estimates.keep(call.actor, result_id, values)
        return pb.EstimateResultResponse(estimates=map(estimate_message, kept))

    def CompareEstimates(self, request: pb.CompareEstimatesRequest, call: Call) -> pb.CompareEstimatesResponse:
        drawn, marker = format_in(request.picture), marker_in(request.marker)
        if drawn is not None and not marker:
            fields.invalid("picture needs a marker: numbers of different stains aren't drawn together")
        if drawn is not None and asked_measure(assay_of(marker)).categorical:
            fields.invalid(f"the score of {marker} is a category: there are no differences to draw")
        region = fields.text(request.picture_region, "picture_region") or ALL
        wanted = EstimateFilter(
            marker=marker,
            reader=fields.text(request.reader, "reader"),
            made_from=fields.moment(request, "made_from"),
            made_until=fields.moment(request, "made_until"),
            shown=request.score_shown,
        )
        found = self._estimates.compare(call.actor, wanted)
        return pb.CompareEstimatesResponse(
            agreements=[
                pb.ReaderAgreement(
                    lab=one.lab, marker=one.marker, reader=one.reader, agreement=agreement_message(one.agreement)
                )
                for one in found.agreements
            ],
            compared=map(_compared_message, found.told),
            more=found.more,
            picture=b"" if drawn is None else _drawn(found, marker, region, drawn),
        )


def estimate_message(found: Estimate) -> pb.Estimate:
    return pb.Estimate(
        result_id=found.result_id,
        by=found.by,
        time=fields.stamp(found.at),
        measure=found.measure,
        region=found.region,
        value=_number(found.value),
        score_shown=found.score_shown,
        category=_word(found.value),
    )


def _compared_message(one: Compared) -> pb.ComparedEstimate:
    return pb.ComparedEstimate(
        estimate=estimate_message(one.estimate),
        marker=one.marker,
        score=_number(one.score),
        score_category=_word(one.score),
    )


def _number(said: Said) -> float:
    return 0.0 if isinstance(said, str) else said


def _word(said: Said) -> str:
    return said if isinstance(said, str) else ""


def _drawn(found: Comparison, marker: str, region: str, wanted: Format) -> bytes:
    """Empty where there is nothing to be drawn."""
    pairs = [
        (_number(one.score), _number(one.estimate.value)) for one in found.compared if one.estimate.region == region
    ]
    if not pairs:
        return b""
    scores, estimates = zip(*pairs, strict=True)
    return agreement_plot(pairs, of_numbers(scores, estimates), f"{marker}, {region}", wanted)
