"""Criteria for membranes: how a laboratory's pictures show DAB, and from which density a membrane is what.

Cuts are true densities of a membrane's crest. A picture shows less: the laboratory's stain and scanner by `od_scale`,
and every optics of thin membranes more than of thick ones (TRANSFER).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from inference.analyzers.membrane_cells import THRESHOLDS
from inference.criteria import Values, check_names, real
from inference.errors import Reason, Refused

TRANSFER = ((0.0, 0.10, 0.27, 0.65, 1.0), (0.0, 0.07, 0.175, 0.54, 0.88))
"""True densities of crests, and what is measured of them where `od_scale` is 1 (docs/models/membrane.md)."""
STAINED, MODERATE, INTENSE = 0.10, 0.27, 0.65
LEAST_SCALE, MOST_SCALE = 0.6, 3.2


@dataclass(frozen=True, slots=True, kw_only=True)
class MembraneCriteria:
    """`od_scale` is true density by shown density, 0.6 to 3.2; the cuts are true densities, rising."""

    method: ClassVar[str] = "membrane"
    od_scale: float = 1.0
    stained_from: float = STAINED
    moderate_from: float = MODERATE
    intense_from: float = INTENSE

    def __post_init__(self) -> None:
        """Raises Refused PROFILE_INVALID."""
        if not LEAST_SCALE <= self.od_scale <= MOST_SCALE:
            message = f"od_scale {self.od_scale:g} isn't {LEAST_SCALE:g} to {MOST_SCALE:g}: calibrate again"
            raise Refused(Reason.PROFILE_INVALID, message)
        if not 0 < self.stained_from < self.moderate_from < self.intense_from <= 2:
            message = "stained_from, moderate_from and intense_from must rise, from above 0 to 2"
            raise Refused(Reason.PROFILE_INVALID, message)

    @classmethod
    def read(cls, values: Values) -> "MembraneCriteria":
        names = ("od_scale", "stained_from", "moderate_from", "intense_from")
        given = dict(zip(names[1:], (STAINED, MODERATE, INTENSE), strict=True)) | dict(values)
        check_names(cls.method, given, names)
        return cls(**{name: real(given, name) for name in names})

    def values(self) -> dict[str, int | float | str]:
        return {
            "od_scale": self.od_scale,
            "stained_from": self.stained_from,
            "moderate_from": self.moderate_from,
            "intense_from": self.intense_from,
        }

    def parameters(self) -> dict[str, str]:
        return {f"{name}": f"{value:g}" for name, value in self.values().items()}

    @property
    def step(self) -> int:
        """The place in THRESHOLDS of what a stained membrane shows at least."""
        wanted = self.shown(self.stained_from)
        return int(np.abs(np.log(np.array(THRESHOLDS) / wanted)).argmin())

    def shown(self, true: float) -> float:
        """What a picture shows of a crest's true density."""
        return float(np.interp(true, *TRANSFER)) / self.od_scale

    def true(self, shown: "np.typing.NDArray[np.floating]") -> "np.typing.NDArray[np.floating]":
        """The inverse, beyond the table in proportion."""
        density = np.asarray(shown) * self.od_scale
        table = TRANSFER[1][-1]
        return np.where(density > table, density * TRANSFER[0][-1] / table, np.interp(density, *TRANSFER[::-1]))
