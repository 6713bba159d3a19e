import pytest
import torch
from torch.nn import functional as F

from mmcalib.contract import Signal
from mmcalib.encoders.resnet import ResNet


def raw(*shape, mask=None):
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return Signal(x, torch.ones(shape[:2], dtype=torch.bool) if mask is None else mask)


def published_forward(state, x, bottleneck):
    """He et al. 2016, written from the layer table on torchvision's parameter names."""

    def norm(x, name):
        s = [state[f'{name}.{k}'] for k in ('running_mean', 'running_var', 'weight', 'bias')]
        return F.batch_norm(x, *s)

    x = norm(F.conv2d(x, state['conv1.weight'], stride=2, padding=3), 'bn1').relu()
    x = F.max_pool2d(x, 3, 2, 1)
    for stage in (1, 2, 3, 4):
        block = 0
        while f'layer{stage}.{block}.conv1.weight' in state:
            name = f'layer{stage}.{block}'
            stride = 2 if stage > 1 and block == 0 else 1
            kernels = ((1, 1, 0), (3, stride, 1), (1, 1, 0)) if bottleneck else None
            kernels = kernels or ((3, stride, 1), (3, 1, 1))
            y = x
            for i, (_, step, padding) in enumerate(kernels, 1):
                y = F.conv2d(y, state[f'{name}.conv{i}.weight'], stride=step, padding=padding)
                y = norm(y, f'{name}.bn{i}')
                y = y.relu() if i < len(kernels) else y
            if f'{name}.downsample.0.weight' in state:
                x = F.conv2d(x, state[f'{name}.downsample.0.weight'], stride=stride)
                x = norm(x, f'{name}.downsample.1')
            x = (x + y).relu()
            block += 1
    return x


@pytest.mark.parametrize(('depth', 'channels'), [(18, 64), (34, 64), (50, 64), (18, 8), (50, 8)])
def test_features_are_those_of_the_published_layers(depth, channels):
    net = ResNet(depth, in_channels=2, base_channels=channels).double().eval()
    assert net.out_dim == channels * (32 if depth == 50 else 8)
    for name, value in net.named_buffers():
        if name.endswith('running_mean'):
            value.normal_()
        elif name.endswith('running_var'):
            value.uniform_(0.5, 2)
    x = raw(2, 1, 2, 64, 96).x[:, 0].double()
    expected = published_forward(net.state_dict(), x, bottleneck=depth == 50)
    torch.testing.assert_close(net.features(x), expected)


@pytest.mark.parametrize(
    ('depth', 'published'), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)]
)
def test_parameter_count_is_the_published_one_without_the_classifier(depth, published):
    net = ResNet(depth)
    classifier = (net.out_dim + 1) * 1000
    assert sum(p.numel() for p in net.parameters()) == published - classifier


def test_tokens_are_clip_frame_or_time():
    signal = raw(2, 3, 1, 64, 160)
    shapes = {t: ResNet(18, 1, tokens=t)(signal).x.shape[1] for t in ('clip', 'frame', 'time')}
    assert shapes == {'clip': 1, 'frame': 3, 'time': 3 * 5}


def test_a_published_spectrogram_gives_32_steps():
    with torch.no_grad():
        assert ResNet(18, 1, tokens='time').eval()(raw(1, 1, 1, 257, 1004)).x.shape == (1, 32, 512)


def test_clip_is_the_mean_of_real_frames_and_time_the_mean_over_rows():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    signal = raw(2, 3, 3, 64, 64, mask=mask)
    net = ResNet(18).eval()
    maps = [net.features(signal.x[b, :n]) for b, n in ((0, 2), (1, 1))]
    expected = torch.stack([m.mean(dim=(0, 2, 3)) for m in maps])
    torch.testing.assert_close(net(signal).x[:, 0], expected)
    net.tokens = 'time'
    out = net(signal)
    torch.testing.assert_close(out.x[0, :4], torch.cat([*maps[0].mean(2).transpose(1, 2)]))
    assert out.mask.tolist() == [[True] * 4 + [False] * 2, [True] * 2 + [False] * 4]


