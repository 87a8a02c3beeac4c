"""What a browser sent as JSON, field by field. Each reader raises Refused ARGUMENT_INVALID or FIELD_MISSING, naming the
field.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NoReturn, TypeVar

from starlette.requests import Request

from inference.assay import criteria_of
from inference.criteria import Criteria
from server.domain.change import CellChange, DrawnRegion, RegionClass
from server.domain.errors import Refused, ServiceReason
from server.domain.estimate import Given
from server.domain.result import ResultId
from server.domain.views import PageKey
from server.web.door import body_of

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOST_VALUES = 20
Body = Mapping[str, Any]
Choice = TypeVar("Choice", bound=StrEnum)


def body(request: Request) -> Body:
    """An object."""
    try:
        found = json.loads(body_of(request) or b"{}")
    except (ValueError, RecursionError):
        _invalid("the body is no JSON")
    if not isinstance(found, dict):
        _invalid("the body is no JSON object")
    return found


def result_id(request: Request) -> ResultId:
    """Of the address."""
    found = str(request.path_params["result"])
    if not UUID.fullmatch(found):
        raise Refused(ServiceReason.RESULT_UNKNOWN, "no such result in this laboratory: check the identifier")
    return ResultId(found)


def identifier(asked: Body, name: str) -> str:
    found = text(asked, name)
    return found if UUID.fullmatch(found) else _invalid(f"{name} is no identifier")


def text(asked: Body, name: str, *, least: int = 0, most: int = 200) -> str:
    """Printable, without spaces around."""
    found = asked.get(name) or ""
    if not isinstance(found, str):
        _invalid(f"{name} is no text")
    found = found.strip()
    if len(found) < least:
        raise Refused(ServiceReason.FIELD_MISSING, f"{name} is missing: {least} characters at least")
    if len(found) > most or not all(c.isprintable() or c == "\n" for c in found):
        _invalid(f"{name} is longer than {most} characters, or holds unprintable ones")
    return found


def choice(asked: Body, name: str, kind: type[Choice]) -> Choice | None:
    found = text(asked, name)
    if found and found not in list(kind):
        _invalid(f"{name} is none of {', '.join(kind)}")
    return kind(found) if found else None


def flag(asked: Body, name: str) -> bool:
    return asked.get(name) is True


def number(asked: Body, name: str, usual: int, most: int) -> int:
    """From 1."""
    found = asked.get(name, usual)
    if isinstance(found, bool) or not isinstance(found, int) or not 1 <= found <= most:
        _invalid(f"{name} is no whole number from 1 to {most}")
    return found


def criteria(asked: Body) -> Criteria | None:
    """`{"method", ...}`; None where there is none. Raises Refused PROFILE_INVALID too."""
    found = asked.get("criteria")
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("method"), str):
        _invalid("criteria need a method")
    return criteria_of(found["method"], {name: value for name, value in found.items() if name != "method"})


def regions(asked: Body) -> tuple[DrawnRegion, ...]:
    """`[{"class": "tumour" or "exclude", "points": [[x, y], ...]}]`."""
    return tuple(_region(found) for found in _list(asked, "regions"))


def _region(found: object) -> DrawnRegion:
    if not isinstance(found, dict) or found.get("class") not in list(RegionClass):
        _invalid(f"a region's class is none of {', '.join(RegionClass)}")
    points = found.get("points")
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        _invalid("a region's points are no pairs of numbers")
    return DrawnRegion(kind=RegionClass(found["class"]), points=tuple((float(x), float(y)) for x, y in points))


def _is_point(found: object) -> bool:
    return isinstance(found, list) and len(found) == 2 and all(_is_number(v) for v in found)


def _is_number(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e7


def values(asked: Body) -> dict[str, Given]:
    """`{"values": {region: number or word}}`."""
    found = asked.get("values") or {}
    if not isinstance(found, dict) or len(found) > MOST_VALUES:
        _invalid(f"values are no object of {MOST_VALUES} regions at most")
    return {name: _given(value) for name, value in found.items()}


def _given(found: object) -> Given:
    if isinstance(found, str):
        return Given(word=found)
    if isinstance(found, int | float) and _is_number(found):
        return Given(number=float(found))
    return _invalid("a value is neither a number nor a word")


def cells(asked: Body) -> tuple[CellChange, ...]:
    """`[[row, group or null], ...]`, by row."""
    found = _list(asked, "cells")
    if not all(_is_change(change) for change in found):
        _invalid("cells are no pairs of a row and a group")
    changes = [CellChange(row=row, group=group) for row, group in found]
    return tuple(sorted(changes, key=lambda change: change.row))


def _is_change(found: object) -> bool:
    return (
        isinstance(found, list)
        and len(found) == 2
        and _is_whole(found[0])
        and (found[1] is None or _is_whole(found[1]))
    )


def _is_whole(found: object) -> bool:
    return isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**32


def _list(asked: Body, name: str) -> Sequence[Any]:
    found = asked.get(name) or []
    return found if isinstance(found, list) else _invalid(f"{name} is no list")


def after(asked: Body) -> PageKey:
    """Where the page before ended. Raises Refused PAGE_TOKEN_INVALID."""
    token = text(asked, "page_token", most=1000)
    try:
        found = json.loads(base64.urlsafe_b64decode(token)) if token else []
    except (ValueError, binascii.Error):
        found = None
    if not isinstance(found, list) or not all(isinstance(part, str) for part in found):
        raise Refused(ServiceReason.PAGE_TOKEN_INVALID, "the page token is of another list: begin at the first page")
    return tuple(found)


def page_token(following: PageKey | None) -> str:
    """Empty on the last page."""
    return "" if following is None else base64.urlsafe_b64encode(json.dumps(following).encode()).decode()


def _invalid(message: str) -> NoReturn:
    raise Refused(ServiceReason.ARGUMENT_INVALID, message)
