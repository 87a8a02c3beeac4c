"""Criteria for H&E: how likely a nucleus must be of its class to be counted as of it."""

from dataclasses import dataclass
from typing import ClassVar

from inference.criteria import Values, check_names, real
from inference.errors import Reason, Refused

LEAST_NAME = "least_probability"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeCriteria:
    """`least_probability`, 0 to 1 in hundredths: nuclei whose class is less likely are of no class."""

    method: ClassVar[str] = "he"
    least_probability: float = 0.0

    def __post_init__(self) -> None:
        """Raises Refused PROFILE_INVALID."""
        if not 0 <= self.least_probability <= 1:
            raise Refused(Reason.PROFILE_INVALID, f"{LEAST_NAME} {self.least_probability:g} isn't 0 to 1")

    @classmethod
    def read(cls, values: Values) -> "HeCriteria":
        given = {LEAST_NAME: 0.0} | dict(values)
        check_names(cls.method, given, (LEAST_NAME,))
        return cls(least_probability=real(given, LEAST_NAME))

    def values(self) -> dict[str, int | float | str]:
        return {LEAST_NAME: self.least_probability}

    def parameters(self) -> dict[str, str]:
        return {LEAST_NAME: f"{self.least_probability:g}"}

    @property
    def least_percent(self) -> int:
        """As cells are counted: in whole percent."""
        return round(100 * self.least_probability)
