"""A worklist of Unified Procedure Steps behind DIMSE (PS3.4 CC): the performer's UPS Pull and Watch, as SCU.

Implements `server.domain.ups.Worklist`. One association a question, as of an archive.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import UID
from pynetdicom.association import Association

from server.archive.association import QUESTIONS, Peer
from server.archive.ups_item import read_item
from server.archive.web import away, wrong
from server.domain.errors import Failed, ServiceReason
from server.domain.states import OrderState
from server.domain.ups import Code, GivenUp, Output, Performed, UpsItem, UpsState
from server.site import WorklistAddress

PUSH, WATCH, PULL, EVENT = (UID(f"1.2.840.10008.5.1.4.34.6.{n}") for n in (1, 2, 3, 4))
"""Every item is of PUSH, whichever of them it is asked by."""
CHANGE_STATE, SUBSCRIBE = 1, 3
"""N-ACTION's types."""

NOT_OURS, GONE, IN_PROGRESS, ENDED = 0xC301, (0xC307, 0x0112), 0xC302, 0xC300
_SUCCESS, _PENDING, _CANCELED, _NOT_ALLOWED, _FULL = 0x0000, (0xFF00, 0xFF01), 0xFE00, 0x0124, 0xA700
_WARNINGS = (0x0001, 0x0107, 0x0116, 0xB301, 0xB304, 0xB305, 0xB306)
DATA_SET_CHARSET = "ISO_IR 192"

REASONS: dict[OrderState | None, DicomCode] = {
    OrderState.CANCELLED: dicom.DCM.DoctorCanceledProcedure,
    OrderState.DEAD: dicom.DCM.EquipmentFailure,
}
"""Of an order that ended so."""
OTHERWISE = dicom.DCM.DiscontinuedForUnspecifiedReason
"""The text says it."""


class DimseWorklist:
    """Safe to share between threads."""

    def __init__(self, named: WorklistAddress, peer: Peer) -> None:
        self._named, self._peer = named, peer

    def ping(self) -> None:
        """It takes an association for all that is asked of it. Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED."""
        wanted = [PULL, WATCH] if self._named.at.listen else [PULL]
        with self._peer.associated("its worklist", [(each, QUESTIONS) for each in wanted]) as association:
            taken = {context.abstract_syntax for context in association.accepted_contexts}
            if not taken.issuperset(wanted):
                raise wrong("its worklist", f"is that it has no UPS {'Pull' if PULL not in taken else 'Watch'}")

    def scheduled(self) -> list[str]:
        query = Dataset()
        query.ProcedureStepState, query.WorklistLabel = UpsState.SCHEDULED.value, self._named.label
        query.InputReadinessState = query.SOPInstanceUID = ""
        query.ScheduledStationNameCodeSequence = _sought(self._named.station)
        query.ScheduledStationClassCodeSequence = _sought(self._named.station_class)
        found = list[str]()
        with self._asked("its worklist", PULL) as association:
            for status, row in association.send_c_find(query, PULL):
                code = _checked("its worklist", status, _PENDING)
                if code in _PENDING and row is not None and row.get("SOPInstanceUID"):
                    found.append(str(row.SOPInstanceUID))
        return found

    def item(self, uid: str) -> UpsItem | None:
        with self._asked("an item", PULL) as association:
            status, said = association.send_n_get([], PUSH, UID(uid), meta_uid=PULL)
            if _checked("an item", status, GONE) in GONE or said is None:
                return None
            return read_item(uid, said)

    def claim(self, uid: str, transaction_uid: str) -> bool:
        """In progress, it is ours where our Transaction UID changes it: so is one whose first answer never came."""
        code = self._change(uid, transaction_uid, UpsState.IN_PROGRESS, (NOT_OURS, IN_PROGRESS, ENDED, *GONE))
        return code not in (NOT_OURS, IN_PROGRESS, ENDED, *GONE) or (
            code == IN_PROGRESS and self.progress(uid, transaction_uid, 0)
        )

    def subscribe(self, uid: str) -> None:
        asked = Dataset()
        asked.ReceivingAE, asked.DeletionLock = self._named.at.our_aet, "FALSE"
        with self._asked("a subscription", WATCH) as association:
            status, _ = association.send_n_action(asked, SUBSCRIBE, PUSH, UID(uid), meta_uid=WATCH)
            _checked("a subscription", status)

    def progress(self, uid: str, transaction_uid: str, percent: float) -> bool:
        told = Dataset()
        told.ProcedureStepProgress = f"{percent:.0f}"
        return self._set(
            uid, transaction_uid, lambda said: _put(said, "ProcedureStepProgressInformationSequence", told)
        )

    def complete(self, uid: str, transaction_uid: str, done: Performed) -> bool:
        performed = Dataset()
        performed.PerformedStationNameCodeSequence = [_station(self._named)]
        performed.PerformedWorkitemCodeSequence = [_code(done.code)]
        performed.PerformedProcedureStepStartDateTime = _moment(done.began_at)
        performed.PerformedProcedureStepEndDateTime = _moment(done.ended_at)
        performed.OutputInformationSequence = list(_outputs(done.outputs))

        def fill(said: Dataset) -> None:
            _put(said, "UnifiedProcedureStepPerformedProcedureSequence", performed)

        return self._end(uid, transaction_uid, UpsState.COMPLETED, fill)

    def cancel(self, uid: str, transaction_uid: str, given_up: GivenUp) -> bool:
        told, reason = Dataset(), REASONS.get(given_up.state, OTHERWISE)
        told.ProcedureStepCancellationDateTime = _moment(given_up.at)
        told.ReasonForCancellation = given_up.why
        named = Code(value=reason.value, scheme=reason.scheme_designator, meaning=reason.meaning)
        told.ProcedureStepDiscontinuationReasonCodeSequence = [_code(named)]

        def fill(said: Dataset) -> None:
            _put(said, "ProcedureStepProgressInformationSequence", told)

        return self._end(uid, transaction_uid, UpsState.CANCELED, fill)

    def _end(self, uid: str, transaction_uid: str, state: UpsState, fill: Callable[[Dataset], None]) -> bool:
        """What its final state asks for, then that."""
        if not self._set(uid, transaction_uid, fill):
            return False
        return self._change(uid, transaction_uid, state, (NOT_OURS, ENDED, *GONE)) not in (NOT_OURS, ENDED, *GONE)

    def _set(self, uid: str, transaction_uid: str, fill: Callable[[Dataset], None]) -> bool:
        said = Dataset()
        said.SpecificCharacterSet, said.TransactionUID = DATA_SET_CHARSET, transaction_uid
        fill(said)
        with self._asked("a change of an item", PULL) as association:
            status, _ = association.send_n_set(said, PUSH, UID(uid), meta_uid=PULL)
            refused = (NOT_OURS, ENDED, *GONE)
            return _checked("a change of an item", status, refused) not in refused

    def _change(self, uid: str, transaction_uid: str, state: UpsState, known: Sequence[int]) -> int:
        asked = Dataset()
        asked.TransactionUID, asked.ProcedureStepState = transaction_uid, state.value
        with self._asked("a change of state", PULL) as association:
            status, _ = association.send_n_action(asked, CHANGE_STATE, PUSH, UID(uid), meta_uid=PULL)
            return _checked("a change of state", status, known)

    def _asked(self, what: str, by: UID) -> AbstractContextManager[Association]:
        return self._peer.associated(what, [(by, QUESTIONS)])


