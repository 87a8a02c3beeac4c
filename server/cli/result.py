"""`chromogen result`: results by the gRPC API."""

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import click
from chromogen.v1 import profile_service_pb2, result_pb2
from chromogen.v1 import result_service_pb2 as pb
from google.protobuf.json_format import MessageToDict

from inference.measures import ALL, value_text
from server.api.convert_result import score_in
from server.cli.client import api, as_json_option, limit_option, pages, show, show_all, show_table
from server.cli.table import interval_text
from server.domain.errors import Refused, ServiceReason
from server.domain.states import ResultState

FIELDS = {
    "id": "result",
    "state": "state",
    "order_id": "order",
    "predecessor_id": "predecessor",
    "profile.name": "profile",
    "profile.revision": "revision",
    "marker": "marker",
    "clinical_region": "clinical region",
    "warnings": "warnings",
    "signed_by": "signed by",
    "sign_time": "signed",
    "reason": "reason",
    "model.name": "model",
    "model.version": "model version",
    "create_time": "made",
}
COLUMNS = {
    "id": "result",
    "state": "state",
    "order_id": "order",
    "marker": "marker",
    "profile.name": "profile",
    "profile.revision": "rev",
    "create_time": "made",
}
RATIO_COLUMNS = ("markers", "score", "region", "proportion")
SCORE_COLUMNS = ("score", "region", "value", "95 %", "unit", "cells")


@click.group()
def result() -> None:
    """Look at results, rescore, sign, reject and amend them. Research use only."""


@result.command()
@click.argument("result_id")
@as_json_option
def get(result_id: str, as_json: bool) -> None:
    """Show one result."""
    with api() as server:
        _show(server.results.GetResult(pb.GetResultRequest(result_id=result_id)).result, as_json=as_json)


@result.command("list")
@click.option("--order-id", default="", show_default=False)
@click.option("--state", type=click.Choice([str(s) for s in ResultState], case_sensitive=False))
@limit_option
@as_json_option
def list_(order_id: str, state: str | None, limit: int, as_json: bool) -> None:
    """List results, newest first."""
    request = pb.ListResultsRequest(order_id=order_id, state=f"RESULT_STATE_{(state or 'unspecified').upper()}")
    with api() as server:
        _show_all(pages(server.results.ListResults, request, "results", limit), as_json=as_json)


@result.command()
@click.option("--series-uid", default="", show_default=False)
@click.option("--container-id", default="", show_default=False)
@as_json_option
def history(series_uid: str, container_id: str, as_json: bool) -> None:
    """List every result of one slide, oldest first."""
    which = {"series_uid": series_uid} if series_uid else {"container_id": container_id}
    with api() as server:
        answer = server.results.ListSlideHistory(pb.ListSlideHistoryRequest(**which))
        _show_all(list(answer.results), as_json=as_json)


@result.command()
@click.argument("order_id")
@as_json_option
def case(order_id: str, as_json: bool) -> None:
    """Show the markers of an order's case side by side, and the proportion of ER to PR."""
    with api() as server:
        answer = server.results.GetCaseMarkers(pb.GetCaseMarkersRequest(order_id=order_id))
    if as_json:
        click.echo(json.dumps(MessageToDict(answer, preserving_proto_field_name=True)))
        return
    _show_all(list(answer.results), as_json=False)
    show_table(RATIO_COLUMNS, [_ratio_row(ratio) for ratio in answer.ratios])


def _ratio_row(ratio: pb.MarkerRatio) -> tuple[str, ...]:
    value = f"{ratio.value:.2f}" if ratio.HasField("value") else f"{ratio.by} is 0"
    return f"{ratio.marker} to {ratio.by}", ratio.measure, ratio.region, value


