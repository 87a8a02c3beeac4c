"""What every DICOM report takes from the slide it is about: patient, study, specimen, container, frame of reference."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog
from pydicom import Dataset

from inference.errors import Failed, Reason, Refused
from inference.slide import SlideFacts
from server.domain.artifact import ArtifactKind
from server.domain.errors import ServiceReason
from server.domain.order import Order
from server.domain.patients import PatientRules, compared
from server.domain.result import Result
from server.report.identity import write
from server.report.reportable import reportable, valid
from server.slides.dicom_header import identify, is_dicom
from server.slides.dicom_stream import open_dicom_file, read_until
from server.slides.quiet import quiet

log = structlog.get_logger()

KEPT_HEADER = "source.dcm"
"""The largest image's header, beside a case's cells: for reports to be made when the slide itself is gone."""
_PER_FRAME = 0x52009230


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideGeometry:
    """How pixels of the total matrix lie on the slide, in mm.

    `origin` (3,) is the centre of the first pixel; `along_row`, `along_column` (3,) are unit vectors of growing column
    and growing row; `spacing` is (between rows, between columns), DICOM's order.
    """

    origin: npt.NDArray[np.float64]
    along_row: npt.NDArray[np.float64]
    along_column: npt.NDArray[np.float64]
    spacing: tuple[float, float]
    columns: int
    rows: int

    def to_slide(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n,) columns and rows, the first pixel's centre being (0, 0), to (n, 3) mm in the frame of reference."""
        return (
            self.origin
            + np.outer(x * self.spacing[1], self.along_row)
            + np.outer(y * self.spacing[0], self.along_column)
        )


def read_source(folder: Path) -> list[Dataset]:
    """Headers, without pixels, of the volume images of a slide (a folder, searched through, or one file), largest
    first.

    Label, overview and thumbnail, other objects and files that are not DICOM are passed over.
    Raises Refused NOT_A_SLIDE where no volume image is found.
    """
    files = [folder] if folder.is_file() else sorted(p for p in folder.rglob("*") if p.is_file())
    headers = [valid(h) for h in map(_header, files) if h is not None]
    if not headers:
        raise Refused(Reason.NOT_A_SLIDE, f"{folder.name} holds no DICOM whole-slide volume image")
    return sorted(headers, key=lambda h: (-_area(h), str(h.get("SOPInstanceUID"))))


def _header(path: Path) -> Dataset | None:
    try:
        if not is_dicom(path):
            return None
        with quiet(), open_dicom_file(path) as file:  # up to the items for each frame: no report needs them
            header = read_until(file, lambda tag, vr, length: tag >= _PER_FRAME)
        wanted = identify(path, header, described=False).is_volume
    except OSError as error:
        raise Failed(Reason.SLIDE_DAMAGED, f"{path.name} can't be read from the disk", retryable=True) from error
    except Exception as error:  # pydicom raises nearly anything on a damaged file, and its text may hold values
        raise Refused(Reason.SLIDE_DAMAGED, f"{path.name} is not readable DICOM: fetch the slide again") from error
    return header if wanted else None


def _area(header: Dataset) -> int:
    return math.prod(int(header.get(f"TotalPixelMatrix{side}") or 0) for side in ("Columns", "Rows"))


def keep_header(facts: SlideFacts, source: Sequence[Dataset], folder: Path) -> None:
    """Write what reports need of the slide into a case's folder, for when the slide itself is gone.

    Raises as `_fit_image`, and Failed OUTPUT_NOT_WRITABLE.
    """
    write(_fit_image(facts, source), folder / KEPT_HEADER)


def kept_source(result: Result) -> list[Dataset]:
    """The header that was kept of the slide's largest image; none, with a line in the log, where it is gone."""
    kept = [a.path for a in result.artifacts if a.kind is ArtifactKind.HEADER and a.path.is_file()]
    if not kept:
        log.warning("slide_header_missing", result=result.id)
        return []
    return read_source(kept[0])


def check_same_specimen(order: Order, source: Sequence[Dataset]) -> None:
    """Raise Refused SPECIMEN_MISMATCH where an identifier that the order and the slide both give differs."""
    asked, containers = order.request, {_text(h, "ContainerIdentifier") for h in source}
    specimens = {_text(s, "SpecimenIdentifier") for h in source for s in h.get("SpecimenDescriptionSequence") or []}
    _check_one_of("container identifier", (asked.specimen.container_id, asked.slide.container_id), containers)
    _check_one_of("specimen identifier", (asked.specimen.id,), specimens)
    _check_one_of("patient identifier", (asked.patient.id,), {_text(h, "PatientID") for h in source})


