"""Cohorts as messages. Pure."""

from chromogen.v1 import profile_service_pb2 as pb

from server.api import fields
from server.domain.job import Job
from server.domain.states import JobState

STATES = {state: getattr(pb, f"COHORT_STATE_{state}") for state in JobState}


def cohort_message(job: Job) -> pb.Cohort:
    """Of a preview or a confirmation, with what came of each result."""
    outcome, made = job.outcome or {}, cohort_summary(job)
    made.changes.extend(
        pb.CohortChange(**{k: v for k, v in row.items() if k != "state"}) for row in outcome.get("rows", ())
    )
    made.made.extend(outcome.get("made", ()))
    made.left_out.update(outcome.get("left_out", {}))
    return made


def cohort_summary(job: Job) -> pb.Cohort:
    """For lists and streams: 5000 results would not fit a message by the dozen."""
    name, revision = job.given["profile"]
    return pb.Cohort(
        id=job.id,
        state=STATES[job.state],
        progress=job.progress,
        results=len(job.given["results"]),
        changed=(job.outcome or {}).get("changed", 0),
        reason=job.reason,
        detail=job.detail,
        profile=pb.ProfileRevision(name=name, revision=revision),
        marker=job.given.get("marker", ""),
        confirms_id=job.given.get("cohort", ""),
        asked_by=job.subject,
        purpose=job.given["why"],
        create_time=fields.stamp(job.created_at),
    )
