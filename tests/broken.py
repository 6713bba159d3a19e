"""Components that each break one promise of the contract, and keep the others."""

import torch
from sound import Mean, Score, Still
from torch import nn
from torch.nn import functional as F

from mmcalib.contract import Calibration, Encoder, Fusion, Signal


class BlurredEncoder(Encoder):
    """Averages over padding."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def encode(self, raw):
        return Signal(raw.x.nan_to_num().mean(1, keepdim=True), raw.mask[:, :1])


class NormsPadding(Encoder):
    """Its batch norm counts padded tokens; in evaluation nobody sees it."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim
        self.norm = nn.BatchNorm1d(dim)

    def encode(self, raw):
        x = raw.x.nan_to_num().clamp(-9, 9)
        return Signal(self.norm(x.transpose(1, 2)).transpose(1, 2), raw.mask)


class NarrowEncoder(Encoder):
    """Is one narrower than it says."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out_dim = dim

    def encode(self, raw):
        return Signal(raw.clean()[..., 1:], raw.mask)


class DropsAModality(Still):
    def forward(self, signals, supervision=None):
        kept = dict(list(super().forward(signals).signals.items())[1:])
        return Calibration(kept)


class Reorders(Still):
    def forward(self, signals, supervision=None):
        return Calibration(dict(reversed(super().forward(signals).signals.items())))


class Narrows(Still):
    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration({m: Signal(s.x[..., 1:], s.mask) for m, s in moved.items()})


class FloatMask(Still):
    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration({m: Signal(s.x, s.mask.float()) for m, s in moved.items()})


class LabelsTheSignals(Still):
    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        hint = 0 if supervision is None else supervision.target.reshape(-1, 1, 1)
        return Calibration({m: Signal(s.x + hint, s.mask) for m, s in moved.items()})


class MixesSamples(Still):
    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration({m: Signal(s.x - s.mean().mean(0), s.mask) for m, s in moved.items()})


class HasAnUnusedParameter(Still):
    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.unused = nn.Parameter(torch.ones(1))


class SkipsWhatIsMissing(Still):
    """Leaves its layer out of the graph when the whole batch lacks a modality."""

    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration({m: moved[m] if s.mask.any() else s for m, s in signals.items()})


class HasNaNGradients(Still):
    """The square root has no slope at the zero of an absent sample."""

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, signals, supervision=None):
        norms = [(self.scale * s.mean()).square().sum(1).sqrt().sum() for s in signals.values()]
        return Calibration(super().forward(signals).signals, {'loss_norm': sum(norms)})


class LetsGarbageReachTheGradient(Still):
    def forward(self, signals, supervision=None):
        moved = {m: Signal(self.layers[m](s.x), s.mask) for m, s in signals.items()}
        return Calibration(moved)


class Remembers(Still):
    def forward(self, signals, supervision=None):
        self.last = super().forward(signals).signals
        return Calibration(self.last)


class Collects(Still):
    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.seen: list[int] = []

    def forward(self, signals, supervision=None):
        self.seen.append(len(signals))
        return super().forward(signals)


class Counts(Still):
    """Counts its calls in a buffer, also when it is not training."""

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.register_buffer('calls', torch.zeros(()))

    def forward(self, signals, supervision=None):
        self.calls += 1
        return super().forward(signals)


class ChangesItsInput(Still):
    def forward(self, signals, supervision=None):
        for signal in signals.values():
            signal.x.masked_fill_(~signal.mask.unsqueeze(-1), 0.0)
        return super().forward(signals)


class ChangesTheDict(Still):
    def forward(self, signals, supervision=None):
        for m, signal in super().forward(signals).signals.items():
            signals[m] = signal
        return Calibration(signals)


class MisnamesALoss(Still):
    def forward(self, signals, supervision=None):
        return Calibration(super().forward(signals).signals, {'align': torch.zeros(())})


class ReturnsALossPerSample(Still):
    def forward(self, signals, supervision=None):
        return Calibration(super().forward(signals).signals, {'loss_align': torch.zeros(2)})


class AttachesEvidence(Still):
    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration(moved, {}, {'mean': {m: s.mean() for m, s in moved.items()}})


class HidesAWeight(Still):
    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.scale = torch.rand(1)

    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration({m: Signal(s.x * self.scale, s.mask) for m, s in moved.items()})


class IsRandom(Still):
    def forward(self, signals, supervision=None):
        moved = super().forward(signals).signals
        return Calibration({m: Signal(F.dropout(s.x), s.mask) for m, s in moved.items()})


class FixesTheDtype(Still):
    """Writes what a layer gives into a tensor of its own, in float32 also under autocast."""

    def forward(self, signals, supervision=None):
        moved = {}
        for m, s in signals.items():
            x = torch.zeros(s.x.shape)
            moved[m] = Signal(x.index_put((s.mask,), self.layers[m](s.x[s.mask])), s.mask)
        return Calibration(moved)


class PadsIntoTheMean(Mean):
    """Divides by the padded length."""

    def forward(self, signals):
        return Fusion(torch.cat([signals[m].clean().mean(1) for m in self.modalities], dim=-1))


class SeesTheAbsent(Mean):
    """Reads the first token of an absent sample."""

    def forward(self, signals):
        first = [
            torch.where(s.present.unsqueeze(-1), s.mean(), s.x[:, 0].nan_to_num())
            for s in signals.values()
        ]
        return Fusion(torch.cat(first, dim=-1))


class NormsOverTheBatch(Mean):
    """Its batch norm cannot train on one sample."""

    def __init__(self, dims: dict[str, int]) -> None:
        super().__init__(dims)
        self.norm = nn.BatchNorm1d(self.out_dim)

    def forward(self, signals):
        return Fusion(self.norm(super().forward(signals).vector))


class WiderThanItSays(Mean):
    def forward(self, signals):
        vector = super().forward(signals).vector
        return Fusion(torch.cat([vector, vector], dim=-1))


class AveragesItsLoss(Score):
    def loss(self, prediction, target):
        return super().loss(prediction, target).mean()


class ComparesSamples(Score):
    def loss(self, prediction, target):
        loss = super().loss(prediction, target)
        return loss - loss.mean()
