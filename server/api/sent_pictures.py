"""Pictures that a calibration is sent, one a message: their nuclei are found as each comes, and alone are kept."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from chromogen.v1 import profile_service_pb2 as pb

from inference.assay import assay_of
from server.api import fields
from server.api.convert_calibration import asked_of, calibration_message, picture_region
from server.api.gate import Call
from server.domain.errors import Refused, ServiceReason
from server.services.analysis import AnalysisService, Found
from server.services.analysis import Picture as SentPicture
from server.services.asked_calibration import AskedRegion, Picture
from server.services.calibrations import MOST_REGIONS, CalibrationService

MOST_BYTES = 256 << 20
MOST_NUCLEI = 50_000
"""Of all pictures of a calibration: they are kept with the job."""


class PictureMethods:
    """Each method raises what the services do; `server.api.gate` turns that into a status."""

    def __init__(self, calibrations: CalibrationService, analysis: AnalysisService) -> None:
        self._by_pictures, self._analysis = calibrations, analysis

    def CalibratePictures(
        self, requests: Iterator[pb.CalibratePicturesRequest], call: Call
    ) -> Iterator[pb.CalibratePicturesResponse]:
        first = next(requests, None)
        if first is None or not first.HasField("calibration"):
            fields.invalid("the first message holds no calibration")
        request_id = fields.identifier(first.calibration.request_id, "calibration: request_id")
        asked, wanted = asked_of(first.calibration), fields.number(first.pictures, "pictures", 1, MOST_REGIONS)
        self._by_pictures.check(call.actor, asked)
        yield pb.CalibratePicturesResponse()
        regions, sent, nuclei = list[AskedRegion](), 0, 0
        for request in requests:
            call.go_on()
            number, sent = len(regions) + 1, sent + len(request.picture.data)
            _check_bounds(number, wanted, sent)
            region, found = self._read(request, asked.marker, number, call)
            regions.append(region)
            nuclei += len(found.cells)
            if nuclei > MOST_NUCLEI:
                fields.invalid(
                    f"picture {number}: more than {MOST_NUCLEI} nuclei in all: send fewer or smaller pictures"
                )
            yield pb.CalibratePicturesResponse(
                pictures=number, nuclei=len(found.cells), warnings=[w for w in found.warnings if w not in OF_SCORES]
            )
        if len(regions) != wanted:
            message = f"{len(regions)} of {wanted} pictures came: nothing was kept; send all of them again"
            raise Refused(ServiceReason.FIELD_MISSING, message)
        whole = replace(asked, regions=(*asked.regions, *regions))
        job = self._by_pictures.ask(call.actor, whole, request_id)
        yield pb.CalibratePicturesResponse(pictures=wanted, calibration=calibration_message(job))

    def _read(
        self, request: pb.CalibratePicturesRequest, marker: str, number: int, call: Call
    ) -> tuple[AskedRegion, Found]:
        """Raises Refused as `AnalysisService.analyze` does, ARGUMENT_INVALID naming the picture."""
        where, names = f"picture {number}", [region.name for region in assay_of(marker).analyzer.regions]
        if not request.HasField("picture"):
            fields.invalid(f"{where}: the message holds none")
        sent = SentPicture(data=request.picture.data, mpp=request.picture.mpp)
        found = self._analysis.analyze(sent, self._analysis.method(call.actor, marker, None), call.go_on)
        digest = hashlib.sha256(sent.data).hexdigest()
        picture = Picture(cells=found.cells, size=found.size, mpp=sent.mpp, sha256=digest)
        return picture_region(request.picture.region, names, where, picture), found


OF_SCORES = frozenset({"TOO_FEW_NUCLEI"})
"""What is said of a score, which isn't made here."""


def _check_bounds(number: int, wanted: int, sent: int) -> None:
    if number > wanted:
        fields.invalid(f"more pictures than the first message said ({wanted})")
    if sent > MOST_BYTES:
        message = f"picture {number}: all together are larger than {MOST_BYTES >> 20} MiB: send fewer or smaller ones"
        raise Refused(ServiceReason.MESSAGE_TOO_LARGE, message)
