"""What the tests of the rival calibrators share: batches with every absence, and numpy layers."""

from itertools import product

import numpy as np
import torch
from torch import nn

from mmcalib.contract import Calibrator, Signal, Signals, Supervision

WIDTHS = {'text': 7, 'audio': 4, 'video': 5}
LENGTHS = {'text': 5, 'audio': 3, 'video': 4}


def away(module: Calibrator) -> Calibrator:
    """In evaluation, float64, and away from its start, where zeros may hide a term."""
    for parameter in module.double().eval().parameters():
        parameter.data += 0.5 * torch.randn_like(parameter)
    return module


def widths(modalities: int) -> dict[str, int]:
    return dict(list(WIDTHS.items())[:modalities])


def signals(modalities: int = 3) -> Signals:
    """A sample per subset of modalities, ragged, with NaN where a token is not real."""
    subsets = torch.tensor(list(product([True, False], repeat=modalities)))
    given = {}
    for index, (m, dim) in enumerate(widths(modalities).items()):
        rows = torch.arange(len(subsets)).unsqueeze(1)
        mask = torch.arange(LENGTHS[m]) < LENGTHS[m] - rows % LENGTHS[m]
        mask = mask & subsets[:, index].unsqueeze(1)
        x = 2 * torch.randn(*mask.shape, dim, dtype=torch.float64) + 1
        given[m] = Signal(x.masked_fill(~mask.unsqueeze(-1), float('nan')), mask)
    return given


def complete(batch: int, modalities: int = 2) -> Signals:
    """Samples with every modality and two tokens each, in float64."""
    return {
        m: Signal(torch.randn(batch, 2, dim).double(), torch.ones(batch, 2, dtype=torch.bool))
        for m, dim in widths(modalities).items()
    }


def tokens(given: Signals, row: int) -> dict[str, np.ndarray]:
    """The real tokens (L, D) of each modality that a sample has."""
    every = {m: s.x[row, s.mask[row]].numpy() for m, s in given.items()}
    return {m: x for m, x in every.items() if len(x)}


def affine(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return x @ layer.weight.detach().numpy().T + bias


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def same(actual: torch.Tensor, expected: np.ndarray | float) -> None:
    np.testing.assert_allclose(actual.detach().numpy(), expected, rtol=1e-9, atol=1e-11)


def graded(loss: dict[str, list[float]]) -> Supervision:
    """A task whose loss per sample is known for each modality alone."""

    def task_loss(given: Signals) -> torch.Tensor:
        assert not torch.is_grad_enabled()
        there = [m for m, signal in given.items() if signal.mask.any()]
        assert len(there) <= 1, f'{there} are there at once'
        batch = len(next(iter(given.values())).mask)
        return torch.tensor(loss[there[0]]) if there else torch.zeros(batch)

    return Supervision(torch.zeros(0), task_loss)
