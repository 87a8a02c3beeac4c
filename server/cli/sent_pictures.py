"""The pictures of a manifest as the messages of a stream: slides that aren't stored, with their annotations."""

from collections.abc import Iterator, Sequence

from chromogen.v1 import calibration_pb2, result_pb2
from chromogen.v1 import profile_service_pb2 as pb

from inference.analyzers.nuclear import COMPARTMENTS, H_SCORE, PERCENT_POSITIVE
from inference.annotations import Mark, Names
from inference.calibration.sample import Quantity
from inference.errors import Reason, Refused
from server.cli.manifest import ManifestRow
from server.cli.regions import read_marks

MEASURES = {Quantity.H_SCORE: H_SCORE.code, Quantity.PERCENT_POSITIVE: PERCENT_POSITIVE.code}


def messages(
    asked: pb.CalibrateProfileRequest, rows: Sequence[ManifestRow], names: Names
) -> Iterator[pb.CalibratePicturesRequest]:
    """What is to be fitted, then each picture. Raises Refused NOT_A_SLIDE, NO_PIXEL_SIZE, ANNOTATION_INVALID."""
    yield pb.CalibratePicturesRequest(calibration=asked, pictures=len(rows))
    for row in rows:
        yield pb.CalibratePicturesRequest(picture=_picture(row, names))


def _picture(row: ManifestRow, names: Names) -> pb.AnnotatedPicture:
    if row.mpp is None:
        raise Refused(Reason.NO_PIXEL_SIZE, f"{row.name}: give the picture's pixel size in the column mpp, in µm")
    try:
        data = row.image.read_bytes()
    except OSError:
        raise Refused(Reason.NOT_A_SLIDE, f"{row.name}: {row.image} can't be read: correct its path") from None
    return pb.AnnotatedPicture(data=data, mpp=row.mpp, region=_region(row, names))


def _region(row: ManifestRow, names: Names) -> calibration_pb2.CalibrationRegion:
    w = row.region
    return calibration_pb2.CalibrationRegion(
        slide=row.slide,
        window=None if w is None else result_pb2.Window(x_px=w.x, y_px=w.y, width_px=w.width, height_px=w.height),
        annotator=row.annotator,
        nuclei=map(nucleus, read_marks(row.annotation, names) if row.annotation else ()),
        scores=[
            calibration_pb2.RegionScore(region=t.part, measure=MEASURES[t.quantity], value=t.value) for t in row.targets
        ],
    )


def nucleus(mark: Mark) -> calibration_pb2.AnnotatedNucleus:
    """A class that says no compartment is left to the server to refuse."""
    compartment, grade = mark.kind.compartment, mark.kind.grade
    name = f"grade {grade}" if compartment is None else COMPARTMENTS[compartment]
    return calibration_pb2.AnnotatedNucleus(x_px=mark.x, y_px=mark.y, grade=grade, **{"class": name})


def of_pictures(manifest: str) -> bool:
    """Does its first line name pictures, not results?"""
    first, _, _ = manifest.partition("\n")
    return "image" in [name.strip() for name in first.split(",")]
