"""`chromogen score --dicom`: a result as DICOM objects, beside its other files."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import click
from pydicom import Dataset

from inference.area import Area
from inference.errors import ChromogenError, Failed, Reason, Refused
from inference.slide import SlideFacts
from server.domain.artifact import ArtifactKind, not_made
from server.domain.result import Result
from server.report.ann import ann_parts
from server.report.files import rewrite_warnings
from server.report.identity import write
from server.report.keep import file_name
from server.report.reporters import one
from server.report.score_map import build_map
from server.report.seg import build_seg
from server.report.source import check_reportable, read_source
from server.report.sr import build_sr
from server.slides.quiet import quiet

Areas = Sequence[Area]
BUILDERS: dict[ArtifactKind, Callable[[Result, Sequence[Dataset], Areas], Iterable[Dataset]]] = {
    ArtifactKind.SR: lambda result, source, areas: one(build_sr(result, None, source, areas=areas)),
    ArtifactKind.ANN: lambda result, source, areas: ann_parts(result, source),
    ArtifactKind.SEG: lambda result, source, areas: one(build_seg(result, source)),
    ArtifactKind.MAP: lambda result, source, areas: one(build_map(result, source)),
}


def source_of(slide: Path, facts: SlideFacts) -> list[Dataset]:
    """The slide's headers, fit for reports: asked for before a tile is inferred. Raises Refused NOT_A_SLIDE."""
    if not facts.sop_instance_uids:
        message = f"{slide.name} is no DICOM slide, which the objects of --dicom must refer to: score without it"
        raise Refused(Reason.NOT_A_SLIDE, message)
    source = read_source(slide)
    check_reportable(facts, source)
    return source


def write_objects(result: Result, source: Sequence[Dataset], folder: Path, areas: Areas = ()) -> Result:
    """sr.dcm, and, where there are cells, ann.dcm (ann-2.dcm, ... of very many), seg.dcm and map.dcm.

    `areas` were named to be scored. What can't be built is warned of: the score stands.

    Raises Failed OUTPUT_NOT_WRITABLE.
    """
    for kind, build in BUILDERS.items():
        try:
            with quiet():
                _write_parts(kind, build(result, source, areas), folder)
        except Failed:
            raise
        except Exception as error:  # the text of a library's may hold a patient's data
            reason = error.reason if isinstance(error, ChromogenError) else type(error).__name__
            click.echo(f"{kind.value} can't be built ({reason}): report this as a defect", err=True)
            result = replace(result, warnings=(*result.warnings, not_made(kind)))
    rewrite_warnings(result, folder)
    return result


def _write_parts(kind: ArtifactKind, reports: Iterable[Dataset], folder: Path) -> None:
    """What an earlier run left of the kind is no part of this one."""
    for path in (folder / file_name(kind), *folder.glob(file_name(kind).replace(".", "-*."))):
        path.unlink(missing_ok=True)
    for number, report in enumerate(reports, start=1):
        write(report, folder / file_name(kind, number))
