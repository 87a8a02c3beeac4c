"""What the archive gets, in a viewer that others wrote: dicom-microscopy-viewer in Chromium, on the slide from Orthanc.

SOAK=1 shows 100,000 nuclei. SCREENSHOTS=DIR leaves `viewer.png`, the picture in docs/viewers.md.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from inference.analyzers.nuclear import NUCLEAR
from inference.cells.file import CellWriter
from inference.cells.values import Cells
from inference.draw import draw_slide
from inference.draw.slide import Drawing
from inference.geometry import Region, Size
from inference.slide import Level
from server.demo.slide_header import SlideIdentity
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.result import Result
from server.report.ann import ann_parts
from server.report.identity import write
from server.report.seg import CELL_UM, build_seg
from server.report.source import read_source
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.e2e.browsing import chromium
from tests.made import made_nuclei, made_result
from tests.orthanc import Orthanc, orthanc
from tests.viewer import viewer_of

pytestmark = [pytest.mark.peer, pytest.mark.timeout(900)]

MPP = 0.5
SIDE, NUCLEI = (9408, 100_000) if os.environ.get("SOAK") else (1536, 2_000)
SCREEN = Size(width=500, height=400)
NEAR_PX = 3.0
CHANGED = 24
"""Of 255, added up over the colours: more than JPEG's decoding twice, less than any overlay."""

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Viewer:
    """The page with the study open; `groups` and `segments` label -> UID."""

    page: Any
    drawing: Drawing
    groups: Mapping[str, str]
    segments: Mapping[str, str]

    def look_at(self, x: float, y: float, resolution: float) -> float:
        """(0, 0) is the top-left corner of the slide; answers with the resolution that it takes."""
        return float(self.page.evaluate("at => lookAt(...at)", [x, y, resolution]))

    def show(self, kind: str, *uids: str, visible: bool = True) -> None:
        self.page.evaluate("shown => setShown(...shown)", [kind, uids, visible])

    def picture(self) -> Picture:
        """(height, width, 3) RGB."""
        png = np.frombuffer(self.page.screenshot(), np.uint8)
        return np.asarray(cv2.imdecode(png, cv2.IMREAD_COLOR_RGB), np.uint8)

    def overlaid(self, kind: str, *uids: str) -> tuple[Picture, Picture]:
        """Without, and with."""
        before = self.picture()
        self.show(kind, *uids)
        after = self.picture()
        self.show(kind, *uids, visible=False)
        return before, after


