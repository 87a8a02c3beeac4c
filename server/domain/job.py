"""A job: work in the background that no order asks for, done by a worker under a lease."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from server.domain.states import JobState

JobId = NewType("JobId", str)
"""UUID, canonical text."""

Json = Mapping[str, Any]
"""What a job is given and what comes of it, as its kind's codec reads and writes it."""

MAX_ATTEMPTS = 3
"""A job whose worker vanished so often failed."""


class JobKind(StrEnum):
    """What is to be done."""

    CALIBRATION = "CALIBRATION"
    COHORT = "COHORT"  # what scoring many results anew would change
    COHORT_CONFIRM = "COHORT_CONFIRM"  # does it


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """`subject` asked for it. `progress` 0 to 1; `outcome` None unless DONE; `reason` and `detail` where it FAILED."""

    id: JobId
    lab: str
    kind: JobKind
    subject: str
    given: Json
    state: JobState
    progress: float
    outcome: Json | None
    reason: str
    detail: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobClaim:
    """A job that a worker holds under `token`."""

    job: Job
    token: str
