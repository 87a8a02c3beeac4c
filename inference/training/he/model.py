"""The H&E network as its configuration says: encoders, one attention module for all, decoders, maps at full size.

Maps: `nucleus` (1 logit), `distance` (2, horizontal and vertical, in -1..1), `kind` (4 logits), at the input's size.
"""

import pickle
import tomllib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.errors import Reason, Refused
from inference.training.he.attention import CrissCross
from inference.training.model import Block, shrink

NETWORKS = Path(__file__).with_name("network.toml")
MAPS = {"nucleus": 1, "distance": 2, "kind": 4}
"""Name and channels of each map, in the order in which the network gives them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A table of network.toml, which says what each means."""

    branches: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    attention: int
    attention_scale: int
    reach: int
    shared_attention: bool

    @property
    def stride(self) -> int:
        return int(2 ** len(self.widths))


def network(name: str, *, attention: bool = True) -> Network:
    """Raises KeyError where network.toml has none of this name; `attention` False leaves that part out."""
    table = tomllib.loads(NETWORKS.read_text())[name]
    table["attention"] *= attention
    lists = {key: tuple(table[key]) for key in ("widths", "depths")}
    return Network(**table | lists | {"branches": tuple(tuple(branch) for branch in table["branches"])})


class Joining(nn.Module):
    """`shrink` of two pictures side by side; its weights have the same names."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        for name, part in shrink(inside, outside).named_children():
            self.add_module(name, part)

    def forward(self, half: Tensor, x: Tensor) -> Tensor:
        x = torch.cat([half, x], dim=1)
        for part in self.children():
            x = part(x)
        return x


class Branch(nn.Module):
    """An encoder and a decoder; (b, 3, h, w) in -2..2 to (b, 4 x maps, h/2, w/2), four pixels of a map after another.

    Scale 1/2 and half the picture's size side by side are what scale 1/4 is made of: from there on the network is
    `NucleusNet`, and may start from its weights.
    """

    def __init__(self, maps: tuple[str, ...], net: Network) -> None:
        super().__init__()
        self.maps = maps
        inside = (3, 3 + net.widths[0], *net.widths[1:-1])
        sides = zip(inside, net.widths, strict=True)
        self.down = nn.ModuleList(Joining(a, b) if i == 1 else shrink(a, b) for i, (a, b) in enumerate(sides))
        self.encode = nn.ModuleList(
            nn.Sequential(*(Block(w) for _ in range(d))) for w, d in zip(net.widths, net.depths, strict=True)
        )
        self.lift = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(net.widths))
        self.decode = nn.ModuleList(Block(w) for w in net.widths[:-1])
        self.head = nn.Conv2d(net.widths[0], 4 * sum(MAPS[m] for m in maps), 3, padding=1)

    def forward(self, x: Tensor, attention: nn.Module | None, scale: int) -> Tensor:
        out: Tensor = self.head(self.trunk(x, attention, scale))
        return out

    def trunk(self, x: Tensor, attention: nn.Module | None, scale: int) -> Tensor:
        """(b, width, h/2, w/2): what the head reads."""
        skips = self.features(x)
        if attention is not None:
            skips[scale] = attention(skips[scale])
        x = skips[-1]
        for lifting, block, skip in zip(reversed(self.lift), reversed(self.decode), reversed(skips[:-1]), strict=True):
            x = block(skip + functional.interpolate(lifting(x), scale_factor=2.0, mode="nearest"))
        return x

    def features(self, x: Tensor) -> list[Tensor]:
        """What the encoder sees at each scale, finest first."""
        half = functional.avg_pool2d(x, 2)
        skips: list[Tensor] = []
        for shrinking, blocks in zip(self.down, self.encode, strict=True):
            x = blocks(shrinking(half, x) if len(skips) == 1 else shrinking(x))
            skips.append(x)
        return skips


class HeNet(nn.Module):
    """(b, 3, h, w) RGB in 0..1 to (b, 7, h, w): MAPS one after another. h and w multiples of the network's stride."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net
        self.branches = nn.ModuleList(Branch(maps, net) for maps in net.branches)
        modules = 0 if not net.attention else 1 if net.shared_attention else len(net.branches)
        width = net.widths[net.attention_scale]
        made = [CrissCross(width, passes=net.attention, reach=net.reach) for _ in range(modules)]
        self.attention = made[0] if modules == 1 else None
        self.attentions = nn.ModuleList(made if modules > 1 else [])

    def attention_of(self, branch: int) -> nn.Module | None:
        """What the branch of this place attends by; None: it doesn't."""
        return self.attentions[branch] if len(self.attentions) else self.attention

    def each_branch(self) -> list[Branch]:
        return [branch for branch in self.branches if isinstance(branch, Branch)]

    def forward(self, x: Tensor) -> Tensor:
        x = (x - 0.5) * 4
        packed = [branch(x, self.attention_of(i), self.net.attention_scale) for i, branch in enumerate(self.branches)]
        return functional.pixel_shuffle(torch.cat(packed, dim=1), 2)


def load(checkpoint: Path) -> HeNet:
    """The averaged weights of a run, in evaluation mode. Raises Refused MODEL_INVALID on a foreign file or NaN."""
    try:
        kept = torch.load(checkpoint, map_location="cpu", weights_only=True)
        net = HeNet(network(kept["network"], attention=kept.get("attention", True)))
        net.load_state_dict(kept["average"])
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        kind = type(error).__name__
        raise Refused(
            Reason.MODEL_INVALID, f"{checkpoint} isn't a checkpoint of an H&E network ({kind}); train it again"
        ) from None
    if not all(bool(torch.isfinite(v).all()) for v in net.state_dict().values()):
        raise Refused(Reason.MODEL_INVALID, f"{checkpoint} holds weights that are NaN or infinite; train it again")
    return net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.no_grad()
def start_from(net: HeNet, weights: dict[str, Tensor]) -> int:
    """Give each branch what `NucleusNet` learnt, from scale 1/4 on; how many tensors took it.

    Where the network is wider, the known channels come first and don't listen to the new ones at the start.
    """
    taken = 0
    for branch in net.branches:
        own = branch.state_dict()
        for name, value in weights.items():
            target = own.get(_one_scale_down(name))
            if target is not None and all(a >= b for a, b in zip(target.shape, value.shape, strict=True)):
                _fill(target, value)
                taken += 1
    return taken


def _one_scale_down(name: str) -> str:
    part, place, *rest = name.split(".")
    return ".".join([part, str(int(place) + 1), *rest]) if place.isdigit() else ""


def _fill(target: Tensor, value: Tensor) -> None:
    if value.ndim == 4:
        target[: value.shape[0], value.shape[1] :] = 0
    target[tuple(slice(0, side) for side in value.shape)] = value
