"""A profile: a laboratory's thresholds for one marker, clone, stainer and scanner, in revisions that never change."""

from dataclasses import dataclass
from datetime import date

from inference.grade import HueValueThresholds, Thresholds

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
    source="value: EndoNet, Informatics 2023, 10(4), 90; hue: middle of the gap between brown and blue in EndoNuke (docs/models)",
)


def choose(profiles: list[Profile], *, lab: str, marker: str, today: date) -> Profile | None:
    """The valid profile that fits closest (lab before marker before the rest), its latest revision; None when none fits."""
    fitting = [p for p in profiles if p.key.lab in (lab, ANY) and p.key.marker in (marker, ANY) and _valid(p, today)]
    return max(fitting, key=lambda p: (p.key.lab != ANY, p.key.marker != ANY, p.revision), default=None)


def _valid(profile: Profile, today: date) -> bool:
    return (profile.valid_from or today) <= today <= (profile.valid_until or today)
