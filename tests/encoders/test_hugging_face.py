import sys

import pytest
import torch

from mmcalib.contract import Signal
from mmcalib.encoders.hugging_face import HuggingFace
from mmcalib.engine.audio_backend import torchaudio

transformers = pytest.importorskip('transformers')

SMALL = {
    'hidden_size': 16,
    'num_hidden_layers': 3,
    'num_attention_heads': 2,
    'intermediate_size': 16,
}
MODELS = {
    'bert': {'vocab_size': 20, 'max_position_embeddings': 16},
    'vit': {'image_size': 8, 'patch_size': 4, 'num_channels': 1},
    'audio-spectrogram-transformer': {
        'patch_size': 4,
        'frequency_stride': 4,
        'time_stride': 4,
        'max_length': 12,
        'num_mel_bins': 8,
    },
    'wav2vec2': {
        'conv_dim': (8, 8),
        'conv_stride': (4, 2),
        'conv_kernel': (8, 3),
        'num_feat_extract_layers': 2,
        'num_conv_pos_embeddings': 4,
        'num_conv_pos_embedding_groups': 2,
        'feat_extract_norm': 'layer',
    },
}
SHAPES = {'vit': (1, 8, 8), 'audio-spectrogram-transformer': (12, 8), 'wav2vec2': (200,)}
MASK = torch.tensor([[True, True, True], [True, False, False]])
IDS = Signal(
    torch.tensor([[2, 5, 6, 3], [2, 7, 19, 19]]), torch.arange(4) < torch.tensor([[4], [2]])
)


def config(name, **changes):
    return {'model_type': name, **SMALL, **MODELS[name], **changes}


def reference(name, folder=None):
    torchaudio()
    torch.manual_seed(1)
    model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(**config(name)))
    for parameter in model.parameters():
        parameter.data += 0.3 * torch.randn_like(parameter)
    if folder is not None:
        model.save_pretrained(folder)
    return model.eval()


def load(folder, **kwargs):
    encoder = HuggingFace(str(folder), **kwargs)
    encoder.init_weights()
    return encoder.eval()


def entries(name):
    x = torch.randn(2, 3, *SHAPES[name], generator=torch.Generator().manual_seed(0))
    x[~MASK] = float('nan')
    return Signal(x, MASK)


def layers_of(out):
    return [*out.hidden_states[:-1], out.last_hidden_state]


@pytest.mark.parametrize('layer', [0, 2, 3, -1])
def test_text_is_what_the_library_gives_for_each_text_alone(tmp_path, layer):
    model, net = reference('bert', tmp_path), load(tmp_path, layer=layer)
    found = net(IDS)
    assert torch.equal(found.mask, IDS.mask) and net.out_dim == 16
    for row in range(2):
        out = model(input_ids=IDS.x[row, IDS.mask[row]][None], output_hidden_states=True)
        torch.testing.assert_close(found.x[row, IDS.mask[row]], layers_of(out)[layer][0])
    assert found.x[~IDS.mask].eq(0).all()


@pytest.mark.parametrize('name', SHAPES)
def test_every_real_entry_is_what_the_library_gives_for_it_alone(tmp_path, name):
    model, raw = reference(name, tmp_path), entries(name)
    nets = {tokens: load(tmp_path, tokens=tokens) for tokens in ('all', 'first', 'mean')}
    found = {tokens: net(raw) for tokens, net in nets.items()}
    alone = {at: model(raw.x[at][None]).last_hidden_state[0] for at in map(tuple, MASK.nonzero())}
    count = len(next(iter(alone.values())))
    assert count > 1
    for (b, entry), states in alone.items():
        rows = slice(entry * count, (entry + 1) * count)
        torch.testing.assert_close(found['all'].x[b, rows], states)
        torch.testing.assert_close(found['first'].x[b, entry], states[0])
        torch.testing.assert_close(found['mean'].x[b, entry], states.mean(0))
    assert torch.equal(found['all'].mask, MASK.repeat_interleave(count, 1))
    assert torch.equal(found['first'].mask, MASK)


def test_one_token_per_text_is_its_first_or_its_mean(tmp_path):
    model = reference('bert', tmp_path)
    for row in range(2):
        states = model(input_ids=IDS.x[row, IDS.mask[row]][None]).last_hidden_state[0]
        for tokens, expected in (('first', states[0]), ('mean', states.mean(0))):
            found = load(tmp_path, tokens=tokens)(IDS)
            assert found.mask.tolist() == [[True], [True]]
            torch.testing.assert_close(found.x[row, 0], expected)


