"""With one seed, runs with any calibrator or balancing method are exact pairs.

Encoders, fuser and head begin with the same weights, and every batch holds the same samples with
the same augmentation, whatever random numbers a method draws on its way.
"""

from hashlib import sha256

import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from sweep import ARGUMENTS, names

from mmcalib.engine.balancing import Balancing
from mmcalib.engine.runner import Runner
from mmcalib.registry import CALIBRATORS, HOOKS

DIMS = {'audio': 6, 'visual': 8}
LENGTH, SAMPLES, EPOCHS = 4, 24, 2
HEAD = {'type': 'Classify', 'num_classes': 3}
NEEDED = {**ARGUMENTS, 'KnowledgeGuidance': {**ARGUMENTS['KnowledgeGuidance'], 'head': HEAD}}
BALANCING = sorted(n for n in names(HOOKS) if issubclass(HOOKS.module_dict[n], Balancing))
AT_ONCE = {  # the others act from the first step on
    'ARL': {'begin': 0},
    'GradientBlending': {'super_epoch': 1, 'train_batches': 1},
    'Relearning': {'every': 1},
}


class Record(Hook):
    """What a run begins with, and what it is given."""

    def __init__(self):
        self.start = {}
        self.ids = []
        self.inputs = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if not self.ids:
            state = runner.model.state_dict().items()
            self.start = {n: v.clone() for n, v in state if not n.startswith('calibrator.')}
        self.ids.append(data_batch['id'])
        signals = data_batch['inputs'].items()
        self.inputs.append({(m, k): digest(t) for m, s in signals for k, t in s._asdict().items()})


def digest(tensor):
    return sha256(repr(tensor.shape).encode() + tensor.numpy().tobytes()).hexdigest()


def config(folder, calibrator, balancing, seed):
    mask = {'type': 'SpecAugment', 'frequency': 2, 'time': 3, 'fill': 0.0}
    loader = {'batch_size': 8, 'num_workers': 0, 'collate_fn': {'type': 'mmcalib.collate'}}
    data = {
        'type': 'Manifest',
        'root': str(folder / 'data.npz'),
        'modalities': {m: {'train_transforms': [mask]} for m in DIMS},
    }
    encoder = {'type': 'Transformer', 'width': 4, 'depth': 1, 'heads': 2}
    hooks = [{'type': balancing, **AT_ONCE.get(balancing, {})}] if balancing else []
    return Config(
        {
            'default_scope': 'mmcalib',
            'work_dir': str(folder / f'{calibrator}{balancing}{seed}'),
            'model': {
                'type': 'MultimodalModel',
                'encoders': {m: {**encoder, 'in_dim': dim} for m, dim in DIMS.items()},
                'calibrator': {'type': calibrator, **NEEDED.get(calibrator, {})},
                'fuser': {'type': 'TokenTransformer', 'width': 4, 'depth': 1, 'heads': 2},
                'head': HEAD,
            },
            'train_dataloader': {
                **loader,
                'sampler': {'type': 'EpochSampler'},
                'dataset': {**data, 'split': 'train'},
            },
            'val_dataloader': {
                **loader,
                'sampler': {'type': 'EpochSampler', 'shuffle': False},
                'dataset': {**data, 'split': 'val'},
            },
            'val_evaluator': {'type': 'Classification'},
            'val_cfg': {},
            'train_cfg': {'type': 'EpochLoop', 'max_epochs': EPOCHS},
            'optim_wrapper': {'optimizer': {'type': 'SGD', 'lr': 0.1}},
            'default_hooks': {'checkpoint': None, 'logger': None},
            'custom_hooks': hooks,  # without StepSeed, which would hide a moved random state
            'visualizer': {'type': 'Visualizer', 'vis_backends': []},
            'randomness': {'seed': seed},
            'log_level': 'ERROR',
        }
    )


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Train; what was recorded."""
    folder, random = tmp_path_factory.mktemp('pairs'), np.random.default_rng(0)
    count = SAMPLES + 6
    inputs = {m: random.normal(size=(count, LENGTH, dim)) for m, dim in DIMS.items()}
    target = np.arange(count) % 3
    split = np.where(np.arange(count) < SAMPLES, 'train', 'val')
    names = [f'clip {k}' for k in range(count)]
    np.savez(folder / 'data.npz', id=names, target=target, split=split, **inputs)

    def run(calibrator='Identity', balancing='', seed=5):
        runner, record = Runner.from_cfg(config(folder, calibrator, balancing, seed)), Record()
        runner.register_hook(record, 'LOWEST')  # after all that a method does before a step
        trained = runner.train().state_dict()
        assert any((trained[n] != value).any() for n, value in record.start.items())
        return record

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmengine.runner.runner, 'collect_env', dict)  # it runs compilers
        yield run


@pytest.fixture(scope='module')
def baseline(run):
    return run()


def assert_pair(record, baseline):
    assert record.start.keys() == baseline.start.keys()
    for name, value in record.start.items():
        assert torch.equal(value, baseline.start[name]), name
    assert record.ids == baseline.ids
    assert record.inputs == baseline.inputs


@pytest.mark.parametrize('calibrator', sorted({*names(CALIBRATORS)} - {'Identity'}))
def test_a_calibrator_is_an_exact_pair_with_the_baseline(calibrator, run, baseline):
    assert_pair(run(calibrator), baseline)


@pytest.mark.parametrize('balancing', BALANCING)
def test_a_balancing_method_is_an_exact_pair_with_the_baseline(balancing, run, baseline):
    assert_pair(run(balancing=balancing), baseline)


def test_the_record_would_show_a_difference(run, baseline):
    """Another seed changes all of it, and so does another epoch, where it should."""
    other = run(seed=6)
    encoders = [n for n in baseline.start if n.startswith('encoders') and n.endswith('weight')]
    for name in (*encoders, 'fuser.project.audio.weight', 'head.linear.weight'):
        assert 'norm' in name or not torch.equal(other.start[name], baseline.start[name])
    assert other.ids != baseline.ids
    half = len(baseline.ids) // EPOCHS
    first = [name for batch in baseline.ids[:half] for name in batch]
    second = [name for batch in baseline.ids[half:] for name in batch]
    assert first != second and sorted(first) == sorted(second) and len(set(first)) == SAMPLES
    drawn = {given[m, 'x'] for given in baseline.inputs for m in DIMS}
    assert len(drawn) == len(DIMS) * EPOCHS * half
