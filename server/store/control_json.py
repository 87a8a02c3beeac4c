"""A result's control as the JSON that is kept. `own` and `slide_of_run` are what charts and cases ask for by index."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from inference.control import Control, ControlStatus, CoreFound
from server.domain.control import NO_CONTROL, ResultControl, RunControl


def control_to_json(control: ResultControl) -> dict[str, Any]:
    """Empty where there was no control, and nothing was to be said of that."""
    if control == NO_CONTROL:
        return {}
    run = control.run
    return {
        "status": control.status.value,
        "own": asdict(control.own) if control.own.cores else None,
        "own_detail": control.own.detail,
        "run": None if run is None else asdict(run) | {"measured_at": run.measured_at.isoformat()},
        "withheld": control.withheld,
        "detail": control.detail,
        "staining_run": control.staining_run,
        "clone": control.clone,
        "stainer": control.stainer,
        "slide_of_run": control.staining_run or None if control.is_slide else None,
        "is_slide": control.is_slide,
    }


def control_from_json(kept: Mapping[str, Any]) -> ResultControl:
    if not kept:
        return NO_CONTROL
    own, run = kept["own"], kept["run"]
    return ResultControl(
        own=Control(detail=kept["own_detail"]) if own is None else _control(own),
        run=None if run is None else _run(run),
        withheld=kept["withheld"],
        detail=kept["detail"],
        staining_run=kept["staining_run"],
        clone=kept["clone"],
        stainer=kept["stainer"],
        is_slide=kept["is_slide"],
    )


def run_control_of(result_id: str, at: datetime, kept: Mapping[str, Any]) -> RunControl:
    """What a case sees of the control slide of its run."""
    control = control_from_json(kept)
    return RunControl(result_id=result_id, measured_at=at, status=control.own.status, cores=control.own.cores)


def cores_of(kept: Mapping[str, Any]) -> list[CoreFound]:
    own = kept.get("own")
    return [] if own is None else [CoreFound(**core) for core in own["cores"]]


def _control(kept: Mapping[str, Any]) -> Control:
    cores = tuple(CoreFound(**core) for core in kept["cores"])
    return Control(status=ControlStatus(kept["status"]), cores=cores, detail=kept["detail"])


def _run(kept: Mapping[str, Any]) -> RunControl:
    return RunControl(
        result_id=kept["result_id"],
        measured_at=datetime.fromisoformat(kept["measured_at"]),
        status=ControlStatus(kept["status"]),
        cores=tuple(CoreFound(**core) for core in kept["cores"]),
    )
