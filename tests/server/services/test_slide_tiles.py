"""Tiles of a slide for a browser: each level shows what the slide shows there, and an archive that is away says so."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg

from inference.assay import assay_of
from inference.draw import draw_slide
from inference.geometry import Region, Size
from inference.slide import Rgb, SlideFacts
from server.archive.folder import FolderArchive
from server.demo.slide_header import SlideIdentity
from server.domain.access import Caller
from server.domain.errors import ChromogenError, ServiceReason
from server.domain.result import ResultId
from server.services import slide_tiles
from server.services.opened import Opened
from server.services.slide_tiles import Shown, SlideTiles, pyramid_of
from server.slides.opening import open_slide
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.opened import open_slide as opened_slide

SIDE = 2560
DOCTOR = Caller(subject="dr-a", lab="LAB", roles=frozenset())
ID = ResultId("11111111-1111-1111-1111-111111111111")


@dataclass
class OneOpened:
    """As `OpenedResults` for one result."""

    facts: SlideFacts
    marker: str = "ER"

    def get(self, *_: object) -> Opened:
        assay = assay_of(self.marker)
        criteria = assay.built_in.criteria
        return Opened(lab="LAB", root=ID, assay=assay, criteria=criteria, slide=self.facts, cells_file=None)


@dataclass(frozen=True)
class Laid:
    """A slide in an archive, its pixels, and its tiles."""

    pixels: Rgb
    tiles: SlideTiles
    facts: SlideFacts
    archive: Path


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laid]:
    folder = tmp_path_factory.mktemp("tiles")
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE - 300), seed=5, h_score=150)
    write_dicom_slide(folder / "archive", JpegFrames(drawing), mpp=0.5, identity=SlideIdentity(key="tiles"), levels=2)
    slide = opened_slide(folder / "archive")
    facts = slide.facts
    slide.close()
    archive = FolderArchive(folder / "archive")
    opened: Any = OneOpened(facts)
    tiles = SlideTiles(opened, lambda _: archive, open_slide, folder / "spool")
    pixels = drawing.read(Region(x=0, y=0, width=SIDE, height=SIDE - 300))
    yield Laid(pixels=pixels, tiles=tiles, facts=facts, archive=folder / "archive")
    tiles.close()


def tile(laid: Laid, level: int, column: int, row: int, shown: Shown | None = None) -> Rgb:
    data = laid.tiles.tile(DOCTOR, ID, level, column, row, shown or Shown())
    picture: Rgb = simplejpeg.decode_jpeg(data)
    return picture


@pytest.mark.parametrize("down", [0, 1, 2, 3, 5, 8])
def test_every_level_shows_the_slide(laid: Laid, down: int) -> None:
    pyramid = pyramid_of(laid.facts)
    level, scale = pyramid.levels - 1 - down, 2**down
    width, height = -(-SIDE // scale), -(-(SIDE - 300) // scale)
    columns, rows = -(-width // pyramid.side), -(-height // pyramid.side)
    whole = np.vstack([np.hstack([tile(laid, level, c, r) for c in range(columns)]) for r in range(rows)])
    assert whole.shape == (height, width, 3)
    expected = cv2.resize(laid.pixels, (width, height), interpolation=cv2.INTER_AREA).astype(int)
    apart = np.abs(whole.astype(int) - expected)
    assert apart.mean() < 12
    assert abs(whole.mean() - expected.mean()) < 1.5
    if height > 64:  # shifted by a pixel it would fit worse
        moved = np.abs(whole[:, 2:].astype(int) - expected[:, :-2])
        assert apart.mean() < moved.mean()


@pytest.mark.parametrize(("level", "column", "row"), [(-1, 0, 0), (99, 0, 0), (12, 5, 0), (12, 0, 99), (0, 1, 0)])
def test_outside_of_the_slide_there_is_no_tile(laid: Laid, level: int, column: int, row: int) -> None:
    with pytest.raises(ChromogenError) as error:
        tile(laid, level, column, row)
    assert error.value.reason == ServiceReason.ARGUMENT_INVALID


@pytest.mark.parametrize(("marker", "second", "foreign"), [("ER", "dab", "eosin"), ("HE", "eosin", "dab")])
def test_a_stain_of_the_slide_alone_is_lighter_than_both(
    laid: Laid, tmp_path: Path, marker: str, second: str, foreign: str
) -> None:
    opened: Any = OneOpened(laid.facts, marker)
    tiles = SlideTiles(opened, lambda _: FolderArchive(laid.archive), open_slide, tmp_path)
    one, level = replace(laid, tiles=tiles), pyramid_of(laid.facts).levels - 1
    both = tile(one, level, 2, 2).mean()
    assert tile(one, level, 2, 2, Shown(stain=second, low=0.3, high=2)).mean() > both
    assert tile(one, level, 2, 2, Shown(stain="haematoxylin", low=0.3, high=2)).mean() > both
    with pytest.raises(ChromogenError, match=f"original, haematoxylin, {second}"):
        tile(one, level, 2, 2, Shown(stain=foreign))
    tiles.close()


def test_an_archive_that_is_away_is_asked_once_and_says_so(
    laid: Laid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class Away(FolderArchive):
        def fetch(self, *given: Any) -> Path:
            asked.append(1)
            return super().fetch(*given)

    opened: Any = OneOpened(laid.facts)
    tiles = SlideTiles(opened, lambda _: Away(tmp_path / "nowhere"), open_slide, tmp_path / "spool")
    for _ in range(3):
        with pytest.raises(ChromogenError) as error:
            tiles.tile(DOCTOR, ID, 3, 0, 0, Shown())
        assert error.value.reason == ServiceReason.ARCHIVE_UNREACHABLE
    assert len(asked) == 1
    assert tiles.pyramid(DOCTOR, ID).width == SIDE
    monkeypatch.setattr(slide_tiles, "AWAY_S", 0.0)
    with pytest.raises(ChromogenError):
        tiles.tile(DOCTOR, ID, 3, 0, 0, Shown())
    assert len(asked) == 2
