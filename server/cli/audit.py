"""`chromogen audit`: who did what, by the gRPC API."""

import json
from dataclasses import asdict

import click
from chromogen.v1 import admin_service_pb2 as pb

from server import settings
from server.cli.client import api, as_json_option, limit_option, pages, show_all, to_json
from server.domain.errors import Failed, Refused, ServiceReason
from server.store.audit import verify as verify_chains
from server.store.database import address_of, connect, transaction

COLUMNS = {
    "id": "line",
    "create_time": "when",
    "lab": "lab",
    "subject": "who",
    "action": "what",
    "object": "on what",
    "outcome": "outcome",
}


@click.group()
def audit() -> None:
    """Read and verify the audit."""


@audit.command("list")
@click.option("--subject", default="", show_default=False)
@click.option("--object", "of", default="", show_default=False, help="such as orders/UUID, results/UUID")
@limit_option
@as_json_option
def list_(subject: str, of: str, limit: int, as_json: bool) -> None:
    """List lines, newest first."""
    request = pb.QueryAuditRequest(subject=subject, object=of)
    with api() as server:
        show_all(pages(server.admin.QueryAudit, request, "entries", limit), COLUMNS, as_json=as_json)


@audit.command()
@click.option("--direct", is_flag=True, help="not by the API: read the database that CHROMOGEN_DATABASE_URL names")
@as_json_option
def verify(direct: bool, as_json: bool) -> None:
    """Compute the chain of hashes again; exit code 1 where a line doesn't fit.

    --direct prints each chain's end as well: kept elsewhere, it shows later whether an end was cut off.
    """
    if direct:
        _verify_directly(as_json=as_json)
        return
    with api() as server:
        verdict = server.admin.VerifyAudit(pb.VerifyAuditRequest())
    click.echo(to_json(verdict) if as_json else f"{verdict.entries} lines, {'intact' if verdict.intact else 'BROKEN'}")
    if not verdict.intact:
        raise _broken(verdict.first_broken_id)


def _verify_directly(*, as_json: bool) -> None:
    url = address_of(settings.load().database)
    if not url:
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_DATABASE_URL is not set: name the database as chromogen_audit"
        )
    engine = connect(url)
    with transaction(engine) as connection:
        verdict = verify_chains(connection)
    engine.dispose()
    if as_json:
        click.echo(json.dumps(asdict(verdict)))
    else:
        for head in verdict.heads:
            click.echo(f"{head.lab} {head.chain} {head.number} {head.hash}")
        click.echo(f"{verdict.entries} lines, {'BROKEN' if verdict.broken else 'intact'}")
    if verdict.broken:
        raise _broken(verdict.broken[0])


def _broken(line: int) -> Failed:
    return Failed(ServiceReason.INTERNAL, f"line {line} of the audit doesn't fit the one before")
