"""INTEROP.md S-1: no patient data in logs; a third party's exception may quote it, so its text is dropped."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from server.domain.errors import Refused, ServiceReason
from server.observability import set_up

MARKER = "TEST-INVENTED-MARKER"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    set_up(stream=stream)
    yield stream
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level


def logged(stream: io.StringIO) -> list[dict[str, object]]:
    assert MARKER not in stream.getvalue()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_away_from_a_terminal_each_event_is_a_json_object_with_what_is_bound(lines: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(order="an-order"):
        structlog.get_logger().info("case_done", nuclei=3)
    (event,) = logged(lines)
    assert {"event": "case_done", "order": "an-order", "nuclei": 3, "level": "info"}.items() <= event.items()


def test_an_exception_leaves_its_type_however_it_is_logged(lines: io.StringIO) -> None:
    log = structlog.get_logger()
    try:
        raise ValueError(MARKER)
    except ValueError as error:
        log.exception("one")
        log.error("two", exc_info=error)
        log.error("three", cause=error)
        log.error("four", exc_info=(type(error), error, error.__traceback__))
    one, two, three, four = logged(lines)
    assert one["error"] == two["error"] == three["cause"] == four["error"] == "ValueError"


def test_our_own_errors_leave_their_reason(lines: io.StringIO) -> None:
    structlog.get_logger().error("no", error=Refused(ServiceReason.ORDER_UNKNOWN, MARKER))
    assert logged(lines)[0]["error"] == "ORDER_UNKNOWN"


def test_a_library_says_that_something_was_but_not_what(lines: io.StringIO) -> None:
    library = logging.getLogger("some.library")
    try:
        raise KeyError(MARKER)
    except KeyError:
        library.exception("could not read %s", MARKER)
    library.warning(f"{MARKER} is odd")
    library.info("not asked for")
    first, second = logged(lines)
    assert (first["logger"], first["error"], first["level"]) == ("some.library", "KeyError", "error")
    assert second["level"] == "warning"


def test_below_the_level_nothing_is_said(lines: io.StringIO) -> None:
    structlog.get_logger().debug("detail")
    assert logged(lines) == []
