"""`repositories.ProfileRepository` on PostgreSQL: revisions and their states, each a row that is only ever added."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, insert, or_, select, text, tuple_

from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import ANY, Profile, shipped_profiles
from server.domain.states import PROFILE_TRANSITIONS, ProfileState
from server.domain.views import Page, PageKey, ProfileFilter, ProfileView, Revision, StateChange, check_etag, etag_of
from server.store import profiles as rows
from server.store.profiles import state_of
from server.store.scope import Scoped, of_lab
from server.store.tables import profile_states, profiles


class PostgresProfileRepository(Scoped):
    """Each method one transaction."""

    def create(self, actor: Caller, profile: Profile, request_id: str) -> ProfileView:
        with self._transaction(actor) as connection:
            _lock(connection, actor)
            if (earlier := _of_request(connection, actor, request_id)) is not None:
                return _repeated(connection, earlier, profile)
            if profile.name in _shipped() or _latest(connection, actor, profile.name) is not None:
                raise Refused(
                    ServiceReason.PROFILE_CONFLICT,
                    f"profile {profile.name} exists: make a revision of it, or name it anew",
                )
            return _add(connection, actor, profile, request_id)

    def revise(self, actor: Caller, name: str, revision: Revision, request_id: str, etag: str) -> ProfileView:
        with self._transaction(actor) as connection:
            _lock(connection, actor)
            if (earlier := _of_request(connection, actor, request_id)) is not None:
                before = _before(connection, earlier)
                return _repeated(connection, earlier, None if before is None else _revised(before, name, revision))
            latest = _latest(connection, actor, name)
            if latest is None:
                raise _unknown()
            check_etag(etag, latest.etag)
            written = _written(connection, latest.profile, latest.profile.revision)
            return _add(connection, actor, _revised(written, name, revision), request_id)

    def get(self, actor: Caller, name: str, revision: int | None) -> ProfileView:
        with self._transaction(actor) as connection:
            return _get(connection, actor, name, revision)

    def list(self, actor: Caller, wanted: ProfileFilter, limit: int, after: PageKey) -> Page[ProfileView]:
        """A page's end is (name, revision); profiles that ship stand before the first row."""
        shipped = _shipped_after(wanted, after)[: limit + 1]
        statement = _listed(actor, wanted, after).limit(limit + 1 - len(shipped))
        with self._transaction(actor) as connection:
            found = [*shipped, *(_of(row) for row in connection.execute(statement).mappings())]
        last = found[limit - 1].profile if len(found) > limit else None
        return Page(items=tuple(found[:limit]), next=None if last is None else (last.name, str(last.revision)))

    def set_state(self, actor: Caller, name: str, revision: int, change: StateChange) -> ProfileView:
        with self._transaction(actor) as connection:
            _lock(connection, actor)
            view = _get(connection, actor, name, revision)
            if view.profile.name in _shipped():
                raise Refused(
                    ServiceReason.PROFILE_STATE,
                    "a profile that ships stays active; one of the laboratory's comes first",
                )
            check_etag(change.etag, view.etag)
            if change.state not in PROFILE_TRANSITIONS[view.state]:
                message = f"a revision that is {view.state} cannot become {change.state}"
                raise Refused(ServiceReason.PROFILE_STATE, message)
            _say(connection, actor, view.profile, change, None)
            return _get(connection, actor, name, revision)


def _shipped() -> dict[str, ProfileView]:
    """The profiles that ship, by name; no laboratory's bears one of these."""
    return {
        profile.name: ProfileView(profile=profile, state=ProfileState.ACTIVE, etag=etag_of(profile.label))
        for profile in shipped_profiles()
    }


def _shipped_after(wanted: ProfileFilter, after: PageKey) -> Sequence[ProfileView]:
    """Those of them that a page begins with."""
    if wanted.state not in (None, ProfileState.ACTIVE):
        return []
    shipped = _shipped()
    names = list(shipped)
    if not after:
        return list(shipped.values())
    return list(shipped.values())[names.index(after[0]) + 1 :] if after[0] in shipped else []


def _listed(actor: Caller, wanted: ProfileFilter, after: PageKey) -> Select[Any]:
    statement = _rows().where(of_lab(profiles.c.lab, actor)).order_by(profiles.c.name, profiles.c.revision.desc())
    if wanted.marker:
        statement = statement.where(profiles.c.marker.in_((wanted.marker, ANY)))
    if wanted.state is not None:
        statement = statement.where(state_of() == wanted.state)
    if not after:
        return statement
    name, revision = _key(after)
    if name in _shipped():
        return statement
    return statement.where(
        or_(profiles.c.name > name, tuple_(profiles.c.name, -profiles.c.revision) > tuple_(name, -revision))
    )


