"""Numbers per sample."""

from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Head
from mmcalib.registry import HEADS

KINDS = ('l1', 'mse', 'huber')


@HEADS.register_module()
class Regress(Head):
    """Linear layer and a distance; the prediction is (B,), or (B, outputs) for several.

    A sample's loss is the mean over its outputs. A target that is NaN is refused: which samples
    have a label is the data set's to decide.

    Args:
        outputs: numbers per sample.
        kind: 'l1' |e|, 'mse' e^2, or 'huber' (e^2 / 2 up to delta, then delta (|e| - delta / 2)).
        delta: where Huber's loss turns linear; above 0.
    """

    def __init__(self, in_dim: int, outputs: int = 1, kind: str = 'l1', delta: float = 1.0) -> None:
        super().__init__(in_dim)
        if outputs < 1:
            raise ValueError(f'Regress(outputs={outputs}); at least 1 is needed')
        if kind not in KINDS:
            raise ValueError(f'Regress(kind={kind!r}); possible are {", ".join(KINDS)}')
        if delta <= 0:
            raise ValueError(f'Regress(delta={delta}); a delta is above 0')
        self.outputs, self.kind, self.delta = outputs, kind, delta
        self.linear = nn.Linear(in_dim, outputs)

    def forward(self, vector: Tensor) -> Tensor:
        y = self.linear(vector)
        return y.squeeze(-1) if self.outputs == 1 else y

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        if target.shape != prediction.shape:
            raise ValueError(
                f'Regress(outputs={self.outputs}) needs a target {tuple(prediction.shape)}, '
                f'but was given {tuple(target.shape)}'
            )
        if target.isnan().any():
            raise ValueError(
                f'Regress was given {int(target.isnan().sum())} targets that are NaN, of '
                f'{target.numel()}; every sample needs a number'
            )
        target = target.to(prediction.dtype)
        if self.kind == 'huber':
            loss = F.huber_loss(prediction, target, reduction='none', delta=self.delta)
        else:
            distance = {'l1': F.l1_loss, 'mse': F.mse_loss}[self.kind]
            loss = distance(prediction, target, reduction='none')
        return loss.reshape(len(loss), -1).mean(dim=-1)
