from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmcalib import config
from mmcalib.engine.epoch_sampler import EpochSampler
from mmcalib.engine.runner import Runner
from mmcalib.samples.ave import generate

CONFIGS = Path(__file__).parents[1] / 'configs'
SHARED = Path(__file__).parents[2] / 'shared' / 'data'
PAIRS = sorted(p.name[len('base_') :] for p in CONFIGS.glob('base_*.py'))
STUDIES = sorted((CONFIGS / 'studies').glob('*.py'))
TABLES = [p for p in STUDIES if p.stem.startswith(('cremad_votes', 'mosi_features'))]

FILE = """
data = dict(type='AVE', root='{root}', frames=1)
model = dict(calibrator=dict(type='VGMR', alpha=0.3))
randomness = dict(seed=0)
train_dataloader = dict(dataset=dict(split='train'))
val_dataloader = dict(dataset=dict(split='val', frames=4))
test_dataloader = None
sample = dict(
    module='mmcalib.samples.ave',
    root='{sample}',
    page='docs/p.md',
    overlay=dict(data=dict(frames=2)),
)
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / 'some.py'
    path.write_text(FILE.format(root=tmp_path / 'data', sample=tmp_path / 'sample'))
    return path


@pytest.mark.parametrize('name', PAIRS)
def test_the_calibrated_config_is_the_base_and_one_key(name):
    base = Config.fromfile(CONFIGS / f'base_{name}').to_dict()
    calibrated = Config.fromfile(CONFIGS / f'calib_{name}').to_dict()
    assert calibrated['model'].pop('calibrator')['type'] == 'VGMR'
    assert calibrated == base
    assert 'calibrator' not in base['model']


@pytest.mark.parametrize('path', [*sorted(CONFIGS.glob('*.py')), *STUDIES], ids=lambda p: p.stem)
def test_every_config_survives_a_dump(path, tmp_path):
    cfg = config.load(str(path))
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()


@pytest.mark.parametrize('path', STUDIES, ids=lambda p: p.stem)
def test_a_study_leaves_the_calibrator_to_the_command_and_observes_nothing(path):
    cfg = config.load(str(path), seed=3)
    assert 'calibrator' not in cfg.model
    hooks = {hook.type for hook in cfg.custom_hooks}
    runtime = Config.fromfile(str(CONFIGS / '_base_' / 'runtime.py'), lazy_import=False)
    assert {hook.type for hook in runtime.custom_hooks} - hooks == {
        'TrainingDynamics',
        'FeatureDump',
    }
    for loader in config.LOADERS:
        assert cfg[loader].num_workers == 0
        assert 'persistent_workers' not in cfg[loader]


def train_briefly(path: Path, root: Path, work_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One epoch of two steps, on four samples of a split each; every stage learns."""
    monkeypatch.setattr(EpochSampler, '__len__', lambda sampler: min(4, len(sampler.dataset)))
    options = {'train_cfg.max_epochs': 1, 'work_dir': str(work_dir)}
    options |= {f'{loader}.batch_size': 2 for loader in config.LOADERS}
    runner = Runner.from_cfg(config.load(str(path), options, str(root), calibrator='VGMR'))
    before = {key: value.clone() for key, value in runner.model.state_dict().items()}
    runner.train()
    assert 0 <= runner.test()['accuracy'] <= 1
    after = runner.model.state_dict()
    assert all(value.isfinite().all() for value in after.values())
    moved = {key.split('.')[0] for key, value in after.items() if not value.equal(before[key])}
    assert {'encoders', 'calibrator', 'head'} <= moved
    assert runner.iter == 2


@pytest.mark.parametrize('path', STUDIES, ids=lambda p: p.stem)
@pytest.mark.skipif(not SHARED.exists(), reason='no shared data on this machine')
def test_a_study_trains_on_its_real_data(path, tmp_path, monkeypatch):
    name = Path(config.load(str(path)).train_dataloader.dataset.root)
    root = SHARED / name.relative_to('data')
    train_briefly(path, root, tmp_path, monkeypatch)


