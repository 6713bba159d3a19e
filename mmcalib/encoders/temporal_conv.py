"""TemporalConv: dilated convolutions over a sequence of features, in three stages."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Encoder, Signal
from mmcalib.registry import ENCODERS

DILATIONS = ((1, 2), (4, 8), (16, 32))  # per stage and block; each doubles, as in the paper


class Block(nn.Module):
    """Two dilated convolutions and a shortcut, as many tokens out as in."""

    def __init__(self, in_dim: int, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        padding = dilation * (kernel // 2)
        self.conv1 = nn.Conv1d(in_dim, width, kernel, padding=padding, dilation=dilation)
        self.conv2 = nn.Conv1d(width, width, kernel, padding=padding, dilation=dilation)
        self.shortcut = nn.Linear(in_dim, width) if in_dim != width else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, signal: Signal) -> Signal:
        y = self.dropout(F.relu(convolve(self.conv1, signal)))
        y = self.dropout(F.relu(convolve(self.conv2, Signal(y, signal.mask))))
        return Signal(F.relu(self.shortcut(signal.clean()) + y), signal.mask)


@ENCODERS.register_module()
class TemporalConv(Encoder):
    """Temporal convolutional network on features (B, L, in_dim): (B, L, width).

    Bai et al., "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for
    Sequence Modeling", 2018, arXiv:1803.01271. Six residual blocks, y = relu(W x + f(f(x))) with
    f(x) = dropout(relu(conv(x))), dilated by 1, 2, 4, 8, 16, 32. Three stages of two blocks are the
    levels that CLCR (Meng et al., CVPR 2026, arXiv:2602.19605) reads; its own width, kernel and
    dilations are not published.

    Differs from the paper: a token sees both sides, not the past only; no weight normalisation;
    dropout is per value.

    Missing: padded tokens are zeros before every convolution, so that a sequence is encoded as if
    it stood alone; absent samples never enter.

    Args:
        in_dim: width of the raw features.
        width: of every stage.
        kernel: odd; a token sees 63 * (kernel - 1) tokens to each side.
        dropout: after every convolution, rate in [0, 1).
    """

    def __init__(
        self, in_dim: int, width: int = 128, kernel: int = 3, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if in_dim < 1 or width < 1:
            raise ValueError(f'TemporalConv(in_dim={in_dim}, width={width}); both are 1 or more')
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f'TemporalConv(kernel={kernel}); a kernel is odd and positive')
        if not 0 <= dropout < 1:
            raise ValueError(f'TemporalConv(dropout={dropout}); a rate lies in [0, 1)')
        self.in_dim, self.out_dim = in_dim, width
        dims = (in_dim, *[width] * len(DILATIONS))
        self.stages = nn.ModuleList(
            nn.Sequential(
                Block(dim, out, kernel, first, dropout), Block(out, out, kernel, second, dropout)
            )
            for (dim, out), (first, second) in zip(pairwise(dims), DILATIONS, strict=True)
        )

    @property
    def level_dims(self) -> tuple[int, ...]:
        """Widths of `levels`, shallow to deep."""
        return (self.out_dim,) * len(self.stages)

    def levels(self, raw: Signal) -> list[Signal]:
        """Raw (B', L, in_dim) -> the tokens behind each stage, shallow to deep."""
        if raw.x.ndim != 3 or raw.x.shape[-1] != self.in_dim:
            raise ValueError(
                f'TemporalConv(in_dim={self.in_dim}) reads (B, L, {self.in_dim}), '
                f'but was given {tuple(raw.x.shape)}'
            )
        signals = [raw]
        for stage in self.stages:
            signals.append(stage(signals[-1]))
        return signals[1:]

    def encode(self, raw: Signal) -> Signal:
        return self.levels(raw)[-1]


def convolve(layer: nn.Conv1d, signal: Signal) -> Tensor:
    """(B, L, D) -> (B, L, D'), with zeros where there is no token."""
    return layer(signal.clean().transpose(1, 2)).transpose(1, 2)
