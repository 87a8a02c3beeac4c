"""`chromogen order`: orders by the gRPC API."""

import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import click
import grpc
from chromogen.v1 import order_pb2
from chromogen.v1 import order_service_pb2 as pb

from server.cli.client import Api, api, as_json_option, limit_option, pages, show, show_all, to_json
from server.cli.progress import progress_bar
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import CONTROL_ROLE, SEXES, Priority
from server.domain.states import OrderState

FIELDS = {
    "id": "order",
    "state": "state",
    "reason": "reason",
    "detail": "detail",
    "progress": "progress",
    "result_id": "result",
    "placer_order_number": "placer number",
    "placer_namespace": "placer",
    "marker": "marker",
    "priority": "priority",
    "slide.container_id": "container",
    "slide.series_uid": "series",
    "attempt": "attempt",
    "create_time": "received",
    "update_time": "changed",
}
COLUMNS = {
    "id": "order",
    "state": "state",
    "reason": "reason",
    "marker": "marker",
    "priority": "priority",
    "placer_order_number": "placer number",
    "slide.container_id": "container",
    "create_time": "received",
}
ENDS = {
    order_pb2.ORDER_STATE_DONE,
    order_pb2.ORDER_STATE_REFUSED,
    order_pb2.ORDER_STATE_DEAD,
    order_pb2.ORDER_STATE_CANCELLED,
}


@click.group()
def order() -> None:
    """Submit, look at, cancel and retry orders. The server and the token are CHROMOGEN_CLIENT_... variables."""


@order.command()
@click.option("--placer-number", required=True, help="the placer's order number")
@click.option("--placer-namespace", default="", show_default=False, help="who gave that number")
@click.option("--marker", required=True, help="a stain that is scored here, such as ER")
@click.option("--patient-id", required=True)
@click.option("--family-name", default="", show_default=False)
@click.option("--given-name", default="", show_default=False)
@click.option("--birth-date", type=click.DateTime(["%Y-%m-%d"]), help="YYYY-MM-DD")
@click.option("--sex", type=click.Choice(SEXES))
@click.option("--container-id", default="", show_default=False, help="the identifier on the slide's label")
@click.option("--series-uid", default="", show_default=False, help="DICOM Series Instance UID of the slide")
@click.option("--study-uid", default="", show_default=False, help="DICOM Study Instance UID of the slide")
@click.option("--specimen-id", default="", show_default=False)
@click.option(
    "--site", default="", show_default=False, metavar="CODE^TEXT^SCHEME", help="body site, e.g. 2739003^Endometrium^SCT"
)
@click.option("--clone", default="", show_default=False, help="of the antibody; profiles are chosen by it")
@click.option("--stainer", default="", show_default=False, help="what stained the slide, likewise")
@click.option("--scanner", default="", show_default=False, help="what scanned it, likewise")
@click.option("--staining-run", default="", show_default=False, help="its control slide counts for the case")
@click.option("--control", "control_kind", default="", show_default=False, metavar="KIND", help="it is a control slide")
@click.option("--priority", type=click.Choice([str(p) for p in Priority], case_sensitive=False), default="ROUTINE")
@click.option("--request-id", help="UUID; the same again is the same order. A new one where left out")
@click.option("--wait", is_flag=True, help="wait until the order ends; exit code 1 unless it is DONE")
@as_json_option
def submit(request_id: str | None, wait: bool, as_json: bool, **fields: Any) -> None:
    """Order the score of one slide."""
    request = pb.CreateOrderRequest(request_id=request_id or str(uuid.uuid4()), order=order_message(**fields))
    with api() as server:
        made = server.orders.CreateOrder(request).order
        last = follow(server, made.id, quiet=True) if wait else made
    show(last, FIELDS, as_json=as_json)
    if wait and last.state != order_pb2.ORDER_STATE_DONE:
        raise Failed(
            ServiceReason.ORDER_STATE, f"the order ended {order_pb2.OrderState.Name(last.state)[12:]}: {last.reason}"
        )


