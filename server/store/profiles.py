"""Profiles as rows, and as the copy that each result keeps. Revisions are added, never changed."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement

from inference.assay import criteria_of, criteria_values
from inference.criteria import Criteria
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import ANY, Profile, ProfileKey, shipped_profiles
from server.domain.states import ProfileState
from server.store.tables import profile_states, profiles

KEY = ("lab", "marker", "clone", "stainer", "scanner", "pathologist")
"""Columns of `ProfileKey`."""


def add(connection: Connection, profile: Profile) -> None:
    """Keep a revision; the same again changes nothing.

    Raises Refused PROFILE_CONFLICT where another has its name and number.
    """
    if profile.name in {shipped.name for shipped in shipped_profiles()}:
        raise Refused(ServiceReason.PROFILE_CONFLICT, f"the name {profile.name} is taken by a profile that ships")
    columns = asdict(profile.key) | {
        "name": profile.name,
        "revision": profile.revision,
        "criteria": criteria_values(profile.criteria),
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
    """All active revisions for the laboratory and marker, or for any, oldest first; but for those that ship."""
    statement = (
        select(profiles, *activated())
        .where(profiles.c.lab.in_((lab, ANY)), profiles.c.marker.in_((marker, ANY)), state_of() == ProfileState.ACTIVE)
        .order_by(profiles.c.name, profiles.c.revision)
    )
    return [profile_of(row) for row in connection.execute(statement).mappings()]


def state_of() -> ColumnElement[str]:
    """The state of a row of `profiles`: what was last said of it, or ACTIVE."""
    return func.coalesce(last_said("state"), ProfileState.ACTIVE.value)


def activated() -> tuple[ColumnElement[date], ...]:
    """The validity that its activation gave a row of `profiles`, as `profile_of` reads it."""
    return last_said("valid_from").label("active_from"), last_said("valid_until").label("active_until")


def last_said(column: str) -> ColumnElement[Any]:
    """Of what was last said of a row of `profiles`."""
    same = (getattr(profile_states.c, part) == getattr(profiles.c, part) for part in ("lab", "name", "revision"))
    last = select(profile_states.c[column]).where(*same).order_by(profile_states.c.id.desc()).limit(1)
    return last.correlate(profiles).scalar_subquery()


def to_json(profile: Profile) -> dict[str, Any]:
    return {
        "name": profile.name,
        "revision": profile.revision,
        "key": {part: getattr(profile.key, part) for part in KEY},
        "criteria": criteria_values(profile.criteria),
        "valid_from": _text(profile.valid_from),
        "valid_until": _text(profile.valid_until),
        "source": profile.source,
    }


def from_json(kept: Mapping[str, Any]) -> Profile:
    return Profile(
        name=kept["name"],
        revision=kept["revision"],
        key=ProfileKey(**kept["key"]),
        criteria=criteria_from_json(kept["criteria"]),
        valid_from=_date(kept["valid_from"]),
        valid_until=_date(kept["valid_until"]),
        source=kept["source"],
    )


def criteria_from_json(kept: Mapping[str, Any]) -> Criteria:
    """Raises Refused PROFILE_INVALID where no assay scores by such criteria any more."""
    return criteria_of(kept["method"], {name: value for name, value in kept.items() if name != "method"})


def _one(connection: Connection, profile: Profile) -> Profile:
    same = (profiles.c.lab == profile.key.lab, profiles.c.name == profile.name, profiles.c.revision == profile.revision)
    return profile_of(connection.execute(select(profiles).where(*same)).mappings().one())


def profile_of(row: RowMapping) -> Profile:
    """As it was written; valid as its activation says, where the row has that (`activated`)."""
    return Profile(
        name=row["name"],
        revision=row["revision"],
        key=ProfileKey(**{part: row[part] for part in KEY}),
        criteria=criteria_from_json(row["criteria"]),
        valid_from=row.get("active_from") or row["valid_from"],
        valid_until=row.get("active_until") or row["valid_until"],
        source=row["source"],
    )


def _text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(day: str | None) -> date | None:
    return None if day is None else date.fromisoformat(day)
