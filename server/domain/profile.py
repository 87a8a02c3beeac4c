"""A profile: a laboratory's criteria for one marker, clone, stainer and scanner, in revisions that never change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from inference.assay import Assay, assay_of, assays
from inference.criteria import Criteria
from inference.errors import Reason
from server.domain.errors import Refused, ServiceReason

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileKey:
    """What a profile is for; `*` matches anything."""

    lab: str = ANY
    marker: str = ANY
    clone: str = ANY
    stainer: str = ANY
    scanner: str = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One revision. `name` and `revision` identify it; dates bound its validity (inclusive, None open)."""

    name: str
    revision: int
    key: ProfileKey
    criteria: Criteria
    valid_from: date | None = None
    valid_until: date | None = None
    source: str = ""

    @property
    def label(self) -> str:
        """`name/revision`, as results and reports name it."""
        return f"{self.name}/{self.revision}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRules:
    """A laboratory's own rules of choice: whether the profile that ships may score, where it has none of its own."""

    built_in: bool = True


def built_in(assay: Assay) -> Profile:
    """The profile that ships for an assay, good for every laboratory that has none of its own."""
    shipped = assay.built_in
    return Profile(
        name=shipped.name,
        revision=shipped.revision,
        key=ProfileKey(),
        criteria=shipped.criteria,
        source=shipped.source,
    )


def shipped_profiles() -> tuple[Profile, ...]:
    """Those of all assays, each once."""
    return tuple({p.label: p for p in map(built_in, assays())}.values())


def choose(
    profiles: Sequence[Profile], assay: Assay, *, lab: str, today: date, rules: ProfileRules | None = None
) -> Profile | None:
    """The valid profile that fits closest (lab before marker), its latest revision; None when none fits.

    Only those whose kind of criteria the assay scores by are considered; the one that ships is among them
    unless the laboratory's rules say otherwise.

    An order says nothing of clone, stainer and scanner, so a profile that is for certain ones is never taken for it.
    Raises Refused NO_PROFILE where profiles of different names fit equally: none of them may be preferred in silence.
    """
    shipped = built_in(assay)
    offered = [shipped, *(p for p in profiles if p.name != shipped.name)]
    if rules is not None and not rules.built_in:
        offered.remove(shipped)
    fitting = [p for p in offered if _fits(p, assay, lab) and _valid(p, today)]
    closest = max((_closeness(p) for p in fitting), default=None)
    among = [p for p in fitting if _closeness(p) == closest]
    if len({p.name for p in among}) > 1:
        names = ", ".join(sorted({p.name for p in among}))
        raise Refused(
            ServiceReason.NO_PROFILE,
            f"several profiles fit marker {assay.marker} equally ({names}): retire all but one",
        )
    return max(among, key=lambda p: p.revision, default=None)


def check_kind(profile: Profile, assay: Assay) -> None:
    """Raises Refused PROFILE_INVALID where the assay isn't scored by criteria of this kind."""
    if not _scores(profile, assay):
        kinds = ", ".join(kind.method for kind in assay.analyzer.criteria)
        raise Refused(Reason.PROFILE_INVALID, f"{assay.marker} is scored by criteria of method {kinds} only")


def check_marker(profile: Profile, assay: Assay) -> None:
    """Raises Refused PROFILE_INVALID where the profile is for another marker, and `check_kind`'s."""
    if profile.key.marker != ANY and assay_of(profile.key.marker, f"profile {profile.label}") is not assay:
        message = f"profile {profile.label} is for {profile.key.marker}, not for {assay.marker}: name one that is"
        raise Refused(Reason.PROFILE_INVALID, message)
    check_kind(profile, assay)


def _scores(profile: Profile, assay: Assay) -> bool:
    return profile.criteria.method in {kind.method for kind in assay.analyzer.criteria}


def _fits(profile: Profile, assay: Assay, lab: str) -> bool:
    key = profile.key
    named = (
        key.lab in (lab, ANY) and key.marker in (assay.marker, ANY) and {key.clone, key.stainer, key.scanner} == {ANY}
    )
    return named and _scores(profile, assay)


def _closeness(profile: Profile) -> tuple[bool, bool]:
    return profile.key.lab != ANY, profile.key.marker != ANY


def _valid(profile: Profile, today: date) -> bool:
    return (profile.valid_from or today) <= today <= (profile.valid_until or today)
