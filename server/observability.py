"""Logs: events with fields, one JSON object a line (readable text on a terminal). The text of an exception is never
among them.

An exception of a library can quote what it choked on, and that may be a patient's name. So whatever is logged as an
exception leaves its type (ours: its reason), and the messages of other libraries' loggers only where they came from.
"""

import logging
import sys
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, TextIO

import structlog

from inference.errors import ChromogenError
from server import metrics, traces


def set_up(*, level: str = "info", format: str = "auto", stream: TextIO | None = None) -> None:
    """Once, at the start of a command. `format`: auto, json or text. Logs go to standard error."""
    out = stream or sys.stderr
    text = format == "text" or (format == "auto" and out.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=text and out.isatty()) if text else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            only_types_of_errors,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(out),  # a line and its end in one write
        cache_logger_on_first_use=False,
    )
    _standard_library()


@contextmanager
def stage(name: str) -> Iterator[None]:
    """A stage of the path of a case: its seconds for the metrics, and a span."""
    with metrics.timed(name), traces.span(name):
        yield


def only_types_of_errors(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Puts the type of every exception in its place, wherever among the fields it is. Ours keep their reason."""
    for name in ("exc_info", "stack_info", "stack", "exception"):
        found = event.pop(name, None)
        if found and "error" not in event and (error := _error_in(found)) is not None:
            event["error"] = error
    for name, value in event.items():
        if isinstance(value, BaseException):
            event[name] = _described(value)
    return event


class PassedOn(logging.Handler):
    """Hands the standard library's records to structlog: logger, line, type of error.

    Their messages may quote values.
    """

    def emit(self, record: logging.LogRecord) -> None:
        error = None if record.exc_info is None else record.exc_info[1]
        fields = {} if error is None else {"error": error}
        structlog.get_logger().log(record.levelno, "library", logger=record.name, line=record.lineno, **fields)


def _standard_library() -> None:
    root = logging.getLogger()
    root.handlers = [PassedOn()]
    root.setLevel(logging.WARNING)


def _error_in(value: object) -> str | None:
    if value is True:
        value = sys.exc_info()[1]
    if isinstance(value, Iterable) and not isinstance(value, str):
        value = next((part for part in value if isinstance(part, BaseException)), None)
    return _described(value) if isinstance(value, BaseException) else None


def _described(error: BaseException) -> str:
    return str(error.reason) if isinstance(error, ChromogenError) else type(error).__name__
