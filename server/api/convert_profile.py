"""Profiles as messages and back. Pure."""

import re
from typing import assert_never

from chromogen.v1 import profile_pb2 as pb
from chromogen.v1 import profile_service_pb2 as service_pb

from inference.assay import marker_named
from inference.grade import DensityThresholds, HueValueThresholds, Thresholds
from server.api import fields
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import ANY, Profile, ProfileKey
from server.domain.states import ProfileState
from server.domain.views import ProfileView

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LONGEST_SOURCE = 500

STATES = {getattr(pb, f"PROFILE_STATE_{state}"): state for state in ProfileState}
STATE_NUMBERS = {state: number for number, state in STATES.items()}


def name_of(given: str, field: str) -> str:
    """Raises Refused FIELD_MISSING, ARGUMENT_INVALID."""
    fields.text(given, field, most=64, least=1)
    if not NAME.fullmatch(given):
        fields.invalid(f"{field} needs letters, digits, '.', '_' or '-', beginning with a letter or digit")
    return given


def revision_of(given: service_pb.ProfileRevision, field: str) -> tuple[str, int]:
    """Name and revision."""
    return name_of(given.name, f"{field}.name"), fields.number(given.revision, f"{field}.revision", 1, 2**31 - 1)


def profile_of(asked: pb.Profile, lab: str) -> Profile:
    """Revision 1 in a laboratory.

    Raises Refused FIELD_MISSING, ARGUMENT_INVALID, ASSAY_UNSUPPORTED, PROFILE_INVALID.
    """
    return Profile(
        name=name_of(asked.name, "profile.name"),
        revision=1,
        key=ProfileKey(
            lab=lab,
            marker=_marker(asked.marker),
            clone=fields.text(asked.clone, "profile.clone") or ANY,
            stainer=fields.text(asked.stainer, "profile.stainer") or ANY,
            scanner=fields.text(asked.scanner, "profile.scanner") or ANY,
        ),
        thresholds=thresholds_of(asked.thresholds, "profile.thresholds"),
        valid_from=fields.day(asked.valid_from, "profile.valid_from"),
        valid_until=fields.day(asked.valid_until, "profile.valid_until"),
        source=fields.text(asked.source, "profile.source", most=LONGEST_SOURCE),
    )


def _marker(asked: str) -> str:
    if asked in ("", ANY):
        return ANY
    return str(marker_named(fields.text(asked, "profile.marker"), "profile.marker"))


def thresholds_of(asked: pb.Thresholds, field: str) -> Thresholds:
    """Raises Refused FIELD_MISSING, PROFILE_INVALID."""
    match asked.WhichOneof("method"):
        case "hue_value":
            given = asked.hue_value
            return HueValueThresholds(hue=given.hue, left=given.left, right=given.right)
        case "density":
            cuts = asked.density
            return DensityThresholds(weak=cuts.weak_centi, moderate=cuts.moderate_centi, strong=cuts.strong_centi)
        case _:
            raise Refused(ServiceReason.FIELD_MISSING, f"{field} is missing: give hue_value or density")


def thresholds_message(thresholds: Thresholds) -> pb.Thresholds:
    match thresholds:
        case HueValueThresholds(hue=hue, left=left, right=right):
            return pb.Thresholds(hue_value=pb.HueValueThresholds(hue=hue, left=left, right=right))
        case DensityThresholds(weak=weak, moderate=moderate, strong=strong):
            cuts = pb.DensityThresholds(weak_centi=weak, moderate_centi=moderate, strong_centi=strong)
            return pb.Thresholds(density=cuts)
        case _:
            assert_never(thresholds)


def profile_message(profile: Profile, view: ProfileView | None = None) -> pb.Profile:
    """OrderState, time and etag only of a view: the copy in a result has none."""
    key = profile.key
    made = pb.Profile(
        name=profile.name,
        revision=profile.revision,
        lab=key.lab,
        marker=key.marker,
        clone=key.clone,
        stainer=key.stainer,
        scanner=key.scanner,
        thresholds=thresholds_message(profile.thresholds),
        valid_from="" if profile.valid_from is None else profile.valid_from.isoformat(),
        valid_until="" if profile.valid_until is None else profile.valid_until.isoformat(),
        source=profile.source,
    )
    if view is not None:
        made.state, made.etag = STATE_NUMBERS[view.state], view.etag
        if (created := fields.stamp(view.created_at)) is not None:
            made.create_time.CopyFrom(created)
    return made


def view_message(view: ProfileView) -> pb.Profile:
    return profile_message(view.profile, view)
