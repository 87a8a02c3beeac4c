"""The pictures of the model card: drawn from figures alone, the same figures the same file."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="Matplotlib comes with the train extra")

from inference.training.plot import draw_reliability, draw_robustness

FIGURES = {
    "reliability": {
        "error": 0.02,
        "bins": [{"n": 9, "confidence": 0.1, "hits": 0.2}, {"n": 5, "confidence": 0.9, "hits": 0.8}],
    },
    "robustness": [
        {"curve": c, "unit": "factor", "level": v, "mAP": 0.8}
        for c in ("stain_density", "hue", "scale")
        for v in (0.5, 1.0)
    ],
}


def test_the_same_figures_give_the_same_pictures(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        draw_reliability(FIGURES, tmp_path / name)
        draw_robustness(FIGURES, tmp_path / name)
    for picture in ("reliability.svg", "robustness.svg"):
        first, second = ((tmp_path / name / picture).read_bytes() for name in ("a", "b"))
        assert first == second
        assert ElementTree.fromstring(first).tag.endswith("svg")
