"""`chromogen profile cohort` and `confirm`: many results scored anew, first as a preview, by the gRPC API."""

import uuid
from pathlib import Path

import click
from chromogen.v1 import profile_service_pb2 as pb

from server.cli import calibration  # noqa: F401  its commands are of the same group
from server.cli.client import Api, api, as_json_option, limit_option, pages, show, show_all
from server.cli.control import format_of
from server.cli.profile import profile
from server.cli.progress import progress_bar
from server.cli.result import revision_of

FIELDS = {
    "id": "cohort",
    "state": "state",
    "results": "results",
    "changed": "would change category",
    "reason": "reason",
    "detail": "detail",
}
CHANGES = {
    "result_id": "result",
    "signed": "signed",
    "measure": "measure",
    "before": "before",
    "after": "after",
    "changed": "changed",
}
COLUMNS = {
    "id": "cohort",
    "state": "state",
    "marker": "marker",
    "profile.name": "profile",
    "profile.revision": "rev",
    "results": "results",
    "changed": "would change category",
    "confirms_id": "confirms",
    "asked_by": "asked by",
    "purpose": "why",
    "create_time": "asked",
}


@profile.command()
@click.argument("name_revision", metavar="NAME/REVISION")
@click.option("--marker", required=True)
@click.option("--reason", required=True, help="each new result says so")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="only orders received from this day on (UTC)")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="only orders received before this day (UTC)")
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="picture, NAME.png or NAME.svg")
@as_json_option
def cohort(
    name_revision: str, marker: str, reason: str, since: object, until: object, plot: Path | None, as_json: bool
) -> None:
    """Show what scoring a marker's results by NAME/REVISION would change; changes nothing."""
    wanted = format_of(plot) if plot else "PLOT_FORMAT_UNSPECIFIED"
    request = pb.RescoreCohortRequest(
        request_id=str(uuid.uuid4()), marker=marker, profile=revision_of(name_revision), reason=reason
    )
    for name, day in (("received_from", since), ("received_until", until)):
        if day is not None:
            getattr(request, name).FromDatetime(day)
    with api() as server:
        made = server.profiles.RescoreCohort(request).cohort
        answer = _awaited(server, made.id, wanted)
    if plot:
        plot.write_bytes(answer.picture)
    show(answer.cohort, FIELDS, as_json=as_json)
    if not as_json:
        show_all(list(answer.cohort.changes), CHANGES, as_json=False)


@profile.command()
@click.argument("cohort_id")
@as_json_option
def confirm(cohort_id: str, as_json: bool) -> None:
    """Make the new results that a cohort showed; nothing is sent."""
    request = pb.ConfirmCohortRequest(request_id=str(uuid.uuid4()), cohort_id=cohort_id)
    with api() as server:
        made = server.profiles.ConfirmCohort(request).cohort
        answer = _awaited(server, made.id, "PLOT_FORMAT_UNSPECIFIED")
    show(answer.cohort, FIELDS | {"made": "new results", "left_out": "left out"}, as_json=as_json)


@profile.command()
@click.option("--confirmed", is_flag=True, help="confirmations instead of previews")
@limit_option
@as_json_option
def cohorts(confirmed: bool, limit: int, as_json: bool) -> None:
    """List cohorts, newest first."""
    with api() as server:
        found = pages(server.profiles.ListCohorts, pb.ListCohortsRequest(confirmations=confirmed), "cohorts", limit)
    show_all(found, COLUMNS, as_json=as_json)


def _awaited(server: Api, cohort_id: str, picture: str) -> pb.GetCohortResponse:
    with progress_bar("scoring anew") as progress:
        for answer in server.profiles.WatchCohort(pb.WatchCohortRequest(cohort_id=cohort_id)):
            progress(answer.cohort.progress)
    request = pb.GetCohortRequest(cohort_id=cohort_id, picture=picture)
    found: pb.GetCohortResponse = server.profiles.GetCohort(request)
    return found
