"""Every hyper-parameter of a training run. Frozen: an ablation is a recipe with one field replaced."""

from dataclasses import dataclass
from enum import StrEnum

from inference.training.augment import STRONG, Augmentation


class Loss(StrEnum):
    """Of the nucleus map: penalty-reduced focal loss of its peaks, or Huber's of the whole Gaussian (EndoNet 2023)."""

    FOCAL = "focal"
    HUBER = "huber"


class Schedule(StrEnum):
    """Of the learning rate: one cycle from and to nothing, or a short rise, a plateau and a fall (going on from
    weights).
    """

    CYCLE = "cycle"
    PLATEAU = "plateau"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A run's choices; `steps` batches of `batch` crops.

    Attributes
    ----------
    warm_up : share of the steps (cycle) or number of steps (plateau) in which the rate rises
    average : weight per step that the running average of the weights keeps; on the plateau it grows from an even
    average he_share, he_until : share of crops from CoNSeP's H&E tiles, and the share of the steps for which they take
    part stroma_weight, epithelium_weight : of a nucleus in the losses (1 : 4 in EndoNet) compartment_weight : of the
    compartment's cross-entropy beside the detection loss smoothing : of the compartment's label distil : share of the
    loss that follows a teacher's answer to the same crop, unstained and turned at random
    """

    seed: int = 1
    steps: int = 3500
    batch: int = 8
    rate: float = 2.5e-3
    schedule: Schedule = Schedule.CYCLE
    warm_up: float = 0.1
    decay: float = 0.03
    average: float = 0.997
    clip: float = 5.0
    he_share: float = 0.3
    he_until: float = 0.4
    loss: Loss = Loss.FOCAL
    stroma_weight: float = 1.0
    epithelium_weight: float = 1.0
    compartment_weight: float = 1.0
    smoothing: float = 0.05
    distil: float = 0.0
    augmentation: Augmentation = STRONG
