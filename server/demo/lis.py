"""A laboratory system for the demo and for tests: it writes an order for an invented patient, and keeps what it is
sent.
"""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from inference.measures import PRIVATE_SCHEME
from server.domain.errors import ChromogenError, Refused
from server.domain.order import Priority
from server.hl7.acknowledge import Answer, acknowledgments
from server.hl7.er7 import UTF8, composed, escape, read_header, segment
from server.hl7.listener import MllpListener
from server.report.codes import percent_positive_code, tissue_of

APPLICATION, LAB = "DEMO-LIS", "DEMO-LAB"
ENDOMETRIUM = ("2739003", "Endometrium", "SCT")
_LETTERS = {Priority.STAT: "S", Priority.ASAP: "A", Priority.ROUTINE: "R"}  # HL7 table 0485


def order_message(
    *,
    placer_number: str,
    marker: str,
    control_id: str,
    container_id: str = "",
    study_uid: str = "",
    series_uid: str = "",
    specimen_id: str = "",
    site: tuple[str, str, str] = ENDOMETRIUM,
    priority: Priority = Priority.ROUTINE,
    family_name: str = "TEST-INVENTED",
    lab: str = LAB,
    application: str = APPLICATION,
    clone: str = "",
    stainer: str = "",
    scanner: str = "",
    staining_run: str = "",
    control_kind: str = "",
    at: datetime | None = None,
) -> bytes:
    """An OML^O21 (v2.5.1, UTF-8) for one slide of an invented patient. `site` is code, text, scheme; `lab` and
    `application` who orders; `clone`, `stainer`, `scanner` and `staining_run` what the LIS knows of the slide;
    `control_kind` of a control slide.

    `at` is now unless given.
    """
    code = percent_positive_code(marker, tissue_of(site[0], site[2], site[1]))
    procedure = (
        composed(code.value, code.meaning, "LN") if code.scheme == "LN" else composed(marker, f"{marker} score", "L")
    )
    time = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%d%H%M%S+0000")
    placer = composed(placer_number, APPLICATION)
    uids = [("110180", "Study Instance UID", study_uid), ("112002", "Series Instance UID", series_uid)]
    observed = [segment("OBX", "", "ST", composed(c, t, "DCM"), "", u, *[""] * 5, "O") for c, t, u in uids if u]
    prepared = [("CLONE", clone), ("STAINER", stainer), ("SCANNER", scanner)]
    prepared += [("STAINING_RUN", staining_run), ("CONTROL_KIND", control_kind)]
    observed += [
        segment("OBX", "", "ST", composed(name, "", PRIVATE_SCHEME), "", escape(value), *[""] * 5, "O")
        for name, value in prepared
        if value
    ]
    patient = [composed("INVENTED-1", "", "", LAB, "MR"), "", composed(family_name, "NOBODY"), "", "19500101", "F"]
    lines = [
        segment(
            "MSH",
            "^~\\&",
            escape(application),
            escape(lab),
            "CHROMOGEN",
            escape(lab),
            time,
            "",
            "OML^O21^OML_O21",
            escape(control_id),
            "T",
            "2.5.1",
            *[""] * 5,
            UTF8,
        ),
        segment("PID", "1", "", *patient),
        segment("ORC", "NW", placer, *[""] * 6, time),
        segment("TQ1", "1", *[""] * 7, _LETTERS[priority]),
        segment("OBR", "1", placer, "", procedure),
        *observed,
        segment(
            "SPM", "1", escape(specimen_id), "", composed("TISS", "Tissue", "HL70487"), "", "", "", composed(*site)
        ),
        *([segment("SAC", "", "", escape(container_id))] if container_id else []),
    ]
    return ("\r".join(lines) + "\r").encode()


@dataclass(slots=True)
class ReceivingLis:
    """Keeps each message it receives as `NAME.hl7` in `folder` (NAME is MSH-10) and acknowledges it; `port` 0 takes a
    free one.

    A context manager; `received` fills in the order of arrival. A message that comes twice is kept once.
    """

    folder: Path
    port: int = 0
    received: list[Path] = field(default_factory=list)
    _listener: MllpListener | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "ReceivingLis":
        self._listener = MllpListener(self, port=self.port)
        self.port = self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.stop()

    def __call__(self, message: bytes) -> tuple[bytes, ...]:
        try:
            header = read_header(message)
        except Refused as error:
            return self.refuse(message, error)
        name = "".join(c if c.isalnum() or c in "-_" else "_" for c in header.get(10)) or "without-id"
        path = self.folder / f"{name}.hl7"
        with self._lock:
            path.write_bytes(message)
            if path not in self.received:
                self.received.append(path)
        return acknowledgments(header, Answer(), charset="8859/1", now=datetime.now(UTC))

    def refuse(self, message: bytes, error: ChromogenError) -> tuple[bytes, ...]:
        """Acknowledgments of what is no HL7 message."""
        return acknowledgments(None, Answer(error=error), charset="ASCII", now=datetime.now(UTC))
