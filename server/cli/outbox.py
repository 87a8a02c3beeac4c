"""`chromogen outbox`: what has to leave, by the gRPC API; after a restore, in the database itself."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from chromogen.v1 import admin_service_pb2 as pb

from server import settings
from server.cli.client import api, as_json_option, limit_option, pages, show_all, show_table
from server.domain.errors import Refused, ServiceReason
from server.domain.states import DeliveryState
from server.store.database import address_of, connect
from server.store.reconcile import Missing, Reconciled, Sent, written
from server.store.reconcile import reconcile as bring_up_to_date

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


@outbox.command()
@click.argument("logs", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json_option
def reconcile(logs: tuple[Path, ...], as_json: bool) -> None:
    """After a restore: tell the database what LOGS of `work` say was sent since the backup; it isn't sent again.

    Run it as the account of `work`, which CHROMOGEN_DATABASE_URL names, before any `work` is started. Orders and
    messages that were sent and that the backup doesn't hold are listed.
    """
    url = address_of(settings.load().database)
    if not url:
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_DATABASE_URL is not set: name the restored database, as `work`"
        )
    sent = _written(logs)
    engine = connect(url)
    found = bring_up_to_date(engine, sent)
    engine.dispose()
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _show(found)


def _written(logs: tuple[Path, ...]) -> frozenset[Sent]:
    """Raises Refused ARGUMENT_INVALID for a file that says nothing: nothing would be held back for it."""
    sent = frozenset[Sent]()
    for file in logs:
        with file.open(errors="replace") as lines:
            found = written(lines)
        if not found:
            raise Refused(ServiceReason.ARGUMENT_INVALID, f"{file} has no line of JSON that tells of a delivery")
        sent |= found
    return sent


def _show(found: Reconciled) -> None:
    click.echo(f"{len(found.marked)} had been sent and would have been sent again: SENT now")
    click.echo(f"{found.known} were known as sent")
    click.echo(f"{len(found.missing)} were sent, and the backup doesn't hold them")
    if found.missing:
        show_table(["order", "its state", "kind", "destination", "message"], [_row(each) for each in found.missing])


def _row(missing: Missing) -> list[str]:
    sent = missing.sent
    return [sent.order_id, missing.state, sent.kind, sent.destination, sent.message_id]
