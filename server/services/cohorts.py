"""Many results scored anew: first what that would change, by a worker, from their histograms; then, confirmed, done.

Nothing is sent: the new results are PRELIMINARY, each with its predecessor; a signed one is replaced when a pathologist
amends it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from inference.assay import Assay, assay_of
from inference.measures import ALL, Score, find
from server.control_gate import control_under, profile_under
from server.domain.access import Caller, Role
from server.domain.errors import Refused, ServiceReason
from server.domain.job import Job, JobId, JobKind, Json
from server.domain.profile import Profile, check_kind
from server.domain.repositories import JobRepository, ProfileRepository, ResultRepository
from server.domain.result import Result, ResultId
from server.domain.states import JobState, ResultState
from server.domain.views import CohortFilter, Page, PageKey, ResultView
from server.services.results import ResultService
from server.services.watching import watched

MOST_RESULTS = 5000
PART = 50
"""Results read at once."""
Progress = Callable[[float], None]


class CohortService:
    """Raises what the repositories do."""

    def __init__(
        self,
        jobs: JobRepository,
        results: ResultRepository,
        profiles: ProfileRepository,
        rescoring: ResultService,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self._jobs, self._results, self._profiles, self._rescoring = jobs, results, profiles, rescoring

    def ask(self, actor: Caller, wanted: CohortFilter, profile: tuple[str, int], why: str, request_id: str) -> Job:
        """Raises Refused COHORT_EMPTY, PROFILE_INVALID, PROFILE_UNKNOWN, REQUEST_ID_REUSED."""
        check_kind(self._profiles.get(actor, *profile).profile, assay_of(wanted.marker))
        found = self._results.cohort(actor, wanted, MOST_RESULTS + 1)
        if not found:
            message = "no order that is DONE fits: give another marker, other days, or leave something out"
            raise Refused(ServiceReason.COHORT_EMPTY, message)
        if len(found) > MOST_RESULTS:
            message = f"more than {MOST_RESULTS} orders fit: give fewer days"
            raise Refused(ServiceReason.ARGUMENT_INVALID, message)
        given = {"marker": wanted.marker, "profile": list(profile), "why": why, "results": list(found)}
        return self._jobs.create(actor, JobKind.COHORT, given, request_id)

    def get(self, actor: Caller, job_id: JobId) -> Job:
        """Raises Refused JOB_UNKNOWN for another kind of job."""
        job = self._jobs.get(actor, job_id)
        if job.kind not in (JobKind.COHORT, JobKind.COHORT_CONFIRM):
            raise Refused(ServiceReason.JOB_UNKNOWN, "this job is no cohort's: check the identifier")
        return job

    def list(self, actor: Caller, limit: int, after: PageKey, *, confirmations: bool = False) -> Page[Job]:
        """Previews, or what was confirmed; newest first."""
        kind = JobKind.COHORT_CONFIRM if confirmations else JobKind.COHORT
        return self._jobs.list(actor, kind, limit, after)

    def watch(self, actor: Caller, job_id: JobId, go_on: Callable[[], None]) -> Iterator[Job]:
        """As `watched` does. Raises Refused JOB_UNKNOWN for another kind of job."""
        return watched(lambda: self.get(actor, job_id), go_on, self._sleep)

    def confirm(self, actor: Caller, job_id: JobId, request_id: str) -> Job:
        """Raises Refused JOB_STATE where it isn't a preview that is DONE."""
        job = self.get(actor, job_id)
        if job.kind is not JobKind.COHORT or job.state is not JobState.DONE:
            raise Refused(
                ServiceReason.JOB_STATE, f"the cohort is {job.state}: only a preview that is DONE is confirmed"
            )
        given = {key: job.given[key] for key in ("profile", "why", "results")} | {"cohort": job.id}
        return self._jobs.create(actor, JobKind.COHORT_CONFIRM, given, request_id)

    def preview(self, job: Job, progress: Progress) -> Json:
        """What a worker does with a cohort: changes nothing."""
        actor, ids = _actor(job), list(job.given["results"])
        profile = self._profiles.get(actor, *job.given["profile"]).profile
        rows: list[dict[str, Any]] = []
        for begin in range(0, len(ids), PART):
            views = {v.result.id: v for v in self._results.several(actor, ids[begin : begin + PART])}
            rows += [row_of(views[name], profile) for name in ids[begin : begin + PART] if name in views]
            progress(min(begin + PART, len(ids)) / len(ids))
        return {"rows": rows, "changed": sum(row["changed"] for row in rows)}

    def do(self, job: Job, progress: Progress) -> Json:
        """What a worker does once it is confirmed: a new result each, but of those that can't be."""
        actor, made, left_out = _actor(job), list[str](), dict[str, str]()
        profile = self._profiles.get(actor, *job.given["profile"]).profile
        for done, name in enumerate(job.given["results"], 1):
            try:
                made.append(self._rescoring.rescore(actor, ResultId(name), profile, why=job.given["why"]).result.id)
            except Refused as error:
                left_out[name] = str(error.reason)
            progress(done / len(job.given["results"]))
        return {"made": made, "left_out": left_out}


def row_of(view: ResultView, profile: Profile) -> dict[str, Any]:
    """A result's clinical scores before and after; `changed`: a category, or whether there is a score at all, does."""
    result = view.result
    rows = (result.scores, scores_under(result, profile))
    (before, after), categories = (_first(result, r) for r in rows), [_categories(r) for r in rows]
    return {
        "result_id": result.id,
        "order_id": result.order_id or "",
        "state": view.state.value,
        "signed": view.state in (ResultState.FINAL, ResultState.CORRECTED),
        "measure": result.assay.measures[0].code,
        "before": before,
        "after": after,
        "categories_before": categories[0],
        "categories_after": categories[1],
        "changed": categories[0] != categories[1] or (before is None) is not (after is None),
    }


def scores_under(result: Result, profile: Profile) -> tuple[Score, ...]:
    """Without intervals; none where a control withholds them."""
    profile = profile_under(result, profile)
    if control_under(result, profile.criteria).control.withheld:
        return ()
    analyzer = result.assay.analyzer
    counts = analyzer.counts(result.analysis.histograms.of_region(""), profile.criteria)
    return analyzer.scores(result.assay.measures, counts, None)


def _first(result: Result, rows: Sequence[Score]) -> float | None:
    assay: Assay = result.assay
    row = find(rows, assay.measures[0], result.clinical_region) or find(rows, assay.measures[0], ALL)
    return None if row is None else row.value


def _categories(rows: Sequence[Score]) -> dict[str, str]:
    """By measure and region."""
    return {f"{row.measure} {row.region}": row.category for row in rows if row.category is not None}


def _actor(job: Job) -> Caller:
    return Caller(subject=job.subject, lab=job.lab, roles=frozenset({Role.LAB_ADMIN}))
