"""The time, handed in by whoever wires, so that a test can say what it is."""

from collections.abc import Callable
from datetime import UTC, date, datetime

Clock = Callable[[], datetime]
"""Gives aware times."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def local_day() -> date:
    """By this machine's clock and zone: profiles are valid by the laboratory's days."""
    return datetime.now().astimezone().date()
