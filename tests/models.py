"""The shipped models, as tests name them."""

from inference.model import read_model, shipped_models

IHC_TILE = read_model(shipped_models(), "ihc_tile")
SHAPE = IHC_TILE.tile
STRIDE = SHAPE.stride
HALF_A_MICROMETRE = IHC_TILE.resolution
FINDER, GRADER = IHC_TILE.graphs
DETECTION, GRADING = FINDER.name, GRADER.name