def test_padded_frames_and_absent_samples_do_not_enter_batch_statistics():
    mask = torch.tensor([[True, True], [True, False], [False, False]])
    signal = raw(3, 2, 3, 32, 32, mask=mask)
    poisoned = Signal(signal.x.clone(), mask)
    poisoned.x[~mask] = 1e6
    nets = [ResNet(18), ResNet(18)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net, given in zip(nets, (signal, poisoned), strict=True):
        net.train()(given)
    torch.testing.assert_close(nets[0].bn1.running_mean, nets[1].bn1.running_mean)
    assert nets[1].bn1.running_mean.abs().max() < 10


@pytest.mark.parametrize(('depth', 'dims'), [(18, (128, 256, 512)), (50, (512, 1024, 2048))])
@pytest.mark.parametrize(('tokens', 'count'), [('clip', 1), ('frame', 2), ('time', 2 * 4)])
def test_levels_have_as_many_tokens_and_the_last_is_the_encoding(depth, dims, tokens, count):
    net = ResNet(depth, 1, tokens=tokens).eval()
    signal = raw(2, 2, 1, 33, 100, mask=torch.tensor([[True, True], [True, False]]))
    with torch.no_grad():
        levels, encoded = net.levels(signal), net(signal)
    assert net.level_dims == dims
    assert [tuple(level.x.shape) for level in levels] == [(2, count, dim) for dim in dims]
    assert torch.equal(levels[-1].x, encoded.x)
    assert all(torch.equal(level.mask, encoded.mask) for level in levels)


def test_columns_of_shallow_levels_are_averaged_over_the_span_of_a_deep_one():
    net = ResNet(18, 1, tokens='time').eval()
    signal = raw(1, 1, 1, 33, 100)
    with torch.no_grad():
        maps = net.stages(signal.x[:, 0])[1:]
        levels = net.levels(signal)
    assert [m.shape[-1] for m in maps] == [13, 7, 4]
    for m, level, pool in zip(maps, levels, (4, 2, 1), strict=True):
        rows = m[0].mean(dim=1)
        spans = [rows[:, at : at + pool].mean(dim=1) for at in range(0, rows.shape[1], pool)]
        torch.testing.assert_close(level.x[0], torch.stack(spans))


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({'depth': 19}, r'depth=19.*18, 34, 50'),
        ({'tokens': 'patch'}, "tokens='patch'.*clip, frame"),
        ({'base_channels': 0}, r'base_channels=0.*1 or more'),
    ],
)
def test_bad_arguments_name_what_is_possible(kwargs, match):
    with pytest.raises(ValueError, match=match):
        ResNet(**kwargs)


def test_a_wrong_number_of_channels_names_both_shapes():
    with pytest.raises(ValueError, match=r'in_channels=1.*\(2, 1, 3, 32, 32\)'):
        ResNet(18, 1)(raw(2, 1, 3, 32, 32))


@pytest.mark.parametrize('wrapped', [False, True])
def test_a_local_state_dict_loads_and_keeps_its_response(tmp_path, wrapped):
    source = ResNet(18).eval()
    state = {
        **source.state_dict(),
        'fc.weight': torch.zeros(1000, 512),
        'fc.bias': torch.zeros(1000),
    }
    torch.save({'state_dict': state} if wrapped else state, tmp_path / 'resnet18.pth')
    rgb = ResNet(18, 3, checkpoint=str(tmp_path / 'resnet18.pth')).eval()
    rgb.init_weights()
    x = raw(1, 1, 3, 64, 64).x[:, 0]
    torch.testing.assert_close(rgb.features(x), source.features(x))
    grey = ResNet(18, 1, checkpoint=str(tmp_path / 'resnet18.pth')).eval()
    grey.init_weights()
    torch.testing.assert_close(
        grey.features(x[:, :1]),
        source.features(x[:, :1].expand(-1, 3, -1, -1)),
        atol=1e-4,
        rtol=1e-4,
    )
    flow = ResNet(18, 4, checkpoint=str(tmp_path / 'resnet18.pth')).eval()
    flow.init_weights()
    expected = source.conv1.weight[:, [0, 1, 2, 0]] * 0.75
    torch.testing.assert_close(flow.conv1.weight, expected)


def test_a_missing_or_foreign_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth'):
        ResNet(checkpoint='nowhere.pth').init_weights()
    torch.save(ResNet(34).state_dict(), tmp_path / 'resnet34.pth')
    with pytest.raises(ValueError, match=r'resnet34\.pth is not the state dict of this ResNet'):
        ResNet(18, checkpoint=str(tmp_path / 'resnet34.pth')).init_weights()
