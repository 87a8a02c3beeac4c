"""A profile: a laboratory's criteria for one marker, clone, stainer and scanner, in revisions that never change."""

from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from inference.assay import Assay, assay_of, assays
from inference.criteria import Criteria
from inference.errors import Reason
from server.domain.errors import Refused

ANY = "*"
BY_CONTROLS = "~controls"
"""Ends the name of the profile that ships with a scale of a slide's own cores; profiles' own names hold no `~`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileKey:
    """What a profile is for; `*` matches anything. One with a `pathologist` is that person's own."""

    lab: str = ANY
    marker: str = ANY
    clone: str = ANY
    stainer: str = ANY
    scanner: str = ANY
    pathologist: str = ANY


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


class Expired(StrEnum):
    """What becomes of an order whose profile's validity is over."""

    REFUSE = "refuse"
    WARN = "warn"  # scored by it nevertheless, with a warning
    PASS_OVER = "pass_over"  # noqa: S105  (no password: scored by the next that fits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRules:
    """A laboratory's own rules of choice: whether the profile that ships may score, where it has none of its own; what
    is done once a profile has expired, and how many days before that is warned of (0: never); of how many slides a
    validation has to be, and signed by how many people, to lift "research use only".

    `clone`, `stainer`, `scanner` are the slide's attributes (DICOM keywords, `.` between those of nested items) that
    say what the order doesn't; of several the values are joined by a space.
    """

    built_in: bool = True
    expired: Expired = Expired.REFUSE
    expiry_warning_days: int = 30
    validation_slides: int = 20
    validation_signatures: int = 2
    clone: tuple[str, ...] = ()
    stainer: tuple[str, ...] = ()
    scanner: tuple[str, ...] = ()


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


def by_controls(profile: Profile, criteria: Criteria) -> Profile:
    """The profile that ships, with criteria that the control cores of one slide have told."""
    source = "the profile that ships, its scale fitted to the control cores of the slide"
    return replace(profile, name=profile.name + BY_CONTROLS, criteria=criteria, source=source)


def is_by_controls(profile: Profile, assay: Assay) -> bool:
    return profile.name == built_in(assay).name + BY_CONTROLS


def shipped_profiles() -> tuple[Profile, ...]:
    """Those of all assays, each once."""
    return tuple({p.label: p for p in map(built_in, assays())}.values())


def check_kind(profile: Profile, assay: Assay) -> None:
    """Raises Refused PROFILE_INVALID where the assay isn't scored by criteria of this kind."""
    if not scores_by(profile, assay):
        kinds = ", ".join(kind.method for kind in assay.analyzer.criteria)
        raise Refused(Reason.PROFILE_INVALID, f"{assay.marker} is scored by criteria of method {kinds} only")


def check_marker(profile: Profile, assay: Assay) -> None:
    """Raises Refused PROFILE_INVALID where the profile is for another marker, and `check_kind`'s."""
    if profile.key.marker != ANY and assay_of(profile.key.marker, f"profile {profile.label}") is not assay:
        message = f"profile {profile.label} is for {profile.key.marker}, not for {assay.marker}: name one that is"
        raise Refused(Reason.PROFILE_INVALID, message)
    check_kind(profile, assay)


def scores_by(profile: Profile, assay: Assay) -> bool:
    """Is the assay scored by criteria of the profile's kind?"""
    return profile.criteria.method in {kind.method for kind in assay.analyzer.criteria}
