"""One picture written in ways that went wrong once: each gives the reference's pixels, or a refusal that is true.

The files aren't shipped. `limit` is the mean difference in grey levels that the encoding of the file itself makes.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.pixels import pixel_array

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from server.report.reportable import reportable
from server.report.source import read_source, scored_image
from tests.opened import open_framed, open_slide

FAILING = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "slides-failing"
WHOLE = Size(width=2048, height=2048)


@dataclass(frozen=True, kw_only=True)
class Read:
    """`size` of the working grid at 0.5 µm/px, from the reference's top left corner."""

    notes: tuple[str, ...] = ()
    size: Size = WHOLE
    levels: int = 1
    limit: float = 2.0


READ = {
    "dcmtk-jlsn.dcm": Read(),
    "jpeg-ycc420-nomarker-pi-rgb.dcm": Read(),
    "md-studydate.dcm": Read(),
    "ome-mm.ome.tif": Read(levels=3),
    "or-missing.dcm": Read(),
    "ov-as-volume": Read(notes=("LEVELS_LEFT_OUT",)),
    # Its base is 3500 px wide: the levels are white beyond that.
    "philips-padded": Read(notes=("LEVELS_LEFT_OUT",), size=Size(width=1750, height=2048), levels=3),
    "philips.tiff": Read(levels=2),
    "pyr2-bad": Read(notes=("SEVERAL_PYRAMIDS",), levels=2),
    "sp-perframe-measures.dcm": Read(),
    "sp-volume-only.dcm": Read(),
    "svs-33003-422.svs": Read(),
    "ventana-tiledlabel.bif": Read(levels=3),
}
REFUSED = {
    "fluor-rgb.dcm": (Reason.NOT_BRIGHTFIELD, "bright field"),
    # It says 15 x 15 mm of a picture that isn't square.
    "orthanc-dicomizer-default": (Reason.NO_PIXEL_SIZE, "6.757 x 5.056 µm, which are not square"),
}
OTHER_PICTURE = {"orthanc-dicomizer-imagetype"}


@pytest.fixture(scope="module")
def folder() -> Path:
    if not FAILING.is_dir():
        assert not os.environ.get("CI"), "../shared/data/slides-failing is not there"
        pytest.skip("../shared/data/slides-failing is not there: it holds slides that the project doesn't ship")
    return FAILING


@pytest.fixture(scope="module")
def reference(folder: Path) -> np.ndarray:
    return cv2.imread(str(folder / "reference.png"), cv2.IMREAD_COLOR_RGB)


def test_each_file_stands_in_one_of_the_tables(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == {*READ, *REFUSED, *OTHER_PICTURE, "reference.png"}


@pytest.mark.parametrize("name", READ)
def test_the_pixels_are_the_references(folder: Path, reference: np.ndarray, name: str) -> None:
    expected, slide = READ[name], open_slide(folder / name)
    size = expected.size
    assert slide.working.size == size
    assert slide.working.mpp == pytest.approx(0.5)
    assert (slide.facts.notes, len(slide.facts.levels)) == (expected.notes, expected.levels)
    found = slide.read(Region(x=0, y=0, width=size.width, height=size.height)).astype(int)
    assert np.abs(found - reference[: size.height, : size.width]).mean() < expected.limit


@pytest.mark.parametrize("name", READ)
def test_the_overview_lies_where_the_pixels_do(folder: Path, reference: np.ndarray, name: str) -> None:
    size, slide = READ[name].size, open_slide(folder / name)
    overview, grid = slide.overview(4.0)
    rows, columns = overview.shape[:2]
    side = round(size.height / rows)
    crop = reference[: rows * side, : columns * side]
    expected = cv2.resize(crop, (columns, rows), interpolation=cv2.INTER_AREA)
    assert (grid.size.width, grid.size.height) == (size.width // side, size.height // side)
    assert np.abs(overview.astype(int) - expected).mean() < 8


# Not the one whose header calls YCbCr RGB: pydicom believes it.
@pytest.mark.parametrize("name", ["md-studydate.dcm", "or-missing.dcm", "sp-volume-only.dcm", "pyr2-bad/a1.dcm"])
def test_pydicom_decodes_the_same_pixels(folder: Path, name: str) -> None:
    slide = open_framed(folder / name, allow_coarse=True)
    for frame in (0, 3):
        row, column = divmod(frame, slide.facts.size.width // 512)
        ours = slide.read(Region(x=512 * column, y=512 * row, width=512, height=512)).astype(int)
        assert np.abs(ours - pixel_array(folder / name, index=frame)).mean() < 2


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_reason(folder: Path, name: str) -> None:
    reason, words = REFUSED[name]
    with pytest.raises(Refused) as refused:
        open_slide(folder / name)
    assert refused.value.reason is reason
    assert words in refused.value.message


def test_orthancs_own_conversion_is_read_with_a_warning_that_it_names_no_frame_of_reference(folder: Path) -> None:
    facts = open_slide(folder / "orthanc-dicomizer-imagetype").facts
    assert (facts.notes, len(facts.levels)) == (("NO_FRAME_OF_REFERENCE",), 5)


@pytest.mark.parametrize("name", sorted(n for n in (*READ, *OTHER_PICTURE) if "." not in n or n.endswith(".dcm")))
def test_what_is_read_can_be_reported(folder: Path, name: str) -> None:
    facts = open_slide(folder / name).facts
    header = reportable(scored_image(facts, read_source(folder / name)), mpp=facts.mpp)
    assert (header.TotalPixelMatrixColumns, header.TotalPixelMatrixRows) == (facts.size.width, facts.size.height)
    assert header.SOPInstanceUID == facts.sop_instance_uids[0]
