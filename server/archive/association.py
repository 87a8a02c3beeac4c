"""What is asked of a DIMSE archive, one association a question, every fault one of our reasons (pynetdicom).

Instances are written to a file as they come, and read from one as they go: none is held in memory.
"""

import logging
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import AE, _config, build_context, build_role, evt
from pynetdicom.association import Association

from server.archive.listener import begun
from server.archive.spool import full
from server.archive.web import CHUNK, away, object_refused, wrong
from server.domain.errors import Failed, ServiceReason
from server.site import DimseAddress
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader, read_instance_header
from server.slides.quiet import quiet

_config.STORE_RECV_CHUNKED_DATASET = True
_config.STORE_SEND_CHUNKED_DATASET = True
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # what it says of messages may be of a patient

SYNTAXES = [
    JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless, JPEGExtended12Bit,
    JPEGLossless, JPEGLosslessSV1, RLELossless, ExplicitVRLittleEndian, ImplicitVRLittleEndian,
]  # fmt: skip
"""In which slides are taken, as they are stored: the archive chooses among those that it has."""

ECHO = UID("1.2.840.10008.1.1")
FIND, MOVE, GET = (UID(f"1.2.840.10008.5.1.4.1.2.2.{n}") for n in (1, 2, 3))
"""Of the study root (PS3.4, C)."""
QUESTIONS = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]

Take = Callable[[bytes], None]
_PENDING, _SUCCESS, _COERCED = (0xFF00, 0xFF01), 0x0000, (0xB000, 0xB006, 0xB007)
_BUSY = range(0xA700, 0xA800)


class Peer:
    """An archive's DIMSE service. Safe to share between threads, but for C-MOVE, which waits its turn.

    By TLS where there is a `context`; of what it moves to us, where there is one for our `storage`.
    """

    def __init__(
        self, at: DimseAddress, context: ssl.SSLContext | None = None, storage: ssl.SSLContext | None = None
    ) -> None:
        self._at, self._context, self._storage = at, context, storage
        self._listening = threading.Lock()

    def echo(self) -> None:
        with self.associated("an echo", [(ECHO, QUESTIONS)]) as association:
            status = association.send_c_echo()
            if status.get("Status") != _SUCCESS:
                raise away("an echo", "it ended the association")

    def find(self, level: str, asked: Mapping[str, str]) -> list[Dataset]:
        """What fits, in the study root. Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER."""
        what = f"a list ({level})"
        query, found = Dataset(), list[Dataset]()
        query.QueryRetrieveLevel = level
        for keyword, value in asked.items():
            setattr(query, keyword, value or None)
        with self.associated(what, [(FIND, QUESTIONS)]) as association:
            for status, row in association.send_c_find(query, FIND):
                _check(what, status)
                if status.Status in _PENDING and row is not None:
                    found.append(row)
        return found

    def retrieve(self, header: InstanceHeader, take: Take) -> None:
        """The bytes of one instance as a DICOM file. Raises as `find`, and as `take`."""
        query = Dataset()
        query.QueryRetrieveLevel = "IMAGE"
        query.StudyInstanceUID, query.SeriesInstanceUID = header.study_uid, header.series_uid
        query.SOPInstanceUID = header.sop_instance_uid
        came = _Came(header.sop_instance_uid, take)
        if self._at.move:
            with self._listening, self._storage_scp(came):
                self._move(query)
        else:
            self._get(query, came)
        came.check()

    def store(self, path: Path) -> None:
        """Raises Failed OBJECT_REFUSED where the archive will not have it; else as `find`."""
        what, sop_class = "an object to be kept", read_instance_header(path).sop_class_uid
        with self.associated(what, [(UID(sop_class), [_syntax_of(path)])]) as association:
            if not association.accepted_contexts:
                raise object_refused("it doesn't take this SOP class")
            with quiet():
                status = association.send_c_store(path).get("Status")
        if status is None:
            raise away(what, "it ended the association")
        if status in _BUSY or status == 0x0110:
            raise away(what, f"status {status:04X}H")
        if status != _SUCCESS and status not in _COERCED and status != 0x0111:
            raise object_refused(f"status {status:04X}H")

    def _get(self, query: Dataset, came: "_Came") -> None:
        what = "an instance"
        slides = [(UID(WHOLE_SLIDE_IMAGE), [syntax]) for syntax in SYNTAXES]  # each its own, or one is chosen for all
        contexts = [(GET, QUESTIONS), *slides]
        roles = [build_role(UID(WHOLE_SLIDE_IMAGE), scp_role=True)]
        handlers = [(evt.EVT_C_STORE, came)]
        with self.associated(what, contexts, ext_neg=roles, evt_handlers=handlers) as association:
            for status, _ in association.send_c_get(query, GET):
                came.check_fault()
                _check(what, status)

    def _move(self, query: Dataset) -> None:
        what = "an instance"
        with self.associated(what, [(MOVE, QUESTIONS)]) as association:
            for status, _ in association.send_c_move(query, self._at.our_aet, MOVE):
                _check(what, status)

    @contextmanager
    def _storage_scp(self, came: "_Came") -> Iterator[None]:
        """Our own storage service, while an instance is being moved."""
        ae = AE(ae_title=self._at.our_aet)
        ae.add_supported_context(UID(WHOLE_SLIDE_IMAGE), SYNTAXES)
        assert self._at.listen is not None, "only an archive that moves slides to us"
        try:
            server = begun(ae, self._at.listen, [(evt.EVT_C_STORE, came)], self._storage)
        except OSError as error:
            message = f"our storage port {self._at.listen} can't be opened ({type(error).__name__}): free it"
            raise Failed(ServiceReason.ARCHIVE_UNREACHABLE, message, retryable=True) from None
        try:
            yield
        finally:
            server.shutdown()

    @contextmanager
    def associated(self, what: str, contexts: list[tuple[UID, list[UID]]], **more: Any) -> Iterator[Association]:
        """Released at the end. Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED where there is none."""
        ae = AE(ae_title=self._at.our_aet)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = self._at.timeout_s
        ae.connection_timeout = min(10.0, self._at.timeout_s)
        ae.requested_contexts = [build_context(context, list(syntaxes)) for context, syntaxes in contexts]
        tls = None if self._context is None else (self._context, self._at.host)
        association = ae.associate(self._at.host, self._at.port, ae_title=self._at.aet, tls_args=tls, **more)
        if association.is_rejected:
            message = f"the archive refuses the association (AE title {self._at.our_aet}): name us there"
            raise Failed(ServiceReason.ARCHIVE_DENIED, message, retryable=True)
        if not association.is_established:
            if association.rejected_contexts and not association.accepted_contexts and what.startswith("an object"):
                raise object_refused("it doesn't take this SOP class")
            raise away(what, "it has none of the services" if association.rejected_contexts else "no association")
        try:
            yield association
        finally:
            with suppress(RuntimeError):
                association.release()


