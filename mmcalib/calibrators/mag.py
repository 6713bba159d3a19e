"""MAG: the other modalities displace the tokens of one."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS

EPSILON = 1e-12  # under the square roots


class Shift(nn.Module):
    """The displacement of one modality: one gate and one map per partner, one bias."""

    def __init__(self, dim: int, partners: dict[str, int]) -> None:
        super().__init__()
        self.gate = nn.ModuleDict({o: nn.Linear(dim + other, dim) for o, other in partners.items()})
        self.move = nn.ModuleDict(
            {o: nn.Linear(other, dim, bias=False) for o, other in partners.items()}
        )
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, own: Signal, partners: Signals) -> Tensor:
        """H (B, L, D), zero for a sample without partners."""
        x = own.clean()
        moves = []
        for o, partner in partners.items():
            seen = meet(own, partner)
            gate = self.gate[o](torch.cat([x, seen], dim=-1)).relu()
            moves.append(gate * self.move[o](seen))  # zero where the partner is absent
        any_partner = torch.stack([p.present for p in partners.values()]).any(0)
        return torch.stack(moves).sum(0) + self.bias * any_partner.reshape(-1, 1, 1)


@CALIBRATORS.register_module()
class MAG(Calibrator):
    """Multimodal adaptation gate: the others displace a modality, by no more than its own length.

    Rahman et al., "Integrating Multimodal Information in Large Pretrained Transformers", ACL 2020,
    arXiv:1908.05787: g_o = relu(W_o [X_m; X_o] + b_o); H = sum over partners o of g_o * (V_o X_o),
    plus a bias; X~_m = X_m + alpha H; alpha = min(beta ||X_m|| / ||H||, 1), per token.

    Differs from the paper: every modality is displaced, where the paper displaces text
    (`anchor='text'`); LayerNorm and Dropout behind the sum are left out; where a sample's partner
    has not its tokens exactly where the modality has them, each token meets the partner's mean, as
    the paper has word-aligned data only.

    Missing: an absent partner displaces nothing; without any partner X_m stays as it is. An absent
    modality stays absent.
    Evidence: `alpha` (B, L) of what is displaced, meaningful where the token is real.

    Args:
        beta: bound on the displacement's length as a multiple of the token's.
        anchor: the only modality to displace; the default displaces each.
    """

    def __init__(self, dims: dict[str, int], beta: float = 1.0, anchor: str | None = None) -> None:
        super().__init__(dims)
        if len(dims) < 2:
            raise ValueError(f'MAG needs two or more modalities; it was given {list(dims)}')
        if beta <= 0:
            raise ValueError(f'MAG(beta={beta}); it is positive')
        if anchor is not None and anchor not in dims:
            raise ValueError(f'MAG(anchor={anchor!r}); the modalities are {list(dims)}')
        self.beta = beta
        self.shifts = nn.ModuleDict(
            {
                m: Shift(dim, {o: other for o, other in dims.items() if o != m})
                for m, dim in dims.items()
                if anchor in (None, m)
            }
        )

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        moved = {m: signals[m] for m in self.modalities}
        alphas: dict[str, Tensor] = {}
        for m, shift in self.shifts.items():
            x = signals[m].clean()
            h = shift(signals[m], {o: signals[o] for o in self.modalities if o != m})
            alpha = (self.beta * length(x) / length(h)).clamp(max=1)
            moved[m] = Signal(x + alpha * h, signals[m].mask)
            alphas[m] = alpha.squeeze(-1).detach()
        return Calibration(moved, evidence={'alpha': alphas})


def meet(own: Signal, partner: Signal) -> Tensor:
    """What each token sees of a partner (B, L, D_o): its token where masks agree, else its mean."""
    extra = own.mask.shape[1] - partner.mask.shape[1]
    mask = F.pad(partner.mask, (0, extra))  # a negative pad cuts
    whole = mask.sum(1) == partner.mask.sum(1)
    aligned = (mask == own.mask).all(1) & whole
    tokens = F.pad(partner.clean(), (0, 0, 0, extra))
    return torch.where(aligned.reshape(-1, 1, 1), tokens, partner.mean().unsqueeze(1))


def length(x: Tensor) -> Tensor:
    """(B, L, 1): the norm, with a gradient at zero."""
    return (x.square().sum(-1, keepdim=True) + EPSILON).sqrt()
