"""ResNet over images, frames or spectrograms."""

from math import ceil
from pathlib import Path

import torch
from einops import rearrange, reduce
from torch import Tensor, nn
from torch.nn import functional as F

from mmcalib.contract import Encoder, Signal
from mmcalib.entries import gather, scatter
from mmcalib.registry import ENCODERS


class Basic(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, in_dim: int, dim: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_dim, dim, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)
        self.downsample = shortcut(in_dim, dim, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.downsample(x), inplace=True)


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolutions and a shortcut."""

    expansion = 4

    def __init__(self, in_dim: int, dim: int, stride: int) -> None:
        super().__init__()
        out_dim = dim * self.expansion
        self.conv1 = nn.Conv2d(in_dim, dim, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(dim)
        self.conv2 = nn.Conv2d(dim, dim, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(dim)
        self.conv3 = nn.Conv2d(dim, out_dim, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_dim)
        self.downsample = shortcut(in_dim, out_dim, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x), inplace=True)


def shortcut(in_dim: int, out_dim: int, stride: int) -> nn.Sequential:
    """Nothing where the shapes agree, else a strided 1x1 convolution."""
    if stride == 1 and in_dim == out_dim:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(in_dim, out_dim, 1, stride, bias=False), nn.BatchNorm2d(out_dim))


DEPTHS: dict[int, tuple[type[Basic] | type[Bottleneck], tuple[int, ...]]] = {
    18: (Basic, (2, 2, 2, 2)),
    34: (Basic, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
}
TOKENS = ('clip', 'frame', 'time')


@ENCODERS.register_module()
class ResNet(Encoder):
    """ResNet on each real frame of (B, L, C, H, W): images, video frames, spectrograms, flow.

    He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385; the
    stride of a bottleneck sits on its 3x3 convolution, as in torchvision and timm, whose parameter
    names and state dicts fit.

    Missing: absent samples and padded frames never enter the network nor its batch statistics.

    Args:
        depth: 18, 34 (both 8 times `base_channels` wide, 512) or 50 (32 times, 2048).
        in_channels: C; 3 for RGB, 1 for a spectrogram, 2 for optical flow.
        tokens: what stays of the feature maps. 'clip': one token, the mean over frames and space;
            'frame': one token per frame; 'time': per frame, one token per column of the map, the
            mean over its rows (a spectrogram's time steps: 32 for 257 x 1004).
        checkpoint: local path of a torchvision or timm state dict, read when the weights are
            initialised; conv1 is summed or repeated to fit `in_channels`, the classifier is
            left out. None trains from scratch.
        base_channels: of the first layers, 1 or more; each of the last three stages doubles them.
    """

    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(
        self,
        depth: int = 18,
        in_channels: int = 3,
        tokens: str = 'clip',
        checkpoint: str | None = None,
        base_channels: int = 64,
    ) -> None:
        super().__init__()
        if base_channels < 1:
            raise ValueError(f'ResNet(base_channels={base_channels}); 1 or more is possible')
        if depth not in DEPTHS:
            raise ValueError(f'ResNet(depth={depth}); possible depths are {sorted(DEPTHS)}')
        if tokens not in TOKENS:
            raise ValueError(f'ResNet(tokens={tokens!r}); possible are {", ".join(TOKENS)}')
        block, repeats = DEPTHS[depth]
        self.in_channels = in_channels
        self.tokens = tokens
        self.checkpoint = checkpoint
        self.conv1 = nn.Conv2d(in_channels, base_channels, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(base_channels)
        dim = base_channels
        for stage, repeat in enumerate(repeats):
            blocks = []
            for first in [True] + [False] * (repeat - 1):
                width = base_channels * 2**stage
                blocks.append(block(dim, width, stride=2 if first and stage else 1))
                dim = width * block.expansion
            setattr(self, f'layer{stage + 1}', nn.Sequential(*blocks))
        self.out_dim = dim
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def encode(self, raw: Signal) -> Signal:
        self.check(raw)
        return self.tokenise(self.features(gather(raw.x, raw.mask, self.training)), raw.mask)

    def levels(self, raw: Signal) -> list[Signal]:
        """Raw (B', L, C, H, W) -> tokens of layer2, layer3 and layer4, as many at each level.

        For 'time' the columns of layer2 are pooled by 4 and those of layer3 by 2: to the columns of
        layer4, which begin at the same times.
        """
        self.check(raw)
        maps = self.stages(gather(raw.x, raw.mask, self.training))[1:]
        return [self.tokenise(m, raw.mask, 2 ** (2 - k)) for k, m in enumerate(maps)]

    @property
    def level_dims(self) -> tuple[int, ...]:
        """Widths of `levels`, shallow to deep."""
        return self.out_dim // 4, self.out_dim // 2, self.out_dim

    def check(self, raw: Signal) -> None:
        """Refuse what is not (B, L, C, H, W)."""
        if raw.x.ndim != 5 or raw.x.shape[2] != self.in_channels:
            raise ValueError(
                f'ResNet(in_channels={self.in_channels}) reads (B, L, {self.in_channels}, H, W), '
                f'but was given {tuple(raw.x.shape)}'
            )

    def tokenise(self, maps: Tensor, real: Tensor, pool: int = 1) -> Signal:
        """Maps (N, D, H', W') of the N real frames among (B, L) -> the tokens that are asked for.

        `pool`: columns per token of 'time'; the last token may get fewer.
        """
        if self.tokens == 'time':
            columns = reduce(maps, 'n d h w -> n d w', 'mean')
            if pool > 1:
                columns = F.avg_pool1d(columns, pool, ceil_mode=True)
            columns = rearrange(columns, 'n d w -> n w d')
            x = scatter(columns, real)
            mask = real.unsqueeze(-1).expand(*x.shape[:3])
            return Signal(rearrange(x, 'b l w d -> b (l w) d'), rearrange(mask, 'b l w -> b (l w)'))
        frames = reduce(maps, 'n d h w -> n d', 'mean')
        signal = Signal(scatter(frames, real), real)
        if self.tokens == 'frame':
            return signal
        return Signal(rearrange(signal.mean(), 'b d -> b 1 d'), signal.present.unsqueeze(1))

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_dim, ceil(H / 32), ceil(W / 32))."""
        return self.stages(images)[-1]

    def stages(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) -> the maps of layer1 to layer4, each half as high and wide as the last."""
        x = F.relu(self.bn1(self.conv1(images)), inplace=True)
        maps = [F.max_pool2d(x, 3, 2, 1)]
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            maps.append(stage(maps[-1]))
        return maps[1:]

    def init_weights(self) -> None:
        """Read `checkpoint`, if there is one. mmengine calls this before training, not to test.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not the state dict of a ResNet of this depth.
        """
        if self.checkpoint is None:
            return
        if not Path(self.checkpoint).is_file():
            raise FileNotFoundError(f'ResNet(checkpoint={self.checkpoint!r}): no such file')
        state = torch.load(self.checkpoint, map_location='cpu', weights_only=True)
        state = {k: v for k, v in state.get('state_dict', state).items() if not k.startswith('fc.')}
        if 'conv1.weight' in state:
            state['conv1.weight'] = fit_channels(state['conv1.weight'], self.in_channels)
        own = self.state_dict()
        wrong = sorted(own.keys() ^ state.keys())
        wrong += [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
        if wrong:
            raise ValueError(
                f'{self.checkpoint} is not the state dict of this ResNet: {len(wrong)} parameters '
                f'are missing, unknown or of another shape, among them {wrong[:3]}'
            )
        self.load_state_dict(state)


def fit_channels(weight: Tensor, channels: int) -> Tensor:
    """Fit a first convolution (O, 3, K, K) to another number of channels, keeping its response.

    One channel: the sum over the three, so that a grey image answers as its RGB copy did. Others:
    repeated and scaled by 3 / channels.
    """
    if weight.shape[1] == channels:
        return weight
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)
    given = weight.shape[1]
    repeated = weight.repeat(1, ceil(channels / given), 1, 1)[:, :channels]
    return repeated * (given / channels)
