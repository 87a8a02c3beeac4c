"""`chromogen audit`: who did what, by the gRPC API."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from chromogen.v1 import admin_service_pb2 as pb

from server import settings
from server.cli.client import api, as_json_option, limit_option, pages, show_all, to_json
from server.domain.errors import Failed, Refused, ServiceReason
from server.store.audit import Head
from server.store.audit import verify as verify_chains
from server.store.audit_heads import line_of, written
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
@click.option(
    "--heads",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="with --direct: a log of `serve`, or an earlier output, whose audit_head lines the chains must still hold",
)
@as_json_option
def verify(direct: bool, kept: Path | None, as_json: bool) -> None:
    """Compute the chain of hashes again; exit code 1 where a line doesn't fit.

    --direct prints each chain's end as well: kept elsewhere, it shows later whether the chain was rewritten or cut off.
    """
    if direct:
        _verify_directly(kept, as_json=as_json)
        return
    if kept is not None:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "--heads is compared with the database itself: add --direct")
    with api() as server:
        verdict = server.admin.VerifyAudit(pb.VerifyAuditRequest())
    click.echo(to_json(verdict) if as_json else f"{verdict.entries} lines, {'intact' if verdict.intact else 'BROKEN'}")
    if not verdict.intact:
        raise _broken(verdict.first_broken_id)


def _verify_directly(kept: Path | None, *, as_json: bool) -> None:
    url = address_of(settings.load().database)
    if not url:
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_DATABASE_URL is not set: name the database as chromogen_audit"
        )
    before = _kept_heads(kept)
    engine = connect(url)
    with transaction(engine) as connection:
        verdict = verify_chains(connection, before)
    engine.dispose()
    if as_json:
        click.echo(json.dumps(asdict(verdict)))
    else:
        for head in verdict.heads:
            click.echo(line_of(head))
        click.echo(f"{verdict.entries} lines, {'intact' if verdict.intact else 'BROKEN'}")
    if verdict.broken:
        raise _broken(verdict.broken[0])
    if verdict.gone:
        raise _rewritten(verdict.gone[0])


def _kept_heads(file: Path | None) -> frozenset[Head]:
    """Raises Refused ARGUMENT_INVALID for a file without any: it would let every chain pass."""
    if file is None:
        return frozenset()
    with file.open(errors="replace") as lines:
        found = written(lines)
    if not found:
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"{file} has no line of JSON that tells of an audit_head")
    return found


def _broken(line: int) -> Failed:
    return Failed(ServiceReason.INTERNAL, f"line {line} of the audit doesn't fit the one before")


def _rewritten(head: Head) -> Failed:
    of = f"chain {head.chain} of laboratory {head.lab}"
    return Failed(
        ServiceReason.INTERNAL, f"{of} doesn't hold line {head.number} as it was written down: rewritten or cut off"
    )
