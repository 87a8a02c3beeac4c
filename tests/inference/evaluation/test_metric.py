"""The detection metric on cases small enough to work out by hand (reference: EndoNet's protocol, 2.98 µm)."""

import numpy as np
import pytest

from inference.evaluation.metric import Points, curve, evaluate

RADIUS_PX = 5.96


def points(*rows: tuple[float, float, int, float]) -> Points:
    table = np.array(rows, np.float64).reshape(-1, 4)
    return Points(xy=table[:, :2], label=table[:, 2].astype(np.int64), confidence=table[:, 3])


def test_all_found_and_nothing_else_is_an_average_precision_of_one() -> None:
    tile = points((10, 10, 0, 1), (50, 50, 1, 1))
    result = evaluate([tile], [tile], mpp=0.5)
    assert (result.stroma, result.epithelium, result.mAP, result.agnostic, result.f1, result.n) == (1, 1, 1, 1, 1, 2)


def test_a_prediction_at_the_radius_counts_and_beyond_it_does_not() -> None:
    annotated = [points((0, 0, 0, 1))]
    assert curve([points((5.96, 0, 0, 0.9))], annotated, RADIUS_PX).average_precision == 1
    assert curve([points((5.97, 0, 0, 0.9))], annotated, RADIUS_PX).average_precision == 0


def test_an_annotation_is_taken_once_by_the_more_confident_prediction() -> None:
    c = curve([points((1, 0, 0, 0.5), (3, 0, 0, 0.9))], [points((0, 0, 0, 1))], RADIUS_PX)
    assert c.precision.tolist() == [1.0, 0.5]
    assert c.recall.tolist() == [1.0, 1.0]


def test_a_prediction_takes_the_nearest_annotation_that_is_still_free() -> None:
    annotated = [points((0, 0, 0, 1), (4, 0, 0, 1))]
    predicted = [points((1, 0, 0, 0.9), (1.5, 0, 0, 0.8))]  # the second finds (0, 0) taken and (4, 0) within reach
    assert curve(predicted, annotated, RADIUS_PX).average_precision == 1


def test_average_precision_is_the_area_under_the_envelope_over_all_tiles() -> None:
    annotated = [points((0, 0, 0, 1)), points((0, 0, 0, 1))]
    predicted = [points((0, 0, 0, 0.9), (50, 50, 0, 0.8)), points((0, 0, 0, 0.7))]
    # hits in descending confidence: yes, no, yes -> precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1; envelope 1, 2/3, 2/3
    assert curve(predicted, annotated, RADIUS_PX).average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_the_wrong_compartment_is_a_miss_of_its_class_but_a_hit_of_the_nucleus() -> None:
    result = evaluate([points((0, 0, 1, 0.9))], [points((0, 0, 0, 1))], mpp=0.5)
    assert result.stroma == 0
    assert np.isnan(result.epithelium)  # nothing annotated: no figure, and mAP is that of what there is
    assert result.agnostic == 1


def test_annotations_of_another_tile_are_out_of_reach() -> None:
    assert curve([points((0, 0, 0, 0.9)), points()], [points(), points((0, 0, 0, 1))], RADIUS_PX).average_precision == 0


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1 tiles predicted, 2 annotated"):
        curve([points()], [points(), points()], RADIUS_PX)


def test_nothing_predicted_is_zero_not_an_error() -> None:
    result = evaluate([points()], [points((0, 0, 0, 1))], mpp=0.5)
    assert (result.mAP, result.f1, result.n) == (0, 0, 1)