def order_message(
    *,
    placer_number: str,
    placer_namespace: str,
    marker: str,
    priority: str,
    container_id: str,
    series_uid: str,
    study_uid: str,
    specimen_id: str,
    site: str,
    clone: str,
    stainer: str,
    scanner: str,
    staining_run: str,
    control_kind: str,
    **patient: Any,
) -> order_pb2.Order:
    """Of the options of `submit`; `site` is CODE^TEXT^SCHEME, `patient` those of `patient_message`."""
    code, text, scheme = (*site.split("^"), "", "")[:3]
    return order_pb2.Order(
        placer_order_number=placer_number,
        placer_namespace=placer_namespace,
        marker=marker,
        priority=f"PRIORITY_{priority.upper()}",
        patient=patient_message(**patient),
        specimen=order_pb2.Specimen(
            id=specimen_id,
            container_id=container_id,
            site_code=code,
            site_text=text,
            site_scheme=scheme,
            clone=clone,
            stainer=stainer,
            scanner=scanner,
            staining_run=staining_run,
            role=CONTROL_ROLE if control_kind else "",
            control_kind=control_kind,
        ),
        slide=order_pb2.SlideReference(container_id=container_id, series_uid=series_uid, study_uid=study_uid),
    )


def patient_message(
    *, patient_id: str, family_name: str, given_name: str, birth_date: date | None, sex: str | None
) -> order_pb2.Patient:
    return order_pb2.Patient(
        id=patient_id,
        family_name=family_name,
        given_name=given_name,
        birth_date=birth_date.strftime("%Y-%m-%d") if birth_date else "",
        sex=sex or "",
    )


@order.command()
@click.argument("order_id")
@as_json_option
def get(order_id: str, as_json: bool) -> None:
    """Show one order."""
    with api() as server:
        show(server.orders.GetOrder(pb.GetOrderRequest(order_id=order_id)).order, FIELDS, as_json=as_json)


@order.command("list")
@click.option(
    "--state", multiple=True, type=click.Choice([str(s) for s in OrderState], case_sensitive=False), help="only these"
)
@click.option("--marker", default="", show_default=False)
@click.option("--container-id", default="", show_default=False)
@click.option("--placer-number", default="", show_default=False)
@limit_option
@as_json_option
def list_(
    state: tuple[str, ...], marker: str, container_id: str, placer_number: str, limit: int, as_json: bool
) -> None:
    """List orders, newest first."""
    request = pb.ListOrdersRequest(
        states=[f"ORDER_STATE_{s.upper()}" for s in state],
        marker=marker,
        container_id=container_id,
        placer_order_number=placer_number,
    )
    with api() as server:
        show_all(pages(server.orders.ListOrders, request, "orders", limit), COLUMNS, as_json=as_json)


@order.command()
@click.argument("order_id")
@as_json_option
def watch(order_id: str, as_json: bool) -> None:
    """Follow one order until it ends."""
    with api() as server:
        last = follow(server, order_id, quiet=not as_json)
    if not as_json:
        show(last, FIELDS, as_json=False)


@order.command()
@click.argument("order_id")
@as_json_option
def cancel(order_id: str, as_json: bool) -> None:
    """Take an order back that is queued or running."""
    with api() as server:
        show(server.orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id)).order, FIELDS, as_json=as_json)


@order.command()
@click.argument("order_id")
@as_json_option
def retry(order_id: str, as_json: bool) -> None:
    """Queue an order again that was refused or is dead."""
    with api() as server:
        show(server.orders.RetryOrder(pb.RetryOrderRequest(order_id=order_id)).order, FIELDS, as_json=as_json)


def _changes(server: Api, order_id: str) -> Iterator[pb.WatchOrderResponse]:
    """The server ends a watch where nothing happens for some minutes; then another is begun."""
    while True:
        try:
            yield from server.orders.WatchOrder(pb.WatchOrderRequest(order_id=order_id))
            return
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                raise


def follow(server: Api, order_id: str, *, quiet: bool) -> order_pb2.Order:
    """The order as it ended; not `quiet`: each change as a line of JSON, else a bar on a terminal."""
    last: order_pb2.Order | None = None
    with progress_bar("scoring") as progress:
        for answer in _changes(server, order_id):
            last = answer.order
            if not quiet:
                click.echo(to_json(last))
            progress(last.progress)
    if last is None or last.state not in ENDS:
        raise Refused(
            ServiceReason.ORDER_STATE,
            "the server stopped watching before the order ended: `chromogen order get` shows it",
        )
    return last
