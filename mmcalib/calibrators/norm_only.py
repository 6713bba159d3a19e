"""The control that normalises and does nothing else."""

from torch import nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class NormOnly(Calibrator):
    """LayerNorm and Dropout on every token: VGMR's last step without its gate.

    A control for Liu et al., "Before Fusion, Ask What to Keep", arXiv:2606.02679, 2026, section
    3.7: X~ = Dropout(LayerNorm(X)). The paper has no such row; what this reaches is not due to
    gating.

    Missing: an absent modality stays absent.

    Args:
        dropout: rate in [0, 1), as in VGMR.
    """

    def __init__(self, dims: dict[str, int], dropout: float = 0.1) -> None:
        super().__init__(dims)
        if not 0 <= dropout < 1:
            raise ValueError(f'NormOnly(dropout={dropout}); a rate lies in [0, 1)')
        self.posts = nn.ModuleDict(
            {m: nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout)) for m, dim in dims.items()}
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        return Calibration(
            {m: Signal(self.posts[m](signals[m].clean()), signals[m].mask) for m in self.modalities}
        )
