"""Pictures scored while their caller waits, whichever door they come by; nothing of them is kept."""

from collections.abc import Callable
from dataclasses import dataclass

from inference.analysis import ModelFacts
from inference.analyze import cast_doubted, find_cells
from inference.assay import USUAL_MARKER, Assay, assay_of
from inference.cells.histograms import histograms_of
from inference.cells.values import Cells
from inference.control import ABSENT, Control, kind_named
from inference.errors import Reason
from inference.geometry import Size
from inference.infer import Engine
from inference.live import Running
from inference.measures import ALL, Score
from inference.model import Resolution
from inference.quality import Warning
from inference.slide import Slide
from inference.tissue import tissue_area_mm2
from inference.white import white_of
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.order import Specimen
from server.domain.profile import Profile, built_in, check_kind
from server.scoring import remarks_of, scores_of
from server.services.profiles import ProfileService
from server.services.wanted_slide import WantedSlide

LARGEST_BYTES = 16 << 20
LARGEST_SIDE = 8192
"""Pixels, of width and height."""
COARSEST_MPP = 10.0
OVERVIEW_MPP = 2.0

EngineOf = Callable[[Assay], Engine]
OpenImage = Callable[[bytes, float, Resolution], Slide]
"""Opens a PNG or JPEG of so many µm a pixel for a model of that resolution.

Raises Refused as `server.slides.opening.open_slide` does, and for a larger side.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG or JPEG of `mpp` µm a pixel."""

    data: bytes
    mpp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """By which assay and profile a picture is scored."""

    assay: Assay
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a picture of `size` px holds; its scores have no intervals. `running` are those over all fields of its
    stream so far, and `control` is theirs; where it failed there are no scores.
    """

    cells: Cells
    size: Size
    scores: tuple[Score, ...]
    warnings: tuple[str, ...]
    model: ModelFacts
    running: tuple[Score, ...] = ()
    control: Control = ABSENT


class AnalysisService:
    """`engine` makes one when the first picture comes: a server that is sent none needs no networks in memory."""

    def __init__(self, engine: EngineOf, open_image: OpenImage, profiles: ProfileService) -> None:
        self._engine, self._open_image, self._profiles = engine, open_image, profiles

    def method(self, actor: Caller, marker: str, revision: tuple[str, int] | None) -> Method:
        """The usual marker for an empty one, the assay's built-in profile for None.

        Raises Refused ASSAY_UNSUPPORTED, PROFILE_UNKNOWN, PROFILE_INVALID.
        """
        assay = assay_of(marker or USUAL_MARKER)
        if revision is None:
            return Method(assay=assay, profile=built_in(assay))
        profile = self._profiles.get(actor, *revision).profile
        check_kind(profile, assay)
        return Method(assay=assay, profile=profile)

    def running(self, method: Method) -> Running:
        """What a microscope shows, from its first field on."""
        assay, criteria = method.assay, method.profile.criteria
        return Running(analyzer=assay.analyzer, criteria=criteria, measures=assay.measures)

    def analyze(
        self,
        picture: Picture,
        method: Method,
        go_on: Callable[[], None],
        running: Running | None = None,
        *,
        expected: str = "",
        counted: bool = True,
    ) -> Found:
        """`go_on` raises where nobody waits any more, which is asked between two tiles. A field of a stream is taken
        into its `running` score if it is to be `counted`, into its white in any case; one of control tissue that is
        `expected` to be so, such as 3+, is judged instead.

        Raises Refused FIELD_MISSING, MESSAGE_TOO_LARGE, ARGUMENT_INVALID, CONTROL_INVALID, and as `open_image` and the
        engine do.
        """
        check(picture)
        kind = kind_named(expected, method.assay.analyzer.controls) if expected else None
        assay, engine = method.assay, self._engine(method.assay)
        slide = WantedSlide(self._open_image(picture.data, picture.mpp, engine.model.resolution), go_on)
        try:
            white = white_of(slide) if running is None else running.white_with(slide)
            cells = find_cells(slide, engine, assay.analyzer, engine.model.counting_threshold, white=white, fit=False)
            overview, grid = slide.overview(OVERVIEW_MPP)
            if running is not None and kind is not None:
                running.add_control(kind, cells)
            elif running is not None and counted:
                running.add_field(slide, cells)
        finally:
            slide.close()
        areas = {ALL: tissue_area_mm2(overview, grid.mpp)}
        mismatch, histograms = assay.analyzer.mismatch(overview), histograms_of(cells, assay.analyzer.histograms)
        said = {
            Warning.TOO_FEW_NUCLEI: len(cells) < assay.analyzer.least_cells,
            Warning.COLOUR_CAST: cast_doubted(assay.analyzer, engine, white),
            Warning.STAIN_WEAK: assay.analyzer.stain_weak(histograms),
            Warning.OUT_OF_SCOPE: assay.out_of_scope(),
        }
        withheld = running is not None and running.withheld
        rows = scores_of(assay, histograms, method.profile, None, Specimen(), areas_mm2=areas)
        first = [] if mismatch is None else [mismatch.reason.value]
        first += [Reason.CONTROL_FAILED.value] if withheld else []
        return Found(
            cells=cells,
            size=slide.facts.size,
            scores=() if withheld else rows,
            warnings=(
                *first,
                *(w.value for w, there in said.items() if there),
                *remarks_of(assay, histograms, method.profile, None, slide.facts.mpp),
            ),
            model=engine.facts,
            running=() if running is None else running.scores(),
            control=ABSENT if running is None else running.control,
        )


def check(picture: Picture) -> None:
    """Raises Refused FIELD_MISSING, MESSAGE_TOO_LARGE, ARGUMENT_INVALID."""
    if not picture.data:
        raise Refused(ServiceReason.FIELD_MISSING, "image.data is missing")
    if len(picture.data) > LARGEST_BYTES:
        raise Refused(ServiceReason.MESSAGE_TOO_LARGE, f"image.data is larger than {LARGEST_BYTES >> 20} MiB")
    if not 0 < picture.mpp <= COARSEST_MPP:  # NaN compares false; the reader refuses what is too coarse, and why
        message = "image.mpp must be above 0, and no coarser than the marker's model takes"
        raise Refused(ServiceReason.ARGUMENT_INVALID, message)
