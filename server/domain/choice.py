"""Which profile an order is scored by, and why that one: the most specific active one of the laboratory. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from inference.assay import Assay
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import ANY, Expired, Profile, ProfileRules, built_in, scores_by

PARTS = ("clone", "stainer", "scanner")
"""What a slide's preparation says, and a profile's key may ask for."""


class Against(StrEnum):
    """Why a profile wasn't taken."""

    PERSONAL = "PERSONAL"  # a pathologist's own: offered, never chosen
    OTHER_CRITERIA = "OTHER_CRITERIA"  # of a kind that the assay isn't scored by
    OTHER_CLONE = "OTHER_CLONE"
    OTHER_STAINER = "OTHER_STAINER"
    OTHER_SCANNER = "OTHER_SCANNER"
    CLONE_UNKNOWN = "CLONE_UNKNOWN"  # it asks for one, and neither order nor slide says which it was
    STAINER_UNKNOWN = "STAINER_UNKNOWN"
    SCANNER_UNKNOWN = "SCANNER_UNKNOWN"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    EARLIER_REVISION = "EARLIER_REVISION"
    LESS_SPECIFIC = "LESS_SPECIFIC"


class ProfileWarning(StrEnum):
    """Words of a result's warnings that its profile gives cause for."""

    PROFILE_EXPIRES_SOON = "PROFILE_EXPIRES_SOON"
    PROFILE_EXPIRED = "PROFILE_EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a slide was stained and scanned; empty where it isn't known. `by_slide` names those of PARTS that the slide's
    header says; what else is known, the order said.
    """

    clone: str = ""
    stainer: str = ""
    scanner: str = ""
    by_slide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """A profile's revision (`label`) that wasn't taken."""

    label: str
    against: Against


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated:
    """The laboratory's validation that holds for a profile, marker and model: of so many slides, made on a day."""

    id: str
    slides: int
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChoice:
    """By what a profile was chosen, and instead of which; `validated` None: for research use only."""

    preparation: Preparation = field(default_factory=Preparation)
    alternatives: tuple[Alternative, ...] = ()
    validated: Validated | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The profile, why, and what is to be warned of."""

    profile: Profile
    choice: ProfileChoice
    warnings: tuple[ProfileWarning, ...] = ()


def choose(
    profiles: Sequence[Profile],
    assay: Assay,
    *,
    lab: str,
    today: date,
    rules: ProfileRules | None = None,
    preparation: Preparation | None = None,
) -> Chosen | None:
    """The most specific profile that fits, its latest revision that has begun; None where none fits.

    Laboratory goes before marker, marker before how many of clone, stainer and scanner are named. What isn't known of
    the slide fits no profile that asks for it. The one that ships is among them unless the rules say otherwise.

    Raises Refused NO_PROFILE where profiles of different names fit equally (none of them may be preferred in silence),
    PROFILE_EXPIRED where the one that would be taken has, unless the rules say otherwise.
    """
    rules, slide = rules or ProfileRules(), preparation or Preparation()
    against: dict[str, Against] = {}
    fitting = []
    for profile in _offered(profiles, assay, rules):
        if profile.key.lab not in (lab, ANY) or profile.key.marker not in (assay.marker, ANY):
            continue
        found = next(_against(profile, assay, slide, today, rules), None)
        if found is None:
            fitting.append(profile)
        else:
            against[profile.label] = found
    if not fitting:
        return None
    best = _closest(fitting, assay, against)
    warnings = _checked(best, today, rules)
    alternatives = tuple(Alternative(label=label, against=why) for label, why in against.items())
    return Chosen(
        profile=best, choice=ProfileChoice(preparation=slide, alternatives=alternatives), warnings=tuple(warnings)
    )


def explained(profile: Profile, choice: ProfileChoice, *, most: int = 5) -> str:
    """One line for a person; of more alternatives than `most` the number."""
    slide = choice.preparation
    known = [
        f"{part} {getattr(slide, part)} by the {'slide' if part in slide.by_slide else 'order'}"
        for part in PARTS
        if getattr(slide, part)
    ]
    text = f"Profile {profile.label} chosen by {', '.join(known) or 'laboratory and marker alone'}"
    others = [f"{other.label} {other.against}" for other in choice.alternatives[:most]]
    more = len(choice.alternatives) - len(others)
    if others:
        text += f"; not taken: {', '.join(others)}" + (f" and {more} more" if more else "")
    return text


def _offered(profiles: Sequence[Profile], assay: Assay, rules: ProfileRules) -> list[Profile]:
    shipped = built_in(assay)
    own = [p for p in profiles if p.name != shipped.name]
    return [shipped, *own] if rules.built_in else own


def _against(profile: Profile, assay: Assay, slide: Preparation, today: date, rules: ProfileRules) -> Iterator[Against]:
    if profile.key.pathologist != ANY:
        yield Against.PERSONAL
    if not scores_by(profile, assay):
        yield Against.OTHER_CRITERIA
    for part in PARTS:
        wanted, known = getattr(profile.key, part), getattr(slide, part)
        if wanted != ANY and not same(wanted, known):
            yield Against(f"OTHER_{part.upper()}" if known else f"{part.upper()}_UNKNOWN")
    if profile.valid_from is not None and today < profile.valid_from:
        yield Against.NOT_YET_VALID
    if rules.expired is Expired.PASS_OVER and _has_expired(profile, today):
        yield Against.EXPIRED


def same(one: str, other: str) -> bool:
    """Capitals and spaces aside."""
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def _closest(fitting: Sequence[Profile], assay: Assay, against: dict[str, Against]) -> Profile:
    """Notes of the others why they aren't it."""
    latest: dict[tuple[str, str], Profile] = {}
    for profile in sorted(fitting, key=lambda p: p.revision):
        before = latest.get((profile.key.lab, profile.name))
        if before is not None:
            against[before.label] = Against.EARLIER_REVISION
        latest[profile.key.lab, profile.name] = profile
    closest = max(map(_closeness, latest.values()))
    among = [p for p in latest.values() if _closeness(p) == closest]
    if len(among) > 1:
        names = ", ".join(sorted({p.name for p in among}))
        message = f"several profiles fit marker {assay.marker} equally ({names}): retire all but one"
        raise Refused(ServiceReason.NO_PROFILE, message)
    for other in latest.values():
        if other is not among[0]:
            against[other.label] = Against.LESS_SPECIFIC
    return among[0]


def _closeness(profile: Profile) -> tuple[bool, bool, int]:
    key = profile.key
    return key.lab != ANY, key.marker != ANY, sum(getattr(key, part) != ANY for part in PARTS)


def _checked(profile: Profile, today: date, rules: ProfileRules) -> Iterator[ProfileWarning]:
    """Raises Refused PROFILE_EXPIRED."""
    until = profile.valid_until
    if until is None:
        return
    if not _has_expired(profile, today):
        if until - today < timedelta(days=rules.expiry_warning_days):
            yield ProfileWarning.PROFILE_EXPIRES_SOON
        return
    if rules.expired is Expired.REFUSE:
        message = f"profile {profile.label} was valid until {until}: activate another revision, or retire it"
        raise Refused(ServiceReason.PROFILE_EXPIRED, message)
    yield ProfileWarning.PROFILE_EXPIRED


def _has_expired(profile: Profile, today: date) -> bool:
    return profile.valid_until is not None and profile.valid_until < today