def _key(after: PageKey) -> tuple[str, int]:
    try:
        name, revision = after
        if not 0 < int(revision) < 2**31:
            raise ValueError(revision)
        return name, int(revision)
    except ValueError:
        raise Refused(ServiceReason.PAGE_TOKEN_INVALID, "the page token is of another list") from None


def _add(connection: Connection, actor: Caller, profile: Profile, request_id: str) -> ProfileView:
    rows.add(connection, profile)
    _say(connection, actor, profile, StateChange(state=ProfileState.DRAFT), request_id)
    return _get(connection, actor, profile.name, profile.revision)


def _say(connection: Connection, actor: Caller, profile: Profile, change: StateChange, request_id: str | None) -> None:
    of = {"lab": profile.key.lab, "name": profile.name, "revision": profile.revision}
    said = {name: getattr(change, name) for name in ("state", "reason", "valid_from", "valid_until")}
    connection.execute(insert(profile_states), of | said | {"subject": actor.subject, "request_id": request_id})


def _get(connection: Connection, actor: Caller, name: str, revision: int | None) -> ProfileView:
    shipped = _shipped().get(name)
    if shipped is not None and revision in (None, shipped.profile.revision):
        return shipped
    statement = _rows().where(of_lab(profiles.c.lab, actor), profiles.c.name == name)
    if revision is not None:
        statement = statement.where(profiles.c.revision == revision)
    row = connection.execute(statement.order_by(profiles.c.revision.desc()).limit(1)).mappings().first()
    if row is None:
        raise _unknown()
    return _of(row)


def _latest(connection: Connection, actor: Caller, name: str) -> ProfileView | None:
    statement = (
        _rows()
        .where(of_lab(profiles.c.lab, actor), profiles.c.name == name)
        .order_by(profiles.c.revision.desc())
        .limit(1)
    )
    row = connection.execute(statement).mappings().first()
    return None if row is None else _of(row)


def _of_request(connection: Connection, actor: Caller, request_id: str) -> ProfileView | None:
    same = (profile_states.c.lab == actor.lab, profile_states.c.request_id == request_id)
    row = connection.execute(select(profile_states).where(*same)).mappings().first()
    return None if row is None else _get(connection, actor, row["name"], row["revision"])


def _before(connection: Connection, view: ProfileView) -> Profile | None:
    """The revision that one was made of; None for the first."""
    if view.profile.revision == 1:
        return None
    return _written(connection, view.profile, view.profile.revision - 1)


def _written(connection: Connection, profile: Profile, revision: int) -> Profile:
    """A revision of the same profile as it was made, whatever its activation says."""
    c = profiles.c
    same = (c.lab == profile.key.lab, c.name == profile.name, c.revision == revision)
    return rows.profile_of(connection.execute(select(profiles).where(*same)).mappings().one())


def _revised(profile: Profile, name: str, revision: Revision) -> Profile:
    """What isn't said anew stays; `name` is as the request has it."""
    return replace(
        profile,
        name=name,
        revision=profile.revision + 1,
        criteria=revision.criteria,
        source=revision.source or profile.source,
        valid_from=revision.valid_from or profile.valid_from,
        valid_until=revision.valid_until or profile.valid_until,
    )


def _repeated(connection: Connection, earlier: ProfileView, wanted: Profile | None) -> ProfileView:
    """The first answer again, to the same content. Raises Refused REQUEST_ID_REUSED."""
    if _written(connection, earlier.profile, earlier.profile.revision) != wanted:
        raise Refused(
            ServiceReason.REQUEST_ID_REUSED, "request_id was used for another request: give each request its own"
        )
    return earlier


def _rows() -> Select[Any]:
    last = select(func.max(profile_states.c.id)).where(
        profile_states.c.lab == profiles.c.lab,
        profile_states.c.name == profiles.c.name,
        profile_states.c.revision == profiles.c.revision,
    )
    said = last.correlate(profiles).scalar_subquery().label("said")
    how = (rows.last_said(column).label(f"said_{column}") for column in ("subject", "at", "reason"))
    return select(profiles, state_of().label("state"), said, *rows.activated(), *how)


def _of(row: RowMapping) -> ProfileView:
    profile = rows.profile_of(row)
    return ProfileView(
        profile=profile,
        state=ProfileState(row["state"]),
        created_at=row["created_at"].astimezone(UTC),
        etag=etag_of(profile.key.lab, profile.label, row["said"]),
        said_by=row["said_subject"] or "",
        said_at=None if row["said_at"] is None else row["said_at"].astimezone(UTC),
        reason=row["said_reason"] or "",
    )


def _lock(connection: Connection, actor: Caller) -> None:
    """One change of a laboratory's profiles at a time, until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:lab, 1))"), {"lab": actor.lab})


def _unknown() -> Refused:
    return Refused(
        ServiceReason.PROFILE_UNKNOWN,
        "no such profile or revision in this laboratory: `chromogen profile list` shows them",
    )
