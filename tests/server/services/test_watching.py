"""A job is told as it is, at each change and once a minute, until it ends."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from server.domain.job import Job, JobId, JobKind
from server.domain.states import JobState
from server.services.watching import SAID_AGAIN_S, WATCH_EVERY_S, watched


def job(state: JobState, progress: float = 0) -> Job:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    said = {"id": JobId("1"), "lab": "A", "kind": JobKind.COHORT, "subject": "invented", "given": {}, "outcome": None}
    return Job(**said, state=state, progress=progress, reason="", detail="", created_at=now, updated_at=now)  # type: ignore[arg-type]


def seen(*found: Job) -> tuple[Callable[[], Job], list[float]]:
    left = list(found)
    return lambda: left.pop(0) if len(left) > 1 else left[0], []


def test_each_change_is_told_once_and_the_end_is_the_last() -> None:
    running = [job(JobState.RUNNING, share) for share in (0.5, 0.5, 0.75)]
    get, slept = seen(job(JobState.QUEUED), *running, job(JobState.DONE, 1))
    told = [(j.state, j.progress) for j in watched(get, lambda: None, slept.append)]
    assert told == [
        (JobState.QUEUED, 0), (JobState.RUNNING, 0.5), (JobState.RUNNING, 0.75), (JobState.DONE, 1)
    ]  # fmt: skip
    assert slept == [WATCH_EVERY_S]


def test_a_job_that_waits_is_told_again_once_a_minute() -> None:
    get, slept = seen(job(JobState.QUEUED))
    stream = watched(get, lambda: None, slept.append)
    for minute in range(3):
        assert next(stream).state is JobState.QUEUED
        assert sum(slept) == minute * SAID_AGAIN_S


def test_nobody_who_waits_any_more_is_told_anything() -> None:
    def gone() -> None:
        raise ConnectionError

    get, slept = seen(job(JobState.QUEUED))
    with pytest.raises(ConnectionError):
        next(watched(get, gone, slept.append))
