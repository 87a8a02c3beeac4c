"""`chromogen result estimate` and `estimates`: pathologists' own estimates beside the scores, by the gRPC API."""

from pathlib import Path

import click
from chromogen.v1 import result_service_pb2 as pb

from server.cli.client import api, as_json_option, show_all, show_table, to_json
from server.cli.control import format_of
from server.cli.result import result
from server.cli.validation import AGREEMENTS, agreement_row
from server.domain.errors import Refused, ServiceReason

COLUMNS = {
    "by": "reader",
    "time": "when",
    "measure": "measure",
    "region": "region",
    "value": "value",
    "category": "category",
    "score_shown": "score shown",
    "result_id": "result",
}
EVERYBODY = "all readers"


@result.command()
@click.argument("result_id")
@click.argument("values", nargs=-1, required=True, metavar="REGION=VALUE...")
@as_json_option
def estimate(result_id: str, values: tuple[str, ...], as_json: bool) -> None:
    """Keep your own estimate of a result's first score: of all, or of other regions that have one."""
    request = pb.EstimateResultRequest(result_id=result_id, values=map(value_of, values))
    with api() as server:
        answer = server.results.EstimateResult(request)
    show_all(list(answer.estimates), COLUMNS, as_json=as_json)


@result.command()
@click.option("--marker", default="", show_default=False)
@click.option("--reader", default="", show_default=False, help="who, as the token names them")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="only estimates made from this day on (UTC)")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="only estimates made before this day (UTC)")
@click.option("--shown", is_flag=True, help="those too that were made when the score may have been seen")
@click.option("--region", default="", show_default=False, help="of the picture; all where left out")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), help="picture, NAME.png or NAME.svg; needs --marker"
)
@as_json_option
def estimates(
    marker: str, reader: str, since: object, until: object, shown: bool, region: str, plot: Path | None, as_json: bool
) -> None:
    """Show how far scores lie from pathologists' own estimates: bias and limits, or same categories."""
    wanted = format_of(plot) if plot else "PLOT_FORMAT_UNSPECIFIED"
    request = pb.CompareEstimatesRequest(
        marker=marker, reader=reader, score_shown=shown, picture=wanted, picture_region=region
    )
    for field, day in (("made_from", since), ("made_until", until)):
        if day is not None:
            getattr(request, field).FromDatetime(day)
    with api() as server:
        answer = server.results.CompareEstimates(request)
    if plot:
        _write(plot, answer.picture)
    if as_json:
        answer.ClearField("picture")
        click.echo(to_json(answer))
        return
    columns = ("laboratory", "marker", "reader", *AGREEMENTS)
    show_table(columns, [_row(one) for one in answer.agreements])
    if answer.more:
        click.echo(
            f"there are more: the newest {len(answer.compared)} are compared; name a marker, a reader or days", err=True
        )


def value_of(text: str) -> pb.RegionEstimate:
    """Of REGION=VALUE, a number or a category; `0` may be either. Raises Refused ARGUMENT_INVALID."""
    region, _, value = text.partition("=")
    if not value:
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"{text!r} is no REGION=VALUE, such as all=120 or tumour=2+")
    try:
        return pb.RegionEstimate(region=region, value=float(value), category=value if value == "0" else "")
    except ValueError:
        return pb.RegionEstimate(region=region, category=value)


def _row(one: pb.ReaderAgreement) -> tuple[str, ...]:
    return one.lab, one.marker, one.reader or EVERYBODY, *agreement_row(one.agreement)


def _write(plot: Path, picture: bytes) -> None:
    if not picture:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "--plot: no estimate of that region is compared: nothing to draw")
    plot.write_bytes(picture)
