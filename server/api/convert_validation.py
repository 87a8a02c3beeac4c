"""Validations as messages. Pure."""

from chromogen.v1 import result_pb2
from chromogen.v1 import validation_pb2 as pb

from inference.calibration.agreement import NumberAgreement
from inference.measures import Interval
from server.api import fields
from server.domain.validation import Agreement, Validation


def validation_message(found: Validation) -> pb.Validation:
    return pb.Validation(
        id=found.id,
        lab=found.lab,
        profile=found.name,
        revision=found.revision,
        marker=found.marker,
        model_sha256=found.model_sha256,
        slides=found.slides,
        same_criteria=found.same,
        agreements=map(agreement_message, found.agreements),
        computed_by=found.by,
        create_time=fields.stamp(found.made_at),
        signatures=[pb.ValidationSignature(by=s.by, time=fields.stamp(s.at)) for s in found.signatures],
    )


def agreement_message(each: Agreement) -> pb.ScoreAgreement:
    found, made = each.found, pb.ScoreAgreement(measure=each.measure, display=each.display, region=each.region)
    made.unit, made.n = each.unit, found.n
    if isinstance(found, NumberAgreement):
        made.bias, made.mean_absolute = found.bias, found.mean_absolute
        _set(made.bias_interval, found.bias_interval)
        _set(made.limits, found.limits)
        return made
    made.agree = found.agree
    _set(made.agree_interval, found.interval)
    if found.kappa is not None:
        made.kappa = found.kappa
    return made


def _set(field: result_pb2.Interval, ends: Interval | None) -> None:
    """In place; left unset for None."""
    if ends is not None:
        field.low, field.high = ends
