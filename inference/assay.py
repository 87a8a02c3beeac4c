"""Assays: for each marker what kind of analysis it is, which model runs, what scores it gives, and what was validated.

A marker without an assay is refused (ASSAY_UNSUPPORTED). Adding an assay is one analyzer, one model folder and one row
here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from inference.analyzers import he, membrane
from inference.analyzers.analyzer import Analyzer
from inference.analyzers.he_criteria import HeCriteria
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.analyzers.nuclear import (
    ALLRED_IS,
    ALLRED_PS,
    ALLRED_TOTAL,
    COUNTS,
    H_SCORE,
    IRS,
    NUCLEAR,
    PERCENT_POSITIVE,
)
from inference.criteria import COLOUR, RAW, Criteria, Values
from inference.errors import Reason, Refused
from inference.grade import Colour, HueValueThresholds
from inference.guideline import ER_STATUS, KI67_GROUP, PGR_STATUS
from inference.measures import ALL, Measure, Region


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the model card covers: `sites` in SNOMED CT codes and plain text, lower case; none: nothing is."""

    sites: frozenset[str] = frozenset()

    def holds(self, site_code: str, site_text: str) -> bool:
        """Is the site, where one is given, covered? Never where nothing is."""
        asked = {site_code.lower(), *site_text.lower().replace(",", " ").split()} - {""}
        return bool(self.sites) and (not asked or bool(asked & self.sites))


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """The criteria that ship, for laboratories without a profile of their own; `name` and `revision` as a profile's.

    Profiles are known by their name: assays that share it share the whole, and another kind's needs a name of its own.
    """

    name: str
    revision: int
    criteria: Criteria
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assay:
    """One marker. `names` are what else it is called, capitals and signs aside; `model` its folder in the repository.

    `clinical_region` is the region that its clinical score is about: every report says so.

    `measures` are given in their order, and the first is special: it is the score that an overlay's title, lists of
    results and comparisons of profiles show, and the one whose interval has a column in tables.
    """

    marker: str
    analyzer: Analyzer
    model: str
    measures: tuple[Measure, ...]
    clinical_region: str
    built_in: BuiltIn
    scope: Scope = field(default_factory=Scope)
    names: frozenset[str] = frozenset()
    other_rules: Scope = field(default_factory=Scope)
    """Sites whose slides are scored by rules that aren't the assay's."""

    @property
    def kind(self) -> str:
        return self.analyzer.kind

    def region(self, name: str) -> Region:
        """Raises KeyError."""
        return next(r for r in self.analyzer.regions if r.name == name)

    def check_site(self, site_code: str, site_text: str) -> None:
        """Raises Refused SITE_UNSUPPORTED where a site's slides are scored by other rules than the assay's."""
        if (site_code or site_text) and self.other_rules.holds(site_code, site_text):
            message = f"{self.marker} of this site is scored by other rules than those here: score it by eye"
            raise Refused(Reason.SITE_UNSUPPORTED, message)

    def withheld(self, site_code: str = "", site_text: str = "") -> frozenset[str]:
        """The regions that aren't told apart there: their scores would mean nothing."""
        return self.analyzer.scoped_regions if self.out_of_scope(site_code, site_text) else frozenset()

    def out_of_scope(self, site_code: str = "", site_text: str = "") -> bool:
        """Is the marker, or the site where one is given, something that the model card doesn't cover?"""
        return not self.scope.holds(site_code, site_text)


BUILT_IN = BuiltIn(
    name="built-in",
    revision=2,  # 1 had the same numbers on raw colours
    criteria=HueValueThresholds(hue=130, left=60, right=105, colour=Colour.WHITE_POINT),
    source=(
        "value: EndoNet, Informatics 2023, 10(4), 90;"
        " hue: middle of the gap between brown and blue in EndoNuke, colours by the white point (docs/models)"
    ),
)
ENDOMETRIUM = Scope(sites=frozenset({"endometrium", "endometrial", "uterus", "2739003", "35039007"}))
"""What the networks were trained on (docs/models)."""
COLON = Scope(sites=frozenset({"colon", "colorectal", "rectum", "71854001", "34402009", "t-59300", "c18", "c18.9"}))
"""CoNSeP's tissue."""
BREAST = Scope(sites=frozenset({"breast", "mamma", "mammary", "76752008", "t-04000", "c50", "c50.9"}))
STOMACH = Scope(
    sites=frozenset(
        {
            "stomach",
            "gastric",
            "gastroesophageal",
            "gastro-oesophageal",
            "cardia",
            "69695003",
            "t-57000",
            "c16",
            "c16.9",
        }
        | {"gastro-esophageal", "gastrooesophageal", "pylorus", "25271004", "t-63000"}
    )
)
SCORES = (ALLRED_PS, ALLRED_IS, ALLRED_TOTAL, IRS, *COUNTS)
PERCENT_ALONE = (PERCENT_POSITIVE, *COUNTS)


def _nuclear(
    marker: str,
    *names: str,
    measures: tuple[Measure, ...],
    clinical_region: str = "epithelium",
    scope: Scope = Scope(),
) -> Assay:
    return Assay(
        marker=marker,
        names=frozenset(names),
        analyzer=NUCLEAR,
        model="ihc_tile",
        measures=measures,
        clinical_region=clinical_region,
        built_in=BUILT_IN,
        scope=scope,
    )


USUAL_MARKER = "ER"
"""Where nobody names one: of commands, and of pictures by the API."""

_ASSAYS: dict[str, Assay] = {}


