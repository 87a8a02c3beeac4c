"""Keeps the readers' libraries silent: their warnings quote values of the file, which may be a patient's."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("pydicom", "tifffile", "wsidicom")


@contextmanager
def quiet() -> Iterator[None]:
    """Within, pydicom, wsidicom, tifffile and Pillow log and warn of nothing; what they raise still comes through."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
