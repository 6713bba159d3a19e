"""MLP: a perceptron on each token of precomputed features."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Encoder, Signal
from mmcalib.registry import ENCODERS

EPSILON = 1e-8  # added to variances; features of small scale have small ones


@ENCODERS.register_module()
class MLP(Encoder):
    """Perceptron on features (B, L, in_dim) of any scale, token by token: (B, L, width).

    Each feature is standardised over the real tokens of the batch, as by Ioffe and Szegedy, "Batch
    Normalization", ICML 2015, arXiv:1502.03167, without scale and shift; in evaluation by the mean
    over all training batches of their means and variances. So features need no statistics
    beforehand, and a constant one becomes 0. Then `depth` times Linear, GELU and Dropout. The only
    real token of a training batch has no deviation, and is standardised as in evaluation.

    Missing: absent samples and padded tokens enter no statistic, and are zeros in the result.

    Args:
        in_dim: width of the raw features.
        width: of every layer.
        depth: number of layers.
        dropout: behind every layer, rate in [0, 1).
    """

    def __init__(self, in_dim: int, width: int = 128, depth: int = 1, dropout: float = 0.1) -> None:
        super().__init__()
        if in_dim < 1 or width < 1 or depth < 1:
            raise ValueError(
                f'MLP(in_dim={in_dim}, width={width}, depth={depth}); all are 1 or more'
            )
        if not 0 <= dropout < 1:
            raise ValueError(f'MLP(dropout={dropout}); a rate lies in [0, 1)')
        self.in_dim, self.out_dim = in_dim, width
        # momentum=None is the plain mean over batches: what is on disk does not drift.
        self.norm = nn.BatchNorm1d(in_dim, EPSILON, momentum=None, affine=False)
        layers: list[nn.Module] = []
        for k in range(depth):
            layers += [nn.Linear(width if k else in_dim, width), nn.GELU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers)

    def encode(self, raw: Signal) -> Signal:
        if raw.x.ndim != 3 or raw.x.shape[-1] != self.in_dim:
            raise ValueError(
                f'MLP(in_dim={self.in_dim}) reads (B, L, {self.in_dim}), '
                f'but was given {tuple(raw.x.shape)}'
            )
        x = self.layers(self.standardise(raw))
        return Signal(Signal(x, raw.mask).clean(), raw.mask)

    def standardise(self, raw: Signal) -> Tensor:
        """(B, L, in_dim): zero mean and unit deviation of each feature."""
        if self.training and raw.mask.sum() > 1:
            real = self.norm(raw.x[raw.mask])
            return real.new_zeros(raw.x.shape).index_put((raw.mask,), real)
        mean, var = self.norm.running_mean, self.norm.running_var
        assert mean is not None and var is not None  # BatchNorm1d was asked to track them
        return (raw.clean() - mean) * torch.rsqrt(var + EPSILON)
