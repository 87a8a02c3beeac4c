"""Of a level that only coordinates are of, the header comes from an archive behind DICOMweb, and not its pixels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from inference.draw import draw_slide
from inference.geometry import Region, Size
from inference.model import Resolution
from server.archive.header_stream import NoHeader, header_of
from server.archive.web import Web
from server.demo.slide_header import SlideIdentity
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.report.source import read_source
from server.slides.dicom_slide import open_dicom
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests import fake_pacs as fake_pacs_module
from tests.fake_pacs import FakePacs, fake_pacs
from tests.orthanc import orthanc

SLIDE = SlideIdentity(key="header/only", marker="ER")
QUERY = SlideQuery(slide=SlideReference(series_uid=SLIDE.series_uid, study_uid=SLIDE.study_uid), marker="ER")
MODEL = Resolution(working=0.5, finest=0.4, coarsest=0.6)
SIDE = 2048


@dataclass
class Slide:
    files: list[Path]
    pacs: FakePacs


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    """0.25, 0.5 and 1 µm/px; the model reads the second."""
    folder = tmp_path_factory.mktemp("slide")
    drawing = JpegFrames(draw_slide(size=Size(width=SIDE, height=SIDE), seed=3, h_score=150), quality=95)
    with fake_pacs(folder / "pacs") as pacs:
        yield Slide(write_dicom_slide(folder / "pacs", drawing, mpp=0.25, identity=SLIDE, levels=3), pacs)


def fetched(slide: Slide, folder: Path, resolution: Resolution | None) -> Path:
    return slide.pacs.archive(folder).fetch(
        SlideQuery(slide=QUERY.slide, marker="ER", resolution=resolution), folder / "spool"
    )


def test_the_pixels_of_a_base_that_isn_t_read_stay_where_they_are(slide: Slide, tmp_path: Path) -> None:
    there = fetched(slide, tmp_path, MODEL)
    sizes = {path.name: path.stat().st_size for path in there.iterdir()}
    (base,) = (dcmread(path, stop_before_pixels=True) for path in slide.files[:1])
    (header,) = (name for name in sizes if re.search(r"\.header\.dcm$", name))
    assert header.startswith(base.SOPInstanceUID)
    assert len(sizes) == 3
    assert sizes[header] < slide.files[0].stat().st_size / 50
    read = dcmread(there / header)
    assert "PixelData" not in read
    assert read == base


def test_what_is_read_of_the_slide_and_reported_is_as_from_the_whole(slide: Slide, tmp_path: Path) -> None:
    whole = fetched(slide, tmp_path / "whole", None)
    part = fetched(slide, tmp_path / "part", MODEL)
    one, other = (open_dicom(folder, MODEL, mpp=None, icc=True) for folder in (whole, part))
    assert one.facts == other.facts
    assert one.source == other.source
    region = Region(x=100, y=200, width=500, height=300)
    assert np.array_equal(one.read(region), other.read(region))
    assert np.array_equal(one.overview(8)[0], other.overview(8)[0])
    assert read_source(whole) == read_source(part)
    one.close()
    other.close()


@pytest.mark.parametrize("working", [0.25, 0.3])
def test_a_base_that_is_read_comes_whole(slide: Slide, tmp_path: Path, working: float) -> None:
    finest = Resolution(working=working, finest=working * 0.8, coarsest=working * 1.1)
    there = fetched(slide, tmp_path, finest)
    assert (there / f"{dcmread(slide.files[0], stop_before_pixels=True).SOPInstanceUID}.dcm").exists()


def test_fetched_again_it_isn_t_asked_for_and_whole_where_that_is_wanted(slide: Slide, tmp_path: Path) -> None:
    fetched(slide, tmp_path, MODEL)
    asked = slide.pacs.fetched
    fetched(slide, tmp_path, MODEL)
    assert slide.pacs.fetched == asked
    there = fetched(slide, tmp_path, None)
    assert sorted(p.stat().st_size for p in there.iterdir()) == sorted(p.stat().st_size for p in slide.files)


def test_a_stream_is_taken_no_further_than_the_pixels(slide: Slide) -> None:
    content, taken = slide.files[0].read_bytes(), list[int]()

    def chunks() -> Iterator[bytes]:
        for at in range(0, len(content), 1000):
            taken.append(at)
            yield content[at : at + 1000]

    header = header_of(chunks())
    assert content.startswith(header)
    assert content[len(header) :].startswith(b"\xe0\x7f\x10\x00")
    assert len(taken) * 1000 < len(header) + 3000


def test_where_the_list_doesn_t_say_how_large_pixels_are_the_headers_do(
    slide: Slide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsaid = {"00480001", "00480002", "52009229"}
    listed = fake_pacs_module.row_of
    monkeypatch.setattr(
        fake_pacs_module, "row_of", lambda said: {t: v for t, v in listed(said).items() if t not in unsaid}
    )
    there = fetched(slide, tmp_path, MODEL)
    assert len(list(there.glob("*.header.dcm"))) == 1
    asked = slide.pacs.fetched
    fetched(slide, tmp_path, MODEL)
    assert slide.pacs.fetched == asked


@pytest.mark.peer
def test_of_an_orthanc_the_pixels_don_t_come(slide: Slide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    came, chunks = list[int](), Web._chunks

    def counted(web: Web, *asked: Any) -> Iterator[bytes]:
        for chunk in chunks(web, *asked):
            came.append(len(chunk))
            yield chunk

    monkeypatch.setattr(Web, "_chunks", counted)
    with orthanc(tmp_path / "orthanc") as pacs:
        for path in slide.files:
            pacs.add(path)
        (tmp_path / "here").mkdir()
        there = pacs.archive(tmp_path / "here").fetch(
            SlideQuery(slide=QUERY.slide, marker="ER", resolution=MODEL), tmp_path / "spool"
        )
    base, *others = (path.stat().st_size for path in slide.files)
    print(f"{sum(came)} bytes came, where base and levels have {base} and {others}")
    assert sum(came) < sum(others) + base / 2
    opened = open_dicom(there, MODEL, mpp=None, icc=True)
    assert opened.facts.size == Size(width=SIDE, height=SIDE)
    assert opened.read(Region(x=0, y=0, width=100, height=100)).any()
    opened.close()


@pytest.mark.parametrize("content", [b"", b"nothing of DICOM " * 50])
def test_where_the_pixels_begin_must_be_told(content: bytes) -> None:
    with pytest.raises(NoHeader):
        header_of([content])


def test_without_pixels_there_is_no_header_alone(slide: Slide) -> None:
    content = slide.files[0].read_bytes()
    with pytest.raises(NoHeader):
        header_of([content[: content.index(b"\xe0\x7f\x10\x00")]])