def check_same_patient(order: Order, source: Sequence[Dataset], rules: PatientRules) -> tuple[str, ...]:
    """Warnings of what order and slide don't both say of the patient. Raises Refused as `compared`."""
    ids, issuers = ({_text(h, key) for h in source} - {""} for key in ("PatientID", "IssuerOfPatientID"))
    return compared(order.request.patient, ids, issuers, rules)


def _check_one_of(name: str, asked: tuple[str, ...], found: set[str]) -> None:
    wanted, known = {a.strip() for a in asked} - {""}, found - {""}
    if wanted and known and (len(wanted) > 1 or not wanted <= known):
        raise Refused(
            ServiceReason.SPECIMEN_MISMATCH,
            f"the order's {name} is not the slide's: check that the right slide was scanned and ordered",
        )


def _text(item: Dataset, keyword: str) -> str:
    return str(item.get(keyword) or "").strip()


def main_image(result: Result, source: Sequence[Dataset]) -> Dataset:
    """The header of the image that was scored, fit to be copied from; the caller's is left alone.

    Raises as `_fit_image`.
    """
    return _fit_image(result.analysis.slide, source)


def images_of(result: Result, image: Dataset) -> list[Dataset]:
    """The header of the scored image for each file that it lies in, under its own UID: several in a concatenation."""
    split = int(image.get("InConcatenationTotalNumber") or 1) if image.get("ConcatenationUID") else 1
    uids = [str(image.SOPInstanceUID), *result.analysis.slide.sop_instance_uids[1:split]]
    return [_under(image, uid) for uid in uids]


def _under(image: Dataset, uid: str) -> Dataset:
    part = Dataset()
    part.update(image)
    part.add_new("SOPInstanceUID", "UI", uid)  # an assignment would change the element that both hold
    return part


def check_reportable(facts: SlideFacts, source: Sequence[Dataset]) -> None:
    """Raises as `main_image`: before a tile is inferred, where reports are wanted."""
    _fit_image(facts, source)


def _fit_image(facts: SlideFacts, source: Sequence[Dataset]) -> Dataset:
    """Raises Refused NOT_A_SLIDE without images or where identity is missing, SEVERAL_SLIDES where none has the size
    that was read.
    """
    image = reportable(scored_image(facts, source), mpp=facts.mpp)
    if image.get("ConcatenationUID"):  # how many files there are need not be said in them
        parts = [h for h in source if h.get("ConcatenationUID") == image.ConcatenationUID]
        image.InConcatenationTotalNumber = max(len(parts), int(image.get("InConcatenationTotalNumber") or 1))
    if (image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows) != (facts.size.width, facts.size.height):
        size = f"{facts.size.width} x {facts.size.height} px"
        raise Refused(Reason.SEVERAL_SLIDES, f"the largest image is not the one scored, which is {size}")
    return image


def scored_image(facts: SlideFacts, source: Sequence[Dataset]) -> Dataset:
    """Of the slide's images the base of the pyramid that was read; the largest where none has its identity.

    Raises Refused NOT_A_SLIDE without images.
    """
    if not source:
        raise Refused(Reason.NOT_A_SLIDE, "no image of the slide is given to report on")
    base = facts.sop_instance_uids[:1]
    named = (header for header in source if str(header.get("SOPInstanceUID") or "") in base)
    return next(named, max(source, key=_area))


def geometry(header: Dataset, *, mpp: float) -> SlideGeometry:
    """The geometry of an image.

    Without orientation, origin or spacing: upright at (0, 0), `mpp` micrometres a pixel.
    """
    offset = (header.get("TotalPixelMatrixOriginSequence") or [Dataset()])[0]
    orientation = np.array([float(v) for v in header.get("ImageOrientationSlide") or (1, 0, 0, 0, 1, 0)])
    keys = ("XOffsetInSlideCoordinateSystem", "YOffsetInSlideCoordinateSystem", "ZOffsetInSlideCoordinateSystem")
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [Dataset()])[0]
    between_rows, between_columns = measures.get("PixelSpacing") or (mpp / 1000, mpp / 1000)
    return SlideGeometry(
        origin=np.array([float(offset.get(k) or 0) for k in keys]),
        along_row=orientation[:3],
        along_column=orientation[3:],
        spacing=(float(between_rows), float(between_columns)),
        columns=int(header.TotalPixelMatrixColumns),
        rows=int(header.TotalPixelMatrixRows),
    )