def _checked(what: str, status: Dataset, known: Sequence[int] = ()) -> int:
    """The status, where it is success, a warning, or one of `known`. Raises Failed."""
    code = status.get("Status")
    if code is None:
        raise away(what, "it ended the association, or fell silent")
    if code == _SUCCESS or code in known or code in _WARNINGS:
        return int(code)
    if code == _NOT_ALLOWED:
        raise Failed(ServiceReason.ARCHIVE_DENIED, f"the worklist refuses {what}: give us the right", retryable=True)
    if code in (_FULL, _CANCELED):
        raise away(what, f"status {code:04X}H")
    raise wrong(what, f"is status {code:04X}H")


def _outputs(outputs: Sequence[Output]) -> Iterator[Dataset]:
    """An item of each object, with how it is had."""
    for each in outputs:
        named, item = Dataset(), Dataset()
        named.ReferencedSOPClassUID, named.ReferencedSOPInstanceUID = each.sop_class_uid, each.sop_instance_uid
        item.TypeOfInstances = "DICOM"
        item.StudyInstanceUID, item.SeriesInstanceUID = each.study_uid, each.series_uid
        item.ReferencedSOPSequence = [named]
        if each.aet:
            way = Dataset()
            way.RetrieveAETitle = each.aet
            item.DICOMRetrievalSequence = [way]
        if each.url:
            way = Dataset()
            way.RetrieveURL = f"{each.url.rstrip('/')}/studies/{each.study_uid}/series/{each.series_uid}"
            item.WADORSRetrievalSequence = [way]
        yield item


def _put(said: Dataset, keyword: str, item: Dataset) -> None:
    setattr(said, keyword, [item])


def _code(code: Code) -> Dataset:
    item = Dataset()
    setattr(item, "CodeValue" if len(code.value) <= 16 else "LongCodeValue", code.value)
    item.CodingSchemeDesignator, item.CodeMeaning = code.scheme, code.meaning
    return item


def _station(named: WorklistAddress) -> Dataset:
    value = named.station or named.at.our_aet
    return _code(Code(value=value, scheme="99CHROMOGEN", meaning="chromogen"))


def _sought(code: str) -> list[Dataset]:
    """Empty: any."""
    item = Dataset()
    item.CodeValue = code
    return [item] if code else []


def _moment(at: datetime) -> str:
    """DT, with its offset from UTC."""
    return at.strftime("%Y%m%d%H%M%S.%f%z")
