"""Which pages of a TIFF are the slide, and where its writer says how large a pixel is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from tests.opened import open_slide

OPTIONS = {"photometric": "rgb", "tile": (64, 64), "compression": "zlib"}
UM = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}  # 0.5 µm/px
Page = tuple[np.ndarray, dict[str, object]]


def write(path: Path, pages: Sequence[Page], **options: object) -> Path:
    with tifffile.TiffWriter(path, **options) as tiff:
        for pixels, more in pages:
            tiff.write(pixels, **({"metadata": None} | OPTIONS | more))
    return path


def check_is(path: Path, rgb: np.ndarray, **options: object) -> None:
    slide = open_slide(path, **options)
    size = slide.working.size
    np.testing.assert_array_equal(slide.read(Region(x=0, y=0, width=size.width, height=size.height)), rgb)


def refused(path: Path, **options: object) -> Refused:
    with pytest.raises(Refused) as caught:
        open_slide(path, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def pyramid(rgb: np.ndarray, **more: object) -> list[Page]:
    return [(rgb, dict(more)), (np.ascontiguousarray(rgb[::2, ::2]), {"subfiletype": 1})]


@pytest.mark.parametrize("words", ["Label_Image", "Label Image", "macro", "Thumbnail", "Probe_Image", "an overview"])
@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("side", [192, 640])
def test_a_label_or_macro_picture_before_the_slide_is_passed_over_however_large_it_is(
    kit, tmp_path, words, tiled, side
):
    rgb, beside = kit.picture(512, 256), kit.picture(side, side, 2)
    more = {"description": words} | ({} if tiled else {"tile": None, "compression": None})
    check_is(write(tmp_path / "a.tif", [(beside, more), *pyramid(rgb, **UM)]), rgb)


def test_of_pictures_without_words_the_pyramid_is_the_slide(kit, tmp_path):
    rgb = kit.picture(512, 256)
    check_is(write(tmp_path / "a.tif", [(kit.picture(448, 448, 2), {}), *pyramid(rgb, **UM)]), rgb)


def test_ome_with_the_label_first_is_read_by_its_names(kit, tmp_path):
    rgb, label = kit.picture(512, 256), kit.picture(600, 600, 2)
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tiff:
        tiff.write(label, metadata={"axes": "YXS", "Name": "label image"}, **OPTIONS)
        sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, "Name": "slide"}
        tiff.write(rgb, metadata={"axes": "YXS", **sizes}, **OPTIONS)
    check_is(tmp_path / "a.ome.tif", rgb)
    assert open_slide(tmp_path / "a.ome.tif").facts.mpp == 0.5


def test_leicas_picture_of_the_whole_slide_is_no_slide(kit, tmp_path):
    rgb, macro = kit.picture(512, 256), kit.picture(640, 384, 2)
    text = """<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01">
      <collection name="x" sizeX="26000000" sizeY="76000000">
      <image name="a"><pixels sizeX="640" sizeY="384"><dimension sizeX="640" sizeY="384" r="0" ifd="0"/></pixels>
      <view sizeX="26000000" sizeY="76000000" offsetX="0" offsetY="0"/></image>
      <image name="b"><pixels sizeX="512" sizeY="256"><dimension sizeX="512" sizeY="256" r="0" ifd="1"/></pixels>
      <view sizeX="256000" sizeY="128000" offsetX="1" offsetY="1"/>
      <scanSettings><illuminationSettings><illuminationSource>brightfield</illuminationSource></illuminationSettings>
      </scanSettings></image></collection></scn>"""
    path = write(tmp_path / "a.scn", [(macro, {"description": text}), (rgb, {})])
    check_is(path, rgb)
    assert open_slide(path).facts.mpp == 0.5
    fluorescent = text.replace(">brightfield<", ">fluorescence<")
    path = write(tmp_path / "b.scn", [(macro, {"description": fluorescent}), (rgb, {})])
    assert refused(path).reason == Reason.NOT_BRIGHTFIELD


def test_two_pictures_as_large_as_a_slide_are_refused_with_their_sizes(kit, tmp_path):
    pages = [*pyramid(kit.picture(512, 256), **UM), *pyramid(kit.picture(448, 320, 2), **UM)]
    error = refused(write(tmp_path / "a.tif", pages))
    assert error.reason == Reason.SEVERAL_SLIDES
    assert "512 x 256 px" in error.message
    assert "448 x 320 px" in error.message


def test_a_file_of_a_label_alone_is_no_slide(kit, tmp_path):
    path = write(tmp_path / "a.tif", [(kit.picture(128, 128), {"description": "Label_Image", **UM})])
    assert refused(path).reason == Reason.NOT_A_SLIDE


def test_a_label_in_a_file_name_or_a_long_description_means_nothing(kit, tmp_path):
    rgb = kit.picture(256, 128)
    text = "Aperio Image Library v11\n256x128 [0,0 256x128]|MPP = 0.5|Filename = label macro|Title = thumbnail"
    check_is(write(tmp_path / "label.tif", [(rgb, {"description": text})]), rgb)


XMP = b'<?xml version="1.0"?><Metadata><iScan Magnification="20" ScanRes="0.5" Mode="BF"></iScan></Metadata>'
PHILIPS = (
    '<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP">'
    '<Array><DataObject ObjectType="DPScannedImage"><Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028" '
    'Element="0x0030" PMSVR="IDoubleArray">{}</Attribute></DataObject></Array></Attribute></DataObject>'
)
OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="1"><Pixels ID="1" SizeX="128" SizeY="64" SizeC="3" Type="uint8" DimensionOrder="XYCZT" {}/>'
    "</Image></OME>"
)


def ome(x: str, unit: str) -> dict[str, object]:
    said = f'PhysicalSizeX="{x}" PhysicalSizeY="{x}"'
    said += f' PhysicalSizeXUnit="{unit}" PhysicalSizeYUnit="{unit}"' if unit else ""
    return {"description": OME.format(said).encode()}


@pytest.mark.parametrize(
    "options",
    [
        ome("0.5", ""),
        ome("0.5", "µm"),
        ome("5.0e-1", "µm"),
        ome("0,5", "µm"),
        ome("500", "nm"),
        ome("0.0005", "mm"),
        ome("5e-5", "cm"),
        ome("5E-7", "m"),
        {"description": "Aperio Image Library v11|AppMag = 20|MPP = 0,5"},
        {"description": "Aperio Image Library v11|AppMag = 20|MPP = 5.0e-1"},
        {"description": "Aperio Image Library v11|AppMag = 20|MPP=.5"},
        {"description": PHILIPS.format('"0.0005" "0.0005"')},
        {"description": PHILIPS.format("&quot;0.0005&quot; &quot;0.0005&quot;")},
        {"description": PHILIPS.format('"5.0e-4" "5.0e-4"')},
        {"extratags": [(700, 7, len(XMP), XMP, True)]},
        {"description": "ImageJ=1.54f\nunit=micron\n", "resolution": (2, 2)},
        {"description": "ImageJ=1.54f\nunit=\\u00B5m\n", "resolution": (2, 2)},
        {"description": "ImageJ=1.54f\nunit=mm\n", "resolution": (2000, 2000)},
        {"description": "ImageJ=1.54f\nunit=nm\nloop=false", "resolution": (0.002, 0.002)},
        {"resolution": (50_800, 50_800), "resolutionunit": "INCH"},
    ],
)
def test_the_size_of_a_pixel_is_found_wherever_it_is_said(kit, tmp_path, options):
    path = write(tmp_path / "a.tif", [(kit.picture(128, 64), options)])
    assert open_slide(path).facts.mpp == pytest.approx(0.5)


@pytest.mark.parametrize(
    "options",
    [
        ome("0.5", "pixel"),
        ome("0.5", "reference frame"),
        ome("0", "µm"),
        ome("", "µm"),
        {"description": "ImageJ=1.54f\nunit=pixel\n", "resolution": (2, 2)},
        {"description": "ImageJ=1.54f\n", "resolution": (2, 2)},
        {"description": PHILIPS.format('"0" "0"')},
        {"description": "MPP = 0.5 it says, and is not Aperio's"},
    ],
)
def test_what_is_no_size_of_a_pixel_is_not_taken_for_one(kit, tmp_path, options):
    assert refused(write(tmp_path / "a.tif", [(kit.picture(128, 64), options)])).reason == Reason.NO_PIXEL_SIZE


@pytest.mark.parametrize(
    ("xmp", "reason"),
    [(XMP.replace(b"BF", b"FL"), Reason.NOT_BRIGHTFIELD), (XMP + b'<T OverlapX="12"/>', Reason.UNSUPPORTED_SYNTAX)],
)
def test_ventanas_fluorescence_and_overlapping_tiles_are_refused(kit, tmp_path, xmp, reason):
    path = write(tmp_path / "a.bif", [(kit.picture(128, 64), {"extratags": [(700, 7, len(xmp), xmp, True)]})])
    assert refused(path).reason == reason


def test_tiles_that_meet_are_read(kit, tmp_path):
    rgb, xmp = kit.picture(128, 64), XMP + b'<T OverlapX="0" OverlapY="0"/>'
    check_is(write(tmp_path / "a.bif", [(rgb, {"extratags": [(700, 7, len(xmp), xmp, True)]})]), rgb)


def test_the_sizes_of_levels_stay_those_of_the_file(kit, tmp_path):
    path = write(tmp_path / "a.tif", pyramid(kit.picture(512, 256), **UM))
    assert [v.size for v in open_slide(path).facts.levels] == [Size(width=512, height=256), Size(width=256, height=128)]
