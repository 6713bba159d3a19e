"""SE: every modality gates its own features."""

from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class SE(Calibrator):
    """Squeeze-and-excitation: gate each feature by the modality's own mean; no partner is read.

    Hu, Shen, Sun, "Squeeze-and-Excitation Networks", CVPR 2018, arXiv:1709.01507, Eq. 2-4:
    s = mean over tokens of X; G = sigmoid(W2 relu(W1 s)); X~ = G * X.

    Differs from the paper: one gate per modality at the end of its encoder, where the paper has one
    in every residual block; both layers have a bias.

    Missing: an absent modality stays absent; padding does not enter the mean.
    Evidence: `gate` G (B, D).

    Args:
        reduction: width of X over the hidden width of the gate; at least one unit remains.
    """

    def __init__(self, dims: dict[str, int], reduction: int = 16) -> None:
        super().__init__(dims)
        if reduction < 1:
            raise ValueError(f'SE(reduction={reduction}); it is 1 or more')
        self.gates = nn.ModuleDict(
            {m: gate(dim, max(1, dim // reduction)) for m, dim in dims.items()}
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        gates: dict[str, Tensor] = {m: self.gates[m](signals[m].mean()) for m in self.modalities}
        gated = {
            m: Signal(signals[m].clean() * g.unsqueeze(1), signals[m].mask)
            for m, g in gates.items()
        }
        return Calibration(gated, evidence={'gate': {m: g.detach() for m, g in gates.items()}})


def gate(dim: int, hidden: int) -> nn.Sequential:
    """(B, dim) -> (B, dim) in (0, 1)."""
    return nn.Sequential(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.Sigmoid())
