"""A profile: a laboratory's thresholds for one marker, clone, stainer and scanner, in revisions that never change."""

from dataclasses import dataclass
from datetime import date

from inference.grade import HueValueThresholds, Thresholds
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
    thresholds: Thresholds
    valid_from: date | None = None
    valid_until: date | None = None
    source: str = ""

    @property
    def label(self) -> str:
        """`name/revision`, as results and reports name it."""
        return f"{self.name}/{self.revision}"


BUILT_IN = Profile(
    name="built-in",
    revision=1,
    key=ProfileKey(),
    thresholds=HueValueThresholds(hue=130, left=60, right=105),
    source="value: EndoNet, Informatics 2023, 10(4), 90; hue: middle of the gap between brown and "
    "blue in EndoNuke (docs/models)",
)


def choose(profiles: list[Profile], *, lab: str, marker: str, today: date) -> Profile | None:
    """The valid profile that fits closest (lab before marker), its latest revision; None when none fits.

    An order says nothing of clone, stainer and scanner, so a profile that is for certain ones is never taken for it.
    Raises Refused NO_PROFILE where profiles of different names fit equally: none of them may be preferred in silence.
    """
    fitting = [p for p in profiles if _fits(p.key, lab, marker) and _valid(p, today)]
    closest = max((_closeness(p) for p in fitting), default=None)
    among = [p for p in fitting if _closeness(p) == closest]
    if len({p.name for p in among}) > 1:
        names = ", ".join(sorted({p.name for p in among}))
        raise Refused(
            ServiceReason.NO_PROFILE, f"several profiles fit marker {marker} equally ({names}): retire all but one"
        )
    return max(among, key=lambda p: p.revision, default=None)


def _fits(key: ProfileKey, lab: str, marker: str) -> bool:
    return key.lab in (lab, ANY) and key.marker in (marker, ANY) and {key.clone, key.stainer, key.scanner} == {ANY}


def _closeness(profile: Profile) -> tuple[bool, bool]:
    return profile.key.lab != ANY, profile.key.marker != ANY


def _valid(profile: Profile, today: date) -> bool:
    return (profile.valid_from or today) <= today <= (profile.valid_until or today)
