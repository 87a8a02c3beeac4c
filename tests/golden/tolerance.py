"""How far a number may be from its golden one, said here and nowhere else.

On one and the same machine an answer is exact, to the last digit. The networks run in int8, which another processor may
round otherwise; the project's tolerance between machines is 1 point of H-score and 0.5 % of the slide's nuclei.
Two things can happen there. Nuclei came, went or changed grade: some count of the case has moved, and numbers may be
off by what follows from that tolerance. Or every count is the golden one: then scores and digests are exact too, and
only places and confidences may be off, by a rounding.

A number that may move is written as `[kind value]`, such as `[points 152.23]`; any other is text, and compared as text.
"""

import re

COUNT, DIGEST = "nuclei", "sha256"

POINTS = 1.0
SHARE_OF_NUCLEI = 0.005
SHARE_OF_SIZE = 0.005
"""Of the tissue's area and of how well the slide compresses: drawing and JPEG may round otherwise too."""
SIDE_PX = 2048.0
"""No nucleus of a golden slide lies further from its edge: what one nucleus more may add to a sum of coordinates."""

_FIXED = {"points": POINTS, "percent": 100 * SHARE_OF_NUCLEI, "edge_px": 64.0, "confidence": 0.05}
_EACH_NUCLEUS = {COUNT: SHARE_OF_NUCLEI, "sum_px": SHARE_OF_NUCLEI * SIDE_PX, "sum_confidence": SHARE_OF_NUCLEI}
"""By each nucleus of the slide."""

_FIXED_ROUNDING = {"edge_px": 0.2, "confidence": 0.01}
_EACH_NUCLEUS_ROUNDING = {"sum_px": 0.05, "sum_confidence": 0.005}

NUMBER = re.compile(rf"\[({'|'.join([*_FIXED, *_EACH_NUCLEUS, 'size', DIGEST])}) ([^\]]+)\]")


def number(kind: str, value: object) -> str:
    """A number that may move, as text."""
    text = f"[{kind} {value}]"
    assert NUMBER.fullmatch(text), f"{kind} is no kind of number"
    return text


def near(kind: str, golden: str, fresh: str, *, nuclei: float, moved: bool) -> bool:
    """Is a number near enough, on a slide of so many nuclei, where some count has `moved` or where none has?"""
    if golden == fresh:
        return True
    if kind == DIGEST:
        return moved
    fixed, each = (_FIXED, _EACH_NUCLEUS) if moved else (_FIXED_ROUNDING, _EACH_NUCLEUS_ROUNDING)
    allowed = fixed.get(kind, 0.0) + each.get(kind, 0.0) * nuclei
    if kind == "size":
        allowed = SHARE_OF_SIZE * abs(float(golden))
    return abs(float(golden) - float(fresh)) <= allowed


def kind_of_quantity(code: str, unit: str) -> str | None:
    """The kind of a score in a report by its code and UCUM unit; None for a score of whole steps, which is exact."""
    if code.startswith("HSCORE"):
        return "points"
    return {"%": "percent", "1": COUNT}.get(unit)
