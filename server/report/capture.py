"""A result's picture of the slide as a secondary capture, its score burnt in: for viewers that show no annotations.

It shows no label and names no patient; whose it is stands in the header.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from highdicom import CoordinateSystemNames
from highdicom.sc import SCImage
from pydicom import Dataset
from pydicom.uid import JPEGBaseline8Bit

from inference.errors import Failed, Reason
from inference.slide import Rgb
from server.domain.result import Result
from server.report import identity
from server.report.files import OVERLAY
from server.report.source import main_image

SERIES_NUMBER = 9106
_TAKEN = (
    "series_instance_uid",
    "series_number",
    "sop_instance_uid",
    "instance_number",
    "manufacturer",
    "manufacturer_model_name",
    "software_versions",
    "device_serial_number",
    "series_description",
    "specific_character_set",
)
"""Of an object's identity what a capture has."""


def captures(result: Result, source: Sequence[Dataset]) -> Iterator[Dataset]:
    """One, of the picture that lies beside the cells; none where it is gone.

    Raises Refused as `source.main_image`, Failed OUTPUT_NOT_WRITABLE for a picture that can't be read.
    """
    if result.cells_file.with_name(OVERLAY).is_file():
        yield build_capture(result, source, read_overlay(result))


def read_overlay(result: Result) -> Rgb:
    """(h, w, 3). Raises Failed OUTPUT_NOT_WRITABLE (retryable)."""
    found = cv2.imread(str(result.cells_file.with_name(OVERLAY)), cv2.IMREAD_COLOR)
    if found is None:
        raise Failed(Reason.OUTPUT_NOT_WRITABLE, f"{OVERLAY} can't be read from the disk", retryable=True)
    return np.ascontiguousarray(found[..., ::-1]).astype(np.uint8)


def build_capture(result: Result, source: Sequence[Dataset], picture: Rgb) -> Dataset:
    """Raises Refused as `source.main_image`."""
    image = main_image(result, source)
    given = identity.identity(result, "SC", series_number=SERIES_NUMBER, description="Overview with score")
    kept: dict[str, Any] = {key: value for key, value in given.items() if key in _TAKEN}
    report = SCImage.from_ref_dataset(
        ref_dataset=image,
        pixel_array=picture,
        photometric_interpretation="YBR_FULL_422",
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.SLIDE,
        container_identifier=str(image.ContainerIdentifier),
        specimen_descriptions=image.SpecimenDescriptionSequence,
        transfer_syntax_uid=JPEGBaseline8Bit,
        **kept,
    )
    report.BurnedInAnnotation = "NO"  # the standard's means what identifies the patient
    report.ImageComments = identity.use_of(result)
    report.add_new("PatientOrientation", "CS", None)  # as of the segmentation
    identity.settle(report, result, image)
    report.DateOfSecondaryCapture, report.TimeOfSecondaryCapture = (
        report.InstanceCreationDate,
        report.InstanceCreationTime,
    )
    return report
