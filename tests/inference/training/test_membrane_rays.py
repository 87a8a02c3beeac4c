"""The network of rays is fitted to what was drawn."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from inference.analyzers.membrane_contour import RAYS
from inference.analyzers.membrane_rays import OFFSETS_UM, PLANES
from inference.draw.her2 import Her2Drawing, Plan
from inference.draw.scanner import Scanner
from inference.training.membrane_rays import fitted, sample, write


def test_a_drawing_is_learnt_and_written_as_the_analyzer_reads_it(tmp_path: Path) -> None:
    mix = {"none": 0.4, "moderate_incomplete": 0.3, "intense_complete": 0.3}
    plan = Plan(side_um=120, mix=mix, tumour_share=0.95)
    seen = sample(Her2Drawing(plan, Scanner(mpp=0.5, jpeg=None), seed=3))
    assert seen.seen[0].shape[1:] == (RAYS, len(OFFSETS_UM) * PLANES)
    share = (seen.stained * seen.arc).sum(1) / seen.arc.sum(1)
    assert float((share - seen.completeness).abs().mean()) < 0.06  # rays and contour say the same of a cell
    network = fitted([replace(seen)], epochs=30)
    with torch.no_grad():
        right = ((network(seen.seen[0], seen.told) > 0) == (seen.stained > 0.5)).float().mean()
    assert float(right) > 0.85
    write(network, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as file:
        assert file["across"].shape[1] == seen.seen[0].shape[2]
