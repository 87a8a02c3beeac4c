"""Microscopes at the page: each a stream of fields with a running score of its own, in memory until it is ended.

What is shown is scored as a field of the gRPC stream is, by `AnalysisService`; nothing of it is stored.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from inference.live import Running
from server.domain.access import Caller
from server.domain.errors import Failed, Refused, ServiceReason
from server.services.analysis import AnalysisService, Found, Method, Picture
from server.services.limits import Places

MOST_OPEN = 32
"""Of a server at once; of one laboratory half of them."""
MOST_OF_ONE = 2
"""Of one person: the one used longest ago gives way to a third."""
AT_ONCE = 4
"""Fields that are worked on, of one laboratory half of them: the page's other calls need threads too."""
MOST_FIELDS = 1000
IDLE_S = 600.0
FIELD_S = 60.0
"""For one field's answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A field's answer, and how many `fields` are counted in the running scores."""

    found: Found
    method: Method
    fields: int


@dataclass(slots=True, kw_only=True, eq=False)
class _Open:
    """A microscope. `busy` is held while a field of it is looked at."""

    id: str
    lab: str
    subject: str
    method: Method
    running: Running
    give_back: Callable[[], None]
    used: float
    busy: threading.Lock = field(default_factory=threading.Lock)
    ended: bool = False


class Microscopes:
    """Those of one server. Safe for threads."""

    def __init__(self, analysis: AnalysisService, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._analysis, self._clock = analysis, clock
        self._places = Places(MOST_OPEN, ServiceReason.TOO_MANY_STREAMS, "microscopes")
        self._fields = Places(AT_ONCE, ServiceReason.TOO_MANY_CALLS, "microscope fields")
        self._open: dict[str, _Open] = {}
        self._lock = threading.Lock()

    def begin(self, caller: Caller, marker: str) -> tuple[str, Method]:
        """Its identifier, and by what its fields are scored: the marker's built-in profile.

        Raises Refused FIELD_MISSING, ASSAY_UNSUPPORTED; Failed TOO_MANY_STREAMS (retryable).
        """
        if not marker:
            raise Refused(ServiceReason.FIELD_MISSING, "marker is missing")
        method = self._analysis.method(caller, marker, None)
        with self._lock:
            self._end_idle()
            mine = sorted((m for m in self._open.values() if _is_of(m, caller)), key=lambda m: m.used)
            for old in mine[: max(len(mine) - MOST_OF_ONE + 1, 0)]:
                self._end(old)
            made = _Open(
                id=uuid.uuid4().hex,
                lab=caller.lab,
                subject=caller.subject,
                method=method,
                running=self._analysis.running(method),
                give_back=self._places.take(caller.lab),
                used=self._clock(),
            )
            self._open[made.id] = made
        return made.id, method

    def look(self, caller: Caller, microscope: str, picture: Picture, *, counted: bool) -> Seen:
        """Score a field; one that isn't `counted` changes the stream's white alone.

        Raises Refused TASK_UNKNOWN for a microscope that isn't the caller's or was ended, ARGUMENT_INVALID beyond
        MOST_FIELDS, and as `AnalysisService.analyze`; Failed TOO_MANY_CALLS (retryable) while another of its fields is
        looked at, DEADLINE_EXCEEDED after FIELD_S.
        """
        found = self._of(caller, microscope)
        if not found.busy.acquire(blocking=False):
            message = "a field of this microscope is being looked at: send the next when that is answered"
            raise Failed(ServiceReason.TOO_MANY_CALLS, message, retryable=True)
        try:
            return self._seen(found, picture, counted=counted)
        finally:
            found.used = self._clock()
            found.busy.release()

    def end(self, caller: Caller, microscope: str) -> None:
        """Raises Refused TASK_UNKNOWN."""
        found = self._of(caller, microscope)
        with self._lock:
            self._end(found)

    def end_all(self, caller: Caller) -> None:
        """Of a person, who signs out."""
        with self._lock:
            for found in [m for m in self._open.values() if _is_of(m, caller)]:
                self._end(found)

    def _seen(self, found: _Open, picture: Picture, *, counted: bool) -> Seen:
        if counted and found.running.fields >= MOST_FIELDS:
            message = f"{MOST_FIELDS} fields are counted already: begin anew"
            raise Refused(ServiceReason.ARGUMENT_INVALID, message)
        until = self._clock() + FIELD_S

        def go_on() -> None:
            if found.ended:
                raise _unknown()
            if self._clock() > until:
                message = f"the field took longer than {FIELD_S:g} s: send a smaller one"
                raise Failed(ServiceReason.DEADLINE_EXCEEDED, message, retryable=True)

        give_back = self._fields.take(found.lab)
        try:
            answer = self._analysis.analyze(picture, found.method, go_on, found.running, counted=counted)
        finally:
            give_back()
        return Seen(found=answer, method=found.method, fields=found.running.fields)

    def _of(self, caller: Caller, microscope: str) -> _Open:
        with self._lock:
            self._end_idle()
            found = self._open.get(microscope)
            if found is None or not _is_of(found, caller):
                raise _unknown()
            found.used = self._clock()
            return found

    def _end_idle(self) -> None:
        now = self._clock()
        for found in [m for m in self._open.values() if now - m.used >= IDLE_S]:
            self._end(found)

    def _end(self, found: _Open) -> None:
        """Once, however often it is asked for."""
        if self._open.pop(found.id, None) is not None:
            found.ended = True
            found.give_back()


def _is_of(microscope: _Open, caller: Caller) -> bool:
    return (microscope.lab, microscope.subject) == (caller.lab, caller.subject)


def _unknown() -> Refused:
    message = f"there is no such microscope: it ends after {IDLE_S / 60:g} minutes without a field, or at sign-out"
    return Refused(ServiceReason.TASK_UNKNOWN, message)
