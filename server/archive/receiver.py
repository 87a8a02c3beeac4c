"""Our own storage service: an archive's folder into which scanners or a PACS send slides by C-STORE (pynetdicom)."""

import errno
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import structlog
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.transport import ThreadedAssociationServer

from server.archive.association import ECHO, QUESTIONS, SYNTAXES
from server.archive.folder import flushed, is_uid
from server.archive.listener import begun
from server.domain.errors import Failed, Refused, ServiceReason
from server.site import ArchiveFolder
from server.slides.dicom_header import PART, WHOLE_SLIDE_IMAGE, read_instance_header

SUCCESS, NO_ROOM, NOT_UNDERSTOOD = 0x0000, 0xA700, 0xC000

log = structlog.get_logger()


class Receiver:
    """Of one folder: `start` it, and `stop` it. What is sent again replaces what is there.

    `ping` raises Failed where the archive isn't there: then nothing is taken.
    """

    def __init__(self, named: ArchiveFolder, ping: Callable[[], None]) -> None:
        self._named, self._ping = named, ping
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> None:
        """Raises Failed SETTING_INVALID where the port can't be opened."""
        at = self._named.listen
        assert at is not None, "only a folder that listens has a receiver"
        ae = AE(ae_title=self._named.our_aet)
        ae.require_called_aet = True
        ae.require_calling_aet = list(self._named.callers)
        ae.add_supported_context(UID(WHOLE_SLIDE_IMAGE), SYNTAXES)
        ae.add_supported_context(ECHO, QUESTIONS)
        try:
            self._server = begun(ae, at, [(evt.EVT_C_STORE, self._take)], None)
        except OSError as error:
            message = f"{self._named.table} listen: {at} can't be opened ({type(error).__name__}): free it"
            raise Failed(ServiceReason.SETTING_INVALID, message) from None
        log.info("receiving", archive=self._named.name, host=at.host, port=at.port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()

    def _take(self, event: evt.Event) -> int:
        """The status of a C-STORE: of success only where the file is on the disk under its name."""
        try:
            self._ping()
            return self._kept(Path(event.dataset_path))
        except Refused:
            return NOT_UNDERSTOOD
        except Failed as error:
            log.error("not_received", archive=self._named.name, error=error.message)
            return NO_ROOM
        except OSError as error:
            log.error("not_received", archive=self._named.name, error=type(error).__name__)
            return NO_ROOM

    def _kept(self, came: Path) -> int:
        header = read_instance_header(came)
        names = (header.study_uid, header.series_uid, header.sop_instance_uid)
        if not all(map(is_uid, names)):
            return NOT_UNDERSTOOD
        folder = self._made(names[0], names[1])
        part = folder / f"{uuid.uuid4()}{PART}"
        try:
            shutil.copyfile(came, part)
            flushed(part)
            part.replace(folder / f"{names[2]}.dcm")
        finally:
            part.unlink(missing_ok=True)
        for parent in (folder, folder.parent, self._named.folder):
            _settled(parent)
        return SUCCESS

    def _made(self, study_uid: str, series_uid: str) -> Path:
        """The series' folder. The archive's own is never made: where its share isn't mounted this raises OSError."""
        study = self._named.folder / study_uid
        series = study / series_uid
        for folder in (study, series):
            folder.mkdir(exist_ok=True)
        return series


def _settled(folder: Path) -> None:
    """Wait until the names in it are on the disk, where its file system can be asked: one of SMB can't."""
    try:
        flushed(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
