"""One class per segment of time."""

from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Head
from mmcalib.registry import HEADS


@HEADS.register_module()
class Localize(Head):
    """Linear layer and cross-entropy per segment; the prediction is (B, num_classes, segments).

    The supervised task of Tian et al., "Audio-Visual Event Localization in Unconstrained Videos",
    ECCV 2018, arXiv:1803.08842: ten segments of one second, 28 events and background. The target is
    (B, segments), one class each, or (B, segments, num_classes), one-hot or shares, as the official
    labels are; background is the last class there. A sample's loss is the mean over segments.

    The head sees one vector per sample. Evidence about single segments reaches it only through a
    fuser that keeps time in its vector; `per_segment` reads such a vector.

    Args:
        segments: of a sample.
        num_classes: background included, at least 2.
        per_segment: read the vector as `segments` equal parts in order of time, and give each the
            same linear layer; for fusers that keep time. Otherwise every segment has a layer of its
            own and reads the whole vector.
    """

    def __init__(
        self, in_dim: int, segments: int = 10, num_classes: int = 29, per_segment: bool = False
    ) -> None:
        super().__init__(in_dim)
        if segments < 1 or num_classes < 2:
            raise ValueError(
                f'Localize(segments={segments}, num_classes={num_classes}); at least 1 and 2'
            )
        if per_segment and in_dim % segments:
            raise ValueError(
                f'Localize(per_segment=True, segments={segments}) needs a vector whose width is a '
                f'multiple of {segments}; the fuser gives {in_dim}'
            )
        self.segments, self.num_classes, self.per_segment = segments, num_classes, per_segment
        if per_segment:
            self.linear = nn.Linear(in_dim // segments, num_classes)
        else:
            self.linear = nn.Linear(in_dim, segments * num_classes)

    def forward(self, vector: Tensor) -> Tensor:
        if self.per_segment:
            parts = rearrange(vector, 'b (s d) -> b s d', s=self.segments)
            return rearrange(self.linear(parts), 'b s c -> b c s')
        return rearrange(self.linear(vector), 'b (s c) -> b c s', s=self.segments)

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        shape = (len(prediction), self.segments)
        if target.shape not in (shape, (*shape, self.num_classes)):
            raise ValueError(
                f'Localize(segments={self.segments}) needs a target (B, {self.segments}) or '
                f'(B, {self.segments}, {self.num_classes}), but was given {tuple(target.shape)}'
            )
        if target.ndim == 3:
            target = rearrange(target, 'b s c -> b c s').to(prediction.dtype)
        return F.cross_entropy(prediction, target, reduction='none').mean(dim=-1)
