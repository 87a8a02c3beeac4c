"""What operators and auditors do: laboratories, destinations, archives, the outbox, the audit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from server.domain.access import Caller
from server.domain.repositories import AdminRepository, AuditRepository
from server.domain.views import (
    AuditEntry,
    AuditFilter,
    AuditVerdict,
    DeliveryFilter,
    DeliveryView,
    DestinationView,
    LabView,
    Page,
    PageKey,
)

Reachable = Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveView:
    """Does it answer, now?"""

    name: str
    reachable: bool


class AdminService:
    """`archives` gives those of a laboratory and whether each answers, `destinations` where its routes lead.

    Raises what the repositories do.
    """

    def __init__(
        self,
        admin: AdminRepository,
        audit: AuditRepository,
        *,
        archives: Callable[[str], Mapping[str, Reachable]],
        destinations: Callable[[str], Sequence[str]],
    ) -> None:
        self._admin, self._audit, self._archives, self._destinations = admin, audit, archives, destinations

    def labs(self, actor: Caller) -> Sequence[LabView]:
        return self._admin.labs(actor)

    def destinations(self, actor: Caller) -> Sequence[DestinationView]:
        """By name, those too that nothing was sent to."""
        found = {view.name: view for view in self._admin.destinations(actor)}
        idle = (DestinationView(name=name) for name in self._destinations(actor.lab) if name not in found)
        return sorted([*found.values(), *idle], key=lambda view: view.name)

    def archives(self, actor: Caller) -> Sequence[ArchiveView]:
        named = self._archives(actor.lab)
        return [ArchiveView(name=name, reachable=answers()) for name, answers in sorted(named.items())]

    def deliveries(self, actor: Caller, wanted: DeliveryFilter, limit: int, after: PageKey) -> Page[DeliveryView]:
        return self._admin.deliveries(actor, wanted, limit, after)

    def replay(self, actor: Caller, delivery_id: int | None, destination: str) -> int:
        """How many dead letters wait again."""
        return self._admin.replay(actor, delivery_id, destination)

    def audit(self, actor: Caller, wanted: AuditFilter, limit: int, after: PageKey) -> Page[AuditEntry]:
        return self._audit.query(actor, wanted, limit, after)

    def verify_audit(self, actor: Caller) -> AuditVerdict:
        return self._audit.verify(actor)
