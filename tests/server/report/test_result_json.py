"""A result as JSON."""

import pytest

from inference.assay import assay_of
from inference.fields import FIELD_UM, Heterogeneity, Spot
from server.report.result_json import heterogeneity_json


@pytest.mark.parametrize(("marker", "name"), [("ER", "h_score"), ("P53", "percent_positive")])
def test_a_spot_bears_its_score_under_the_measures_name_too(marker: str, name: str) -> None:
    spot = Spot(x_um=0, y_um=0, side_um=FIELD_UM, n=60, score=7.5)
    found = Heterogeneity(fields=2, standard_deviation=1.0, hot_spot=spot, cold_spot=None)
    said = heterogeneity_json(found, assay_of(marker))
    assert (said["hot_spot"]["score"], said["hot_spot"][name]) == (7.5, 7.5)
    assert {"h_score", "percent_positive"} & said["hot_spot"].keys() == {name}
    assert said["cold_spot"] is None
