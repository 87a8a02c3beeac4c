"""Files as Leica, PerkinElmer and Trestle lay them out, written here; and formats that are refused by their names.

What a real file has besides isn't known here: docs/slides.md says which formats were tried on real ones.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from inference.errors import Reason, Refused
from inference.geometry import Region
from tests.opened import open_slide

SIDE, BASE = 64, (768, 512)
JPEG = {"photometric": "rgb", "tile": (SIDE, SIDE), "compression": "jpeg", "compressionargs": {"level": 95}}
CM = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 µm/px
Page = tuple[np.ndarray, dict[str, object]]


def smaller(rgb: np.ndarray, by: int) -> np.ndarray:
    return cv2.resize(rgb, (rgb.shape[1] // by, rgb.shape[0] // by), interpolation=cv2.INTER_AREA)


def write(path: Path, pages: list[Page]) -> Path:
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for pixels, more in pages:
            tiff.write(np.ascontiguousarray(pixels), **({"metadata": None} | JPEG | more))
    return path


def check(path: Path, rgb: np.ndarray, levels: list[float]) -> None:
    slide = open_slide(path)
    assert [level.mpp for level in slide.facts.levels] == pytest.approx(levels)
    size = slide.working.size
    found = slide.read(Region(x=0, y=0, width=size.width, height=size.height)).astype(int)
    assert np.abs(found - rgb).mean() < 2


def refused(path: Path, **options: object) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path, **options)
    return caught.value


def scn_image(name: str, at: int, size: tuple[int, int], view: str, levels: int, illumination: str) -> str:
    sizes = [(size[0] // 4**k, size[1] // 4**k) for k in range(levels)]
    dimensions = "".join(
        f'<dimension sizeX="{w}" sizeY="{h}" r="{k}" ifd="{at + k}"/>' for k, (w, h) in enumerate(sizes)
    )
    light = f"<illuminationSettings><illuminationSource>{illumination}</illuminationSource></illuminationSettings>"
    return (
        f'<image name="{name}"><pixels sizeX="{size[0]}" sizeY="{size[1]}">{dimensions}</pixels><view {view}/>'
        f"<scanSettings>{light}</scanSettings></image>"
    )


def scn(folder: Path, regions: list[np.ndarray], macro: np.ndarray, illumination: str = "brightfield") -> Path:
    """Leica's: the picture of the whole slide first, then each region with its levels, a quarter each."""
    whole = 'sizeX="26000000" sizeY="76000000"'
    images = [scn_image("image_0", 0, macro.shape[1::-1], f'{whole} offsetX="0" offsetY="0"', 2, "brightfield")]
    pages: list[Page] = [(macro, {}), (smaller(macro, 4), {})]
    for k, rgb in enumerate(regions):
        view = f'sizeX="{rgb.shape[1] * 500}" sizeY="{rgb.shape[0] * 500}" offsetX="{5_000_000 * k}" offsetY="9000000"'
        images.append(scn_image(f"image_{k + 1}", len(pages), rgb.shape[1::-1], view, 2, illumination))
        pages += [(rgb, {}), (smaller(rgb, 4), {})]
    about = 'xmlns="http://www.leica-microsystems.com/scn/2010/10/01"'
    text = f'<?xml version="1.0"?><scn {about}><collection name="x" {whole}>{"".join(images)}</collection></scn>'
    pages[0][1]["description"] = text
    return write(folder / "a.scn", pages)


def test_a_leica_scn_is_read_with_its_levels(kit, tmp_path):
    rgb = kit.picture(*BASE)
    check(scn(tmp_path, [rgb], kit.picture(640, 1024, 2)), rgb, [0.5, 2.0])


def test_a_leica_scn_of_two_regions_is_refused_and_of_a_small_one_beside_read(kit, tmp_path):
    rgb, macro = kit.picture(*BASE), kit.picture(640, 1024, 2)
    assert refused(scn(tmp_path, [rgb, kit.picture(640, 512, 5)], macro)).reason is Reason.SEVERAL_SLIDES
    check(scn(tmp_path, [rgb, kit.picture(256, 128, 5)], macro), rgb, [0.5, 2.0])


