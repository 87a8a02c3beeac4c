"""`chromogen profile validate` and what follows it: how far a revision agrees with people, by the gRPC API."""

import csv
import io
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from chromogen.v1 import profile_service_pb2 as pb
from chromogen.v1 import result_pb2, validation_pb2

from inference.errors import Reason, Refused
from inference.measures import NONE
from server.cli import cohort  # noqa: F401  its commands are of the same group
from server.cli.calibrate import read_text
from server.cli.calibration import SCORES, score_of
from server.cli.client import api, as_json_option, show, show_all, show_table, to_json
from server.cli.profile import profile
from server.cli.result import revision_of

RESULT = "result"
FIELDS = {
    "id": "validation",
    "profile": "profile",
    "revision": "revision",
    "marker": "marker",
    "model_sha256": "model",
    "slides": "slides",
    "same_criteria": "same criteria",
    "computed_by": "computed by",
    "create_time": "computed",
}
COLUMNS = {name: FIELDS[name] for name in ("id", "marker", "slides", "computed_by", "create_time")}
AGREEMENTS = ("score", "region", "n", "bias (95 %)", "limits of agreement", "same category (95 %)", "kappa")


@profile.command()
@click.argument("revision", metavar="NAME/REVISION")
@click.argument("scores", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--marker", required=True, help="the stain")
@as_json_option
def validate(revision: str, scores: Path | None, marker: str, as_json: bool) -> None:
    """Compute how far a revision agrees with SCORES, or with the newest signed results where none are given.

    SCORES is a CSV: `result`, a result's UUID, and a column or more of h_score_REGION and percent_positive_REGION; a
    REGION is all or one of the stain's.
    """
    request = pb.ValidateProfileRequest(
        request_id=str(uuid.uuid4()),
        profile=revision_of(revision),
        marker=marker,
        slides=[] if scores is None else read_scores(scores),
    )
    with api() as server:
        _show(server.profiles.ValidateProfile(request).validation, as_json=as_json)


@profile.command()
@click.argument("revision", metavar="NAME/REVISION")
@as_json_option
def validations(revision: str, as_json: bool) -> None:
    """List a revision's validations, newest first, with who signed them."""
    with api() as server:
        answer = server.profiles.ListValidations(pb.ListValidationsRequest(profile=revision_of(revision)))
    show_all(list(answer.validations), COLUMNS, as_json=as_json, more={"signed by": _signers})


@profile.command("sign-validation")
@click.argument("validation_id")
@as_json_option
def sign_validation(validation_id: str, as_json: bool) -> None:
    """Sign a validation. Signed by as many as the laboratory asks for it lifts "research use only" for new orders."""
    with api() as server:
        answer = server.profiles.SignValidation(pb.SignValidationRequest(validation_id=validation_id))
    _show(answer.validation, as_json=as_json)


def _show(found: validation_pb2.Validation, *, as_json: bool) -> None:
    if as_json:
        click.echo(to_json(found))
        return
    show(found, FIELDS, as_json=False)
    show_table(AGREEMENTS, list(map(agreement_row, found.agreements)))
    click.echo(f"signed by: {_signers(found)}")


def _signers(found: validation_pb2.Validation) -> str:
    return ", ".join(signature.by for signature in found.signatures) or "nobody"


def agreement_row(one: validation_pb2.ScoreAgreement) -> tuple[str, ...]:
    bias = f"{one.bias:+.1f}{_ends(one, 'bias_interval')}" if one.HasField("bias") else NONE
    limits = _ends(one, "limits").strip() or NONE
    same = NONE
    if one.HasField("agree"):
        same = f"{one.agree} of {one.n}{_ends(one, 'agree_interval', decimals=2)}"
    kappa = f"{one.kappa:.2f}" if one.HasField("kappa") else NONE
    return one.display, one.region, str(one.n), bias, limits, same, kappa


def _ends(one: validation_pb2.ScoreAgreement, name: str, *, decimals: int = 1) -> str:
    if not one.HasField(name):
        return ""
    ends: result_pb2.Interval = getattr(one, name)
    return f" ({ends.low:.{decimals}f} to {ends.high:.{decimals}f})"


def read_scores(path: Path) -> list[pb.ScoredSlide]:
    """Raises Refused MANIFEST_INVALID naming the line."""
    rows = csv.DictReader(io.StringIO(read_text(path)))
    rows.fieldnames = given = [name.strip() for name in rows.fieldnames or ()]
    if RESULT not in given or not set(given) & set(SCORES) or set(given) - {RESULT, *SCORES}:
        columns = f"{RESULT} and one or more of {', '.join(SCORES)}"
        raise Refused(Reason.MANIFEST_INVALID, f"{path} has other columns than {columns}")
    found = [_slide(row, f"{path}, line {rows.line_num}") for row in rows]
    if not found:
        raise Refused(Reason.MANIFEST_INVALID, f"{path} names no result: add a line for each that was scored")
    return found


def _slide(row: Mapping[str, Any], where: str) -> pb.ScoredSlide:
    if None in row or None in row.values():
        raise Refused(Reason.MANIFEST_INVALID, f"{where} has more or fewer fields than the first")
    text = {name: value.strip() for name, value in row.items()}
    scores = [score_of(name, text[name], where) for name in SCORES if text.get(name)]
    if not scores:
        raise Refused(Reason.MANIFEST_INVALID, f"{where} has no score: give one, or leave the line out")
    return pb.ScoredSlide(result_id=text[RESULT], scores=scores)
