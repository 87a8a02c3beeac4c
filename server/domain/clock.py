"""The time, handed in by whoever wires, so that a test can say what it is."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives aware times."""


def utc_now() -> datetime:
    return datetime.now(UTC)
