"""FeatureDump: what it writes is what the stages say, and it changes nothing."""

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from engine_project import make_haste
from tokens_project import DIMS, Tokens, config, model

from mmcalib.contract import Signal
from mmcalib.datasets.collate import collate
from mmcalib.engine.observe import token_evidence
from mmcalib.engine.runner import Runner
from mmcalib.hooks.feature_dump import FeatureDump


def dump(tmp_path, made, hook, dataset=None, rank=0, epoch=0):
    """Dump once; the arrays of the file, or None without one."""
    loader = SimpleNamespace(
        dataset=dataset or Tokens(), batch_size=4, collate_fn=collate, sampler=None
    )
    run = SimpleNamespace(
        model=made,
        epoch=epoch,
        iter=epoch,
        rank=rank,
        work_dir=str(tmp_path),
        cfg={},
        experiment_name='run',
        val_loop=SimpleNamespace(dataloader=loader),
        train_loop=SimpleNamespace(dataloader=loader),
        test_loop=None,
        visualizer=SimpleNamespace(_vis_backends={}),
    )
    hook.dump(run)
    path = Path(tmp_path, 'features', f'epoch_{epoch}.npz')
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def quiet(**arguments):
    return FeatureDump(pictures=False, projector=False, **arguments)


def test_rows_agree_with_the_stages_asked_one_sample_at_a_time(tmp_path):
    made = model().eval()
    for gate in made.calibrator.parameters():  # gates that start at 1 would show nothing
        torch.nn.init.normal_(gate, std=0.3)
    found = dump(tmp_path, made, quiet(whole=3))
    assert found['id'].tolist() == [f'clip {k}' for k in range(14)]
    for k in range(14):
        inputs = collate([Tokens()[k]])['inputs']
        encoded = {m: made.encoders[m](s) for m, s in inputs.items()}
        done = made.calibrator(encoded)
        vector = made.fuser(done.signals).vector
        near = dict(rel=1e-4, abs=1e-5, nan_ok=True)
        assert found['fused'][k] == pytest.approx(vector[0].detach().numpy(), **near)
        assert found['prediction'][k] == pytest.approx(made.head(vector)[0].tolist(), **near)
        assert found['target'][k] == k % 3
        for m, signal in encoded.items():
            here = bool(signal.mask.any())
            assert found[f'present/{m}'][k] == here
            if not here:
                names = [f'before/{m}', f'after/{m}', f'evidence/gate/{m}', f'suppression/{m}']
                assert all(np.isnan(found[name][k]).all() for name in names)
                continue
            x, after = signal.x[0].detach().numpy(), done.signals[m].x[0].detach().numpy()
            gate = done.evidence['effective_gate'][m][0].numpy()
            lost = np.maximum(0, x - x * gate).mean()
            assert found[f'before/{m}'][k] == pytest.approx(x.mean(0), **near)
            assert found[f'after/{m}'][k] == pytest.approx(after.mean(0), **near)
            assert found[f'suppression/{m}'][k] == pytest.approx(lost, **near)
            assert found[f'evidence/effective_gate/{m}'][k] == pytest.approx(gate.mean(0), **near)
            value = done.evidence['value'][m][0].item()
            assert found[f'evidence/value/{m}'][k] == pytest.approx(value, **near)
            if k < 3:
                whole = found[f'whole/gate/{m}'][k]
                assert whole[: len(gate)] == pytest.approx(gate, **near)
                assert np.isnan(whole[len(gate) :]).all()
    assert len(found['whole/gate/audio']) == len(found['whole/input/audio']) == 3


def test_names_are_those_that_are_documented(tmp_path):
    page = Path(__file__).parents[2].joinpath('docs/features.md').read_text()
    for name in dump(tmp_path, model(), quiet()):
        if name.startswith('evidence/'):
            name = 'evidence/<name>/<m>'
        plain = name.replace('audio', '<m>').replace('visual', '<m>')
        assert f'`{plain}`' in page, plain


def test_nothing_moves(tmp_path):
    made = model().train()
    made.head.eval()  # a mode of its own
    modes = [part.training for part in made.modules()]
    weights = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    dump(tmp_path, made, FeatureDump(projector=False))
    assert all(torch.equal(weights[n], t) for n, t in made.state_dict().items())
    assert [part.training for part in made.modules()] == modes
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1], states[2]) == (np.random.get_state()[1].tolist(), random.getstate())
    assert all(p.grad is None for p in made.parameters())
    assert not any(part._forward_hooks for part in made.modules())


