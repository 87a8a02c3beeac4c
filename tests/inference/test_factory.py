from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from inference.assay import Assay, assay_of, register, unregister
from inference.engines.factory import Engines, check_ready, make_engine
from inference.errors import Failed, Reason, Refused


@pytest.fixture
def assay_of_another_model() -> Iterator[Assay]:
    made = replace(assay_of("ER"), marker="MADEUP", names=frozenset(), model="made_up")
    register(made)
    yield made
    unregister(made.marker)


def test_an_engine_of_this_process_is_usable_once_it_is_made() -> None:
    check_ready(make_engine("local", model="ihc_tile"))


def test_servers_that_are_all_away_are_named_and_it_may_be_tried_again() -> None:
    with pytest.raises(Failed, match=r"127.0.0.1:1:.*127.0.0.1:2:") as failed:
        check_ready(make_engine("triton://127.0.0.1:1,127.0.0.1:2", model="ihc_tile"))
    assert (failed.value.reason, failed.value.retryable) == (Reason.ENGINE_FAILED, True)


def test_assays_of_one_model_share_its_engine() -> None:
    engines = Engines("triton://127.0.0.1:1")
    assert engines.of(assay_of("ER")) is engines.of(assay_of("Ki-67"))
    assert engines.of(assay_of("ER")).model.folder == assay_of("ER").model


def test_readiness_is_asked_of_servers_before_the_first_order_too() -> None:
    with pytest.raises(Failed, match="ENGINE_FAILED"):
        Engines("triton://127.0.0.1:1").check_ready()


def test_a_name_that_is_no_engine_is_refused_before_any_is_made(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="ENGINE_FAILED"):
        Engines("remote", tmp_path)


def test_a_model_of_other_cells_than_the_assay_is_scored_from_is_refused() -> None:
    er = assay_of("ER")
    analyzer = type("Other", (), {"schema": replace(er.analyzer.schema, version=3)})()
    with pytest.raises(Refused, match=r"MODEL_INVALID.*cells of nuclear/2, which ER isn't scored from"):
        Engines("triton://127.0.0.1:1").of(replace(er, analyzer=analyzer))


def test_another_repository_is_read_where_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"MODEL_INVALID: {tmp_path}/ihc_tile/manifest.json can't be read"):
        make_engine("local", tmp_path, model="ihc_tile")


def test_readiness_is_asked_of_the_models_of_all_assays(assay_of_another_model: Assay) -> None:
    engines = Engines("triton://127.0.0.1:1")
    engines.of(assay_of("ER"))
    with pytest.raises(Refused, match=f"MODEL_INVALID: .*/{assay_of_another_model.model}/manifest.json"):
        engines.check_ready()
