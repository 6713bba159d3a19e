"""The control that has VGMR's size."""

from collections.abc import Mapping

from torch import nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class MatchedMLP(Calibrator):
    """A two-layer MLP per modality and token, as large as VGMR: capacity without evidence.

    The Concat+MLP control of Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679, 2026,
    Tables 1, 5 and 7: X~ = Post(X + W2 gelu(W1 X)). The paper leaves open, and we decide: the
    shortcut, and the LayerNorm and Dropout behind it, as VGMR has. The hidden width is the same for
    every modality, the one whose parameter count is closest to that of a VGMR.

    Missing: an absent modality stays absent.

    Args:
        match_width: width of the VGMR whose parameter count is matched.
        dropout: rate in [0, 1), as in VGMR.
    """

    def __init__(self, dims: dict[str, int], match_width: int = 160, dropout: float = 0.1) -> None:
        super().__init__(dims)
        if match_width < 1:
            raise ValueError(f'MatchedMLP(match_width={match_width}); a width is 1 or more')
        if not 0 <= dropout < 1:
            raise ValueError(f'MatchedMLP(dropout={dropout}); a rate lies in [0, 1)')
        if len(dims) < 2:
            raise ValueError(f'MatchedMLP matches VGMR, which needs two modalities; got {dims}')
        hidden = hidden_width(dims, match_width)
        self.mlps = nn.ModuleDict(
            {
                m: nn.Sequential(
                    nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
                )
                for m, dim in dims.items()
            }
        )
        self.posts = nn.ModuleDict(
            {m: nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout)) for m, dim in dims.items()}
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        refined = {}
        for m in self.modalities:
            x = signals[m].clean()
            refined[m] = Signal(self.posts[m](x + self.mlps[m](x)), signals[m].mask)
        return Calibration(refined)


def hidden_width(dims: Mapping[str, int], width: int) -> int:
    """The hidden width at which the MLPs have as many parameters as VGMR, LayerNorms aside."""
    evidence = 2 + 3 * (len(dims) - 1)  # widths that VGMR's interaction reads
    wanted = 0
    for dim in dims.values():
        wanted += dim * width + width  # projection
        wanted += (2 + evidence + 2) * width**2 + 3 * width  # first layers of three MLPs
        wanted += 3 * (width**2 + width)  # their second layers
        wanted += (width + 1) * (width + 1)  # value and channel value
        wanted += dim * (dim + 2 * width + 5)  # four parts of the gate
    fixed, per_unit = sum(dims.values()), sum(2 * dim + 1 for dim in dims.values())
    return max(1, round((wanted - fixed) / per_unit))
