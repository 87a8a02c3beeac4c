"""A result's identity and a checkpoint's key follow from every graph of the model, not only from the one that finds."""

from dataclasses import replace

import numpy as np
import pytest

from inference.analysis import ModelFacts
from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.checkpoint import key_of
from inference.geometry import Size
from inference.model import Graph, Model
from inference.slide import Level, SlideFacts
from inference.tissue import Tissue
from server.domain.order import OrderId
from server.domain.profile import built_in
from server.scoring import result_id
from tests.models import IHC_TILE

SLIDE = SlideFacts(mpp=0.5, size=Size(width=9, height=9), levels=(Level(size=Size(width=9, height=9), mpp=0.5),))
TISSUE = Tissue(mask=np.ones((4, 4), bool), cells_per_px=0.5, area_mm2=1.0, overview=np.zeros((4, 4, 3), np.uint8))


def facts(model: Model) -> ModelFacts:
    digests = model.digests()
    return ModelFacts(name="n", version="1", sha256=model.digest(), graphs=digests, engine="local")


def trained_again(graph: Graph) -> Model:
    changed = replace(graph, sha256={**graph.sha256, "1": "0" * 64})
    return replace(IHC_TILE, graphs=tuple(changed if g is graph else g for g in IHC_TILE.graphs))


@pytest.mark.parametrize("graph", IHC_TILE.graphs, ids=lambda graph: graph.name)
def test_a_graph_that_changes_makes_another_result_and_resumes_no_checkpoint(graph: Graph) -> None:
    both = [facts(model) for model in (IHC_TILE, trained_again(graph))]
    profile = built_in(assay_of("ER"))
    assert len({result_id(OrderId("O-1"), profile, model.sha256, "") for model in both}) == 2
    assert len({key_of(SLIDE, model, NUCLEAR.schema, IHC_TILE.tile, [], TISSUE) for model in both}) == 2
