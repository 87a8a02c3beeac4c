"""Files that are sent as multipart/form-data, laid in a folder under our names; theirs are never looked at."""

import shutil
from pathlib import Path

import anyio
from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from inference.errors import Reason
from server.domain.errors import Failed, Refused, ServiceReason

UPLOAD_S = 1800.0
"""For all of it to arrive."""
MOST_FIELDS = 20


async def received(request: Request, folder: Path, names: tuple[str, ...]) -> None:
    """Each file of `names` as a file of that name; others are left.

    Raises Refused FIELD_MISSING (without the first), ARGUMENT_INVALID, MESSAGE_TOO_LARGE; Failed DEADLINE_EXCEEDED,
    OUTPUT_NOT_WRITABLE.
    """
    _check_room(request, folder)
    try:
        with anyio.fail_after(UPLOAD_S):
            async with request.form(max_files=len(names), max_fields=MOST_FIELDS) as form:
                for name in names:
                    sent = form.get(name)
                    if isinstance(sent, UploadFile):
                        await to_thread.run_sync(_lay, sent, folder / name)
    except TimeoutError:
        message = f"the image did not arrive within {UPLOAD_S:g} s"
        raise Failed(ServiceReason.DEADLINE_EXCEEDED, message, retryable=True) from None
    except HTTPException:
        message = f"the body must be multipart/form-data with the file {' and '.join(names[:1])}"
        raise Refused(ServiceReason.ARGUMENT_INVALID, message) from None
    except ClientDisconnect:
        raise Refused(ServiceReason.CANCELLED, "the caller went while the image was being sent") from None
    except OSError:
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, "the disk has no room for the image", retryable=True) from None
    if not (folder / names[0]).exists() or (folder / names[0]).stat().st_size == 0:
        raise Refused(ServiceReason.FIELD_MISSING, f"the file {names[0]} is missing: send it as multipart/form-data")


def _check_room(request: Request, folder: Path) -> None:
    """It lies on the disk twice while it is laid out of what came."""
    said = request.headers.get("content-length", "0")
    if said.isdigit() and shutil.disk_usage(folder).free < 2 * int(said):
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, "the disk has no room for the image", retryable=True)


def _lay(sent: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(sent.file, file, 1 << 20)
