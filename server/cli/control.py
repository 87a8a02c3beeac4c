"""`chromogen control`: what is expected of controls, and how they were, by the gRPC API."""

import uuid
from pathlib import Path
from typing import Any

import click
from chromogen.v1 import control_service_pb2 as pb

from server.cli.client import api, as_json_option, limit_option, pages, show, show_all
from server.domain.errors import Refused, ServiceReason

RANGE = {
    "id": "range",
    "marker": "marker",
    "kind": "kind",
    "measure": "measure",
    "low": "least",
    "high": "most",
    "category": "category",
    "least_cells": "cells",
    "target": "target",
    "deviation": "SD",
    "staining_run": "run",
    "clone": "clone",
    "stainer": "stainer",
    "valid_until": "valid until",
    "retired": "retired",
    "created_by": "set by",
}
CHART = {
    "key.marker": "marker",
    "key.kind": "kind",
    "key.measure": "measure",
    "key.clone": "clone",
    "key.stainer": "stainer",
    "target": "target",
    "deviation": "SD",
    "alarms": "alarms",
}
POINT = {
    "time": "measured",
    "value": "value",
    "deviations": "SD from target",
    "passed": "passed",
    "broken": "rules broken",
    "staining_run": "run",
    "result_id": "result",
}
FORMATS = {".png": "PLOT_FORMAT_PNG", ".svg": "PLOT_FORMAT_SVG"}


@click.group()
def control() -> None:
    """What is expected of control tissue and control slides, and their charts over time."""


@control.command("set")
@click.option("--marker", required=True)
@click.option("--kind", required=True, help="positive, negative; of HER2 3+, 2+, 1+, 0")
@click.option("--measure", required=True, help="what it is judged by, such as HSCORE or PERCENT_POSITIVE")
@click.option("--low", type=float, help="the least; open where left out")
@click.option("--high", type=float, help="the most; open where left out")
@click.option("--category", default="", show_default=False, help="of a measure that has categories")
@click.option("--least-cells", type=int, default=20)
@click.option("--target", type=float, help="of the chart, with --deviation; from the first controls where left out")
@click.option("--deviation", type=float, help="one standard deviation")
@click.option("--staining-run", default="*")
@click.option("--clone", default="*")
@click.option("--stainer", default="*")
@click.option("--valid-from", default="", show_default=False, metavar="YYYY-MM-DD")
@click.option("--valid-until", default="", show_default=False, metavar="YYYY-MM-DD")
@click.option("--source", default="", show_default=False, help="where it is from")
@click.option("--request-id", help="UUID; the same again is the same range. A new one where left out")
@as_json_option
def set_(request_id: str | None, as_json: bool, **said: Any) -> None:
    """Set what is expected of a kind of control from now on."""
    given = {name: value for name, value in said.items() if value is not None}
    request = pb.SetControlRangeRequest(request_id=request_id or str(uuid.uuid4()), range=pb.ControlRange(**given))
    with api() as server:
        show(server.controls.SetControlRange(request).range, RANGE, as_json=as_json)


@control.command("list")
@click.option("--marker", default="", show_default=False)
@click.option("--all", "all_", is_flag=True, help="those too that count no longer")
@limit_option
@as_json_option
def list_(marker: str, all_: bool, limit: int, as_json: bool) -> None:
    """List the ranges that count, the newest first."""
    request = pb.ListControlRangesRequest(marker=marker, all=all_)
    with api() as server:
        show_all(pages(server.controls.ListControlRanges, request, "ranges", limit), RANGE, as_json=as_json)


@control.command()
@click.argument("number", type=int)
@click.option("--reason", required=True)
@as_json_option
def retire(number: int, reason: str, as_json: bool) -> None:
    """Take a range back."""
    request = pb.RetireControlRangeRequest(request_id=str(uuid.uuid4()), id=number, reason=reason)
    with api() as server:
        show(server.controls.RetireControlRange(request).range, RANGE, as_json=as_json)


@control.command()
@click.option("--marker", default="", show_default=False)
@as_json_option
def charts(marker: str, as_json: bool) -> None:
    """List the control charts there are, with the alarms of each."""
    with api() as server:
        answer = server.controls.ListControlCharts(pb.ListControlChartsRequest(marker=marker))
        show_all(list(answer.charts), CHART, as_json=as_json)


@control.command()
@click.option("--marker", required=True)
@click.option("--kind", required=True)
@click.option("--measure", required=True)
@click.option("--clone", default="", show_default=False)
@click.option("--stainer", default="", show_default=False)
@click.option("--limit", type=click.IntRange(1, 500), default=60, help="the newest so many")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="picture, NAME.png or NAME.svg")
@as_json_option
def chart(limit: int, plot: Path | None, as_json: bool, **key: str) -> None:
    """Show a control chart (Levey-Jennings), and the rules of Westgard that are broken."""
    wanted = format_of(plot) if plot else "PLOT_FORMAT_UNSPECIFIED"
    request = pb.GetControlChartRequest(key=pb.ControlChartKey(**key), limit=limit, picture=wanted)
    with api() as server:
        answer = server.controls.GetControlChart(request)
    if plot:
        plot.write_bytes(answer.picture)
    show(answer.chart, CHART, as_json=as_json)
    if not as_json:
        show_all(list(answer.chart.points), POINT, as_json=False)


def format_of(plot: Path) -> str:
    """Raises Refused ARGUMENT_INVALID."""
    if plot.suffix.lower() not in FORMATS:
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"--plot {plot.name}: name it .png or .svg")
    return FORMATS[plot.suffix.lower()]
