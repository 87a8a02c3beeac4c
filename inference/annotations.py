"""Annotated nuclei as programs write them: CSV, and GeoJSON as QuPath does. Text in, points out; no file is read here.

What a class is called says compartment and grade: `epithelium: 2 moderate`, `Stroma 1+`, `Tumor: Negative`. Names of
one's own are mapped by a table (`read_names`).
"""

import csv
import io
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inference.analyzers.nuclear import COMPARTMENTS
from inference.errors import Reason, Refused
from inference.grade import GRADES
from inference.json_text import read_json

COLUMNS = ("x", "y", "class", "grade")
OTHER = len(COMPARTMENTS)
"""The class number of nuclei that are in neither compartment; they count as the first one's (MODELS: class 2)."""
_WORDS = {"stroma": ("stroma", "stromal", "other"), "epithelium": ("epithelium", "epithelial", "tumour", "tumor")}
_GRADES = (("0", "unstained", "negative", "none"), ("1", "weak"), ("2", "moderate"), ("3", "strong"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a class says of a nucleus: its place in COMPARTMENTS, its grade 0 to 3; None: it doesn't say."""

    compartment: int | None
    grade: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One annotated nucleus: px of the largest level, the centre of the first pixel being (0, 0)."""

    x: float
    y: float
    kind: Kind


Names = Mapping[str, Kind | None]
"""What classes of one's own mean; None: they aren't nuclei and are passed over."""


def kind_of(name: str, names: Names, where: str) -> Kind | None:
    """What a class is, by the table, else by its words; None: it is to be passed over. Raises Refused
    ANNOTATION_INVALID.
    """
    if name in names:
        return names[name]
    words = set(re.findall(r"[a-z]+|\d+", name.lower()))
    compartments = {COMPARTMENTS.index(c) for c, known in _WORDS.items() if words & set(known)}
    grades = {g for g, known in enumerate(_GRADES) if words & set(known)}
    if len(compartments) > 1 or len(grades) > 1 or not (compartments or grades):
        message = f"{where}: class {name!r} names no compartment and grade; map it by --classes"
        raise Refused(Reason.ANNOTATION_INVALID, message)
    return Kind(compartment=next(iter(compartments), None), grade=next(iter(grades), None))


def read_names(text: str, where: str) -> dict[str, Kind | None]:
    """JSON: class names to `{"class": ..., "grade": ...}`, a text that is understood (`epithelium 2`), or null.

    Raises Refused ANNOTATION_INVALID.
    """
    try:
        table = read_json(text)
    except ValueError:
        table = None
    if not isinstance(table, dict):
        message = f'{where} isn\'t JSON of class names, such as {{"Tumor 2+": {{"class": "epithelium", "grade": 2}}}}'
        raise Refused(Reason.ANNOTATION_INVALID, message)
    return {name: _meaning(meaning, f"{where}, {name}") for name, meaning in table.items()}


def _meaning(meaning: Any, where: str) -> Kind | None:
    if meaning is None:
        return None
    if isinstance(meaning, dict) and set(meaning) <= {"class", "grade"}:
        meaning = [meaning.get("class"), meaning.get("grade")]
    if isinstance(meaning, list):
        meaning = " ".join(str(part) for part in meaning if part is not None)
    if not isinstance(meaning, str):
        raise Refused(Reason.ANNOTATION_INVALID, f"{where}: give class and grade, a text, or null")
    return kind_of(meaning, {}, where)


def read_csv(text: str, names: Names, where: str) -> list[Mark]:
    """`x,y,class,grade`; the class a name or its number, the grade 0 to 3 or in its name. Raises Refused
    ANNOTATION_INVALID naming the line.
    """
    rows = csv.DictReader(io.StringIO(text.lstrip("\ufeff")))
    given = [name.strip().lower() for name in rows.fieldnames or ()]
    if missing := {"x", "y", "class"} - set(given):
        message = f"{where} lacks {', '.join(sorted(missing))}; its first line must be {','.join(COLUMNS)}"
        raise Refused(Reason.ANNOTATION_INVALID, message)
    rows.fieldnames = given
    marks = (_csv_mark(row, names, f"{where}, line {number}") for number, row in enumerate(rows, 2))
    return [mark for mark in marks if mark is not None]


def _csv_mark(row: Mapping[str, str | None], names: Names, where: str) -> Mark | None:
    x, y, name, grade = ((row.get(column) or "").strip() for column in COLUMNS)
    kind = _numbered(name, names, where)
    if kind is None:
        return None
    own = _grade(grade, where) if grade else kind.grade
    return Mark(x=_place(x, where), y=_place(y, where), kind=Kind(compartment=kind.compartment, grade=own))


def _numbered(name: str, names: Names, where: str) -> Kind | None:
    """A class by its name or number."""
    if name.isdecimal() and name not in names:
        if int(name) > OTHER:
            raise Refused(Reason.ANNOTATION_INVALID, f"{where}: class {name} isn't 0 to {OTHER}")
        return Kind(compartment=int(name) % OTHER, grade=None)
    return kind_of(name, names, where)


def _grade(text: str, where: str) -> int:
    plain = text.rstrip("+").removesuffix(".0")
    if not (plain.isdecimal() and int(plain) < GRADES):
        raise Refused(Reason.ANNOTATION_INVALID, f"{where}: grade {text!r} isn't 0 to {GRADES - 1}")
    return int(plain)


def _place(value: object, where: str) -> float:
    try:
        place = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        place = math.nan
    if not math.isfinite(place):
        raise Refused(Reason.ANNOTATION_INVALID, f"{where}: {value!r} isn't a coordinate")
    return place


def read_geojson(text: str, names: Names, where: str) -> list[Mark]:
    """Points and, by their centroid, polygons of a FeatureCollection. Raises Refused ANNOTATION_INVALID."""
    try:
        read = read_json(text)
    except ValueError:
        raise Refused(Reason.ANNOTATION_INVALID, f"{where} isn't JSON: export it from QuPath again") from None
    features = read.get("features", [read]) if isinstance(read, dict) else read
    if not isinstance(features, list):
        raise Refused(Reason.ANNOTATION_INVALID, f"{where} isn't a GeoJSON FeatureCollection")
    return [mark for i, f in enumerate(features, 1) for mark in _feature(f, names, f"{where}, feature {i}")]


def _feature(feature: Any, names: Names, where: str) -> Iterator[Mark]:
    if not isinstance(feature, dict) or not isinstance(feature.get("geometry"), dict):
        raise Refused(Reason.ANNOTATION_INVALID, f"{where} has no geometry")
    properties = feature.get("properties") or {}
    name = _class_name(properties)
    if name is None:
        raise Refused(Reason.ANNOTATION_INVALID, f"{where} has no class: classify it in QuPath, or delete it")
    kind = kind_of(name, names, where)
    for x, y in _centres(feature["geometry"], where) if kind is not None else ():
        assert kind is not None
        yield Mark(x=_place(x, where) - 0.5, y=_place(y, where) - 0.5, kind=kind)


def _class_name(properties: Any) -> str | None:
    classification = properties.get("classification") if isinstance(properties, dict) else None
    if not isinstance(classification, dict):
        return None
    if isinstance(classification.get("name"), str):
        return str(classification["name"])
    parts = classification.get("names")
    return ": ".join(map(str, parts)) if isinstance(parts, list) and parts else None


def _centres(geometry: Mapping[str, Any], where: str) -> list[tuple[Any, Any]]:
    """One place for each nucleus of a geometry, in pixel corners."""
    kind, at = geometry.get("type"), geometry.get("coordinates")
    try:
        match kind:
            case "Point":
                return [(at[0], at[1])]  # type: ignore[index]
            case "MultiPoint":
                return [(p[0], p[1]) for p in at]  # type: ignore[union-attr]
            case "Polygon":
                return [_centroid(at[0])]  # type: ignore[index]
            case "MultiPolygon":
                return [_centroid(max((rings[0] for rings in at), key=len))]  # type: ignore[union-attr]
    except (TypeError, IndexError, KeyError, ValueError, ArithmeticError):
        raise Refused(Reason.ANNOTATION_INVALID, f"{where}: its coordinates aren't those of a {kind}") from None
    raise Refused(Reason.ANNOTATION_INVALID, f"{where} is a {kind}; nuclei are points or polygons")


def _centroid(ring: list[list[float]]) -> tuple[float, float]:
    """Of the area; of the corners where there is none."""
    points = [(float(p[0]), float(p[1])) for p in ring]
    crossed = [a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True)]
    area = sum(crossed)
    if abs(area) < 1e-9:
        return tuple(sum(p[i] for p in points) / len(points) for i in range(2))  # type: ignore[return-value]
    pairs = list(zip(points, points[1:] + points[:1], crossed, strict=True))
    x, y = (sum((a[i] + b[i]) * c for a, b, c in pairs) / (3 * area) for i in range(2))
    return x, y