def test_samples_are_few_sorted_and_the_same_every_time(tmp_path):
    first = dump(tmp_path, model(), quiet(n=5, whole=2, splits=('val', 'train', 'test')))
    assert first['split'].tolist() == ['val'] * 5 + ['train'] * 5, 'test has no loader'
    places = first['sample'].tolist()
    assert places[:5] == sorted(set(places[:5])) and places[:5] == places[5:]
    again = dump(tmp_path, model(), quiet(n=5, splits=('val',)), epoch=1)
    assert again['sample'].tolist() == places[:5] and int(again['epoch']) == 1
    other = dump(tmp_path, model(), quiet(n=5, seed=1), epoch=2)
    assert other['sample'].tolist() != places[:5]


def test_only_rank_zero_writes(tmp_path):
    assert dump(tmp_path, model(), quiet(), rank=1) is None


@pytest.mark.parametrize('calibrator', ['Identity', 'SE', 'UPN', 'MAG', 'CrossAttention'])
def test_other_calibrators_and_data_without_classes(tmp_path, calibrator):
    found = dump(tmp_path, model(calibrator), FeatureDump(projector=False), Tokens(classes=None))
    assert len(found['fused']) == 14 and len(found['classes']) == 0
    gated = calibrator in ('SE', 'UPN')
    assert ('suppression/audio' in found) == gated and ('whole/gate/audio' in found) == gated


def test_one_modality(tmp_path):
    made = model('OwnGate', ('audio',))
    found = dump(tmp_path, made, FeatureDump(projector=False), Tokens(('audio',)))
    assert found['modalities'].tolist() == ['audio'] and 'suppression/audio' in found


def test_tokens_are_told_from_channels_by_what_doubles():
    signals = {
        m: Signal(torch.randn(2, 160, d), torch.ones(2, 160).bool()) for m, d in DIMS.items()
    }
    made = model().calibrator.eval()
    assert made(signals).evidence['channel_value']['audio'].shape == (2, 160)
    names = {name for name, _ in token_evidence(made, signals)}
    assert names == {'gate', 'effective_gate'}


@pytest.mark.parametrize(
    ('wrong', 'says'),
    [
        ({'splits': ('dev',)}, "FeatureDump(splits=('dev',)); possible are"),
        ({'splits': ()}, 'FeatureDump(splits=()); possible are'),
        ({'n': 0}, 'n=0'),
        ({'interval': -1}, 'interval=-1'),
    ],
)
def test_wrong_arguments_are_refused(wrong, says):
    with pytest.raises(ValueError) as error:
        FeatureDump(**wrong)
    assert says in str(error.value)


@pytest.mark.slow
def test_training_is_bit_for_bit_the_same_and_tensorboard_has_pictures(tmp_path, monkeypatch):
    make_haste(monkeypatch.setattr)
    plain = Runner.from_cfg(config(tmp_path / 'plain', [])).train().state_dict()
    hook = dict(type='FeatureDump', interval=2)
    run = Runner.from_cfg(config(tmp_path / 'dumped', [hook]))
    dumped = run.train().state_dict()
    assert all(torch.equal(plain[name], dumped[name]) for name in plain)
    written = sorted(p.name for p in (tmp_path / 'dumped' / 'features').iterdir())
    assert written == ['epoch_0.npz', 'epoch_2.npz', 'epoch_3.npz']
    run.visualizer.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = next((tmp_path / 'dumped').glob('*/vis_data'))
    events = EventAccumulator(str(folder), size_guidance={'images': 0}).Reload()
    tags = set(events.Tags()['images'])
    assert {f'features/{n}' for n in ('embedding', 'gate_map', 'confusion', 'sample_0')} <= tags
    assert [e.step for e in events.Images('features/suppression')] == [0, 2, 3]
    assert 'features_audio_before' in (folder / 'projector_config.pbtxt').read_text()
    labels = (folder / '00003' / 'features_fused' / 'metadata.tsv').read_text().splitlines()
    assert labels[0] == 'label\tid\tsplit' and labels[1] == 'a\tclip 0\tval' and len(labels) == 15
