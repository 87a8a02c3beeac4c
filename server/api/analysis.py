"""AnalysisService: pictures scored while the caller waits; nothing of them is kept."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from chromogen.v1 import analysis_service_pb2 as pb
from chromogen.v1 import profile_service_pb2

from inference.analyze import find_nuclei
from inference.grade import counts
from inference.infer import Engine
from inference.nuclei import Histograms, Nuclei
from inference.quality import LEAST_NUCLEI, Warning, looks_like_he
from inference.score import score
from inference.slide import Slide
from server.api import fields
from server.api.convert_profile import revision_of
from server.api.convert_result import model_message, nuclei_messages, scores_message
from server.api.gate import Call
from server.domain.errors import Refused, ServiceReason
from server.domain.profile import BUILT_IN, Profile
from server.domain.result import Scores
from server.services.profiles import ProfileService

LARGEST_BYTES = 16 << 20
LARGEST_SIDE = 8192
"""Pixels, of width and height."""
OVERVIEW_MPP = 2.0

OpenImage = Callable[[bytes, float], Slide]
"""Opens a PNG or JPEG of so many µm a pixel.

Raises Refused as `server.slides.opening.open_slide` does, and for a larger side.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a picture holds."""

    nuclei: Nuclei
    scores: Scores
    warnings: tuple[str, ...]


class AnalysisServicer:
    """`engine` is made when the first picture comes: a server that is sent none needs no networks in memory."""

    def __init__(self, engine: Callable[[], Engine], open_image: OpenImage, profiles: ProfileService) -> None:
        self._engine, self._open_image, self._profiles = engine, open_image, profiles

    def AnalyzeImage(self, request: pb.AnalyzeImageRequest, call: Call) -> pb.AnalyzeImageResponse:
        began = time.perf_counter()
        profile = self._profile(request.profile if request.HasField("profile") else None, call)
        found = self._analysed(request.image, profile)
        return pb.AnalyzeImageResponse(
            scores=scores_message(found.scores),
            nuclei=nuclei_messages(found.nuclei, profile.thresholds) if request.with_nuclei else (),
            warnings=found.warnings,
            model=model_message(self._engine().facts),
            profile=profile_service_pb2.ProfileRevision(name=profile.name, revision=profile.revision),
            seconds=time.perf_counter() - began,
        )

    def AnalyzeFields(
        self, requests: Iterator[pb.AnalyzeFieldsRequest], call: Call
    ) -> Iterator[pb.AnalyzeFieldsResponse]:
        """The profile of the first field counts for all."""
        profile: Profile | None = None
        for request in requests:
            call.go_on()
            began = time.perf_counter()
            if profile is None:
                profile = self._profile(request.profile if request.HasField("profile") else None, call)
            found = self._analysed(request.image, profile)
            yield pb.AnalyzeFieldsResponse(
                field_id=request.field_id,
                scores=scores_message(found.scores),
                nuclei=nuclei_messages(found.nuclei, profile.thresholds) if request.with_nuclei else (),
                warnings=found.warnings,
                seconds=time.perf_counter() - began,
            )

    def _profile(self, asked: profile_service_pb2.ProfileRevision | None, call: Call) -> Profile:
        return BUILT_IN if asked is None else self._profiles.get(call.actor, *revision_of(asked, "profile")).profile

    def _analysed(self, image: pb.Image, profile: Profile) -> Found:
        _check(image)
        slide = self._open_image(image.data, image.mpp)
        try:
            engine = self._engine()
            nuclei = find_nuclei(slide, engine, engine.counting_threshold)
            picture, _ = slide.overview(OVERVIEW_MPP)
        finally:
            slide.close()
        said = {Warning.NOT_IHC: looks_like_he(picture), Warning.TOO_FEW_NUCLEI: len(nuclei) < LEAST_NUCLEI}
        return Found(
            nuclei=nuclei,
            scores=scores_of(nuclei, profile),
            warnings=tuple(w.value for w, there in said.items() if there),
        )


def _check(image: pb.Image) -> None:
    """Raises Refused FIELD_MISSING, MESSAGE_TOO_LARGE, ARGUMENT_INVALID."""
    if not image.data:
        raise Refused(ServiceReason.FIELD_MISSING, "image.data is missing")
    if len(image.data) > LARGEST_BYTES:
        raise Refused(ServiceReason.MESSAGE_TOO_LARGE, f"image.data is larger than {LARGEST_BYTES >> 20} MiB")
    if not 0 < image.mpp <= 10:  # NaN compares false; what is too coarse the reader refuses, with its reason
        fields.invalid("image.mpp must be above 0 and at most 0.625")


def scores_of(nuclei: Nuclei, profile: Profile) -> Scores:
    """By the same histograms as a slide's, without intervals."""
    histograms = Histograms.empty()
    histograms.add(nuclei)
    table = counts(histograms, profile.thresholds)
    return Scores(stroma=score(table[0]), epithelium=score(table[1]), all=score(table.sum(axis=0)))
