"""Recurrent: a GRU or LSTM over a sequence of features."""

import torch
from torch import nn

from mmcalib.contract import Encoder, Signal
from mmcalib.recurrence import read_tokens
from mmcalib.registry import ENCODERS

CELLS: dict[str, type[nn.GRU] | type[nn.LSTM]] = {'gru': nn.GRU, 'lstm': nn.LSTM}
POOLS = ('all', 'last')


@ENCODERS.register_module()
class Recurrent(Encoder):
    """GRU or LSTM on features (B, L, in_dim): one state per token, or the last one.

    GRU: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", EMNLP 2014,
    arXiv:1406.1078: h_t = z_t h_(t-1) + (1 - z_t) n_t. LSTM: Hochreiter and Schmidhuber, Neural
    Computation 1997: c_t = f_t c_(t-1) + i_t g_t, h_t = o_t tanh(c_t). As in PyTorch.

    Missing: only real tokens are read, one after the other, also over a gap; absent samples never
    enter.

    Args:
        in_dim: width of the raw features.
        width: of one direction; tokens are twice as wide if `bidirectional`.
        depth: number of layers.
        cell: 'gru' or 'lstm'.
        bidirectional: also read from the end to the start.
        pool: 'all' gives a token per real token, in its place; 'last' one token, the state behind
            the last real token and, if `bidirectional`, that of the other direction at the first.
        dropout: between layers, rate in [0, 1).
    """

    def __init__(
        self,
        in_dim: int,
        width: int = 128,
        depth: int = 1,
        cell: str = 'gru',
        bidirectional: bool = False,
        pool: str = 'all',
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if in_dim < 1 or width < 1 or depth < 1:
            raise ValueError(
                f'Recurrent(in_dim={in_dim}, width={width}, depth={depth}); all are 1 or more'
            )
        if cell not in CELLS:
            raise ValueError(f'Recurrent(cell={cell!r}); possible are {", ".join(CELLS)}')
        if pool not in POOLS:
            raise ValueError(f'Recurrent(pool={pool!r}); possible are {", ".join(POOLS)}')
        if not 0 <= dropout < 1:
            raise ValueError(f'Recurrent(dropout={dropout}); a rate lies in [0, 1)')
        if dropout and depth == 1:
            raise ValueError(f'Recurrent(dropout={dropout}, depth=1); dropout acts between layers')
        self.in_dim, self.pool = in_dim, pool
        self.out_dim = width * (1 + bidirectional)
        self.rnn = CELLS[cell](
            in_dim, width, depth, batch_first=True, dropout=dropout, bidirectional=bidirectional
        )

    def encode(self, raw: Signal) -> Signal:
        if raw.x.ndim != 3 or raw.x.shape[-1] != self.in_dim:
            raise ValueError(
                f'Recurrent(in_dim={self.in_dim}) reads (B, L, {self.in_dim}), '
                f'but was given {tuple(raw.x.shape)}'
            )
        states, final = read_tokens(self.rnn, raw.clean(), raw.mask)
        if self.pool == 'last':
            hidden = final[0] if isinstance(final, tuple) else final  # an LSTM's cell is the second
            ends = hidden[-2:] if self.rnn.bidirectional else hidden[-1:]  # of the last layer
            return Signal(torch.cat([*ends], dim=-1).unsqueeze(1), raw.present.unsqueeze(1))
        return Signal(states, raw.mask)
