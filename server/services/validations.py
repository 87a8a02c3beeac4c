"""Validations of profiles: computed over slides that were signed, or scored by a person; signed by people."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from inference.analyzers.nuclear import H_SCORE, PERCENT_POSITIVE
from inference.assay import Assay, assay_of
from inference.calibration.agreement import of_categories, of_numbers
from inference.calibration.sample import Quantity, Target
from inference.measures import Measure, Score
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import Profile, ProfileRules, check_marker
from server.domain.repositories import ResultRepository, ValidationRepository
from server.domain.result import Result, ResultId
from server.domain.states import SIGNED, ResultState
from server.domain.validation import Agreement, Computed, Validation, ValidationId, agreement_of
from server.domain.views import ResultFilter
from server.services.profiles import ProfileService

MOST_SLIDES = 200
QUANTITIES = {Quantity.H_SCORE: H_SCORE.code, Quantity.PERCENT_POSITIVE: PERCENT_POSITIVE.code}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """What a person scored a stored result as."""

    result_id: ResultId
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A slide under the profile, beside its reference: value or category by (measure, region)."""

    result: Result
    scored: Sequence[Score]
    reference: Mapping[tuple[str, str], float | str]


class ValidationService:
    """Raises what the repositories do. `rules` are a laboratory's."""

    def __init__(
        self,
        validations: ValidationRepository,
        results: ResultRepository,
        profiles: ProfileService,
        rules: Callable[[str], ProfileRules],
    ) -> None:
        self._validations, self._results, self._profiles, self._rules = validations, results, profiles, rules

    def compute(
        self, actor: Caller, name: str, revision: int, marker: str, references: Sequence[Reference], request_id: str
    ) -> Validation:
        """Over the slides of `references`; without any over the newest signed results of the marker.

        Raises Refused VALIDATION_IMPOSSIBLE, PROFILE_INVALID.
        """
        profile, assay = self._profiles.get(actor, name, revision).profile, assay_of(marker, "marker")
        check_marker(profile, assay)
        given = (actor, profile, assay)
        cases = self._annotated(*given, references) if references else self._signed(*given)
        models = {case.result.analysis.model.sha256 for case in cases}
        if not cases:
            raise _impossible(f"no signed result of {assay.marker} is there: sign some, or give references")
        if len(models) > 1:
            raise _impossible("the slides were analysed by different models: name results of one")
        same = sum(case.result.profile.criteria == profile.criteria for case in cases) if not references else 0
        computed = Computed(
            name=name,
            revision=revision,
            marker=assay.marker,
            model_sha256=models.pop(),
            slides=len(cases),
            same=same,
            agreements=tuple(agreements(assay, cases)),
        )
        return self._validations.keep(actor, computed, [asdict(each) for each in references], request_id)

    def sign(self, actor: Caller, validation_id: ValidationId) -> Validation:
        """Once a person. Raises Refused VALIDATION_IMPOSSIBLE where it is of fewer slides than the laboratory asks."""
        validation = self._validations.get(actor, validation_id)
        least = self._rules(validation.lab).validation_slides
        if validation.slides < least:
            message = f"it is of {validation.slides} slides, and the laboratory asks for {least}: validate over more"
            raise _impossible(message)
        return self._validations.sign(actor, validation_id)

    def _signed(self, actor: Caller, profile: Profile, assay: Assay) -> list[_Case]:
        cases = []
        for state in sorted(SIGNED):
            wanted = ResultFilter(marker=assay.marker, state=ResultState(state))
            for view in self._results.list(actor, wanted, MOST_SLIDES, ()).items:
                result = self._results.get(actor, view.result.id).result
                said = {(row.measure, row.region): _said(row) for row in result.scores if not row.absent}
                cases.append(_case(result, profile, {key: value for key, value in said.items() if value is not None}))
        return cases

    def _annotated(self, actor: Caller, profile: Profile, assay: Assay, references: Sequence[Reference]) -> list[_Case]:
        if len({reference.result_id for reference in references}) < len(references):
            raise _impossible("a result is named twice: name each once")
        cases = []
        for reference in references:
            result = self._results.get(actor, reference.result_id).result
            if result.marker != assay.marker:
                raise _impossible(f"a result is of {result.marker}, not of {assay.marker}: name results of one marker")
            cases.append(_case(result, profile, {(QUANTITIES[t.quantity], t.part): t.value for t in reference.targets}))
        return cases

    def list(self, actor: Caller, name: str, revision: int) -> Sequence[Validation]:
        return self._validations.list(actor, name, revision)


def agreements(assay: Assay, cases: Sequence[_Case]) -> list[Agreement]:
    """A measure and region at a time, as far as any case has both sides; counts aside."""
    found = []
    for measure in (m for m in assay.measures if m.unit != "1"):
        for region in (r.name for r in assay.analyzer.regions):
            pairs = [pair for case in cases if (pair := _pair(case, measure, region)) is not None]
            if not pairs:
                continue
            ours, theirs = zip(*pairs, strict=True)
            both = of_categories(ours, theirs, measure.categories) if measure.categorical else of_numbers(ours, theirs)
            found.append(agreement_of(measure, region, both))
    return found


def _pair(case: _Case, measure: Measure, region: str) -> tuple[float | str, float | str] | None:
    row = next((s for s in case.scored if (s.measure, s.region) == (measure.code, region)), None)
    ours, theirs = None if row is None else _said(row), case.reference.get((measure.code, region))
    return None if ours is None or theirs is None else (ours, theirs)


def _case(result: Result, profile: Profile, reference: Mapping[tuple[str, str], float | str]) -> _Case:
    analyzer = result.assay.analyzer
    counts = analyzer.counts(result.analysis.histograms, profile.criteria)
    return _Case(result=result, scored=analyzer.scores(result.assay.measures, counts, None), reference=reference)


def _said(row: Score) -> float | str | None:
    return row.value if row.category is None else row.category


def _impossible(message: str) -> Refused:
    return Refused(ServiceReason.VALIDATION_IMPOSSIBLE, message)
