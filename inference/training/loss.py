"""Losses of the nucleus network: where nuclei are, of which compartment, and what a teacher answers."""

from typing import assert_never

import torch
from torch import Tensor, nn

from inference.training.recipe import Loss, Recipe

HUBER_SCALE = 4.0  # brings Huber's loss of small Gaussians to the size of the focal loss
FOUND_POWER, EMPTY_POWER = 2, 4  # CornerNet, Law & Deng 2018: of the hard examples, and of the neighbourhood of peaks
TEACHER_SCALE = 4.0


def loss_of(logits: Tensor, target: Tensor, recipe: Recipe) -> Tensor:
    """Detection plus compartment; logits (b, 2, h, w), target (b, 4 or more, h, w) as of `data.Crop`."""
    nucleus, epithelium, weight, inside = target[:, :4].unbind(1)
    by_class = recipe.stroma_weight + (recipe.epithelium_weight - recipe.stroma_weight) * epithelium
    probability = logits[:, 0].sigmoid().clamp(1e-5, 1 - 1e-5)
    peak = (nucleus >= 0.999).float() * inside
    match recipe.loss:
        case Loss.FOCAL:
            detection = _focal(probability, nucleus, peak, inside, by_class)
        case Loss.HUBER:
            huber = nn.functional.huber_loss(probability, nucleus, reduction="none") * inside
            detection = HUBER_SCALE * (huber * by_class).sum() / peak.sum().clamp(min=1)
        case _:
            assert_never(recipe.loss)
    soft = epithelium * (1 - recipe.smoothing) + recipe.smoothing / 2
    entropy = nn.functional.binary_cross_entropy_with_logits(logits[:, 1], soft, reduction="none") * by_class
    compartment = (entropy * weight).sum() / (weight * by_class).sum().clamp(min=1)
    return detection + recipe.compartment_weight * compartment


def _focal(probability: Tensor, nucleus: Tensor, peak: Tensor, inside: Tensor, by_class: Tensor) -> Tensor:
    found = peak * by_class * (1 - probability) ** FOUND_POWER * probability.log()
    empty = (inside - peak) * (1 - nucleus) ** EMPTY_POWER * probability**FOUND_POWER * (1 - probability).log()
    return -(found + empty).sum() / peak.sum().clamp(min=1)


def distance_to(teacher: Tensor, logits: Tensor, inside: Tensor) -> Tensor:
    """Cross-entropy against a teacher's maps, weighted to where either sees a nucleus.

    (b, 2, h, w) each, inside (b, h, w).
    """
    soft = teacher.sigmoid()
    entropy = nn.functional.binary_cross_entropy_with_logits(logits, soft, reduction="none")
    near = inside * (0.02 + soft[:, 0] + logits[:, 0].detach().sigmoid())
    nuclei = inside * soft[:, 0]
    detection, compartment = (
        (e * w).sum() / w.sum().clamp(min=1) for e, w in ((entropy[:, 0], near), (entropy[:, 1], nuclei))
    )
    return torch.as_tensor(TEACHER_SCALE * detection + compartment)
