"""[laboratories.NAME.controls] of the site file: where control tissue is, and what is done where there is none."""

from inference.assay import assay_of, assays
from inference.control_kind import BoxMm, Place
from inference.errors import Refused
from server.domain.control import AbsentControl, ControlRules, PlaceRule
from server.site_table import Table, wrong

LARGEST_MM = 100.0


def control_rules(table: Table) -> ControlRules:
    """Of a laboratory that has that table; one that hasn't asks for no control. Raises Refused SETTING_INVALID."""
    if not table.has("controls"):
        return ControlRules()
    inner = table.inner("controls")
    rules = ControlRules(
        expected=True,
        absent=inner.choice("absent", AbsentControl, default=AbsentControl.FLAG),
        slide_hours=inner.number("slide_hours", 0.1, 8760, default=24),
        places=tuple(_place(each) for each in inner.tables("tissue")),
    )
    inner.end()
    return rules


def _place(table: Table) -> PlaceRule:
    markers = tuple(marker_of(table, name) for name in table.texts("markers", default=()))
    box: BoxMm | None = table.numbers("box_mm", 4, 0, LARGEST_MM) if table.has("box_mm") else None  # type: ignore[assignment]
    apart = table.number("apart_mm", 0.05, LARGEST_MM) if table.has("apart_mm") else None
    kinds = table.texts("kinds", repeats=True)
    table.end()
    if (box is None) is (apart is None):
        wrong(table.where, "needs box_mm = [x, y, width, height] or apart_mm, one of them")
    if box is not None and (len(kinds) != 1 or min(box[2:]) <= 0):
        wrong(table.where, "box_mm holds control tissue of one kind, and is wider and higher than 0")
    rule = PlaceRule(place=Place(kinds=kinds, box_mm=box, apart_mm=apart), markers=markers)
    _check_kinds(table, rule)
    return rule


def marker_of(table: Table, name: str) -> str:
    try:
        return assay_of(name).marker
    except Refused as error:
        wrong(f"{table.where} markers", error.message)


def _check_kinds(table: Table, rule: PlaceRule) -> None:
    """Each marker that is named must know these kinds; where none is named, one at least."""
    asked = [assay for assay in assays() if not rule.markers or assay.marker in rule.markers]
    knows = {assay.marker: set(rule.place.kinds) <= {k.name for k in assay.analyzer.controls} for assay in asked}
    if not (all(knows.values()) if rule.markers else any(knows.values())):
        known = ", ".join(dict.fromkeys(k.name for assay in asked for k in assay.analyzer.controls)) or "none"
        wrong(f"{table.where} kinds", f"names a kind of control that the stain doesn't have: {known}")
