"""What callers do with profiles: make, revise, read, list, activate, retire."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from server.domain.access import Caller
from server.domain.clock import local_day
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import Profile
from server.domain.repositories import ProfileRepository
from server.domain.states import ProfileState
from server.domain.views import Page, PageKey, ProfileFilter, ProfileView, Revision, StateChange


class ProfileService:
    """Raises what `ProfileRepository` does."""

    def __init__(self, profiles: ProfileRepository, today: Callable[[], date] = local_day) -> None:
        self._profiles, self._today = profiles, today

    def create(self, actor: Caller, profile: Profile, request_id: str) -> ProfileView:
        return self._profiles.create(actor, profile, request_id)

    def revise(self, actor: Caller, name: str, revision: Revision, request_id: str, etag: str) -> ProfileView:
        return self._profiles.revise(actor, name, revision, request_id, etag)

    def get(self, actor: Caller, name: str, revision: int | None) -> ProfileView:
        """The latest revision for None."""
        return self._profiles.get(actor, name, revision)

    def list(self, actor: Caller, wanted: ProfileFilter, limit: int, after: PageKey) -> Page[ProfileView]:
        return self._profiles.list(actor, wanted, limit, after)

    def activate(self, actor: Caller, name: str, revision: int, change: StateChange) -> ProfileView:
        """From now on it may be chosen for orders, within its validity.

        Raises Refused ARGUMENT_INVALID where that is over, or ends before it begins.
        """
        today = self._today()
        if change.valid_until is not None and change.valid_until < max(change.valid_from or today, today):
            message = "valid_until lies in the past, or before valid_from: name a later day"
            raise Refused(ServiceReason.ARGUMENT_INVALID, message)
        return self._profiles.set_state(actor, name, revision, replace(change, state=ProfileState.ACTIVE))

    def retire(self, actor: Caller, name: str, revision: int, change: StateChange) -> ProfileView:
        """It is chosen no more."""
        return self._profiles.set_state(actor, name, revision, replace(change, state=ProfileState.RETIRED))

    def active(self, actor: Caller, name: str) -> ProfileView | None:
        """The latest ACTIVE revision of a profile; None where none is."""
        latest = self._profiles.get(actor, name, None)
        for revision in range(latest.profile.revision, 0, -1):
            view = self._profiles.get(actor, name, revision)
            if view.state is ProfileState.ACTIVE:
                return view
        return None
