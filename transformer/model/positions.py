"""Sinusoidal positions."""

import torch
from torch import Tensor, nn

INITIAL_LENGTH = 512


def sinusoids(length: int, d_model: int) -> Tensor:
    """The position encodings [length, D] in float64, sines at even and cosines at odd channels.

    Vaswani et al., 2017, section 3.5.
    """
    position = torch.arange(length, dtype=torch.float64)
    channel = torch.arange(0, d_model, 2, dtype=torch.float64)
    angle = position[:, None] * 10_000.0 ** (-channel / d_model)  # [length, D / 2]
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


class Positions(nn.Module):
    """A table of sinusoids that grows when a longer sentence comes; it is no parameter."""

    table: Tensor

    def __init__(self, d_model: int) -> None:
        super().__init__()
        table = sinusoids(INITIAL_LENGTH, d_model).to(torch.get_default_dtype())
        self.register_buffer("table", table, persistent=False)

    def forward(self, start: int, length: int) -> Tensor:
        """Encodings [length, D] of the positions from `start` on."""
        table = self.table  # which another thread may replace
        if start + length > len(table):
            # The table outlives the search in which it may grow.
            with torch.inference_mode(False):
                longer = sinusoids(2 * (start + length), table.shape[1])
                table = longer.to(table.device, table.dtype)
            self.table = table
        return table[start : start + length]
