"""How long the outbox tries a delivery."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds: the first wait, the longest (doubling between, each drawn from its upper half), when to give up, the
    lease.

    The lease is renewed while its sender lives. `errors` answers of a receiver that had an error end a message sooner:
    it is there, and others wait behind this one. `errors_of` a destination may say otherwise.
    """

    first_s: float = 5
    most_s: float = 900
    give_up_s: float = 72 * 3600
    lease_s: float = 15
    errors: int = 10
    errors_of: Mapping[str, int] = field(default_factory=dict)

    def wait_s(self, attempts: int) -> float:
        """How long after the `attempts`-th failure."""
        longest = min(self.first_s * 2.0 ** min(attempts - 1, 30), self.most_s)
        return max(self.first_s, random.uniform(longest / 2, longest))  # noqa: S311  jitter, not a secret
