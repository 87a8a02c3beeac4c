"""Room for what cases write, asked before a case begins, so that none is computed for nothing; and who may read it."""

import errno
import shutil
import uuid
from pathlib import Path

from inference.errors import Reason
from server.domain.errors import Failed

LEAST_FREE_GB = 0.5
"""Of one case: its cells, pictures and reports, and what it spools of its slide."""

AWAY = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENOTCONN, errno.EHOSTDOWN}
)
"""What an OSError says where a disk or share is full or gone, and not the file amiss."""


def keep_private(folder: Path) -> bool:
    """Make a folder that only its owner and group may enter; False for one that is there and that others may enter.

    One that can't be made now is made, like all folders of this account, when it is written to.
    """
    try:
        folder.mkdir(parents=True, mode=0o750)
    except FileExistsError:
        return not folder.stat().st_mode & 0o007
    except OSError:
        return True
    return True


def free_gb(folder: Path) -> float:
    """In a folder that can be written to. Raises OSError."""
    probe = folder / f".check-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(b"\0")
    finally:
        probe.unlink(missing_ok=True)
    return shutil.disk_usage(folder).free / 1e9


def check_room(folder: Path) -> None:
    """Raises Failed OUTPUT_NOT_WRITABLE, retryable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = free_gb(folder)
    except OSError as error:
        raise away(error) from None
    if free < LEAST_FREE_GB:
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, f"{free:.2f} GB are free for results: make room", retryable=True)


def away(error: OSError) -> Failed:
    """The same as an outage; the file's name may hold what isn't to be logged."""
    said = f"the disk for results: {error.strerror or type(error).__name__}"
    return Failed(Reason.OUTPUT_NOT_WRITABLE, said, retryable=True)