@pytest.mark.parametrize('path', TABLES, ids=lambda p: p.stem)
def test_a_study_of_vectors_trains_on_a_table_of_its_shape(path, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    cfg = config.load(str(path))
    widths = {m: encoder.in_dim for m, encoder in cfg.model.encoders.items()}
    np.savez(
        tmp_path / 'some.npz',
        id=[f'{k:02}' for k in range(36)],
        split=['train', 'val', 'test'] * 12,
        target=np.arange(36) // 3 % cfg.model.head.num_classes,
        **{m: random.normal(size=(36, width)).astype(np.float32) for m, width in widths.items()},
    )
    train_briefly(path, tmp_path / 'some.npz', tmp_path, monkeypatch)


def test_all_loaders_get_the_shared_arguments_and_their_own_win(file, tmp_path):
    (tmp_path / 'data').mkdir()
    cfg = config.load(str(file), {'data.span': 'clip'})
    root = str(tmp_path / 'data')
    assert cfg.train_dataloader.dataset == dict(
        type='AVE', root=root, frames=1, span='clip', split='train'
    )
    assert cfg.val_dataloader.dataset == dict(
        type='AVE', root=root, frames=4, span='clip', split='val'
    )
    assert 'data' not in cfg
    assert cfg.sample_data is False


def test_the_sample_applies_only_when_nobody_named_data_that_exists(file, tmp_path):
    def frames(**kwargs):
        cfg = config.load(str(file), **kwargs)
        assert cfg.sample_data == (cfg.train_dataloader.dataset.root == str(tmp_path / 'sample'))
        assert cfg.sample_data == cfg.work_dir.endswith('-sample')
        assert cfg.sample_data == cfg.experiment_name.endswith('-sample')
        return cfg.train_dataloader.dataset.frames

    assert frames() == 2
    assert frames(root='elsewhere') == 1
    assert frames(options={'data.root': 'elsewhere'}) == 1
    assert frames(options={'data.frames': 7}) == 7
    (tmp_path / 'data').mkdir()
    assert frames() == 1


def test_a_generated_data_root_is_called_sample_data_wherever_it_lies(file, tmp_path):
    root = generate(tmp_path / 'elsewhere', train=8, val=8, test=8, processes=1)
    cfg = config.load(str(file), root=str(root))
    assert cfg.sample_data
    assert f'{root} holds SAMPLE DATA' in cfg.sample.notice
    assert cfg.train_dataloader.dataset.frames == 1  # the overlay is for the fallback
    (root / 'sample.json').unlink()
    assert not config.load(str(file), root=str(root)).sample_data


def test_flags_are_visible_in_the_work_dir(file):
    cfg = config.load(str(file), root='r', calibrator='Identity', seed=3)
    assert cfg.work_dir == 'work_dirs/some-Identity-seed3'
    assert cfg.model.calibrator == dict(type='Identity')
    assert cfg.randomness.seed == 3


def test_options_win_over_flags(file):
    cfg = config.load(str(file), {'randomness.seed': 5, 'work_dir': 'w'}, seed=3)
    assert (cfg.randomness.seed, cfg.work_dir) == (5, 'w')


def test_a_dumped_config_names_what_cannot_be_shared_any_more(file, tmp_path):
    config.load(str(file), root='r').dump(tmp_path / 'dumped.py')
    for kwargs in ({'root': 'r'}, {'options': {'data.frames': 2}}):
        with pytest.raises(ValueError, match=r'no `data`.*train_dataloader\.dataset'):
            config.load(str(tmp_path / 'dumped.py'), **kwargs)


def test_a_balancing_method_is_one_more_hook_and_names_the_work_dir(file):
    cfg = config.load(str(file), calibrator='VGMR', seed=3, balancing='OGM')
    assert cfg.custom_hooks == [dict(type='OGM')]
    assert cfg.experiment_name.startswith('some-VGMR-OGM-seed3')


@pytest.mark.parametrize(
    ('text', 'meant'),
    [
        ('VGMR', dict(type='VGMR')),
        ('VGMR()', dict(type='VGMR')),
        (
            'VGMR(order=norm_then_gate, width=80, value=False)',
            dict(type='VGMR', order='norm_then_gate', width=80, value=False),
        ),
        ("Some(name='two words', k=-1e-3)", dict(type='Some', name='two words', k=-0.001)),
        (
            "Chain(calibrators=[{'type': 'SE'}, {'type': 'VGMR', 'width': 8}])",
            dict(type='Chain', calibrators=[dict(type='SE'), dict(type='VGMR', width=8)]),
        ),
    ],
)
def test_a_component_is_typed_as_a_call_and_spelled_back(text, meant):
    assert config.parse_component(text) == meant
    assert config.parse_component(config.spell_component(meant)) == meant


@pytest.mark.parametrize(
    'text', ['', 'VGMR(80)', 'a.VGMR', 'VGMR(width=open("x"))', 'VGMR(', 'f(x)(y)', 'VGMR(**{})']
)
def test_what_names_no_component_is_refused_and_never_run(text):
    with pytest.raises(ValueError, match='names no component; possible are a name, VGMR'):
        config.parse_component(text)


def test_a_component_with_arguments_names_the_work_dir(file):
    cfg = config.load(str(file), calibrator='VGMR(order=norm_then_gate, width=80)', seed=3)
    assert cfg.work_dir.startswith('work_dirs/some-VGMR-order=norm_then_gate-width=80-seed3')
    assert cfg.model.calibrator == dict(type='VGMR', order='norm_then_gate', width=80)
    assert cfg.asked.config == str(file) and cfg.asked.options == {}


def test_missing_is_put_around_every_data_set(file, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr('mmcalib.samples.ave.generate', lambda root, **_: made.append(root))
    cfg = config.load(str(file), {'missing.rate': 0.3, 'missing.splits': ['val']})
    plain = config.load(str(file))
    for loader in ('train_dataloader', 'val_dataloader'):
        assert cfg[loader].dataset == dict(
            type='Missing', dataset=plain[loader].dataset, rate=0.3, splits=['val']
        )
    assert 'missing' not in cfg and cfg.test_dataloader is None
    config.prepare_sample(cfg)
    assert made == [str(tmp_path / 'sample')]
