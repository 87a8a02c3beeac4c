"""What docs/dicom-conformance.md and docs/ihe.md say is what the code does (the private codes: test_codes)."""

import re
from pathlib import Path

import pytest
from pydicom.datadict import dictionary_keyword
from pydicom.uid import (
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    MicroscopyBulkSimpleAnnotationsStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from inference.quality import Warning
from server.archive import worklist
from server.archive.association import SYNTAXES
from server.archive.listing import FIELDS
from server.domain.artifact import NATURES, ArtifactKind, Nature
from server.domain.errors import ServiceReason
from server.report import ann, capture, rejection, score_map, seg, sr
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE

ROOT = Path(__file__).resolve().parents[3]
STATEMENT = (ROOT / "docs" / "dicom-conformance.md").read_text()
IHE = (ROOT / "docs" / "ihe.md").read_text()
WRITTEN = {
    ArtifactKind.SR: (Comprehensive3DSRStorage, sr.SERIES_NUMBER, "SR"),
    ArtifactKind.ANN: (MicroscopyBulkSimpleAnnotationsStorage, ann.SERIES_NUMBER, "ANN"),
    ArtifactKind.SEG: (SegmentationStorage, seg.SERIES_NUMBER, "SEG"),
    ArtifactKind.MAP: (ParametricMapStorage, score_map.SERIES_NUMBER, "map"),
    ArtifactKind.SC: (SecondaryCaptureImageStorage, capture.SERIES_NUMBER, "capture"),
    ArtifactKind.KOS: (KeyObjectSelectionDocumentStorage, rejection.SERIES_NUMBER, "rejection note"),
}


def section(name: str, text: str = STATEMENT) -> str:
    return text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


def test_every_object_that_leaves_is_in_the_table_by_its_class_and_no_other() -> None:
    assert set(WRITTEN) == {kind for kind, nature in NATURES.items() if nature is Nature.OBJECT}
    said = {row[1] for row in rows(section("Objects")) if row[1].startswith("1.2.")}
    assert said == {WHOLE_SLIDE_IMAGE, *(uid for uid, _, _ in WRITTEN.values())}
    assert set(rejection.CLASSES) | {ArtifactKind.KOS} == set(WRITTEN)
    assert all(rejection.CLASSES[kind] == uid for kind, (uid, _, _) in WRITTEN.items() if kind in rejection.CLASSES)


def test_series_numbers_are_as_they_are_said() -> None:
    (said,) = re.findall(r"\(numbers ([^)]*)\)", section("Objects"))
    assert dict(each.split(" ", 1) for each in said.split(", ")) == {
        str(number): name for _, number, name in WRITTEN.values()
    }


def test_transfer_syntaxes_that_slides_are_taken_in_are_said() -> None:
    said = section("Services")
    families = {"JPEG Baseline": "JPEG (baseline", "JPEG Extended": "extended", "JPEG Lossless": "lossless)",
                "JPEG 2000": "JPEG 2000", "JPEG-LS": "JPEG-LS", "RLE": "RLE", "Explicit VR Little": "Explicit",
                "Implicit VR Little": "Implicit VR Little Endian"}  # fmt: skip
    for syntax in SYNTAXES:
        (wanted,) = {text for family, text in families.items() if syntax.name.startswith(family)}
        assert wanted in said, syntax.name


def test_services_of_worklists_are_said_by_their_class_and_the_reasons_by_their_code() -> None:
    said = set(re.findall(r"1\.2\.840\.10008\.5\.1\.4\.34\.6\.\d+", section("Services")))
    assert said == {worklist.PUSH, worklist.PULL, worklist.WATCH, worklist.EVENT}
    reasons = [*worklist.REASONS.values(), worklist.OTHERWISE]
    assert all(f"{reason.meaning} ({reason.value})" in section("Services") for reason in reasons)


def test_reasons_that_the_statement_names_are_raised() -> None:
    known = {reason.value for reason in ServiceReason} | {warning.value for warning in Warning}
    from inference.errors import Reason

    known |= {reason.value for reason in Reason}
    named = {row[0].strip("`") for row in rows(section("What is copied from the slide")) if row[0].startswith("`")}
    assert named
    assert named <= known


def test_what_is_asked_of_an_instance_is_what_the_dictionary_calls_so() -> None:
    assert {tag: dictionary_keyword(int(tag, 16)) for tag in FIELDS} == FIELDS


@pytest.mark.parametrize("text", [STATEMENT, IHE], ids=["dicom-conformance.md", "ihe.md"])
def test_every_file_that_is_named_is_there(text: str) -> None:
    """Of several in braces, each."""
    named = re.findall(r"(?:server|tests|docs|inference)/[\w/.{},-]*[\w}]", text)
    assert named
    for name in named:
        before, braces, rest = name.partition("{")
        inside, _, after = rest.partition("}")
        for each in inside.split(",") if braces else [""]:
            assert (ROOT / f"{before}{each}{after}").exists(), name
