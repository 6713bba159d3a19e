"""Sinusoidal positions of tokens.

Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.5; sines and
cosines alternate.
"""

import math

import torch
from torch import Tensor

PERIOD = 10_000.0  # of the slowest sine


def distances(mask: Tensor) -> Tensor:
    """(B, L) -> (B, L): steps from the first real token; negative before it."""
    return torch.arange(mask.shape[1], device=mask.device) - mask.int().argmax(1, keepdim=True)


def sines(step: Tensor, width: int) -> Tensor:
    """(..., L) -> (..., L, width): sines in the even columns, cosines in the odd ones."""
    rate = torch.arange(0, width, 2, device=step.device) / width
    angle = step.unsqueeze(-1) * torch.exp(-math.log(PERIOD) * rate)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
