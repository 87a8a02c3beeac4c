"""A table of the site file as it is read: each key is asked for by its kind, and what nobody asked for is a mistake."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from server.domain.errors import Refused, ServiceReason

Choice = TypeVar("Choice", bound=StrEnum)


def wrong(where: str, what: str) -> NoReturn:
    """Raises Refused SETTING_INVALID."""
    raise Refused(ServiceReason.SETTING_INVALID, f"{where}: {what}")


class Table:
    """`where` names it for a person; paths are relative to `base`. Every method raises Refused SETTING_INVALID."""

    def __init__(self, *, where: str, values: dict[str, Any], base: Path) -> None:
        self.where, self._values, self._base = where, values, base
        self._asked: set[str] = set()

    def text(self, key: str, default: str | None = None) -> str:
        """Not empty."""
        value = self._value(key, default)
        if not isinstance(value, str) or not (value or value == default):
            self._wrong(key, "is no text in quotes, or empty")
        return value

    def names(self) -> tuple[str, ...]:
        """Asks for nothing."""
        return tuple(self._values)

    def has(self, key: str) -> bool:
        """Asks for nothing."""
        return key in self._values

    def texts(self, key: str, default: tuple[str, ...] | None = None, *, repeats: bool = False) -> tuple[str, ...]:
        """A list, not empty; none of it twice, unless it may `repeats`."""
        if default is not None and key not in self._values:
            self._asked.add(key)
            return default
        value = self._value(key, None)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
            self._wrong(key, "is no list of texts in quotes, or empty")
        if len(set(value)) < len(value) and not repeats:
            self._wrong(key, "names one twice")
        return tuple(value)

    def text_or_texts(self, key: str) -> tuple[str, ...]:
        """One text or a list of them; none where it isn't there."""
        return (self.text(key),) if isinstance(self._values.get(key), str) else self.texts(key, default=())

    def number(
        self, key: str, least: float, most: float, *, default: float | None = None, whole: bool = False
    ) -> float:
        value = self._value(key, default)
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= most:
            self._wrong(key, f"is no {'whole ' if whole else ''}number from {least:g} to {most:g}")
        return value

    def numbers(self, key: str, n: int, least: float, most: float) -> tuple[float, ...]:
        """A list of n."""
        value = self._value(key, None)
        fits = isinstance(value, list) and len(value) == n
        if not fits or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
            self._wrong(key, f"is no list of {n} numbers")
        if not all(least <= v <= most for v in value):
            self._wrong(key, f"holds a number that isn't from {least:g} to {most:g}")
        return tuple(float(v) for v in value)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._value(key, default)
        if not isinstance(value, bool):
            self._wrong(key, "is neither true nor false")
        return value

    def path(self, key: str) -> Path:
        return (self._base / self.text(key)).resolve()

    def path_or_none(self, key: str) -> Path | None:
        return self.path(key) if key in self._values else None

    def choice(self, key: str, kinds: type[Choice], default: Choice | None = None) -> Choice:
        return self._choice(key, self.text(key, default), kinds)

    def choices(self, key: str, kinds: type[Choice], default: Iterable[Choice] | None = None) -> tuple[Choice, ...]:
        if default is not None and key not in self._values:
            self._asked.add(key)
            return tuple(default)
        return tuple(self._choice(key, each, kinds) for each in self.texts(key))

    def inner(self, key: str) -> "Table":
        """A table in it; empty where it isn't there."""
        value = self._value(key, {})
        if not isinstance(value, dict):
            self._wrong(key, "is no table")
        return Table(where=f"{self.where} {key}", values=value, base=self._base)

    def tables(self, key: str) -> list["Table"]:
        """A list of them, as [[key]] makes it."""
        value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self._wrong(key, f"is no list of tables: write [[{key}]]")
        return [
            Table(where=f"[[{key}]] number {number}", values=each, base=self._base)
            for number, each in enumerate(value, 1)
        ]

    def by_name(self, key: str) -> Iterator[tuple[str, "Table"]]:
        """The tables [key.NAME], in the file's order."""
        of = self.inner(key)
        for name in of._values:
            inner = of.inner(name)
            inner.where = f"[{key}.{name}]"
            yield name, inner

    def end(self) -> None:
        """Nothing else may stand in it."""
        unknown = sorted(self._values.keys() - self._asked)
        if unknown:
            self._wrong(unknown[0], f"is unknown; known are {', '.join(sorted(self._asked))}")

    def _value(self, key: str, default: Any) -> Any:
        self._asked.add(key)
        if key not in self._values and default is None:
            self._wrong(key, "is missing")
        return self._values.get(key, default)

    def _choice(self, key: str, text: str, kinds: type[Choice]) -> Choice:
        try:
            return kinds(text)
        except ValueError:
            self._wrong(key, f"{text!r} is none of {', '.join(kinds)}")

    def _wrong(self, key: str, what: str) -> NoReturn:
        wrong(f"{self.where} {key}", what)


def known(table: Table, key: str, asked: Iterable[str], exist: Iterable[str]) -> None:
    """All that is asked for exists. Raises Refused SETTING_INVALID."""
    there = set(exist)
    for name in asked:
        if name not in there:
            wrong(f"{table.where} {key}", f"{name!r} doesn't exist; known are {', '.join(sorted(there)) or 'none'}")