@pytest.mark.parametrize('name', ['bert', 'vit'])
def test_levels_are_layers_and_all_of_them_lie_behind_each_other(tmp_path, name):
    model = reference(name, tmp_path)
    raw = IDS if name == 'bert' else entries(name)
    net = load(tmp_path, layer='all', level_layers=(1, 3))
    levels, together = net.levels(raw), net(raw)
    assert net.level_dims == (16, 16)
    first = {'input_ids': IDS.x[:1]} if name == 'bert' else {'pixel_values': raw.x[0]}
    states = layers_of(model(**first, output_hidden_states=True))
    for level, k in zip(levels, (1, 3), strict=True):
        torch.testing.assert_close(level.x[0], states[k].flatten(0, 1))
    torch.testing.assert_close(together.x, torch.cat([level.x for level in levels], dim=1))
    assert torch.equal(together.mask, torch.cat([level.mask for level in levels], dim=1))


def test_levels_are_at_thirds_of_the_depth():
    net = HuggingFace(config=config('bert', num_hidden_layers=12, hidden_size=4))
    assert net.level_layers == (4, 8, 12)


def test_a_frozen_model_stays_in_evaluation_and_gets_no_gradient():
    net = HuggingFace(config=config('bert'), frozen=True)
    assert not net.model.training
    net.train()
    assert net.training and not net.model.training
    assert not any(p.requires_grad for p in net.parameters())
    out = net(IDS)
    assert not out.x.requires_grad
    torch.testing.assert_close(out.x, net(IDS).x, rtol=0, atol=0)
    frames = HuggingFace(config=config('vit'), frozen=True)
    x = torch.randn(2, 3, *SHAPES['vit'], requires_grad=True)
    assert not frames(Signal(x, MASK)).x.requires_grad


@pytest.mark.parametrize('layer', [1, -1])
def test_a_fine_tuned_model_gives_every_parameter_a_gradient(layer):
    net = HuggingFace(config=config('bert'), layer=layer)
    assert net.model.training
    net(IDS).clean().square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    used = net.model.encoder.layer[0].output.dense.weight.grad
    assert used.abs().sum() > 0


def test_an_audio_model_draws_nothing_from_numpy():
    net = HuggingFace(config=config('wav2vec2', mask_time_prob=0.5, mask_time_length=2))
    net.train()
    torch.manual_seed(0)
    one = net(entries('wav2vec2')).x
    torch.manual_seed(0)
    torch.testing.assert_close(net(entries('wav2vec2')).x, one, rtol=0, atol=0)


def test_weights_are_read_when_training_begins_and_must_all_be_there(tmp_path):
    model = reference('bert', tmp_path)
    net = HuggingFace(str(tmp_path))
    key = 'encoder.layer.0.output.dense.weight'
    assert not torch.equal(net.model.state_dict()[key], model.state_dict()[key])
    net.init_weights()
    assert torch.equal(net.model.state_dict()[key], model.state_dict()[key])
    kept = {k: v for k, v in model.state_dict().items() if not k.startswith('pooler.')}
    model.save_pretrained(tmp_path, state_dict=dict(kept))
    net.init_weights()  # no token comes from the pooler
    del kept[key]
    model.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(ValueError, match=r'1 are missing, among them \[.encoder.layer.0'):
        net.init_weights()


@pytest.mark.parametrize(
    ('kwargs', 'match'),
    [
        ({}, 'path=None, config=None.*exactly one'),
        ({'path': 'x', 'config': {'model_type': 'bert'}}, "path='x'.*exactly one"),
        ({'path': 'nowhere'}, "path='nowhere'.*local folder with config.json"),
        ({'config': {'hidden_size': 4}}, r"'model_type'.*\['hidden_size'\]"),
        ({'config': {'model_type': 't5'}}, 't5 model is not one stack'),
        ({'config': config('bert'), 'layer': 4}, "layer=4.*'all' and -1 to 3"),
        ({'config': config('bert'), 'layer': 'last'}, "layer='last'.*'all' and -1 to 3"),
        ({'config': config('bert'), 'level_layers': (1, 4)}, r'level_layers=\(1, 4\).*0 to 3'),
        ({'config': config('bert'), 'tokens': 'cls'}, "tokens='cls'.*all, first, mean"),
    ],
)
def test_bad_arguments_are_refused(kwargs, match):
    with pytest.raises(ValueError, match=match):
        HuggingFace(**kwargs)


def test_numbers_are_no_ids():
    with pytest.raises(ValueError, match=r'bert.*ids.*\(2, 4\) of torch.float32'):
        HuggingFace(config=config('bert'))(Signal(IDS.x.float(), IDS.mask))


def test_the_library_is_asked_for_by_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'transformers', None)
    with pytest.raises(ImportError, match=r"pip install 'mmcalib\[hf\]'"):
        HuggingFace(config=config('bert'))
