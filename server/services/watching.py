"""A job as it goes, for whoever waits for it."""

from collections.abc import Callable, Iterator

from server.domain.job import Job
from server.domain.states import JobState

WATCH_EVERY_S = 0.5
SAID_AGAIN_S = 60.0
"""A stream where nothing happens is ended, and a job may wait for a worker."""


def watched(get: Callable[[], Job], go_on: Callable[[], None], sleep: Callable[[float], None]) -> Iterator[Job]:
    """As it is, then after each change and once a minute, until it ends; `go_on` raises where nobody waits any more."""
    told, quiet_s = None, 0.0
    while told is None or told.state in (JobState.QUEUED, JobState.RUNNING):
        go_on()
        job = get()
        if told is None or (job.state, job.progress) != (told.state, told.progress) or quiet_s >= SAID_AGAIN_S:
            told, quiet_s = job, 0.0
            yield job
        else:
            sleep(WATCH_EVERY_S)
            quiet_s += WATCH_EVERY_S
