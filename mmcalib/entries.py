"""The real entries of a batch, such as frames, for encoders that read each on its own."""

import torch
from torch import Tensor


def gather(x: Tensor, mask: Tensor, training: bool) -> Tensor:
    """(B, L, ...), (B, L) -> (N, ...): those that are real.

    In a graph that is compiled or exported for evaluation N cannot depend on data: it is B L there.
    """
    if torch.compiler.is_compiling() and not training:
        return x.flatten(0, 1)
    return x[mask]


def scatter(entries: Tensor, mask: Tensor) -> Tensor:
    """(N, ...) -> (B, L, ...): each where it was gathered."""
    if entries.shape[0] == mask.numel():
        return entries.unflatten(0, mask.shape)
    return entries.new_zeros(*mask.shape, *entries.shape[1:]).index_put((mask,), entries)
