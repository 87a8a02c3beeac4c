"""What a result's control came to, as reports and JSON say it."""

from collections.abc import Iterator
from typing import Any

from inference.control import ControlStatus, CoreFound
from inference.measures import NONE
from server.domain.control import ResultControl


def control_json(control: ResultControl) -> dict[str, Any]:
    """`status`, and each core with what was expected and found; `withheld` is the reason why there is no score."""
    run = control.run
    return {
        "status": control.status.value,
        "cores": [core_json(core) for core in control.cores],
        "withheld": control.withheld or None,
        "detail": control.detail or None,
        "staining_run": control.staining_run or None,
        "run_result_id": None if run is None else run.result_id,
    }


def core_json(core: CoreFound) -> dict[str, Any]:
    return {
        "expected": core.expected,
        "found": core.found,
        "passed": core.passed,
        "measure": core.measure,
        "value": core.value,
        "low": core.low,
        "high": core.high,
        "category": core.category,
        "n": core.n,
    }


def is_said(control: ResultControl) -> bool:
    """Is there anything to be said of it?"""
    return control.status is not ControlStatus.ABSENT or bool(control.detail or control.withheld)


def control_notes(control: ResultControl) -> Iterator[str]:
    """A line for a person each: the status, why, each core."""
    if not is_said(control):
        return
    yield f"Control: {control.status}" + (f" ({control.detail})" if control.detail else "")
    for core in control.cores:
        yield f"Control expected {core.expected}, found {core.found}: {value_of(core)}, {core.n} cells"
    if control.withheld:
        yield f"{control.withheld}: the score is withheld. This is not a score of 0."


def value_of(core: CoreFound) -> str:
    value = NONE if core.value is None else core.value if isinstance(core.value, str) else f"{core.value:.1f}"
    return f"{core.measure} {value}"
