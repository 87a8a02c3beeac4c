"""What a score is of, where nobody drew it, in a sentence for a person."""

from collections.abc import Collection, Iterator

from inference.quality import Warning

WHOLE_TISSUE = (
    "The score is of all cells of the tissue, not of the tumour alone: draw the tumour to have a score of it."
)


def whole_tissue_notes(warnings: Collection[str]) -> Iterator[str]:
    """Beside scores that are warned of as WHOLE_TISSUE."""
    if Warning.WHOLE_TISSUE in warnings:
        yield WHOLE_TISSUE
