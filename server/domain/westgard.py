"""Levey-Jennings charts and the multirules of Westgard (Clin Chem 1981, 27(3), 493): has a control drifted? Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from server.domain.control import ControlPoint

LEAST_POINTS = 10
"""Controls that target and deviation are taken from where none are set; with fewer there is no chart."""
ESTABLISHED = 20
"""At most so many, the earliest, say what is usual."""
LEAST_DEVIATION = 1e-6


class Rule(StrEnum):
    """Deviations (SD) of the last controls from the target; all but the first call for a look at the stainer."""

    ONE_2S = "1-2s"  # one beyond 2 SD: a warning
    ONE_3S = "1-3s"  # one beyond 3 SD
    TWO_2S = "2-2s"  # two in a row beyond 2 SD on one side
    RANGE_4S = "R-4s"  # two in a row, one above +2 SD, one below -2 SD
    FOUR_1S = "4-1s"  # four in a row beyond 1 SD on one side
    TEN_X = "10-x"  # ten in a row on one side of the target


ALARMS = frozenset(Rule) - {Rule.ONE_2S}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`established`: from so many earlier controls; 0: as the laboratory set them."""

    target: float
    deviation: float
    established: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Charted:
    """A control in its chart: how many SD from the target, and the rules that it breaks with those before it.

    None and none while the chart has no limits.
    """

    point: ControlPoint
    deviations: float | None = None
    broken: tuple[Rule, ...] = ()

    @property
    def alarms(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.broken if rule in ALARMS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Oldest first; `limits` None while there are too few."""

    limits: Limits | None
    charted: tuple[Charted, ...] = ()

    @property
    def alarms(self) -> tuple[Rule, ...]:
        """Of the newest control."""
        return self.charted[-1].alarms if self.charted else ()


def chart_of(points: Sequence[ControlPoint], target: float | None = None, deviation: float | None = None) -> Chart:
    """Of controls oldest first; target and deviation from the earliest of them where they aren't given."""
    limits = _limits(points, target, deviation)
    if limits is None:
        return Chart(limits=None, charted=tuple(Charted(point=point) for point in points))
    z = [(point.value - limits.target) / limits.deviation for point in points]
    charted = (Charted(point=point, deviations=z[i], broken=broken(z[: i + 1])) for i, point in enumerate(points))
    return Chart(limits=limits, charted=tuple(charted))


def broken(z: Sequence[float]) -> tuple[Rule, ...]:
    """The rules that the last of these deviations breaks, with those before it."""
    last = z[-1]
    found = {
        Rule.ONE_2S: abs(last) > 2,
        Rule.ONE_3S: abs(last) > 3,
        Rule.TWO_2S: _in_a_row(z, 2, 2.0),
        Rule.RANGE_4S: len(z) > 1 and max(last, z[-2]) > 2 and min(last, z[-2]) < -2,
        Rule.FOUR_1S: _in_a_row(z, 4, 1.0),
        Rule.TEN_X: _in_a_row(z, 10, 0.0),
    }
    return tuple(rule for rule, there in found.items() if there)


def _in_a_row(z: Sequence[float], n: int, beyond: float) -> bool:
    last = z[-n:]
    return len(last) == n and (min(last) > beyond or max(last) < -beyond)


def _limits(points: Sequence[ControlPoint], target: float | None, deviation: float | None) -> Limits | None:
    if target is not None and deviation is not None:
        return Limits(target=target, deviation=deviation)
    if len(points) < LEAST_POINTS:
        return None
    values = np.array([point.value for point in points[:ESTABLISHED]])
    sd = max(float(values.std(ddof=1)), LEAST_DEVIATION)
    return Limits(
        target=float(values.mean()) if target is None else target,
        deviation=sd if deviation is None else deviation,
        established=len(values),
    )
