"""AnalysisService: pictures scored while the caller waits; nothing of them is kept."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chromogen.v1 import analysis_service_pb2 as pb
from chromogen.v1 import profile_service_pb2

from inference.analyze import find_cells
from inference.assay import Assay, assay_of
from inference.cells.histograms import histograms_of
from inference.cells.values import Cells
from inference.infer import Engine
from inference.measures import Score
from inference.model import Resolution
from inference.quality import Warning
from inference.slide import Slide
from server.api import fields
from server.api.convert_profile import revision_of
from server.api.convert_result import cells_message, group_messages, model_message, score_messages
from server.api.gate import Call
from server.api.wanted_slide import WantedSlide
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Specimen
from server.domain.profile import Profile, built_in, check_kind
from server.pipeline import scores_of
from server.services.profiles import ProfileService

LARGEST_BYTES = 16 << 20
LARGEST_SIDE = 8192
"""Pixels, of width and height."""
OVERVIEW_MPP = 2.0
USUAL_MARKER = "ER"

EngineOf = Callable[[Assay], Engine]
OpenImage = Callable[[bytes, float, Resolution], Slide]
"""Opens a PNG or JPEG of so many µm a pixel for a model of that resolution.

Raises Refused as `server.slides.opening.open_slide` does, and for a larger side.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """By which assay and profile a picture is scored."""

    assay: Assay
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a picture holds; its scores have no intervals."""

    cells: Cells
    scores: tuple[Score, ...]
    warnings: tuple[str, ...]


class AnalysisServicer:
    """`engine` makes one when the first picture comes: a server that is sent none needs no networks in memory."""

    def __init__(self, engine: EngineOf, open_image: OpenImage, profiles: ProfileService) -> None:
        self._engine, self._open_image, self._profiles = engine, open_image, profiles

    def AnalyzeImage(self, request: pb.AnalyzeImageRequest, call: Call) -> pb.AnalyzeImageResponse:
        began = time.perf_counter()
        how = self._how(request, call)
        found, analyzer = self._analysed(request.image, how, call), how.assay.analyzer
        return pb.AnalyzeImageResponse(
            scores=score_messages(found.scores),
            cells=cells_message(found.cells, analyzer, how.profile.criteria) if request.with_cells else None,
            groups=group_messages(analyzer) if request.with_cells else (),
            warnings=found.warnings,
            model=model_message(self._engine(how.assay).facts),
            profile=profile_service_pb2.ProfileRevision(name=how.profile.name, revision=how.profile.revision),
            seconds=time.perf_counter() - began,
        )

    def AnalyzeFields(
        self, requests: Iterator[pb.AnalyzeFieldsRequest], call: Call
    ) -> Iterator[pb.AnalyzeFieldsResponse]:
        """Marker and profile of the first field count for all."""
        how: How | None = None
        for request in requests:
            call.go_on()
            began = time.perf_counter()
            how = how or self._how(request, call)
            found, analyzer = self._analysed(request.image, how, call), how.assay.analyzer
            yield pb.AnalyzeFieldsResponse(
                field_id=request.field_id,
                scores=score_messages(found.scores),
                cells=cells_message(found.cells, analyzer, how.profile.criteria) if request.with_cells else None,
                groups=group_messages(analyzer) if request.with_cells else (),
                warnings=found.warnings,
                seconds=time.perf_counter() - began,
            )

    def _how(self, asked: pb.AnalyzeImageRequest | pb.AnalyzeFieldsRequest, call: Call) -> How:
        """Raises Refused ASSAY_UNSUPPORTED, PROFILE_UNKNOWN, PROFILE_INVALID."""
        assay = assay_of(fields.text(asked.marker, "marker") or USUAL_MARKER)
        if not asked.HasField("profile"):
            return How(assay=assay, profile=built_in(assay))
        profile = self._profiles.get(call.actor, *revision_of(asked.profile, "profile")).profile
        check_kind(profile, assay)
        return How(assay=assay, profile=profile)

    def _analysed(self, image: pb.Image, how: How, call: Call) -> Found:
        _check(image)
        analyzer, engine = how.assay.analyzer, self._engine(how.assay)
        slide = WantedSlide(self._open_image(image.data, image.mpp, engine.model.resolution), call.go_on)
        try:
            cells = find_cells(slide, engine, analyzer, engine.model.counting_threshold)
            picture, _ = slide.overview(OVERVIEW_MPP)
        finally:
            slide.close()
        mismatch, histograms = analyzer.mismatch(picture), histograms_of(cells, analyzer.histograms)
        said = {
            Warning.TOO_FEW_NUCLEI: len(cells) < analyzer.least_cells,
            Warning.OUT_OF_SCOPE: how.assay.out_of_scope(),
        }
        first = () if mismatch is None else (mismatch.reason.value,)
        return Found(
            cells=cells,
            scores=scores_of(how.assay, histograms, how.profile, None, Specimen()),
            warnings=(*first, *(w.value for w, there in said.items() if there)),
        )


def _check(image: pb.Image) -> None:
    """Raises Refused FIELD_MISSING, MESSAGE_TOO_LARGE, ARGUMENT_INVALID."""
    if not image.data:
        raise Refused(ServiceReason.FIELD_MISSING, "image.data is missing")
    if len(image.data) > LARGEST_BYTES:
        raise Refused(ServiceReason.MESSAGE_TOO_LARGE, f"image.data is larger than {LARGEST_BYTES >> 20} MiB")
    if not 0 < image.mpp <= 10:  # NaN compares false; what is too coarse the reader refuses, with its reason
        fields.invalid("image.mpp must be above 0, and no coarser than the marker's model takes")
