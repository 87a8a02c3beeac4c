"""The nucleus network: a residual U-Net that answers two questions at stride 2.

Where is a nucleus (a peak of `nucleus`), and of which compartment is it (`epithelium`, a map that only means something
at nuclei and is learnt from a wide context). The confidence of a class is the product of both.
"""

import pickle
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.errors import Reason, Refused

WIDTHS = (24, 48, 96, 160, 224)  # channels at scales 1/2, 1/4, 1/8, 1/16, 1/32
DEPTHS = (1, 2, 2, 2, 2)  # residual blocks on the way down
STRIDE = 32  # total stride: sides of the input are multiples of it
HEAT_STRIDE = 2


class Block(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; (b, c, h, w) to the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(x + self.norm2(self.conv2(y)))


def shrink(inside: int, outside: int) -> nn.Sequential:
    """3 x 3 convolution of stride 2."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()
    )


class NucleusNet(nn.Module):
    """(b, 3, h, w) RGB in [0, 1] to (b, 2, h/2, w/2) logits: nucleus, epithelium. h and w multiples of 32."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS, depths: tuple[int, ...] = DEPTHS) -> None:
        super().__init__()
        self.widths = widths
        self.down = nn.ModuleList(shrink(a, b) for a, b in zip((3, *widths[:-1]), widths, strict=True))
        self.encode = nn.ModuleList(
            nn.Sequential(*(Block(w) for _ in range(d))) for w, d in zip(widths, depths, strict=True)
        )
        self.lift = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(widths))
        self.decode = nn.ModuleList(Block(w) for w in widths[:-1])
        self.head = nn.Conv2d(widths[0], 2, 1)
        nn.init.constant_(self.head.bias, -2.0)  # type: ignore[arg-type]

    def features(self, x: Tensor) -> list[Tensor]:
        """What the encoder sees at each scale, finest first."""
        x = (x - 0.5) * 4
        skips = []
        for shrinking, blocks in zip(self.down, self.encode, strict=True):
            x = blocks(shrinking(x))
            skips.append(x)
        return skips

    def forward(self, x: Tensor) -> Tensor:
        skips = self.features(x)
        x = skips[-1]
        for lifting, block, skip in zip(reversed(self.lift), reversed(self.decode), reversed(skips[:-1]), strict=True):
            x = block(skip + functional.interpolate(lifting(x), scale_factor=2.0, mode="nearest"))
        out: Tensor = self.head(x)
        return out


def load(checkpoint: Path) -> NucleusNet:
    """The averaged weights of a run, in evaluation mode.

    Raises Refused MODEL_INVALID on a foreign file, NaN or infinity.
    """
    net = NucleusNet()
    try:
        net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["net"])
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        kind = type(error).__name__
        raise Refused(
            Reason.MODEL_INVALID, f"{checkpoint} isn't a checkpoint of this network ({kind}); train it again"
        ) from None
    if not all(bool(torch.isfinite(v).all()) for v in net.state_dict().values()):
        raise Refused(Reason.MODEL_INVALID, f"{checkpoint} holds weights that are NaN or infinite; train it again")
    return net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def multiply_adds_per_pixel(net: nn.Module) -> float:
    """Multiply-adds of all convolutions for one input pixel."""
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += out.shape[2] * out.shape[3] * module.weight.numel()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d)]
    with torch.no_grad():
        net.eval()(torch.zeros(1, 3, 256, 256))
    for hook in hooks:
        hook.remove()
    return total / 256**2
