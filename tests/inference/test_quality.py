"""What is said of pictures that are unfit, or less fit, to be scored."""

import cv2
import numpy as np
import pytest

from inference.draw import draw_slide
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.geometry import Region, Size
from inference.quality import BLURRED, INK_SHARE, background_coloured, ink_share, looks_like_he, sharpness
from inference.slide import Rgb

EOSIN, PEN = (225, 150, 190), (20, 140, 60)


@pytest.fixture(scope="module")
def drawn() -> Rgb:
    """Immunostained tissue, 1024 x 1024 px at 0.5 µm/px."""
    size = Size(width=1024, height=1024)
    return draw_slide(size=size, seed=5, h_score=150).read(Region(x=0, y=0, width=size.width, height=size.height))


def test_an_immunostain_is_neither_pink_nor_inked(drawn: Rgb) -> None:
    assert not looks_like_he(drawn)
    assert ink_share(drawn) == 0


def test_tissue_that_is_mostly_pink_is_he(drawn: Rgb) -> None:
    pink = drawn.copy()
    pink[:, :512] = EOSIN
    assert looks_like_he(pink)


def test_a_pen_stroke_counts_by_its_area(drawn: Rgb) -> None:
    inked = cv2.line(drawn.copy(), (0, 100), (1023, 160), PEN, 40)
    assert ink_share(inked) == pytest.approx(0.04, abs=0.006)
    assert ink_share(inked) > INK_SHARE


@pytest.mark.parametrize("ink", [PEN, (30, 60, 190), (20, 45, 140), (28, 26, 30), (60, 62, 60)])
def test_ink_of_any_usual_colour_is_seen_on_both_stains(drawn: Rgb, ink: tuple[int, int, int]) -> None:
    """Green, two blues, two blacks, of which tissue shows through a little."""
    he = HeDrawing(Plan(side_um=256, tissue=0.97), Scanner(jpeg=None), seed=5).pixels()
    for picture in (drawn, he):
        low = np.asarray(cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA), np.uint8)
        through = low.astype(np.float32) ** 0.25 * 255**0.75 * (np.array(ink) / 255)
        line = cv2.line(np.zeros((256, 256), np.uint8), (0, 100), (255, 140), 1, 30)
        inked = np.where(line[..., None] > 0, through, low).astype(np.uint8)
        assert ink_share(low) < 0.001
        assert ink_share(inked) == pytest.approx(line.mean(), rel=0.3)


def test_what_was_never_scanned_is_no_ink(drawn: Rgb) -> None:
    """Nor the edge of it, nor strong haematoxylin, DAB, or both."""
    for black in (0, 4):
        holed = drawn.copy()
        holed[200:700, 300:800] = black
        assert ink_share(holed) < 0.001
    haematoxylin, dab = np.array([0.65, 0.70, 0.29]), np.array([0.27, 0.57, 0.78])
    for density in (1.2 * haematoxylin, 1.2 * dab, haematoxylin + dab):
        stained = np.full((64, 64, 3), 255 * 10**-density, np.uint8)
        assert ink_share(stained) == 0


def test_a_tile_out_of_focus_is_told_from_a_sharp_one(drawn: Rgb) -> None:
    blurred = cv2.GaussianBlur(drawn, (0, 0), 3.0)  # 1.5 µm
    assert sharpness(drawn, 0.5) > BLURRED > sharpness(np.asarray(blurred, np.uint8), 0.5)


def test_finer_pixels_are_not_taken_for_a_blur(drawn: Rgb) -> None:
    """Enlarged twice the picture shows as much as before."""
    fine = np.asarray(cv2.resize(drawn, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
    assert sharpness(fine, 0.25) == pytest.approx(sharpness(drawn, 0.5), rel=0.25)
    assert sharpness(np.asarray(cv2.GaussianBlur(fine, (0, 0), 6.0), np.uint8), 0.25) < BLURRED


def test_the_smallest_tile_has_a_sharpness() -> None:
    assert sharpness(np.full((32, 32, 3), 200, np.uint8), 0.5) == 0


def test_glass_that_is_nearly_white_or_grey_is_no_cause_for_doubt(drawn: Rgb) -> None:
    assert not background_coloured(drawn)
    for glass in ((255, 255, 255), (240, 235, 248), (235, 228, 215), (190, 190, 190), (0, 0, 0)):
        assert not background_coloured(np.full((64, 64, 3), glass, np.uint8))


def test_ycbcr_taken_for_rgb_and_rgb_taken_for_ycbcr_are_doubted(drawn: Rgb) -> None:
    taken_for_rgb = cv2.cvtColor(drawn, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    converted_twice = cv2.cvtColor(np.ascontiguousarray(drawn[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB)
    assert background_coloured(np.asarray(taken_for_rgb, np.uint8))
    assert background_coloured(np.asarray(converted_twice, np.uint8))


def test_strong_stain_that_fills_a_picture_is_not_taken_for_glass() -> None:
    assert not background_coloured(np.full((64, 64, 3), (150, 95, 60), np.uint8))
