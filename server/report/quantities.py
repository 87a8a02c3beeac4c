"""A result's rows as coded quantities, in their order: what HL7 and DICOM both say. No writer knows an assay."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from inference.measures import Measure, Score
from server.domain.result import ResultSummary
from server.report import codes
from server.report.codes import Code


class Form(StrEnum):
    """How a measure's values are said, whatever its value is this time, or where there is none."""

    NUMBER = "NUMBER"
    WORDS = "WORDS"  # a category whose answers are our own
    ANSWER = "ANSWER"  # a category of which a public list has answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One thing said of a region: a number (an int where only whole numbers can be) or the answer of a category.

    Neither where there is no score. `notes` are lines for a person: a guideline's comment, and which guideline.
    """

    code: Code
    region: str
    form: Form = Form.NUMBER
    number: int | float | None = None
    answer: Code | None = None
    notes: tuple[str, ...] = ()


def quantities(result: ResultSummary) -> Iterator[Quantity]:
    """Each row, followed by the limits of its interval where its measure has one.

    Raises Refused ASSAY_UNSUPPORTED where the marker is no longer scored here.
    """
    known = {measure.code: measure for measure in result.assay.measures}
    for row in result.scores:
        measure = known.get(row.measure)
        yield _of(row, measure)
        if row.interval is not None or (measure is not None and measure.interval):
            yield from _limits(row, row.display if measure is None else measure.display)


def regions(result: ResultSummary) -> tuple[str, ...]:
    """Where there are rows, in their order."""
    return tuple(dict.fromkeys(row.region for row in result.scores))


def number_of(row: Score, measure: Measure | None) -> int | float | None:
    """A row's value as its measure has it, whatever number a store made of it."""
    if row.value is None:
        return None
    return int(row.value) if measure is not None and measure.whole else float(row.value)


def _of(row: Score, measure: Measure | None) -> Quantity:
    answer = None if row.category is None else codes.answer_of(row)
    number = number_of(row, measure)
    return Quantity(
        code=codes.of_score(row),
        region=row.region,
        form=_form(row, measure),
        number=number,
        answer=answer,
        notes=tuple(notes_of(row)),
    )


def notes_of(row: Score) -> Iterator[str]:
    """A guideline's comment on a category, and the guideline."""
    if row.category is not None and row.rule:
        yield f"{row.category}. {row.comment}".rstrip()
        yield f"Rule: {row.rule}"


def _form(row: Score, measure: Measure | None) -> Form:
    """Of a measure that the assay no longer gives, the row says it: a category has no unit."""
    if not (measure.categorical if measure is not None else row.category is not None or not row.unit):
        return Form.NUMBER
    return Form.ANSWER if codes.has_public_answers(row.measure) else Form.WORDS


def _limits(row: Score, display: str) -> Iterator[Quantity]:
    bounds = row.interval or (None, None)
    for code, bound in zip(codes.limits_of(row.measure, display, row.unit), bounds, strict=True):
        yield Quantity(code=code, region=row.region, number=bound)