def result_of(drawing: Drawing, folder: Path) -> Result:
    """Its nuclei where they were drawn, of the grades that they were drawn in."""
    made, truth = made_result(folder, n=1), drawing.truth
    palette = made_nuclei(4096)
    grades = NUCLEAR.group_of(palette, made.profile.criteria) % 4
    like = np.array([np.flatnonzero(grades == grade)[0] for grade in range(4)])[truth.grade]
    columns = {name: values[like] for name, values in palette.columns.items()} | {"compartment": truth.compartment}
    cells = Cells(palette.schema, truth.x, truth.y, columns)
    path = folder / "drawn.parquet"
    with CellWriter(path, cells.schema, mpp=MPP) as writer:
        writer.add(cells)
    sizes = [Size(width=-(-drawing.size.width // k), height=-(-drawing.size.height // k)) for k in (1, 2, 4)]
    levels = tuple(Level(size=size, mpp=MPP * k) for size, k in zip(sizes, (1, 2, 4), strict=True))
    slide = replace(made.analysis.slide, mpp=MPP, size=drawing.size, levels=levels)
    file = Artifact(kind=ArtifactKind.CELLS, path=path)
    return replace(made, analysis=replace(made.analysis, slide=slide), artifacts=(file,))


@pytest.fixture(scope="module")
def drawing() -> Drawing:
    return draw_slide(size=Size(width=SIDE, height=SIDE), seed=5, h_score=150)


@pytest.fixture(scope="module")
def server(drawing: Drawing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("viewer")
    files = write_dicom_slide(folder / "slide", JpegFrames(drawing), mpp=MPP, identity=SlideIdentity(key="viewer"))
    result, source = result_of(drawing, folder), read_source(folder / "slide")
    seg = build_seg(result, source)
    assert seg is not None
    for number, made in enumerate([*ann_parts(result, source), seg]):
        files.append(folder / f"{number}.dcm")
        write(made, files[-1])
    with orthanc(folder / "orthanc") as started:
        for file in files:
            started.add(file)
        yield started


@pytest.fixture(scope="module")
def viewer(server: Orthanc, drawing: Drawing) -> Iterator[Viewer]:
    with viewer_of(server) as address, chromium() as context:
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.set_viewport_size({"width": SCREEN.width, "height": SCREEN.height})
        page.goto(address)
        page.wait_for_function("() => window.setShown")
        study = str(SlideIdentity(key="viewer").study_uid)
        yield Viewer(page=page, drawing=drawing, **page.evaluate("study => openStudy(study)", study))


def changed(before: Picture, after: Picture) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = np.abs(after.astype(int) - before).sum(axis=2) > CHANGED
    return found


def field(drawing: Drawing) -> Region:
    """As large as the screen, about the first nucleus that isn't near an edge of the slide."""
    x, y, width, height = drawing.truth.x, drawing.truth.y, SCREEN.width, SCREEN.height
    inside = (x > width) & (x < SIDE - width) & (y > height) & (y < SIDE - height)
    first = int(np.flatnonzero(inside)[0])
    return Region(x=int(x[first]) - width // 2, y=int(y[first]) - height // 2, width=width, height=height)


def test_nuclei_are_within_three_pixels_of_where_the_picture_has_them(viewer: Viewer) -> None:
    drawing, at = viewer.drawing, field(viewer.drawing)
    assert viewer.look_at(at.x + at.width / 2, at.y + at.height / 2, 1) == 1
    red = [uid for label, uid in viewer.groups.items() if label.endswith("3")]
    before, after = viewer.overlaid("AnnotationGroup", *red)

    inner = drawing.read(at)[20:-20, 20:-20]
    fit = cv2.matchTemplate(before, inner, cv2.TM_CCOEFF_NORMED)
    _, likeness, _, (dx, dy) = cv2.minMaxLoc(fit)
    assert likeness > 0.9
    assert max(abs(dx - 20), abs(dy - 20)) <= 1, "the viewer has the picture elsewhere"

    _, labels, areas, centres = cv2.connectedComponentsWithStats(changed(before, after).astype(np.uint8))
    truth = drawing.truth
    x, y = truth.x - at.x, truth.y - at.y  # of the first pixel's centre; half a pixel is less than what is asked
    inside = (truth.grade == 3) & (x > 20) & (x < at.width - 20) & (y > 20) & (y < at.height - 20)
    places = np.stack([x[inside], y[inside]], axis=1)
    assert len(places) >= 10
    marked = labels[places[:, 1].round().astype(int), places[:, 0].round().astype(int)]
    assert (marked > 0).all(), "a nucleus without its mark"
    alone = [n for n in range(len(places)) if (marked == marked[n]).sum() == 1]
    area = np.median(areas[marked[alone], cv2.CC_STAT_AREA])
    alone = [n for n in alone if areas[marked[n], cv2.CC_STAT_AREA] < 1.1 * area]  # not joined with one at the edge
    assert len(alone) >= 5
    off = np.hypot(*(centres[marked[alone]] - places[alone]).T)
    assert off.max() <= NEAR_PX, off


def test_all_nuclei_are_shown(viewer: Viewer) -> None:
    at = field(viewer.drawing)
    viewer.look_at(at.x + at.width / 2, at.y + at.height / 2, 1)
    before, after = viewer.overlaid("AnnotationGroup", *viewer.groups.values())
    truth, marked = viewer.drawing.truth, changed(before, after)
    x, y = (truth.x - at.x).round().astype(int), (truth.y - at.y).round().astype(int)
    inside = (x >= 0) & (x < at.width) & (y >= 0) & (y < at.height)
    assert len(truth.x) >= NUCLEI
    assert marked[y[inside], x[inside]].mean() > 0.99
    assert marked.mean() < 0.9


def test_a_segment_lies_over_the_squares_that_hold_its_nuclei(viewer: Viewer) -> None:
    resolution = viewer.look_at(SIDE / 2, SIDE / 2, SIDE / SCREEN.height)
    before, after = viewer.overlaid("Segment", viewer.segments["epithelium"])
    square = round(CELL_UM / MPP)
    truth = viewer.drawing.truth
    holds = np.zeros((SIDE // square + 1, SIDE // square + 1), bool)
    of_epithelium = truth.compartment == 1
    holds[(truth.y[of_epithelium] // square).astype(int), (truth.x[of_epithelium] // square).astype(int)] = True
    rows, columns = (
        SIDE / 2 + (np.arange(side) + 0.5 - side / 2) * resolution for side in (SCREEN.height, SCREEN.width)
    )
    row, column = (np.clip(v // square, 0, len(holds) - 1).astype(int) for v in (rows, columns))
    wanted = holds[row][:, column] & ((columns >= 0) & (columns < SIDE))
    found = changed(before, after)
    assert wanted.any()
    assert (wanted & found).sum() / (wanted | found).sum() > 0.95


def test_the_picture_of_the_docs(viewer: Viewer) -> None:
    where = os.environ.get("SCREENSHOTS")
    if where is None:
        pytest.skip("SCREENSHOTS=DIR keeps what the viewer shows")
    at = field(viewer.drawing)
    viewer.look_at(at.x + at.width / 2, at.y + at.height / 2, 0.5)
    _, nuclei = viewer.overlaid("AnnotationGroup", *viewer.groups.values())
    viewer.look_at(SIDE / 2, SIDE / 2, SIDE / SCREEN.height)
    _, segment = viewer.overlaid("Segment", viewer.segments["epithelium"])
    cv2.imwrite(f"{where}/viewer.png", cv2.cvtColor(np.hstack([nuclei, segment]), cv2.COLOR_RGB2BGR))
