"""Features of cells as QuPath reads them."""

from inference.analyzers.outlined import OUTLINED
from inference.assay import assay_of
from inference.cells.values import no_cells
from inference.geojson import detections
from server.domain.profile import built_in


def test_of_no_cells_there_are_no_features() -> None:
    assert list(detections(no_cells(OUTLINED.schema), OUTLINED, built_in(assay_of("ER")).criteria, mpp=0.5)) == []