def test_a_leica_scn_of_fluorescence_is_refused_as_that(kit, tmp_path):
    path = scn(tmp_path, [kit.picture(*BASE)], kit.picture(640, 1024, 2), illumination="fluorescence")
    assert refused(path).reason is Reason.NOT_BRIGHTFIELD


def qptiff(folder: Path, rgb: np.ndarray, **more: object) -> Path:
    """PerkinElmer's: the slide, its thumbnail, its other levels, an overview and the label."""

    def page(pixels: np.ndarray, kind: str, **options: object) -> Page:
        about = f"<PerkinElmer-QPI-ImageDescription><ImageType>{kind}</ImageType></PerkinElmer-QPI-ImageDescription>"
        text = f'<?xml version="1.0" encoding="utf-8"?>{about}'
        return pixels, {"description": text, "software": "PerkinElmer-QPI", **CM, **more, **options}

    beside = {"tile": None, "rowsperstrip": 32}
    levels = [page(smaller(rgb, by), "ReducedResolution", subfiletype=1) for by in (2, 4)]
    pages = [page(rgb, "FullResolution"), page(smaller(rgb, 3), "Thumbnail", **beside), *levels]
    pages += [page(smaller(rgb[::-1], 2), "Overview"), page(smaller(rgb[:, ::-1], 2), "Label")]
    return write(folder / "a.qptiff", pages)


def test_a_perkinelmer_qptiff_is_read_with_its_levels(kit, tmp_path):
    rgb = kit.picture(*BASE)
    check(qptiff(tmp_path, rgb), rgb, [0.5, 1.0, 2.0])


def test_a_perkinelmer_qptiff_of_fluorescence_is_refused_for_its_colours(kit, tmp_path):
    """Each of its channels is a grey page."""
    grey = {"photometric": "minisblack", "compression": "zlib", "compressionargs": None}
    path = qptiff(tmp_path, kit.picture(*BASE)[..., 0], **grey)
    error = refused(path)
    assert (error.reason, "1 x 8 bit, MINISBLACK" in error.message) == (Reason.WRONG_COLOUR_SPACE, True)


TRESTLE = "Background Color=E6E6E6;White Balance=00;Objective Power=20;JPEG Quality=0;OverlapsXY="


def trestle(folder: Path, rgb: np.ndarray, overlaps: str) -> Path:
    about = {"description": TRESTLE + overlaps, "software": "MedScan 1.0", **CM}
    return write(folder / "a.tif", [(rgb, about), (smaller(rgb, 2), {"subfiletype": 1})])


def test_a_trestle_slide_is_read_where_its_tiles_meet(kit, tmp_path):
    rgb = kit.picture(*BASE)
    check(trestle(tmp_path, rgb, " 0 0 0 0;"), rgb, [0.5, 1.0])


@pytest.mark.parametrize("overlaps", [" 64 64 32 32;", "0 64 0 32", " 0 0 32 32 "])
def test_a_trestle_slide_whose_tiles_overlap_is_refused_for_that(kit, tmp_path, overlaps):
    error = refused(trestle(tmp_path, kit.picture(*BASE), overlaps))
    assert (error.reason, "tiles that overlap" in error.message) == (Reason.UNSUPPORTED_SYNTAX, True)


@pytest.mark.parametrize("named", [True, False])
def test_an_olympus_vsi_is_refused_by_its_name_and_not_scored_by_its_overview(kit, tmp_path, named):
    path = write(tmp_path / ("a.vsi" if named else "a.tif"), [(kit.picture(*BASE), CM)])
    if not named:
        (tmp_path / "_a_" / "stack1").mkdir(parents=True)
        (tmp_path / "_a_" / "stack1" / "frame_t.ets").write_bytes(b"SIS\0")
    error = refused(path)
    assert (error.reason, "Olympus VSI" in error.message) == (Reason.UNSUPPORTED_SYNTAX, True)


def test_a_mirax_slide_without_its_folder_is_not_scored_by_its_thumbnail(kit, tmp_path):
    (tmp_path / "a.mrxs").write_bytes(kit.jpeg(kit.picture(*BASE)))
    error = refused(tmp_path / "a.mrxs", mpp=0.5)
    assert (error.reason, "3DHISTECH MRXS" in error.message) == (Reason.UNSUPPORTED_SYNTAX, True)
