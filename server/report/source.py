"""What every DICOM report takes from the slide it is about: patient, study, specimen, container, frame of reference."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.uid import VLWholeSlideMicroscopyImageStorage

from inference.errors import Failed, Reason, Refused
from server.domain.artifact import ArtifactKind
from server.domain.errors import ServiceReason
from server.domain.order import Order
from server.domain.result import Result

log = structlog.get_logger()

CHARACTER_SET = "ISO_IR 192"
"""UTF-8: the source's text in whatever character set it came, and ours, are written in it."""

_NEEDED = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPInstanceUID",
    "SOPClassUID",
    "FrameOfReferenceUID",
    "TotalPixelMatrixColumns",
    "TotalPixelMatrixRows",
)
# Type 2 in what is written, so present there even where a source without them breaks the standard.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_SEXES = ("M", "F", "O", "")

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
    headers = [h for h in map(_header, files) if h is not None]
    if not headers:
        raise Refused(Reason.NOT_A_SLIDE, f"{folder.name} holds no DICOM whole-slide volume image")
    return sorted(headers, key=lambda h: (-_area(h), str(h.SOPInstanceUID)))


def _header(path: Path) -> Dataset | None:
    try:
        with path.open("rb") as file:  # up to the items for each frame of a sparse slide, which no report needs
            header = read_partial(file, lambda tag, vr, length: tag >= _PER_FRAME)
        kind = header.get("ImageType") or []
        wanted = (
            header.get("SOPClassUID") == VLWholeSlideMicroscopyImageStorage and len(kind) > 2 and kind[2] == "VOLUME"
        )
    except InvalidDicomError:
        return None
    except OSError as error:
        raise Failed(Reason.SLIDE_DAMAGED, f"{path.name} can't be read from the disk", retryable=True) from error
    except Exception as error:  # pydicom raises nearly anything on a damaged file, and its text may hold values
        raise Refused(Reason.SLIDE_DAMAGED, f"{path.name} is not readable DICOM: fetch the slide again") from error
    return header if wanted else None


def _area(header: Dataset) -> int:
    return int(header.get("TotalPixelMatrixColumns") or 0) * int(header.get("TotalPixelMatrixRows") or 0)


def kept_source(result: Result) -> list[Dataset]:
    """The header that was kept of the slide's largest image; none, with a line in the log, where it is gone."""
    kept = [a.path for a in result.artifacts if a.kind is ArtifactKind.HEADER and a.path.is_file()]
    if not kept:
        log.warning("slide_header_missing", result=result.id)
        return []
    return read_source(kept[0])


def check_same_specimen(order: Order, source: Sequence[Dataset]) -> None:
    """Raise Refused SPECIMEN_MISMATCH where an identifier that the order and the slide both give differs.

    Patients are compared where the identifiers may come from one authority: two that differ by name issue numbers
    apart.
    """
    asked, containers = order.request, {_text(h, "ContainerIdentifier") for h in source}
    specimens = {_text(s, "SpecimenIdentifier") for h in source for s in h.get("SpecimenDescriptionSequence") or []}
    _check_one_of("container identifier", (asked.specimen.container_id, asked.slide.container_id), containers)
    _check_one_of("specimen identifier", (asked.specimen.id,), specimens)
    issuers = {_text(h, "IssuerOfPatientID") for h in source} - {""}
    if not asked.patient.id_authority or issuers <= {asked.patient.id_authority}:
        _check_one_of("patient identifier", (asked.patient.id,), {_text(h, "PatientID") for h in source})


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
    """The largest image's header, made fit to be copied from: text decoded, missing type 2 elements empty, the caller's
    kept.

    Raises Refused NOT_A_SLIDE without images or where identity is missing, SEVERAL_SLIDES where its size is not the
    result's.
    """
    if not source:
        raise Refused(Reason.NOT_A_SLIDE, "no image of the slide is given to report on")
    largest = max(source, key=_area)
    missing = [k for k in _NEEDED if not largest.get(k)]
    if missing:
        raise Refused(
            Reason.NOT_A_SLIDE, f"the slide's image has no {missing[0]}, so no DICOM report can be tied to it"
        )
    size = result.analysis.slide.size
    if (largest.TotalPixelMatrixColumns, largest.TotalPixelMatrixRows) != (size.width, size.height):
        raise Refused(
            Reason.SEVERAL_SLIDES, f"the largest image is not the one scored, which is {size.width} x {size.height} px"
        )
    return _completed(largest)


def _completed(header: Dataset) -> Dataset:
    kept = deepcopy(header)
    kept.remove_private_tags()
    kept.decode()
    kept.SpecificCharacterSet = CHARACTER_SET
    for keyword in _MAY_BE_EMPTY:
        if keyword not in kept:
            setattr(kept, keyword, None)
    if (kept.PatientSex or "") not in _SEXES:
        kept.PatientSex = None
    return kept


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
