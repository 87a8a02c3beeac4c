"""What guidelines say of a share of positive nuclei: a category, and a comment for whoever reads it. Rules are data.

The categories are exact at their edges: shares are fractions of whole numbers of nuclei.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from inference.control import ControlStatus
from inference.measures import Measure, Score

ORGAN = "breast"
"""Where the rules hold; of any other site their rows say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Shares up to an edge, which belongs to it where `inclusive`; `edge` None: all above.

    `controls`: the status of the controls is to be reported.
    """

    edge: Fraction | None
    inclusive: bool
    category: str
    comment: str = ""
    controls: bool = False

    def holds(self, share: Fraction) -> bool:
        return self.edge is None or share < self.edge or (self.inclusive and share == self.edge)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guideline:
    """`rule`: the guideline's version and source, as reports name it; the first step that holds counts."""

    measure: Measure
    rule: str
    steps: tuple[Step, ...]

    def step(self, share: Fraction) -> Step:
        return next(step for step in self.steps if step.holds(share))


ASCO_CAP = "ASCO/CAP 2020: Allison et al., Arch Pathol Lab Med 144(5) 545"
IKWG = "IKWG 2021: Nielsen et al., J Natl Cancer Inst 113(7) 808"
_ONE, _FIVE, _TEN, _THIRTY = (Fraction(percent, 100) for percent in (1, 5, 10, 30))
NEGATIVE, LOW_POSITIVE, POSITIVE = "negative", "ER Low Positive", "positive"
AT_MOST_5, BETWEEN, AT_LEAST_30 = "at most 5 %", "between", "at least 30 %"
_LOW_COMMENT = (
    "1 to 10 % of the tumour nuclei are stained. Data on endocrine therapy at this level are few and point to a"
    " possible benefit, so it may be considered; such cancers differ among themselves, and many resemble ER-negative"
    " ones."
)
_CLINICAL = ("epithelium",)

ER_STATUS = Measure(
    code="ER_STATUS",
    display="Estrogen receptor status",
    categories=(NEGATIVE, LOW_POSITIVE, POSITIVE),
    regions=_CLINICAL,
)
PGR_STATUS = Measure(
    code="PGR_STATUS", display="Progesterone receptor status", categories=(NEGATIVE, POSITIVE), regions=_CLINICAL
)
KI67_GROUP = Measure(
    code="KI67_GROUP", display="Ki-67 group", categories=(AT_MOST_5, BETWEEN, AT_LEAST_30), regions=_CLINICAL
)

GUIDELINES = {
    guideline.measure.code: guideline
    for guideline in (
        Guideline(
            measure=ER_STATUS,
            rule=ASCO_CAP,
            steps=(
                Step(edge=_ONE, inclusive=False, category=NEGATIVE, controls=True),
                Step(edge=_TEN, inclusive=True, category=LOW_POSITIVE, comment=_LOW_COMMENT, controls=True),
                Step(edge=None, inclusive=True, category=POSITIVE),
            ),
        ),
        Guideline(
            measure=PGR_STATUS,
            rule=ASCO_CAP,
            steps=(
                Step(edge=_ONE, inclusive=False, category=NEGATIVE, controls=True),
                Step(edge=_TEN, inclusive=True, category=POSITIVE, controls=True),
                Step(edge=None, inclusive=True, category=POSITIVE),
            ),
        ),
        Guideline(
            measure=KI67_GROUP,
            rule=IKWG,
            steps=(
                Step(edge=_FIVE, inclusive=True, category=AT_MOST_5, comment="May be used alone."),
                Step(
                    edge=_THIRTY,
                    inclusive=False,
                    category=BETWEEN,
                    comment="Above 5 and below 30 %: not to be used alone to decide on a treatment.",
                ),
                Step(edge=None, inclusive=True, category=AT_LEAST_30, comment="May be used alone."),
            ),
        ),
    )
}
"""By the code of their measure."""

_CONTROLS = {
    ControlStatus.PASSED: "Controls: as expected.",
    ControlStatus.FAILED: "Controls: not as expected; the status isn't to be relied on.",
    ControlStatus.ABSENT: "Controls: no internal control was found or measured on this slide.",
}


def category_of(code: str, positive: int, n: int) -> str | None:
    """Of so many positive of n nuclei; None of none."""
    return None if n == 0 else GUIDELINES[code].step(Fraction(positive, n)).category


def commented(rows: Sequence[Score], *, control: ControlStatus, site_known: bool) -> tuple[Score, ...]:
    """The rows, those of guidelines with their comment and rule. `site_known`: the specimen is of ORGAN.

    The share is told by the counts of grades that stand beside it.
    """
    return tuple(_commented(row, rows, control, site_known) if row.measure in GUIDELINES else row for row in rows)


def _commented(row: Score, rows: Sequence[Score], control: ControlStatus, site_known: bool) -> Score:
    guideline = GUIDELINES[row.measure]
    if row.category is None:
        return replace(row, rule=guideline.rule)
    step = _step(guideline, row, rows)
    said = [step.comment, _CONTROLS[control] if step.controls else ""]
    said += [] if site_known else [f"The rule is for cancer of the {ORGAN}, which this specimen isn't known to be of."]
    return replace(row, comment=" ".join(filter(None, said)), rule=guideline.rule)


def _step(guideline: Guideline, row: Score, rows: Sequence[Score]) -> Step:
    unstained = next((r for r in rows if (r.measure, r.region) == ("COUNT_GRADE_0", row.region)), None)
    if unstained is None or unstained.value is None:
        return next(step for step in guideline.steps if step.category == row.category)
    return guideline.step(Fraction(row.n - int(unstained.value), row.n))
