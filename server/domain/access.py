"""Who calls, of which laboratory, and what roles they have.

Nothing is allowed that is not said here or in the API's table.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from server.domain.profile import ANY

ALL_LABS = ANY
"""The laboratory of an operator or auditor of the whole installation."""


class Role(StrEnum):
    """What a token may carry."""

    LIS = "lis"
    PATHOLOGIST = "pathologist"
    LAB_ADMIN = "lab-admin"
    OPERATOR = "operator"
    AUDITOR = "auditor"


ACROSS_LABS = frozenset({Role.OPERATOR, Role.AUDITOR})
"""The roles that may belong to ALL_LABS: they see no patient and change no result."""


def always() -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller. `still_there` says whether the answer is still waited for; a store asks it right before it commits."""

    subject: str
    lab: str
    roles: frozenset[Role]
    still_there: Callable[[], bool] = field(default=always, compare=False, repr=False)

    @property
    def sees_patients(self) -> bool:
        return bool(self.roles & {Role.LIS, Role.PATHOLOGIST})


Metadata = Sequence[tuple[str, str | bytes]]
"""Of a call: gRPC's metadata, or HTTP's headers."""


class Authenticate(Protocol):
    """Makes a Caller of a call's metadata and the client's certificate (PEM, None without one)."""

    def __call__(self, metadata: Metadata, certificate: bytes | None) -> Caller:
        """Raises Refused UNAUTHENTICATED, TOKEN_INVALID, TOKEN_EXPIRED; Failed KEYS_UNREACHABLE."""
        ...

    def may_wait(self, metadata: Metadata) -> bool:
        """Would it wait for the issuer's keys first? Otherwise it answers within a millisecond."""
        ...