@result.command()
@click.argument("result_id")
@click.argument("profile", metavar="NAME/REVISION")
@as_json_option
def rescore(result_id: str, profile: str, as_json: bool) -> None:
    """Score a result's cells under another profile; makes a new result."""
    request = pb.RescoreResultRequest(request_id=str(uuid.uuid4()), result_id=result_id, profile=revision_of(profile))
    with api() as server:
        _show(server.results.RescoreResult(request).result, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.option("--window", metavar="X,Y,W,H", help="only this box, in pixels of the largest level")
@click.option("--region", default="", show_default=False, help="only this region of the assay's")
@click.option("--squares", type=float, metavar="UM", help="count in squares of this side in µm, instead of points")
def cells(result_id: str, window: str | None, region: str, squares: float | None) -> None:
    """Print cells as JSON lines: place, group, what was measured; or counts by group of each square."""
    request = pb.ListCellsRequest(result_id=result_id, region=region)
    if window:
        request.window.CopyFrom(window_of(window))
    if squares is not None:
        request.detail, request.square_um = pb.CELLS_DETAIL_SQUARES, squares
    with api() as server:
        answers = server.results.ListCells(request)
        names = [group.name for group in next(answers).groups]
        for part in answers:
            for one in (*_points(part.cells, names), *(_square(s, names) for s in part.squares)):
                click.echo(json.dumps(one))


def _points(cells: result_pb2.Cells, names: list[str]) -> Iterator[dict[str, Any]]:
    """Each cell with the group it is in by name."""
    measured = [(m.name, m.values) for m in cells.measurements]
    for i, (x, y, group, confidence) in enumerate(
        zip(cells.x_px, cells.y_px, cells.group, cells.confidence, strict=True)
    ):
        place = {"x_px": round(x, 3), "y_px": round(y, 3), "group": names[group], "confidence": round(confidence, 5)}
        yield place | {name: values[i] for name, values in measured}


def _square(square: result_pb2.CellSquare, names: list[str]) -> dict[str, Any]:
    counts = dict(zip(names, square.counts, strict=True))
    return {"x_um": square.x_um, "y_um": square.y_um, "counts": counts}


@result.command()
@click.argument("result_id")
@as_json_option
def sign(result_id: str, as_json: bool) -> None:
    """Sign a preliminary result: it is final, and the LIS is sent F."""
    with api() as server:
        _show(server.results.SignResult(pb.SignResultRequest(result_id=result_id)).result, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.option("--reason", required=True)
@as_json_option
def reject(result_id: str, reason: str, as_json: bool) -> None:
    """Say that a preliminary result is not to be used."""
    with api() as server:
        answer = server.results.RejectResult(pb.RejectResultRequest(result_id=result_id, reason=reason))
        _show(answer.result, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.argument("replacement_id")
@click.option("--reason", required=True)
@as_json_option
def amend(result_id: str, replacement_id: str, reason: str, as_json: bool) -> None:
    """Put a preliminary result in the place of a signed one: the LIS is sent C."""
    request = pb.AmendResultRequest(result_id=result_id, replacement_id=replacement_id, reason=reason)
    with api() as server:
        _show(server.results.AmendResult(request).result, as_json=as_json)


def _show(found: result_pb2.Result, *, as_json: bool) -> None:
    """What names the result, then its scores, a line a row."""
    show(found, FIELDS, as_json=as_json)
    if not as_json:
        show_table(SCORE_COLUMNS, [_score_row(message) for message in found.scores])


def _score_row(message: result_pb2.Score) -> tuple[str, ...]:
    row = score_in(message)
    return row.display, row.region, value_text(row), interval_text(row), row.unit, str(row.n)


def _show_all(results: Sequence[Any], *, as_json: bool) -> None:
    show_all(results, COLUMNS, as_json=as_json, more={"score of all": _first})


def _first(found: result_pb2.Result) -> str:
    """The assay's first measure of all cells."""
    row = next((score_in(m) for m in found.scores if m.region == ALL), None)
    return "" if row is None else f"{row.display} {value_text(row)}, {row.n} cells"


def revision_of(text: str) -> profile_service_pb2.ProfileRevision:
    """NAME/REVISION. Raises Refused ARGUMENT_INVALID."""
    name, _, revision = text.rpartition("/")
    if not name or not revision.isdecimal():
        raise Refused(ServiceReason.ARGUMENT_INVALID, "a profile is named NAME/REVISION, such as er-sp1/3")
    return profile_service_pb2.ProfileRevision(name=name, revision=int(revision))


def window_of(text: str) -> result_pb2.Window:
    try:
        x, y, width, height = (int(v) for v in text.split(","))
    except ValueError:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "a window is X,Y,W,H in whole pixels") from None
    return result_pb2.Window(x_px=x, y_px=y, width_px=width, height_px=height)
