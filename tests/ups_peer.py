"""A worklist of Unified Procedure Steps for tests: an SCP of UPS Pull, Watch and Event by pynetdicom, which answers as
PS3.4's table CC.1.1-2 says. It outlives the service, and may be away.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
)

from server.archive.made import dimse_worklist
from server.archive.worklist import DimseWorklist
from server.site import Address, DimseAddress, WorklistAddress
from tests.orthanc import free_port

AET, OUR_AET, STATION, LABEL, LAB = "WORKLIST", "CHROMOGEN", "IHC-AI", "IHC", "NORTH"
ANSWER = {
    ("IN PROGRESS", True): {"SCHEDULED": 0, "IN PROGRESS": 0xC302, "COMPLETED": 0xC300, "CANCELED": 0xC300},
    ("IN PROGRESS", False): dict.fromkeys(("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"), 0xC301),
    ("COMPLETED", True): {"SCHEDULED": 0xC310, "IN PROGRESS": 0, "COMPLETED": 0xB306, "CANCELED": 0xC300},
    ("COMPLETED", False): dict.fromkeys(("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"), 0xC301),
    ("CANCELED", True): {"SCHEDULED": 0xC310, "IN PROGRESS": 0, "COMPLETED": 0xC300, "CANCELED": 0xB304},
    ("CANCELED", False): dict.fromkeys(("SCHEDULED", "IN PROGRESS", "COMPLETED", "CANCELED"), 0xC301),
}
"""N-ACTION's status by the state that is asked for, whether the Transaction UID is right, and the state that it has."""


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def made_item(series_uid: str, study_uid: str, *, marker: str = "ER", **more: Any) -> Dataset:
    """One that waits for whom we are."""
    item, slide, request = Dataset(), Dataset(), Dataset()
    item.SOPClassUID, item.SOPInstanceUID = UnifiedProcedureStepPush, generate_uid()
    item.ProcedureStepState, item.InputReadinessState, item.TransactionUID = "SCHEDULED", "READY", ""
    item.ScheduledProcedureStepPriority, item.WorklistLabel = "HIGH", LABEL
    item.ScheduledStationNameCodeSequence = [coded(STATION, "99TEST", "scores")]
    item.ScheduledWorkitemCodeSequence = [coded(marker, "99TEST", f"{marker} score")]
    item.PatientName, item.PatientID, item.IssuerOfPatientID = "Invented^Item", "P-UPS", "NORTH"
    item.PatientBirthDate, item.PatientSex = "19600102", "F"
    slide.TypeOfInstances, slide.StudyInstanceUID, slide.SeriesInstanceUID = "DICOM", study_uid, series_uid
    item.InputInformationSequence = [slide]
    request.AccessionNumber, request.PlacerOrderNumberImagingServiceRequest = "A-UPS", "PL-UPS"
    item.ReferencedRequestSequence = [request]
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


