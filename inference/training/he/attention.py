"""Criss-cross attention: each position attends to those of its row and column (Huang et al. 2019; CN114627142A)."""

import torch
from torch import Tensor, nn

MASKED = -1e4  # of what a position doesn't attend to, before the softmax


class CrissCross(nn.Module):
    """(b, c, h, w) to the same, its input added; `passes` times with the same parameters, so that all meets all.

    Positions more than `reach` away along row or column are not seen, so that an answer doesn't depend on how large the
    tile is. At the start the module changes nothing (its weight is 0).
    """

    def __init__(self, width: int, *, passes: int, reach: int) -> None:
        super().__init__()
        self.passes, self.reach = passes, reach
        inner = max(width // 8, 8)
        self.query = nn.Conv2d(width, inner, 1)
        self.key = nn.Conv2d(width, inner, 1)
        self.value = nn.Conv2d(width, width, 1)
        self.scale = inner**-0.5
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(self.passes):
            x = self._once(x)
        return x

    def _once(self, x: Tensor) -> Tensor:
        h, w = x.shape[2], x.shape[3]
        query, key, value = (part(x).permute(0, 2, 3, 1) for part in (self.query, self.key, self.value))  # b h w c
        query = query * self.scale
        row = query @ key.transpose(2, 3) + self._far(w, x)  # b h w w
        column = (query.transpose(1, 2) @ key.permute(0, 2, 3, 1)).transpose(1, 2)  # b h w h
        column = column + (self._far(h, x) + MASKED * torch.eye(h, device=x.device, dtype=x.dtype))[:, None]
        share = torch.cat([row, column], dim=3).softmax(dim=3)
        seen = share[..., :w] @ value + (share[..., w:].transpose(1, 2) @ value.transpose(1, 2)).transpose(1, 2)
        attended: Tensor = x + self.weight * seen.permute(0, 3, 1, 2)
        return attended

    def _far(self, side: int, like: Tensor) -> Tensor:
        """(side, side): MASKED where two positions are further apart than the reach."""
        place = torch.arange(side, device=like.device)
        far: Tensor = ((place[:, None] - place).abs() > self.reach).to(like.dtype) * MASKED
        return far
