"""FiLM: the other modalities scale and shift the features of one."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS


@CALIBRATORS.register_module()
class FiLM(Calibrator):
    """Feature-wise linear modulation: each modality is scaled and shifted by what the others say.

    Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", AAAI 2018,
    arXiv:1709.07871, Eq. 1-2: X~_m = gamma(c_m) * X_m + beta(c_m), with affine gamma and beta.

    The paper leaves open, and we decide: c_m = mean over the other modalities o of
    relu(P_o mean(X_o)); it starts at the identity, gamma = 1 and beta = 0. Under the name
    FiLM, some code for balanced multimodal learning has a bilinear product; this is Eq. 2.

    Missing: an absent partner is left out of the mean over partners; without any, c is zero and
    gamma and beta are their biases. An absent modality stays absent.
    Evidence: `gamma` (B, D) and `beta` (B, D).

    Args:
        width: of c.
    """

    def __init__(self, dims: dict[str, int], width: int = 128) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'FiLM needs two or more modalities; it was given {list(dims)}')
        if width < 1:
            raise ValueError(f'FiLM(width={width}); it is 1 or more')
        self.project = nn.ModuleDict(
            {m: nn.Sequential(nn.Linear(dim, width), nn.ReLU()) for m, dim in dims.items()}
        )
        self.modulate = nn.ModuleDict({m: nn.Linear(width, 2 * dim) for m, dim in dims.items()})
        for parameter in self.modulate.parameters():
            nn.init.zeros_(parameter)

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        moved: Signals = {}
        gammas: dict[str, Tensor] = {}
        betas: dict[str, Tensor] = {}
        for m in self.modalities:
            rise, shift = self.modulate[m](self.condition(m, signals)).chunk(2, dim=-1)
            x = (1 + rise).unsqueeze(1) * signals[m].clean() + shift.unsqueeze(1)
            moved[m] = Signal(x, signals[m].mask)
            gammas[m], betas[m] = (1 + rise).detach(), shift.detach()
        return Calibration(moved, evidence={'gamma': gammas, 'beta': betas})

    def condition(self, modality: str, signals: Signals) -> Tensor:
        """c (B, width): the mean over present partners."""
        others = [o for o in self.modalities if o != modality]
        here = torch.stack([signals[o].present for o in others]).unsqueeze(-1)  # (M - 1, B, 1)
        said = torch.stack([self.project[o](signals[o].mean()) for o in others])
        return (said * here).sum(0) / here.sum(0).clamp(min=1)
