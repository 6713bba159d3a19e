"""One label per sample."""

from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Head
from mmcalib.registry import HEADS


@HEADS.register_module()
class Classify(Head):
    """Linear layer and cross-entropy; the prediction is the logits (B, num_classes).

    Args:
        num_classes: at least 2.
    """

    def __init__(self, in_dim: int, num_classes: int) -> None:
        super().__init__(in_dim)
        if num_classes < 2:
            raise ValueError(f'Classify(num_classes={num_classes}); at least 2 are needed')
        self.num_classes = num_classes
        self.linear = nn.Linear(in_dim, num_classes)

    def forward(self, vector: Tensor) -> Tensor:
        return self.linear(vector)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(prediction, target, reduction='none')
