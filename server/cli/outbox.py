"""`chromogen outbox`: what has to leave, by the gRPC API."""

import click
from chromogen.v1 import admin_service_pb2 as pb

from server.cli.client import api, as_json_option, limit_option, pages, show_all
from server.domain.errors import Refused, ServiceReason
from server.domain.states import DeliveryState

COLUMNS = {
    "id": "delivery",
    "state": "state",
    "kind": "kind",
    "destination": "destination",
    "attempts": "tries",
    "reason": "reason",
    "result_id": "result",
    "create_time": "queued",
    "due_time": "next try",
}
DESTINATIONS = {"name": "destination", "waiting": "waiting", "dead": "dead", "oldest_waiting_time": "oldest waiting"}


@click.group()
def outbox() -> None:
    """Look at deliveries, and send dead letters again."""


@outbox.command("list")
@click.option("--state", type=click.Choice([str(s) for s in DeliveryState], case_sensitive=False))
@click.option("--destination", default="", show_default=False)
@limit_option
@as_json_option
def list_(state: str | None, destination: str, limit: int, as_json: bool) -> None:
    """List deliveries, newest first."""
    request = pb.ListDeliveriesRequest(
        state=f"DELIVERY_STATE_{(state or 'unspecified').upper()}", destination=destination
    )
    with api() as server:
        show_all(pages(server.admin.ListDeliveries, request, "deliveries", limit), COLUMNS, as_json=as_json)


@outbox.command()
@as_json_option
def destinations(as_json: bool) -> None:
    """List destinations, with what waits for them."""
    with api() as server:
        answer = server.admin.ListDestinations(pb.ListDestinationsRequest())
        show_all(list(answer.destinations), DESTINATIONS, as_json=as_json)


@outbox.command()
@click.argument("delivery_id", type=click.IntRange(1), required=False)
@click.option("--destination", help="all dead letters of this destination")
def replay(delivery_id: int | None, destination: str | None) -> None:
    """Send a dead letter again, or all of one destination."""
    if (delivery_id is None) == (destination is None):
        raise Refused(ServiceReason.ARGUMENT_INVALID, "name one delivery, or a --destination")
    which = {"delivery_id": delivery_id} if destination is None else {"destination": destination}
    with api() as server:
        count = server.admin.ReplayDeliveries(pb.ReplayDeliveriesRequest(**which)).replayed
    click.echo(f"{count} waiting again")
