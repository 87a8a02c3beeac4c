"""What callers do with profiles: make, revise, read, list, activate, retire."""

from server.domain.access import Caller
from server.domain.profile import Profile
from server.domain.repositories import ProfileRepository
from server.domain.states import ProfileState
from server.domain.views import Page, PageKey, ProfileFilter, ProfileView, Revision


class ProfileService:
    """Raises what `ProfileRepository` does."""

    def __init__(self, profiles: ProfileRepository) -> None:
        self._profiles = profiles

    def create(self, actor: Caller, profile: Profile, request_id: str) -> ProfileView:
        return self._profiles.create(actor, profile, request_id)

    def revise(self, actor: Caller, name: str, revision: Revision, request_id: str, etag: str) -> ProfileView:
        return self._profiles.revise(actor, name, revision, request_id, etag)

    def get(self, actor: Caller, name: str, revision: int | None) -> ProfileView:
        """The latest revision for None."""
        return self._profiles.get(actor, name, revision)

    def list(self, actor: Caller, wanted: ProfileFilter, limit: int, after: PageKey) -> Page[ProfileView]:
        return self._profiles.list(actor, wanted, limit, after)

    def activate(self, actor: Caller, name: str, revision: int, etag: str) -> ProfileView:
        """From now on it may be chosen for orders."""
        return self._profiles.set_state(actor, name, revision, ProfileState.ACTIVE, etag)

    def retire(self, actor: Caller, name: str, revision: int, etag: str) -> ProfileView:
        """It is chosen no more."""
        return self._profiles.set_state(actor, name, revision, ProfileState.RETIRED, etag)
