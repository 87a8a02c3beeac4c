"""Formats that OpenSlide alone reads; NDPI is tried on made files, the others are off until a setting names them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from server.settings import Slides
from server.slides import openslide_slide
from server.slides.opening import open_framed
from tests.models import HALF_A_MICROMETRE
from tests.ndpi import write_ndpi

pytest.importorskip("openslide", reason="openslide-python is not installed: pip install '.[formats]'")
WIDTH, HEIGHT = 1500, 1100


def opened(path: Path, *, mpp: float | None = None, untried: str = ""):
    as_it_comes = replace(HALF_A_MICROMETRE, kept_within=1.0)
    return open_framed(path, as_it_comes, mpp=mpp, untried=Slides(untried=untried).names)


@pytest.mark.parametrize(("mpp", "scale"), [(0.5, 1), (0.25, 2), (0.23, 2)])
def test_an_ndpi_is_read_at_the_level_that_is_nearest(tmp_path: Path, kit, mpp: float, scale: int) -> None:
    rgb = kit.picture(WIDTH, HEIGHT)
    slide = opened(write_ndpi(tmp_path / "a.ndpi", rgb, mpp=mpp))
    assert slide.facts.mpp == pytest.approx(mpp)
    assert slide.facts.size == Size(width=WIDTH, height=HEIGHT)
    assert slide.working.size == Size(width=WIDTH // scale, height=HEIGHT // scale)
    found = slide.read(Region(x=100, y=200, width=400, height=300)).astype(int)
    means = rgb.reshape(HEIGHT // scale, scale, WIDTH // scale, scale, 3).mean((1, 3))
    assert np.abs(found - means[200:500, 100:500]).mean() < 3
    slide.close()


def test_a_cut_off_ndpi_is_refused_or_its_frames_named(tmp_path: Path, kit) -> None:
    whole = write_ndpi(tmp_path / "a.ndpi", kit.picture(WIDTH, HEIGHT)).read_bytes()
    (tmp_path / "b.ndpi").write_bytes(whole[: len(whole) // 3])
    with pytest.raises(Refused) as refused:
        opened(tmp_path / "b.ndpi")
    assert refused.value.reason is Reason.SLIDE_DAMAGED


def test_without_openslide_it_is_said_what_to_install(tmp_path: Path, kit, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_ndpi(tmp_path / "a.ndpi", kit.picture(WIDTH, HEIGHT))
    monkeypatch.setattr(openslide_slide, "find_spec", lambda name: None)
    with pytest.raises(Refused, match=r"isn't installed: pip install 'chromogen\[formats\]'"):
        opened(path)


def mirax(folder: Path) -> Path:
    (folder / "a").mkdir()
    (folder / "a" / "Slidedat.ini").write_text("[GENERAL]\n")
    (folder / "a.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    return folder / "a.mrxs"


def with_content(name: str, content: bytes):
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


UNTRIED = {
    "mirax": mirax,
    "zeiss": with_content("a.czi", b"ZISRAWFILE" + bytes(500)),
    "sakura": with_content("a.svslide", b"SQLite format 3\0" + bytes(500)),
}


def test_each_untried_format_is_tried_here() -> None:
    assert set(UNTRIED) == set(openslide_slide.UNTRIED)


@pytest.mark.parametrize("vendor", UNTRIED)
def test_what_was_never_tried_is_off_until_it_is_named(tmp_path: Path, vendor: str) -> None:
    path = UNTRIED[vendor](tmp_path)
    with pytest.raises(Refused, match=f"never tried here.*name {vendor} in CHROMOGEN_SLIDES_UNTRIED") as refused:
        opened(path)
    assert refused.value.reason is Reason.UNSUPPORTED_SYNTAX
    with pytest.raises(Refused, match="cut off or damaged") as refused:
        opened(path, untried=f"other, {vendor}")
    assert refused.value.reason is Reason.SLIDE_DAMAGED
