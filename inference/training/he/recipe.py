"""Every choice of a training run of H&E. Frozen: an ablation is a recipe with one field replaced."""

from dataclasses import dataclass, field, replace

import numpy as np

from inference.training.augment import MILD, Augmentation
from inference.training.he.data import SIDE
from inference.training.he.loss import Weights

AUGMENTATION = replace(MILD, gamma_share=0.2, white_balance_share=0.2, blur_share=0.15, noise_share=0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One cycle of the learning rate over `steps` batches, or over `minutes` of training where that is less.

    A run by minutes ends in time on a machine that does other work too; its steps are then not the same twice.

    Attributes
    ----------
    side : of a crop, px, a multiple of 64
    known_rate : share of the rate that tensors taken from another network learn with
    average : weight per step that the running average of the weights keeps, once it is that old
    focus : share of the crops that are taken round a nucleus, each kind as often as the others
    """

    seed: int = 1
    steps: int = 4000
    minutes: float = float("inf")
    batch: int = 4
    side: int = SIDE
    rate: float = 2e-3
    known_rate: float = 0.4
    warm_up: float = 0.05
    decay: float = 0.02
    average: float = 0.995
    clip: float = 5.0
    focus: float = 0.4
    weights: Weights = field(default=Weights())
    augmentation: Augmentation = AUGMENTATION

    def progress(self, step: int, seconds: float) -> float:
        """How much of the run is over, 0 to 1 and beyond."""
        return max(step / self.steps, seconds / 60 / self.minutes)

    def rate_at(self, progress: float) -> float:
        """The learning rate of one cycle: a short rise, then a half cosine to nothing."""
        if progress < self.warm_up:
            return self.rate * (0.05 + 0.95 * progress / self.warm_up)
        fall = min((progress - self.warm_up) / (1 - self.warm_up), 1.0)
        return self.rate * max(float(1 + np.cos(np.pi * fall)) / 2, 1e-3)
