"""One picture written in ways that went wrong once is scored as the picture itself is, or refused with a true reason.

Scored by command, as a person does. SOAK=1 scores all of them; what the reader makes of each is always tried
(tests/server/slides/test_failing_slides.py).
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from inference.errors import Refused
from server.cli.score import score

FAILING = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "slides-failing"
pytestmark = pytest.mark.skipif(
    not FAILING.is_dir(), reason="../shared/data/slides-failing is not there: it holds slides that aren't shipped"
)


NUCLEI, H_SCORE = 0.005, 1.0
"""How far off the reference's answer: a share of the nuclei, points of H-score. All of them were encoded anew; the
farthest is off by 0.0022 and 0.3.
"""
SAME_SLIDE = (
    "dcmtk-jlsn.dcm",
    "jpeg-ycc420-nomarker-pi-rgb.dcm",
    "md-studydate.dcm",
    "ome-mm.ome.tif",
    "or-missing.dcm",
    "ov-as-volume",
    "philips.tiff",
    "pyr2-bad",
    "sp-perframe-measures.dcm",
    "sp-volume-only.dcm",
    "svs-33003-422.svs",
    "ventana-tiledlabel.bif",
)
PART_OF_IT = "philips-padded"
"""Its base shows the left 1,750 of the reference's 2,048 columns."""
REFUSED = {
    "fluor-rgb.dcm": "NOT_BRIGHTFIELD",
    "orthanc-dicomizer-default": "NO_PIXEL_SIZE",
}
OTHER = "orthanc-dicomizer-imagetype"
"""An H&E slide that Orthanc converted: read, and warned of for both."""
ALWAYS = ("jpeg-ycc420-nomarker-pi-rgb.dcm", "svs-33003-422.svs")


def answer(path: Path, *options: str) -> dict[str, Any]:
    """Raises Refused."""
    done = CliRunner().invoke(score, [str(path), *options, "--json"], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return dict(json.loads(done.stdout))


def scored(path: Path, *options: str) -> tuple[int, float]:
    """Nuclei and H-score. Raises Refused."""
    found = answer(path, *options)["compartments"]["all"]
    return found["n"], found["h_score"]


@pytest.fixture(scope="module")
def reference() -> tuple[int, float]:
    return scored(FAILING / "reference.png", "--mpp", "0.5")


def test_each_file_stands_in_one_of_the_tables() -> None:
    assert {p.name for p in FAILING.iterdir()} == {*SAME_SLIDE, PART_OF_IT, *REFUSED, OTHER, "reference.png"}


@pytest.mark.parametrize("name", SAME_SLIDE if os.environ.get("SOAK") else ALWAYS)
def test_it_is_scored_as_the_reference_is(name: str, reference: tuple[int, float]) -> None:
    nuclei, h_score = scored(FAILING / name)
    assert nuclei == pytest.approx(reference[0], rel=NUCLEI)
    assert h_score == pytest.approx(reference[1], abs=H_SCORE)


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="long: SOAK=1")
def test_padded_levels_are_scored_where_the_base_is() -> None:
    nuclei, h_score = scored(FAILING / "reference.png", "--mpp", "0.5", "--region", "0,0,1750,2048")
    assert scored(FAILING / PART_OF_IT) == (pytest.approx(nuclei, rel=NUCLEI), pytest.approx(h_score, abs=H_SCORE))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_says_why(name: str) -> None:
    with pytest.raises(Refused) as refused:
        scored(FAILING / name)
    assert str(refused.value.reason) == REFUSED[name], refused.value.message


@pytest.mark.skipif(not os.environ.get("SOAK"), reason="long: SOAK=1")
def test_another_slide_than_the_reference_is_warned_of() -> None:
    assert {"NO_FRAME_OF_REFERENCE", "NOT_IHC"} <= set(answer(FAILING / OTHER, "--anyway")["warnings"])