@dataclass
class UpsPeer:
    """`asked` lists operations in their order; `hold`: where an operation is named, its answer never comes once it is
    done (set `held` tells that it is).
    """

    port: int = field(default_factory=free_port)
    our_port: int = field(default_factory=free_port)
    items: dict[str, Dataset] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    subscribed: set[str] = field(default_factory=set)
    hold: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _free: threading.Event = field(default_factory=threading.Event)
    _server: Any = None

    def start(self) -> "UpsPeer":
        ae = AE(ae_title=AET)
        ae.maximum_associations = 100
        for each in (UnifiedProcedureStepPull, UnifiedProcedureStepWatch):
            ae.add_supported_context(each)
        handlers = [
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_GET, self._get),
            (evt.EVT_N_SET, self._set),
            (evt.EVT_N_ACTION, self._act),
        ]
        self._server = ae.start_server(("127.0.0.1", self.port), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
        return self

    def stop(self) -> None:
        self._free.set()
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def let_go(self) -> None:
        """What was held is answered; nothing is any more."""
        self.hold = ""
        self._free.set()
        self._free, self.held = threading.Event(), threading.Event()

    def add(self, item: Dataset) -> str:
        self.items[item.SOPInstanceUID] = item
        return str(item.SOPInstanceUID)

    def state(self, uid: str) -> str:
        return str(self.items[uid].ProcedureStepState)

    def named(self, *, listen: bool = False, **more: Any) -> WorklistAddress:
        at = DimseAddress(
            name="work",
            host="127.0.0.1",
            port=self.port,
            aet=AET,
            our_aet=OUR_AET,
            table="[worklists.work]",
            listen=Address(host="127.0.0.1", port=self.our_port) if listen else None,
            timeout_s=20,
        )
        return WorklistAddress(**({"name": "work", "at": at, "laboratory": LAB, "station": STATION} | more))

    def worklist(self, **more: Any) -> DimseWorklist:
        return dimse_worklist(self.named(**more))

    def ask_to_cancel(self, uid: str) -> list[int]:
        """As another system does. The statuses of those who were told."""
        if self.state(uid) == "SCHEDULED":
            self.items[uid].ProcedureStepState = "CANCELED"
            return []
        told, ae = Dataset(), AE(ae_title=AET)
        told.RequestingAE, told.ReasonForCancellation = "LIS", "ordered in error"
        ae.add_requested_context(UnifiedProcedureStepEvent)
        association = ae.associate("127.0.0.1", self.our_port, ae_title=OUR_AET)
        try:
            status, _ = association.send_n_event_report(
                told, 2, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepEvent
            )
            return [int(status.Status)]
        finally:
            association.release()

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.asked.append("find")
        for item in list(self.items.values()):
            if item.ProcedureStepState == event.identifier.ProcedureStepState:
                row = Dataset()
                row.SOPClassUID, row.SOPInstanceUID = item.SOPClassUID, item.SOPInstanceUID
                yield 0xFF00, row

    def _get(self, event: evt.Event) -> tuple[int, Dataset | None]:
        item = self.items.get(str(event.request.RequestedSOPInstanceUID))  # type: ignore[union-attr]
        if item is None:
            return 0xC307, None
        shown = deepcopy(item)
        del shown.TransactionUID
        return 0x0000, shown

    def _set(self, event: evt.Event) -> tuple[int, Dataset | None]:
        item, said = self.items[str(event.request.RequestedSOPInstanceUID)], event.modification_list  # type: ignore[union-attr]
        with self._lock:
            self.asked.append("set")
            if item.ProcedureStepState != "IN PROGRESS":
                return 0xC300 if item.ProcedureStepState != "SCHEDULED" else 0xC310, None
            if said.get("TransactionUID") != item.TransactionUID:
                return 0xC301, None
            for element in said:
                item[element.tag] = element
            return 0x0000, Dataset()

    def _act(self, event: evt.Event) -> tuple[int, Dataset | None]:
        uid, said = str(event.request.RequestedSOPInstanceUID), event.action_information  # type: ignore[union-attr]
        if uid not in self.items:
            return 0xC307, None
        if event.action_type == 3:
            self.subscribed.add(uid)
            return 0x0000, None
        with self._lock:
            status = self._changed(self.items[uid], said)
        if self.hold == said.ProcedureStepState and status == 0:
            free = self._free
            self.held.set()
            free.wait(60)
        return status, None

    def _changed(self, item: Dataset, said: Dataset) -> int:
        state, wanted = str(item.ProcedureStepState), str(said.ProcedureStepState)
        self.asked.append(wanted)
        right = said.TransactionUID == item.TransactionUID if item.TransactionUID else bool(said.TransactionUID)
        status = ANSWER[wanted, right][state]
        if status == 0 and not self._fits(item, wanted):
            return 0xC304
        if status == 0:
            item.ProcedureStepState, item.TransactionUID = wanted, said.TransactionUID
        return status

    def _fits(self, item: Dataset, wanted: str) -> bool:
        """Final state requirements, PS3.4, table CC.2.5-3."""
        if wanted == "COMPLETED":
            done = (item.get("UnifiedProcedureStepPerformedProcedureSequence") or [Dataset()])[0]
            return all(
                keyword in done
                for keyword in (
                    "PerformedStationNameCodeSequence",
                    "PerformedWorkitemCodeSequence",
                    "PerformedProcedureStepStartDateTime",
                    "PerformedProcedureStepEndDateTime",
                    "OutputInformationSequence",
                )
            )
        if wanted == "CANCELED":
            told = (item.get("ProcedureStepProgressInformationSequence") or [Dataset()])[0]
            wants = ("ProcedureStepCancellationDateTime", "ProcedureStepDiscontinuationReasonCodeSequence")
            return all(keyword in told for keyword in wants)
        return True


@contextmanager
def ups_peer() -> Iterator[UpsPeer]:
    peer = UpsPeer().start()
    try:
        yield peer
    finally:
        peer.stop()
