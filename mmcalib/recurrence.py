"""Recurrent networks over the real tokens of a sequence."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def read_tokens(rnn: nn.RNNBase, x: Tensor, mask: Tensor) -> tuple[Tensor, Any]:
    """States (B, L, H) of a batch-first network that reads real tokens only, also over a gap.

    In the precision of its weights on a CPU, also under autocast: without the instructions for
    bfloat16, PyTorch's LSTM raises there.

    Args:
        x: (B, L, D), finite also where `mask` is False.
        mask: (B, L), True for real tokens; a sample without one is read as one token.

    Returns:
        states: a token's where it stands, zeros where there is none.
        final: what the network itself returns behind its states, after each last real token.
    """
    order = (~mask).int().argsort(dim=1, stable=True)  # real tokens first, in their order
    lengths = mask.sum(dim=1).clamp(min=1).cpu()
    with torch.autocast('cpu', enabled=False):
        front = _pick(x, order).to(next(rnn.parameters()).dtype)
        packed = pack_padded_sequence(front, lengths, batch_first=True, enforce_sorted=False)
        states, final = rnn(packed)
    states, _ = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])
    return _pick(states, order.argsort(dim=1)), final


def _pick(x: Tensor, order: Tensor) -> Tensor:
    """(B, L, D) -> its tokens in the order (B, L)."""
    return x.gather(1, order.unsqueeze(-1).expand_as(x))
