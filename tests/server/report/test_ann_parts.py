"""Annotations that are too many for one object come in several, each cell in one of them."""

from dataclasses import replace
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from inference.analyzers.nuclear import NUCLEAR
from inference.cells.file import CellWriter, read_cells, row_groups
from server.domain.artifact import NATURES, Artifact, ArtifactKind, Coordinates
from server.domain.events import Event, EventKind, Route
from server.domain.result import Result
from server.report.ann import ann_parts
from server.report.identity import derived_uid, write
from server.report.rejection import RejectionReporter
from server.report.reporters import CellsReporter, ann_reporter
from server.report.source import KEPT_HEADER
from server.reporting import Reporting
from tests.made import MPP, made_header, made_nuclei, made_order, made_result

MOST = 3_000


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """900 nuclei in nine row groups, and the slide's header."""
    found, header = made_result(tmp_path, n=900), made_header()
    header.ensure_file_meta()
    header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    write(header, tmp_path / KEPT_HEADER)
    path = tmp_path / "in-groups.parquet"
    with CellWriter(path, NUCLEAR.schema, mpp=MPP) as writer:
        for seed in range(9):
            writer.add(made_nuclei(100, seed=seed))
            writer._flush()
    assert row_groups(path) == [100] * 9
    kept = Artifact(kind=ArtifactKind.HEADER, path=tmp_path / KEPT_HEADER)
    return replace(found, artifacts=(Artifact(kind=ArtifactKind.CELLS, path=path), kept))


def in_parts(result: Result, source: list[Dataset]) -> list[Dataset]:
    return list(ann_parts(result, source, most_bytes=MOST))


def points(report: Dataset) -> dict[str, np.ndarray]:
    groups = hd.ann.MicroscopyBulkSimpleAnnotations.from_dataset(report).get_annotation_groups()
    return {group.label: np.concatenate(group.get_graphic_data("2D")) for group in groups}


def test_parts_hold_every_cell_once_and_none_is_larger_than_asked(result: Result) -> None:
    parts = in_parts(result, [made_header()])
    assert len(parts) == 5  # two row groups of 1,200 bytes each
    found = np.concatenate([p for part in parts for p in points(part).values()])
    (cells,) = read_cells(result.cells_file, NUCLEAR.schema)
    wanted = np.stack([cells.x, cells.y], axis=1) + 0.5
    assert np.sort(found.astype("f4").view("c8"), axis=0) == pytest.approx(
        np.sort(wanted.astype("f4").view("c8"), axis=0)
    )
    assert max(sum(len(p) for p in points(part).values()) for part in parts) * 12 <= MOST


def test_parts_are_of_one_series_and_each_has_uids_of_its_own(result: Result) -> None:
    parts = in_parts(result, [made_header()])
    assert len({part.SeriesInstanceUID for part in parts}) == 1
    assert [part.InstanceNumber for part in parts] == [1, 2, 3, 4, 5]
    assert [part.SOPInstanceUID for part in parts[:2]] == [
        derived_uid(result.id, "ANN"),
        derived_uid(result.id, "ANN/2"),
    ]
    groups = [group.AnnotationGroupUID for part in parts for group in part.AnnotationGroupSequence]
    assert len(set(groups)) == len(groups)


def test_every_part_is_sent_and_a_rejection_names_every_part(result: Result) -> None:
    reporter = CellsReporter(kind=ArtifactKind.ANN, make=in_parts, folder=result.cells_file.parent)
    route = Route(artifacts=frozenset(kind for kind in NATURES), to=("archive",))
    reporting = Reporting([reporter, RejectionReporter(result.cells_file.parent)], [route])
    reports = reporting.report(Event(kind=EventKind.PRELIMINARY, order=made_order(), result=result))
    uids = [str(dcmread(delivery.path).SOPInstanceUID) for delivery in reports.deliveries]
    assert (len(set(uids)), uids) == (5, [delivery.message_id for delivery in reports.deliveries])
    assert len({artifact.path for artifact in reports.artifacts}) == 5
    withdrawn = Event(kind=EventKind.WITHDRAWN, order=made_order(), result=result)
    (note,) = reporting.report(withdrawn).deliveries
    (series,) = dcmread(note.path).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {str(item.ReferencedSOPInstanceUID) for item in series.ReferencedSOPSequence} == set(uids)


def test_one_that_isn_t_split_has_the_name_that_it_had(result: Result) -> None:
    kept = ann_reporter(result.cells_file.parent).build(
        Event(kind=EventKind.PRELIMINARY, order=made_order(), result=result)
    )
    assert kept is not None
    assert (kept.path.name, kept.identifier, kept.more) == ("ann.dcm", derived_uid(result.id, "ANN"), ())


def test_coordinates_are_as_the_laboratory_wants_them(result: Result) -> None:
    event = Event(kind=EventKind.PRELIMINARY, order=made_order(), result=result)
    lab = event.order.request.lab
    for wanted in Coordinates:
        reporter = ann_reporter(result.cells_file.parent, {lab: wanted}.__getitem__)
        artifact = reporter.build(event)
        assert artifact is not None
        assert dcmread(artifact.path).AnnotationCoordinateType == wanted.value
