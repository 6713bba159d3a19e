"""The control whose gate is noise."""

import torch
from torch import Tensor, nn

from mmcalib.contract import Calibration, Calibrator, Signal, Signals, Supervision
from mmcalib.registry import CALIBRATORS

POSTS = ('norm', 'none')


@CALIBRATORS.register_module()
class RandomGate(Calibrator):
    """Gate every feature of every token by a random number: X~ = Post(X * G).

    A control for gates that are learned, such as VGMR's (arXiv:2606.02679): what this reaches is
    due to noise and normalisation. G is uniform on mean +- sqrt(3) * std, so that both moments are
    exact and the gate is bounded, as VGMR's is; in evaluation it is `mean`. For a fair comparison,
    `mean` and `std` are those of the `effective_gate` of a trained VGMR over real tokens; the
    defaults are only a start.

    Missing: an absent modality stays absent.
    Evidence: `gate` G (B, L, D).

    Args:
        mean: of the gate; with post='norm' it cancels in evaluation.
        std: of the gate, at most mean / sqrt(3), where the gate reaches 0; 0 leaves only
            normalisation.
        post: 'norm' is LayerNorm and Dropout behind the gate, as in VGMR; 'none' neither.
        dropout: rate in [0, 1) of `post`.
    """

    def __init__(
        self,
        dims: dict[str, int],
        mean: float = 1.0,
        std: float = 0.1,
        post: str = 'norm',
        dropout: float = 0.1,
    ) -> None:
        super().__init__(dims)
        if std < 0 or std * 3**0.5 > mean:
            raise ValueError(
                f'RandomGate(mean={mean}, std={std}); std lies in [0, mean / sqrt(3)], or the gate '
                'would be negative'
            )
        if post not in POSTS:
            raise ValueError(f'RandomGate(post={post!r}); possible are {", ".join(POSTS)}')
        if not 0 <= dropout < 1:
            raise ValueError(f'RandomGate(dropout={dropout}); a rate lies in [0, 1)')
        self.mean, self.half_width = mean, std * 3**0.5
        self.posts = nn.ModuleDict()
        for m, dim in dims.items():
            norm = nn.Sequential(nn.LayerNorm(dim), nn.Dropout(dropout))
            self.posts[m] = norm if post == 'norm' else nn.Identity()

    def forward(self, signals: Signals, supervision: Supervision | None = None) -> Calibration:
        gates = {m: self.draw(signals[m].x) for m in self.modalities}
        gated = {
            m: Signal(self.posts[m](signals[m].clean() * gate), signals[m].mask)
            for m, gate in gates.items()
        }
        return Calibration(gated, evidence={'gate': gates})

    def draw(self, x: Tensor) -> Tensor:
        """A gate of the shape of x."""
        if not self.training:
            return torch.full_like(x, self.mean, requires_grad=False)
        return self.mean + self.half_width * (2 * torch.rand_like(x, requires_grad=False) - 1)
