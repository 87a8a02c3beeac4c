"""`chromogen audit`: who did what, by the gRPC API."""

import click
from chromogen.v1 import admin_service_pb2 as pb

from server.cli.client import api, as_json_option, limit_option, pages, show_all, to_json
from server.domain.errors import Failed, ServiceReason

COLUMNS = {
    "id": "line", "create_time": "when", "lab": "lab", "subject": "who", "action": "what", "object": "on what",
    "outcome": "outcome",
}  # fmt: skip


@click.group()
def audit() -> None:
    """Read and verify the audit."""


@audit.command("list")
@click.option("--subject", default="", show_default=False)
@click.option("--object", "of", default="", show_default=False, help="an identifier")
@limit_option
@as_json_option
def list_(subject: str, of: str, limit: int, as_json: bool) -> None:
    """List lines, newest first."""
    request = pb.QueryAuditRequest(subject=subject, object=of)
    with api() as server:
        show_all(pages(server.admin.QueryAudit, request, "entries", limit), COLUMNS, as_json=as_json)


@audit.command()
@as_json_option
def verify(as_json: bool) -> None:
    """Compute the chain of hashes again; exit code 1 where a line doesn't fit."""
    with api() as server:
        verdict = server.admin.VerifyAudit(pb.VerifyAuditRequest())
    click.echo(to_json(verdict) if as_json else f"{verdict.entries} lines, {'intact' if verdict.intact else 'BROKEN'}")
    if not verdict.intact:
        raise Failed(ServiceReason.INTERNAL, f"line {verdict.first_broken_id} of the audit doesn't fit the one before")