class _Came:
    """Takes the instance that was asked for as it comes, whichever way."""

    def __init__(self, uid: str, take: Take) -> None:
        self._uid, self._take = uid, take
        self._count, self._fault = 0, None

    _fault: Exception | None

    def __call__(self, event: evt.Event) -> int:
        """The status of a C-STORE. What `take` raises is kept for whoever asked."""
        request: Any = event.request
        if request.AffectedSOPInstanceUID != self._uid or self._count:
            return 0xC000
        try:
            self._copied(Path(event.dataset_path))
        except Exception as error:  # it would end in pynetdicom's log
            self._fault = error
            return 0xA700
        self._count += 1
        return _SUCCESS

    def _copied(self, path: Path) -> None:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                self._take(chunk)

    def check_fault(self) -> None:
        if isinstance(self._fault, OSError):
            raise full(self._fault) from None
        if self._fault is not None:
            raise self._fault

    def check(self) -> None:
        self.check_fault()
        if not self._count:
            raise wrong(
                "an instance", "is that it was sent, but it never came: check AE title and port that it has of us"
            )


def _check(what: str, status: Dataset) -> None:
    code = status.get("Status")
    if code is None:
        raise away(what, "it ended the association, or fell silent")
    if code in _PENDING or code == _SUCCESS:
        return
    if code in _BUSY:
        raise away(what, f"status {code:04X}H")
    if code == 0x0124:
        raise Failed(ServiceReason.ARCHIVE_DENIED, f"the archive refuses {what}: give us the right", retryable=True)
    raise wrong(what, f"is status {code:04X}H")


def _syntax_of(path: Path) -> UID:
    from pydicom.filereader import read_file_meta_info

    return UID(read_file_meta_info(path).TransferSyntaxUID)
