"""`chromogen profile`: profiles by the gRPC API. Files are those of `chromogen score --profile`."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import click
from chromogen.v1 import profile_pb2
from chromogen.v1 import profile_service_pb2 as pb

from inference.measures import NONE
from server.api.convert_profile import criteria_message
from server.cli.client import api, as_json_option, limit_option, pages, show, show_all, show_table
from server.cli.profile_file import read_profile
from server.cli.result import revision_of
from server.domain.states import ProfileState

FIELDS = {
    "name": "profile",
    "revision": "revision",
    "state": "state",
    "lab": "lab",
    "marker": "marker",
    "clone": "clone",
    "stainer": "stainer",
    "scanner": "scanner",
    "pathologist": "pathologist",
    "criteria.method": "method",
    "criteria.numbers": "criteria",
    "valid_from": "valid from",
    "valid_until": "valid until",
    "source": "source",
    "create_time": "made",
    "state_by": "state by",
    "state_time": "since",
    "state_reason": "because",
}
ACTIVE = "active"
COLUMNS = {"name": "profile", "revision": "rev", "state": "state", "marker": "marker", "lab": "lab", "source": "source"}
COMPARED = ("result", "cells", "score", "first", "second")


@click.group()
def profile() -> None:
    """Make, revise, activate, retire and compare profiles of the laboratory."""


@profile.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json_option
def create(file: Path, as_json: bool) -> None:
    """Make revision 1 of a profile from a JSON FILE, as a draft. Its `revision` and `lab` are the server's to give."""
    read = read_profile(file)
    made = profile_pb2.Profile(
        name=read.name,
        marker=read.key.marker,
        clone=read.key.clone,
        stainer=read.key.stainer,
        scanner=read.key.scanner,
        pathologist=read.key.pathologist,
        criteria=criteria_message(read.criteria),
        source=read.source,
    )
    with api() as server:
        answer = server.profiles.CreateProfile(pb.CreateProfileRequest(request_id=str(uuid.uuid4()), profile=made))
        show(answer.profile, FIELDS, as_json=as_json)


@profile.command()
@click.argument("file", type=click.Path(path_type=Path))
@as_json_option
def revise(file: Path, as_json: bool) -> None:
    """Make the next revision of the profile that FILE names, with FILE's criteria, as a draft."""
    read = read_profile(file)
    request = pb.CreateProfileRevisionRequest(
        request_id=str(uuid.uuid4()), name=read.name, criteria=criteria_message(read.criteria), source=read.source
    )
    with api() as server:
        show(server.profiles.CreateProfileRevision(request).profile, FIELDS, as_json=as_json)


@profile.command()
@click.argument("name")
@click.option("--revision", type=click.IntRange(1), help="the latest where left out")
@as_json_option
def get(name: str, revision: int | None, as_json: bool) -> None:
    """Show one revision."""
    with api() as server:
        answer = server.profiles.GetProfile(pb.GetProfileRequest(name=name, revision=revision or 0))
        show(answer.profile, FIELDS, as_json=as_json)


@profile.command("list")
@click.option("--marker", default="", show_default=False)
@click.option("--state", type=click.Choice([str(s) for s in ProfileState], case_sensitive=False))
@limit_option
@as_json_option
def list_(marker: str, state: str | None, limit: int, as_json: bool) -> None:
    """List revisions, by name."""
    request = pb.ListProfilesRequest(marker=marker, state=f"PROFILE_STATE_{(state or 'unspecified').upper()}")
    with api() as server:
        show_all(pages(server.profiles.ListProfiles, request, "profiles", limit), COLUMNS, as_json=as_json)


reason_option = click.option("--reason", default="", show_default=False, help="why, up to 500 characters")


@profile.command()
@click.argument("revision", metavar="NAME/REVISION")
@reason_option
@click.option(
    "--from", "valid_from", default="", show_default=False, metavar="YYYY-MM-DD", help="first day of validity"
)
@click.option("--until", "valid_until", default="", show_default=False, metavar="YYYY-MM-DD", help="last day of it")
@as_json_option
def activate(revision: str, reason: str, valid_from: str, valid_until: str, as_json: bool) -> None:
    """Use a revision for new orders."""
    named = revision_of(revision)
    request = pb.ActivateProfileRequest(
        name=named.name, revision=named.revision, reason=reason, valid_from=valid_from, valid_until=valid_until
    )
    with api() as server:
        show(server.profiles.ActivateProfile(request).profile, FIELDS, as_json=as_json)


@profile.command()
@click.argument("revision", metavar="NAME/REVISION")
@reason_option
@as_json_option
def retire(revision: str, reason: str, as_json: bool) -> None:
    """Use a revision no longer."""
    named = revision_of(revision)
    request = pb.RetireProfileRequest(name=named.name, revision=named.revision, reason=reason)
    with api() as server:
        show(server.profiles.RetireProfile(request).profile, FIELDS, as_json=as_json)


@profile.command()
@click.argument("first")
@click.argument("second")
@click.argument("result_ids", nargs=-1, metavar="[RESULT...]")
@click.option("--marker", default="", show_default=False, help="the stain of stored results; the second's else")
@click.option("--most", type=click.IntRange(1, 200), default=200, help="how many stored results at most")
@as_json_option
def compare(first: str, second: str, result_ids: tuple[str, ...], marker: str, most: int, as_json: bool) -> None:
    """What two revisions make of stored results: those named, or the laboratory's newest.

    Both are NAME/REVISION; FIRST may be `active`: the active revision of the second's profile.
    """
    request = pb.CompareProfilesRequest(
        first=None if first == ACTIVE else revision_of(first),
        second=revision_of(second),
        result_ids=result_ids,
        marker=marker,
        most_results=0 if result_ids else most,
    )
    with api() as server:
        answer = server.profiles.CompareProfiles(request)
    if as_json:
        show_all(list(answer.comparisons), {}, as_json=True)
        return
    show_table(COMPARED, [row for one in answer.comparisons for row in _compared(one)])
    for apart in answer.differences:
        click.echo(
            f"{apart.display}, second minus first: {apart.mean:+.1f} on average, {apart.largest:.1f} at most,"
            f" over {apart.results} results"
        )
    for change in answer.changes:
        names = f": {', '.join(change.changed_ids)}" if change.changed_ids else ""
        click.echo(f"{change.display}: {len(change.changed_ids)} of {change.results} change category{names}")


def _compared(one: pb.ProfileComparison) -> Iterator[tuple[str, ...]]:
    """A line a measure."""
    for m in one.measures:
        first = m.first_category or (f"{m.first_value:.1f}" if m.HasField("first_value") else NONE)
        second = m.second_category or (f"{m.second_value:.1f}" if m.HasField("second_value") else NONE)
        yield one.result_id, str(one.cells), m.display, first, second
