"""Headers as a hostile scanner might write them, each through the whole path but for the networks.

Whatever an attribute holds, at any depth, a slide is refused before a tile is inferred, with a reason of ours, or every
report of it is built. SOAK=1 tries thousands.
"""

import os
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, Sequence, dcmread
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.tag import Tag

from inference.draw import draw_slide
from inference.errors import ChromogenError
from inference.geometry import Size
from server.demo.slide_header import SlideIdentity
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind
from server.domain.result import Result
from server.report.reporters import SrReporter, ann_reporter, map_reporter, seg_reporter
from server.report.source import KEPT_HEADER, check_same_specimen, keep_header, read_source
from server.slides.quiet import quiet
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.made import CONTAINER, SPECIMEN, made_order, made_result
from tests.opened import open_slide

SIDE = 512
IDENTITY = SlideIdentity(key="fuzz", patient_id="TEST-0001", container_id=CONTAINER, specimen_id=SPECIMEN)
TRIED = 4000 if os.environ.get("SOAK") else 60
TEXTS = ("", " ", "x" * 70, "26.02.2026", "1\\2\\3\\4\\5\\6\\7", "-1", "1e400", "é\tà\x01", "\x1b$B", "^=^=", "1.2.abc")
NUMBERS = (("US", 65535), ("US", 0), ("SS", -1), ("UL", 2**32 - 1), ("FD", float("nan")), ("FL", float("inf")))
ADDED = (
    "TimezoneOffsetFromUTC",
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientWeight",
    "ProcedureCodeSequence",
    "ReferencedStudySequence",
    "ClinicalTrialSponsorName",
    "PyramidUID",
    "ConcatenationUID",
    "InConcatenationNumber",
    "PerFrameFunctionalGroupsSequence",
    "TotalPixelMatrixFocalPlanes",
    "PixelSpacing",
)
KEPT = {"PixelData", "SpecificCharacterSet"}  # a broken character set is tried by bytes


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    drawing = draw_slide(size=Size(width=SIDE, height=SIDE), seed=1, h_score=150)
    (path,) = write_dicom_slide(folder, JpegFrames(drawing), mpp=0.5, identity=IDENTITY, levels=1)
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return made_result(tmp_path_factory.mktemp("result"), n=50)


def datasets(header: Dataset) -> Iterator[Dataset]:
    """The header, and every item below it."""
    yield header
    for element in header:
        if element.VR == "SQ":
            for item in element.value:
                yield from datasets(item)


def changed(header: Dataset, lot: random.Random) -> None:
    """One attribute, anywhere, made into something else (in place)."""
    into = lot.choice(list(datasets(header)))
    names = [e.keyword for e in into if e.keyword not in KEPT] or ["CodeValue"]
    keyword = lot.choice([*names, *names, lot.choice(ADDED)])
    into.pop(keyword, None)
    element = lot.choice(WAYS)(keyword, lot)
    if element is not None:
        into[element.tag] = element


def _removed(keyword: str, lot: random.Random) -> None:
    return None


def _emptied(keyword: str, lot: random.Random) -> DataElement:
    vr = dictionary_VR(Tag(keyword)).split(" or ")[0]
    return DataElement(Tag(keyword), vr, [] if vr == "SQ" else None)


def _text(keyword: str, lot: random.Random) -> DataElement:
    return DataElement(Tag(keyword), "LO", lot.choice(TEXTS), validation_mode=IGNORE)


def _number(keyword: str, lot: random.Random) -> DataElement:
    vr, value = lot.choice(NUMBERS)
    return DataElement(Tag(keyword), vr, [value] * lot.choice((1, 1, 3)))


def _items(keyword: str, lot: random.Random) -> DataElement:
    item = Dataset()
    item.CodeMeaning = "invented"
    return DataElement(Tag(keyword), "SQ", Sequence([Dataset(), item][: lot.randrange(3)]))


def _bytes(keyword: str, lot: random.Random) -> DataElement:
    return DataElement(Tag(keyword), "OB", lot.randbytes(lot.choice((0, 2, 8, 64))))


WAYS: list[Callable[[str, random.Random], DataElement | None]] = [_removed, _emptied, _text, _number, _items, _bytes]


def mutant(slide: Path, seed: int) -> bytes:
    """The file with one to four attributes changed; every third with bytes of its header overwritten instead."""
    lot, whole = random.Random(seed), slide.read_bytes()
    if seed % 3 == 0:
        return overwritten(whole, lot)
    with warnings.catch_warnings(action="ignore"):
        header, out = dcmread(BytesIO(whole)), BytesIO()
        for _ in range(lot.randint(1, 4)):
            changed(header, lot)
        header.save_as(out, enforce_file_format=False, implicit_vr=False, little_endian=True)
    return out.getvalue()


def overwritten(whole: bytes, lot: random.Random) -> bytes:
    out, end = bytearray(whole), whole.index(b"\xe0\x7f\x10\x00OB")
    for _ in range(lot.randint(1, 6)):
        at = lot.randrange(128, end)
        out[at : at + lot.choice((1, 1, 2))] = lot.randbytes(1)
    return bytes(out)


def before_inference(path: Path, result: Result, folder: Path) -> Result:
    """What the path of a case does up to the first tile."""
    source, found = read_source(path), open_slide(path)
    check_same_specimen(made_order(), source)
    keep_header(found.facts, source, folder)
    found.overview(16.0)
    found.close()
    header = Artifact(kind=ArtifactKind.HEADER, path=folder / KEPT_HEADER)
    cells = Artifact(kind=ArtifactKind.CELLS, path=folder / "nuclei.parquet")
    cells.path.unlink(missing_ok=True)
    cells.path.hardlink_to(result.cells_file)
    return replace(result, artifacts=(cells, header), analysis=replace(result.analysis, slide=found.facts))


def test_every_report_is_built_or_the_slide_refused_before_inference(
    slide: Path, result: Result, tmp_path: Path
) -> None:
    reported = 0
    for seed in range(TRIED):
        path = tmp_path / "slide.dcm"
        path.write_bytes(mutant(slide, seed))
        scored = scored_or_refused(path, result, tmp_path)
        if scored is None:
            continue
        event = Event(kind=EventKind.PRELIMINARY, order=made_order(), result=scored)
        for reporter in (make(tmp_path) for make in (SrReporter, ann_reporter, seg_reporter, map_reporter)):
            with quiet():  # as `server.reporting` does
                assert reporter.build(event) is not None, (seed, reporter)
        reported += 1
    assert TRIED / 20 < reported < TRIED


def scored_or_refused(path: Path, result: Result, folder: Path) -> Result | None:
    """None where it was refused, in words that hold nothing of the patient. Warnings are errors here."""
    try:
        return before_inference(path, result, folder)
    except ChromogenError as error:
        said = error.message.upper()
    assert "INVENTED" not in said
    assert "TEST-0001" not in said
    return None
