"""Profiles as rows, and as the copy that each result keeps. Revisions are added, never changed."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any, assert_never

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement

from inference.grade import DensityThresholds, HueValueThresholds, Thresholds
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import ANY, BUILT_IN, Profile, ProfileKey
from server.domain.states import ProfileState
from server.store.tables import profile_states, profiles

HUE_VALUE, DENSITY = "hue_value", "density"


def add(connection: Connection, profile: Profile) -> None:
    """Keep a revision; the same again changes nothing.

    Raises Refused PROFILE_CONFLICT where another has its name and number.
    """
    if profile.name == BUILT_IN.name:
        raise Refused(ServiceReason.PROFILE_CONFLICT, f"the name {BUILT_IN.name} is taken by the profile that ships")
    columns = asdict(profile.key) | {
        "name": profile.name,
        "revision": profile.revision,
        "thresholds": thresholds_to_json(profile.thresholds),
        "valid_from": profile.valid_from,
        "valid_until": profile.valid_until,
        "source": profile.source,
    }
    statement = upsert(profiles).values(columns).on_conflict_do_nothing().returning(profiles.c.name)
    if connection.execute(statement).first() is None and _one(connection, profile) != profile:
        raise Refused(
            ServiceReason.PROFILE_CONFLICT, f"profile {profile.label} exists and is another: give a new revision"
        )


def fitting(connection: Connection, lab: str, marker: str) -> list[Profile]:
    """All active revisions for the laboratory and marker, or for any, oldest first.

    The built-in one is always among them.
    """
    statement = (
        select(profiles)
        .where(profiles.c.lab.in_((lab, ANY)), profiles.c.marker.in_((marker, ANY)), state_of() == ProfileState.ACTIVE)
        .order_by(profiles.c.name, profiles.c.revision)
    )
    return [BUILT_IN, *(profile_of(row) for row in connection.execute(statement).mappings())]


def state_of() -> ColumnElement[str]:
    """The state of a row of `profiles`: what was last said of it, or ACTIVE."""
    same = (getattr(profile_states.c, part) == getattr(profiles.c, part) for part in ("lab", "name", "revision"))
    last = select(profile_states.c.state).where(*same).order_by(profile_states.c.id.desc()).limit(1)
    return func.coalesce(last.correlate(profiles).scalar_subquery(), ProfileState.ACTIVE.value)


def to_json(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "revision": profile.revision,
        "key": asdict(profile.key),
        "thresholds": thresholds_to_json(profile.thresholds),
        "valid_from": _text(profile.valid_from),
        "valid_until": _text(profile.valid_until),
        "source": profile.source,
    }


def from_json(kept: Mapping[str, Any]) -> Profile:
    return Profile(
        name=kept["name"],
        revision=kept["revision"],
        key=ProfileKey(**kept["key"]),
        thresholds=thresholds_from_json(kept["thresholds"]),
        valid_from=_date(kept["valid_from"]),
        valid_until=_date(kept["valid_until"]),
        source=kept["source"],
    )


def thresholds_to_json(thresholds: Thresholds) -> dict[str, Any]:
    match thresholds:
        case HueValueThresholds():
            return {"kind": HUE_VALUE} | asdict(thresholds)
        case DensityThresholds():
            return {"kind": DENSITY} | asdict(thresholds)
        case _:
            assert_never(thresholds)


def thresholds_from_json(kept: Mapping[str, Any]) -> Thresholds:
    numbers = {name: value for name, value in kept.items() if name != "kind"}
    return HueValueThresholds(**numbers) if kept["kind"] == HUE_VALUE else DensityThresholds(**numbers)


def _one(connection: Connection, profile: Profile) -> Profile:
    same = (profiles.c.lab == profile.key.lab, profiles.c.name == profile.name, profiles.c.revision == profile.revision)
    return profile_of(connection.execute(select(profiles).where(*same)).mappings().one())


def profile_of(row: RowMapping) -> Profile:
    return Profile(
        name=row["name"],
        revision=row["revision"],
        key=ProfileKey(**{part: row[part] for part in ("lab", "marker", "clone", "stainer", "scanner")}),
        thresholds=thresholds_from_json(row["thresholds"]),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        source=row["source"],
    )


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(day: str | None) -> date | None:
    return None if day is None else date.fromisoformat(day)
