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
    """`archives` says of each archive whether it answers. Raises what the repositories do."""

    def __init__(self, admin: AdminRepository, audit: AuditRepository, archives: Mapping[str, Reachable]) -> None:
        self._admin, self._audit, self._archives = admin, audit, dict(archives)

    def labs(self, actor: Caller) -> Sequence[LabView]:
        return self._admin.labs(actor)

    def destinations(self, actor: Caller) -> Sequence[DestinationView]:
        return self._admin.destinations(actor)

    def archives(self) -> Sequence[ArchiveView]:
        return [ArchiveView(name=name, reachable=answers()) for name, answers in sorted(self._archives.items())]

    def deliveries(self, actor: Caller, wanted: DeliveryFilter, limit: int, after: PageKey) -> Page[DeliveryView]:
        return self._admin.deliveries(actor, wanted, limit, after)

    def replay(self, actor: Caller, delivery_id: int | None, destination: str) -> int:
        """How many dead letters wait again."""
        return self._admin.replay(actor, delivery_id, destination)

    def audit(self, actor: Caller, wanted: AuditFilter, limit: int, after: PageKey) -> Page[AuditEntry]:
        return self._audit.query(actor, wanted, limit, after)

    def verify_audit(self, actor: Caller) -> AuditVerdict:
        return self._audit.verify(actor)
