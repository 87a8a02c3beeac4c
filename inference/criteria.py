"""Criteria: what a profile holds, the numbers that cells are scored by. One kind a class, and one codec: its own.

A kind reads and writes itself as flat values by name, under its `method`: the form of profile files, of the database,
of JSON and of the API alike. `inference.assay.criteria_of` finds the kind of a method.
"""

from collections.abc import Mapping
from typing import ClassVar, Protocol, Self

from inference.errors import Reason, Refused

Values = Mapping[str, object]
"""As JSON has them: numbers and texts by name."""
COLOUR, RAW = "colour", "raw"
"""The name under which criteria say which colours they are for, and what those that don't say are for."""


class Criteria(Protocol):
    """A frozen value; equal criteria score alike."""

    method: ClassVar[str]

    @classmethod
    def read(cls, values: Values) -> Self:
        """The inverse of `values`. Raises Refused PROFILE_INVALID, naming what is missing, surplus or out of range."""
        ...

    def values(self) -> dict[str, int | float | str]:
        """What a profile file says of them beside `method`."""
        ...

    def parameters(self) -> dict[str, str]:
        """As reports name them: name, with its unit, to value."""
        ...


def check_names(method: str, values: Values, names: tuple[str, ...], *, optional: tuple[str, ...] = ()) -> None:
    """Raises Refused PROFILE_INVALID where a value is missing or surplus."""
    if set(values) - set(optional) != set(names):
        raise Refused(Reason.PROFILE_INVALID, f"criteria of method {method} need {', '.join(names)}, and nothing else")


def whole(values: Values, name: str) -> int:
    """A whole number, also where it is written as 130.0. Raises Refused PROFILE_INVALID."""
    number = real(values, name)
    if number != int(number):
        raise Refused(Reason.PROFILE_INVALID, f"{name} must be a whole number, not {number:g}")
    return int(number)


def real(values: Values, name: str) -> float:
    """A finite number. Raises Refused PROFILE_INVALID."""
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:
        raise Refused(Reason.PROFILE_INVALID, f"{name} must be a number")
    return float(value)
