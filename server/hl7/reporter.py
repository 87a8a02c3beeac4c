"""The message of an event for the LIS, in a file of its own (`server.domain.events.Reporter`). It never sends."""

from pathlib import Path

import structlog

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind
from server.domain.order import Order
from server.domain.result import Result
from server.hl7.oru import (
    Status,
    build_bare_notice,
    build_bare_refusal,
    build_oru,
    build_refusal,
    build_rejection,
    control_id,
    refusal_control_id,
)
from server.report.keep import digest_of, keep, signed_folder

log = structlog.get_logger()

STATUSES = {
    EventKind.PRELIMINARY: Status.PRELIMINARY,
    EventKind.FINAL: Status.FINAL,
    EventKind.CORRECTED: Status.CORRECTED,
    EventKind.WITHDRAWN: Status.REJECTED,
}
"""Of events that tell of a result."""
ENDS = frozenset({EventKind.REFUSED, EventKind.CANCELLED})
"""Of an order without one."""


class OruReporter:
    """ORU^R01.

    A worker's lies beside its cells, a pathologist's in the order's folder `signed`, that of an order without a score
    in `refused`. Where two may differ in words alone (a withdrawal, a refusal), their names differ by their content.
    """

    kind = ArtifactKind.ORU
    events = frozenset(STATUSES) | ENDS

    def __init__(self, folder: Path, page_at: str = "") -> None:
        """`folder` holds the results' files; `page_at` is how browsers reach the page, empty where there is none."""
        self._folder, self._page_at = folder, page_at

    def build(self, event: Event) -> Artifact | None:
        """Of a withdrawn result, `detail` says why.

        Raises Failed: DELIVERY_FAILED (retryable) where it can't be written, INTERNAL where it can't be said.
        """
        if event.kind in ENDS:
            return self._refusal(event)
        if event.kind not in STATUSES or event.result is None:
            return None
        status, result = STATUSES[event.kind], event.result
        content = self._message_of(event, result, status)
        path = self._path(event, result, status, content)
        keep(path, content)
        return Artifact(kind=self.kind, path=path, identifier=control_id(result, status))

    def _message_of(self, event: Event, result: Result, status: Status) -> bytes:
        """Whatever stands in the order or the result, the LIS hears that there is a score."""
        try:
            if status is Status.REJECTED:
                return build_rejection(result, event.order, event.detail)
            return build_oru(result, event.order, status=status, not_made=event.not_made, page_at=self._page_at)
        except Exception as error:  # its text may hold a patient's data
            log.error("result_said_barely", order=event.order.id, result=result.id, error=type(error).__name__)
            return build_bare_notice(result, event.order, status)

    def _path(self, event: Event, result: Result, status: Status, content: bytes) -> Path:
        if status is Status.PRELIMINARY:
            return result.cells_file.with_name("oru.hl7")
        reasoned = f"-{digest_of(content)}" if status is Status.REJECTED else ""
        return signed_folder(self._folder, event.order) / f"{result.id}-{status}{reasoned}.hl7"

    def _refusal(self, event: Event) -> Artifact:
        """A worker that lost the order may say the same reason in other words."""
        reason = event.reason or event.kind.value
        identifier, content = refusal_control_id(event.order, reason), _refusal_of(event.order, reason, event.detail)
        path = self._folder / event.order.id / "refused" / f"{identifier}-{digest_of(content)}.hl7"
        keep(path, content)
        return Artifact(kind=self.kind, path=path, identifier=identifier)


def _refusal_of(order: Order, reason: str, detail: str) -> bytes:
    """Whatever stands in the order, its number and the reason can be said: without them the LIS would wait for ever."""
    try:
        return build_refusal(order, reason, detail)
    except Exception as error:  # its text may hold a patient's data
        log.error("refusal_said_barely", order=order.id, error=type(error).__name__)
        return build_bare_refusal(order, reason)
