"""Cohorts as messages. Pure."""

from chromogen.v1 import profile_service_pb2 as pb

from server.domain.job import Job
from server.domain.states import JobState

STATES = {state: getattr(pb, f"COHORT_STATE_{state}") for state in JobState}


def cohort_message(job: Job) -> pb.Cohort:
    """Of a preview or a confirmation."""
    outcome = job.outcome or {}
    return pb.Cohort(
        id=job.id,
        state=STATES[job.state],
        progress=job.progress,
        results=len(job.given["results"]),
        changed=outcome.get("changed", 0),
        changes=[pb.CohortChange(**{k: v for k, v in row.items() if k != "state"}) for row in outcome.get("rows", ())],
        made=outcome.get("made", ()),
        left_out=outcome.get("left_out", {}),
        reason=job.reason,
        detail=job.detail,
    )
