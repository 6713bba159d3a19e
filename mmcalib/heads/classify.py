"""One label per sample."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Head
from mmcalib.registry import HEADS


@HEADS.register_module()
class Classify(Head):
    """Linear layer and cross-entropy; the prediction is the logits (B, num_classes).

    Args:
        num_classes: at least 2.
        label_smoothing: share of the target that is spread over all classes, in [0, 1) (Szegedy et
            al., "Rethinking the Inception Architecture", CVPR 2016, arXiv:1512.00567).
        class_weights: one weight per class, 0 or more, that multiplies the loss of its samples. The
            batch loss is the plain mean over samples, so weights whose mean over the training set
            is 1 keep its scale.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        in_dim: int,
        num_classes: int,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(in_dim)
        if num_classes < 2:
            raise ValueError(f'Classify(num_classes={num_classes}); at least 2 are needed')
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'Classify(label_smoothing={label_smoothing}); a share in [0, 1)')
        weights = None if class_weights is None else torch.tensor(class_weights).float()
        if weights is not None and (len(weights) != num_classes or not (weights >= 0).all()):
            raise ValueError(
                f'Classify(class_weights={class_weights}); needs {num_classes} weights of 0 or more'
            )
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.register_buffer('class_weights', weights, persistent=False)
        self.linear = nn.Linear(in_dim, num_classes)

    def forward(self, vector: Tensor) -> Tensor:
        return self.linear(vector)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        smoothing = self.label_smoothing
        loss = F.cross_entropy(prediction, target, reduction='none', label_smoothing=smoothing)
        return loss if self.class_weights is None else loss * self.class_weights[target]
