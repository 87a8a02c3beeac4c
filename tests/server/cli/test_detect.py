"""What `chromogen detect` says beside the nuclei of a picture."""

import numpy as np
import pytest

from inference.assay import USUAL_MARKER, assay_of
from inference.draw import draw_slide
from inference.engines.local import LocalEngine
from inference.geometry import Region, Size
from inference.picture import PictureSlide
from inference.slide import Rgb
from server.cli.detect import found_in
from tests.models import HALF_A_MICROMETRE, IHC_TILE

SIDE = 400


@pytest.fixture(scope="module")
def picture() -> Rgb:
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=4, h_score=120)
    return drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE))


@pytest.mark.parametrize(("blue", "said"), [(1.0, None), (0.82, ["COLOUR_CAST"])])
def test_a_colour_cast_is_warned_of(picture: Rgb, blue: float, said: list[str] | None) -> None:
    tinted = np.asarray(np.rint(picture * np.array([1, 1, blue])), np.uint8)
    slide, engine = PictureSlide(tinted, HALF_A_MICROMETRE), LocalEngine(IHC_TILE, threads=1)
    found = found_in(slide, engine, assay_of(USUAL_MARKER).built_in.criteria, 0.01)
    assert found.get("warnings") == said
    assert len(found["nuclei"]) > 20
