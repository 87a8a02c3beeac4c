"""Profiles as messages and back. Pure."""

import re

from chromogen.v1 import profile_pb2 as pb
from chromogen.v1 import profile_service_pb2 as service_pb

from inference.assay import assay_of, criteria_of
from inference.criteria import Criteria
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
            pathologist=fields.text(asked.pathologist, "profile.pathologist") or ANY,
        ),
        criteria=criteria_in(asked.criteria, "profile.criteria"),
        valid_from=fields.day(asked.valid_from, "profile.valid_from"),
        valid_until=fields.day(asked.valid_until, "profile.valid_until"),
        source=fields.text(asked.source, "profile.source", most=LONGEST_SOURCE),
    )


def _marker(asked: str) -> str:
    if asked in ("", ANY):
        return ANY
    return assay_of(fields.text(asked, "profile.marker"), "profile.marker").marker


def criteria_in(asked: pb.Criteria, field: str) -> Criteria:
    """Of whichever kind it names. Raises Refused FIELD_MISSING, ARGUMENT_INVALID, PROFILE_INVALID."""
    if not asked.method:
        raise Refused(ServiceReason.FIELD_MISSING, f"{field}.method is missing")
    if asked.numbers.keys() & asked.texts.keys():
        fields.invalid(f"{field} gives a number and a text under one name")
    return criteria_of(asked.method, {**asked.numbers, **asked.texts})


def criteria_message(criteria: Criteria) -> pb.Criteria:
    values = criteria.values()
    return pb.Criteria(
        method=criteria.method,
        numbers={name: value for name, value in values.items() if not isinstance(value, str)},
        texts={name: value for name, value in values.items() if isinstance(value, str)},
    )


def profile_message(profile: Profile, view: ProfileView | None = None) -> pb.Profile:
    """State, time and etag only of a view: the copy in a result has none."""
    key = profile.key
    made = pb.Profile(
        name=profile.name,
        revision=profile.revision,
        lab=key.lab,
        marker=key.marker,
        clone=key.clone,
        stainer=key.stainer,
        scanner=key.scanner,
        pathologist=key.pathologist,
        criteria=criteria_message(profile.criteria),
        valid_from="" if profile.valid_from is None else profile.valid_from.isoformat(),
        valid_until="" if profile.valid_until is None else profile.valid_until.isoformat(),
        source=profile.source,
    )
    if view is not None:
        made.state, made.etag = STATE_NUMBERS[view.state], view.etag
        made.state_reason, made.state_by = view.reason, view.said_by
        if (said := fields.stamp(view.said_at)) is not None:
            made.state_time.CopyFrom(said)
        if (created := fields.stamp(view.created_at)) is not None:
            made.create_time.CopyFrom(created)
    return made


def view_message(view: ProfileView) -> pb.Profile:
    return profile_message(view.profile, view)
