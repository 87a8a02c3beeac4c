"""`chromogen result`: results by the gRPC API."""

import uuid

import click
from chromogen.v1 import profile_service_pb2, result_pb2
from chromogen.v1 import result_service_pb2 as pb

from server.cli.client import api, as_json_option, limit_option, pages, show, show_all, to_json
from server.domain.errors import Refused, ServiceReason
from server.domain.states import ResultState

FIELDS = {
    "id": "result",
    "state": "state",
    "order_id": "order",
    "predecessor_id": "predecessor",
    "profile.name": "profile",
    "profile.revision": "revision",
    "scores.all.nuclei": "nuclei",
    "scores.all.h_score": "H-score",
    "scores.all.h_score_ci95.low": "  from (95 %)",
    "scores.all.h_score_ci95.high": "  to (95 %)",
    "scores.all.percent_positive": "positive %",
    "scores.all.allred.total": "Allred",
    "scores.all.irs": "IRS",
    "scores.epithelium.h_score": "H, epithelium",
    "scores.stroma.h_score": "H, stroma",
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
    "profile.name": "profile",
    "profile.revision": "rev",
    "scores.all.nuclei": "nuclei",
    "scores.all.h_score": "H-score",
    "scores.all.percent_positive": "positive %",
    "create_time": "made",
}


@click.group()
def result() -> None:
    """Look at results, rescore, sign, reject and amend them. Research use only."""


@result.command()
@click.argument("result_id")
@as_json_option
def get(result_id: str, as_json: bool) -> None:
    """Show one result."""
    with api() as server:
        show(server.results.GetResult(pb.GetResultRequest(result_id=result_id)).result, FIELDS, as_json=as_json)


@result.command("list")
@click.option("--order-id", default="", show_default=False)
@click.option("--state", type=click.Choice([str(s) for s in ResultState], case_sensitive=False))
@limit_option
@as_json_option
def list_(order_id: str, state: str | None, limit: int, as_json: bool) -> None:
    """List results, newest first."""
    request = pb.ListResultsRequest(order_id=order_id, state=f"RESULT_STATE_{(state or 'unspecified').upper()}")
    with api() as server:
        show_all(pages(server.results.ListResults, request, "results", limit), COLUMNS, as_json=as_json)


@result.command()
@click.option("--series-uid", default="", show_default=False)
@click.option("--container-id", default="", show_default=False)
@as_json_option
def history(series_uid: str, container_id: str, as_json: bool) -> None:
    """List every result of one slide, oldest first."""
    which = {"series_uid": series_uid} if series_uid else {"container_id": container_id}
    with api() as server:
        answer = server.results.ListSlideHistory(pb.ListSlideHistoryRequest(**which))
        show_all(list(answer.results), COLUMNS, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.argument("profile", metavar="NAME/REVISION")
@as_json_option
def rescore(result_id: str, profile: str, as_json: bool) -> None:
    """Score a result's nuclei under another profile; makes a new result."""
    request = pb.RescoreResultRequest(request_id=str(uuid.uuid4()), result_id=result_id, profile=revision_of(profile))
    with api() as server:
        show(server.results.RescoreResult(request).result, FIELDS, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.option("--window", metavar="X,Y,W,H", help="only this box, in pixels of the largest level")
@click.option("--cells", type=float, metavar="UM", help="count in squares of this side in µm, instead of points")
def nuclei(result_id: str, window: str | None, cells: float | None) -> None:
    """Print nuclei as JSON lines."""
    request = pb.ListNucleiRequest(result_id=result_id)
    if window:
        request.window.CopyFrom(_window(window))
    if cells is not None:
        request.detail, request.cell_um = pb.NUCLEI_DETAIL_CELLS, cells
    with api() as server:
        for part in server.results.ListNuclei(request):
            for one in (*part.nuclei, *part.cells):
                click.echo(to_json(one))


@result.command()
@click.argument("result_id")
@as_json_option
def sign(result_id: str, as_json: bool) -> None:
    """Sign a preliminary result: it is final, and the LIS is sent F."""
    with api() as server:
        show(server.results.SignResult(pb.SignResultRequest(result_id=result_id)).result, FIELDS, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.option("--reason", required=True)
@as_json_option
def reject(result_id: str, reason: str, as_json: bool) -> None:
    """Say that a preliminary result is not to be used."""
    with api() as server:
        answer = server.results.RejectResult(pb.RejectResultRequest(result_id=result_id, reason=reason))
        show(answer.result, FIELDS, as_json=as_json)


@result.command()
@click.argument("result_id")
@click.argument("replacement_id")
@click.option("--reason", required=True)
@as_json_option
def amend(result_id: str, replacement_id: str, reason: str, as_json: bool) -> None:
    """Put a preliminary result in the place of a signed one: the LIS is sent C."""
    request = pb.AmendResultRequest(result_id=result_id, replacement_id=replacement_id, reason=reason)
    with api() as server:
        show(server.results.AmendResult(request).result, FIELDS, as_json=as_json)


def revision_of(text: str) -> profile_service_pb2.ProfileRevision:
    """NAME/REVISION. Raises Refused ARGUMENT_INVALID."""
    name, _, revision = text.rpartition("/")
    if not name or not revision.isdecimal():
        raise Refused(ServiceReason.ARGUMENT_INVALID, "a profile is named NAME/REVISION, such as er-sp1/3")
    return profile_service_pb2.ProfileRevision(name=name, revision=int(revision))


def _window(text: str) -> result_pb2.Window:
    try:
        x, y, width, height = (int(v) for v in text.split(","))
    except ValueError:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "a window is X,Y,W,H in whole pixels") from None
    return result_pb2.Window(x_px=x, y_px=y, width_px=width, height_px=height)
