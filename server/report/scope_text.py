"""What a score is of, where nobody drew it, in a sentence for a person."""

from collections.abc import Iterator

from inference.quality import Warning
from server.domain.result import Result

WHOLE_TISSUE = (
    "The score is of all cells of the tissue, not of the tumour alone: draw the tumour to have a score of it."
)


def whole_tissue_notes(result: Result) -> Iterator[str]:
    """Beside scores that are warned of as WHOLE_TISSUE."""
    if Warning.WHOLE_TISSUE in result.warnings:
        yield result.assay.analyzer.whole_note or WHOLE_TISSUE


def use_notes(result: Result) -> Iterator[str]:
    """What the assay says of itself; that it isn't validated, only until the laboratory has."""
    analyzer = result.assay.analyzer
    if analyzer.unvalidated and result.research_use_only:
        yield analyzer.unvalidated
    yield from analyzer.notes
