"""Real files from ../shared/data/slides, skipped where these are absent."""

import numpy as np
import pytest
import tifffile

from inference.errors import Reason, Refused
from inference.geometry import Region
from inference.slide import FrameUnreadable
from server.slides.framed_slide import FramedSlide
from tests.opened import open_framed, open_slide


def whole(slide: FramedSlide) -> np.ndarray:
    size = slide.working.size
    return slide.read(Region(x=0, y=0, width=size.width, height=size.height))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("broken.svs", Reason.NOT_A_SLIDE),
        ("wsi_annotation.dcm", Reason.NOT_A_SLIDE),
        ("no such slide.svs", Reason.NOT_A_SLIDE),
        ("multi_frame_jpeg_camelyon_challenge_image.dcm", Reason.TOO_COARSE),
        ("multi_frame_jpeg2000_camelyon_challenge_image.dcm", Reason.TOO_COARSE),
        ("syntaxes/jpeg.dcm", Reason.TOO_COARSE),
        ("syntaxes/jpeg2000.dcm", Reason.TOO_COARSE),
        ("syntaxes/raw.dcm", Reason.TOO_COARSE),
        ("tcga-cr-7395-01a-01-ts1.svs", Reason.NO_PIXEL_SIZE),
        ("syntaxes", Reason.TOO_COARSE),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line_with_its_reason(slides, name, reason):
    with pytest.raises(Refused) as caught:
        open_slide(slides / name)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)


def test_the_three_transfer_syntaxes_of_one_image_agree(slides):
    raw, lossless, jpeg = (
        whole(open_framed(slides / "syntaxes" / f"{name}.dcm", allow_coarse=True)).astype(int)
        for name in ("raw", "jpeg2000", "jpeg")
    )
    np.testing.assert_array_equal(lossless, raw)
    assert np.abs(jpeg - raw).mean() < 2.5


@pytest.mark.filterwarnings("ignore")  # wsidicom's own
@pytest.mark.parametrize(
    "name", ["multi_frame_jpeg_camelyon_challenge_image.dcm", "multi_frame_jpeg2000_camelyon_challenge_image.dcm"]
)
def test_wsidicom_reads_the_same_pixels(slides, name):
    wsidicom = pytest.importorskip("wsidicom")
    ours = whole(open_framed(slides / name, allow_coarse=True)).astype(int)
    with wsidicom.WsiDicom.open(slides / name) as other:
        theirs = np.asarray(other.read_region((0, 0), 0, (ours.shape[1], ours.shape[0])).convert("RGB"))
    assert np.abs(ours - theirs).max() <= 3


def test_a_real_slide_has_the_colours_that_tifffile_decodes(slides):
    path = slides / "CMU-1-Small-Region.svs"
    slide = open_framed(path)
    assert slide.facts.mpp == 0.499
    assert np.abs(whole(slide).astype(int) - tifffile.imread(path)).max() <= 2
    assert slide.decoded == 10 * 13


def test_a_slide_without_a_pixel_size_is_read_when_one_is_given(slides):
    path = slides / "tcga-cr-7395-01a-01-ts1.svs"
    slide = open_framed(path, mpp=0.5)
    region = Region(x=2000, y=1700, width=300, height=200)
    np.testing.assert_array_equal(slide.read(region), tifffile.imread(path)[1700:1900, 2000:2300])
    assert len(slide.facts.levels) == 2
    assert slide.facts.icc_sha256 is not None
    assert open_framed(path, mpp=0.25).source.level == 1


@pytest.mark.parametrize("share", [0.001, 0.25, 0.5, 0.9])
def test_a_real_slide_that_was_cut_off_is_refused_or_its_frames_are_named(slides, tmp_path, share):
    data = (slides / "CMU-1-Small-Region.svs").read_bytes()
    cut = tmp_path / "cut.svs"
    cut.write_bytes(data[: int(len(data) * share)])
    if share > 0.8:  # the first directory and all frames of the base level are there
        assert whole(open_framed(cut)).shape == (2967, 2220, 3)
        return
    with pytest.raises((Refused, FrameUnreadable)) as caught:
        whole(open_framed(cut))
    assert caught.value.reason == Reason.SLIDE_DAMAGED


def test_converting_colours_to_srgb_hardly_changes_a_slide_that_is_srgb(slides):
    path, region = slides / "tcga-cr-7395-01a-01-ts1.svs", Region(x=2000, y=1700, width=100, height=100)
    plain, converted = (open_slide(path, mpp=0.5, icc=icc).read(region).astype(int) for icc in (False, True))
    assert np.abs(plain - converted).mean() < 3
