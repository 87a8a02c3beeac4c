"""What pathologists work through: the work list, and what is said beside results."""

from collections.abc import Sequence

from server.domain.access import Caller
from server.domain.repositories import WorkRepository
from server.domain.result import ResultId
from server.domain.views import Page, PageKey
from server.domain.work import Comment, WorkFilter, WorkItem


class WorkService:
    """Raises what `WorkRepository` does."""

    def __init__(self, work: WorkRepository) -> None:
        self._work = work

    def list(self, actor: Caller, wanted: WorkFilter, limit: int, after: PageKey) -> Page[WorkItem]:
        return self._work.list(actor, wanted, limit, after)

    def comment(self, actor: Caller, result_id: ResultId, text: str) -> Comment:
        return self._work.comment(actor, result_id, text)

    def comments(self, actor: Caller, result_id: ResultId) -> Sequence[Comment]:
        return self._work.comments(actor, result_id)

    def note_read(self, actor: Caller, result_id: ResultId, what: str) -> None:
        """In the audit: that the actor saw `what` of a result."""
        self._work.note_read(actor, result_id, what)