def register(assay: Assay) -> None:
    """Add an assay, under its marker, in place of what was there.

    Raises ValueError where it contradicts its analyzer, or takes a name that is another assay's.
    """
    others = [other for other in _ASSAYS.values() if other.marker != assay.marker]
    clashes = (fault for other in others for fault in _clashes(assay, other))
    fault = next(_contradictions(assay), None) or next(clashes, None)
    if fault is not None:
        raise ValueError(f"assay {assay.marker}: {fault}")
    _ASSAYS[assay.marker] = assay


def _contradictions(assay: Assay) -> Iterator[str]:
    """What would show only after a whole slide, or never."""
    analyzer, codes = assay.analyzer, [measure.code for measure in assay.measures]
    regions, methods = [region.name for region in analyzer.regions], [kind.method for kind in analyzer.criteria]
    if assay.clinical_region not in regions:
        yield f"clinical_region {assay.clinical_region} is none of {', '.join(regions)}"
    if assay.built_in.criteria.method not in methods:
        yield f"criteria of method {assay.built_in.criteria.method} ship, {assay.kind} scores by {', '.join(methods)}"
    if not assay.measures:
        yield "needs measures"
    if len(set(codes)) < len(codes):
        yield "names one of its measures twice"
    for measure in assay.measures:
        if measure not in analyzer.measures:
            yield f"{measure.code} is no measure of {assay.kind}"


def _clashes(assay: Assay, other: Assay) -> Iterator[str]:
    """Names that would stand for two things."""
    if _called(assay) & _called(other):
        yield f"is called as {other.marker} is"
    mine, its = assay.built_in, other.built_in
    if mine.name == its.name and mine != its:
        yield f"{mine.name}/{mine.revision} is another profile of {other.marker}: name it anew"
    kinds = {kind.method: kind for kind in other.analyzer.criteria}
    for kind in assay.analyzer.criteria:
        if kinds.get(kind.method, kind) is not kind:
            yield f"method {kind.method} is another kind of criteria of {other.marker}: name it anew"


def _called(assay: Assay) -> set[str]:
    return {plain(name) for name in (assay.marker, *assay.names)}


def unregister(marker: str) -> None:
    """Take an assay out again; for tests that add one."""
    _ASSAYS.pop(marker, None)


def assays() -> tuple[Assay, ...]:
    """All that are scored here, in the order of their registration."""
    return tuple(_ASSAYS.values())


def assay_of(name: str, where: str = "marker") -> Assay:
    """The assay of a marker by any of its names; `where` says what named it. Raises Refused ASSAY_UNSUPPORTED."""
    wanted = plain(name)
    for assay in _ASSAYS.values():
        if wanted in _called(assay):
            return assay
    raise Refused(
        Reason.ASSAY_UNSUPPORTED, f"{where} names no stain that is scored here: only {', '.join(_ASSAYS)} are"
    )


def criteria_of(method: str, values: Values) -> Criteria:
    """Criteria of any kind that an assay scores by. Raises Refused PROFILE_INVALID.

    `colour` among the values names the colours they are for, `raw` where it is absent (`inference.grade.Colour`).
    """
    if values.get(COLOUR, RAW) == RAW:
        values = {name: value for name, value in values.items() if name != COLOUR}
    kinds = {kind.method: kind for assay in _ASSAYS.values() for kind in assay.analyzer.criteria}
    if method not in kinds:
        raise Refused(Reason.PROFILE_INVALID, f"criteria need a method that is known here: {', '.join(sorted(kinds))}")
    return kinds[method].read(values)


def criteria_values(criteria: Criteria) -> dict[str, int | float | str]:
    """Criteria as files, the database and JSON have them: `method` and its values."""
    return {"method": criteria.method, **criteria.values()}


def plain(name: str) -> str:
    """A name as it is compared: letters and digits alone, upper case."""
    return re.sub(r"[^A-Z0-9]", "", name.upper())


for _assay in (
    _nuclear(
        "ER",
        "ER alpha",
        "Estrogen receptor",
        "Oestrogen receptor",
        "Estrogen receptor alpha",
        measures=(H_SCORE, PERCENT_POSITIVE, ER_STATUS, *SCORES),
        scope=ENDOMETRIUM,
    ),
    _nuclear(
        "PR",
        "PGR",
        "Progesterone receptor",
        measures=(H_SCORE, PERCENT_POSITIVE, PGR_STATUS, *SCORES),
        scope=ENDOMETRIUM,
    ),
    _nuclear("KI67", "MIB1", measures=(H_SCORE, PERCENT_POSITIVE, KI67_GROUP, *SCORES)),
    _nuclear("P53", "TP53", measures=PERCENT_ALONE, clinical_region=ALL),
    Assay(
        marker="HER2",
        names=frozenset({"HER2/neu", "ERBB2", "c-erbB-2", "HER-2"}),
        analyzer=membrane.MEMBRANE,
        model="membrane",
        measures=membrane.MEASURES,
        clinical_region=membrane.TUMOUR,
        built_in=BuiltIn(
            name="built-in-membrane",
            revision=1,
            criteria=MembraneCriteria(),
            source="rendered cells (docs/models/membrane.md); not validated on patient material",
        ),
        scope=BREAST,
        other_rules=STOMACH,
    ),
    Assay(
        marker="HE",
        names=frozenset({"H&E", "H and E", "Hematoxylin and eosin", "Haematoxylin and eosin", "Hematoxylin eosin"}),
        analyzer=he.HE,
        model="he_nuclei",
        measures=he.MEASURES,
        clinical_region=ALL,
        built_in=BuiltIn(
            name="built-in-he",
            revision=1,
            criteria=HeCriteria(),
            source="every nucleus is of its likeliest class (docs/models/he.md); not validated on patient material",
        ),
        scope=COLON,
    ),
):
    register(_assay)
