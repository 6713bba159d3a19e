"""The two tools, run as a user runs them, on a small sample data set."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import NO_PICTURES

REPOSITORY = Path(__file__).parents[2]
SMALL = [
    *NO_PICTURES,
    'train_cfg.max_epochs=2',
    'data.audio.0.length_s=0.5',
    'model.encoders.audio.base_channels=8',
    'model.encoders.visual.base_channels=8',
    'train_dataloader.dataset.visual.0.size=32',
    'val_dataloader.dataset.visual.0.size=32',
    'test_dataloader.dataset.visual.0.size=32',
]
for loader in ('train', 'val', 'test'):
    SMALL += [
        f'{loader}_dataloader.batch_size=8',
        f'{loader}_dataloader.num_workers=0',
        f'{loader}_dataloader.persistent_workers=False',
    ]
FUSER = """
import torch
from mmcalib.contract import Fuser, Fusion
from mmcalib.registry import FUSERS

@FUSERS.register_module()
class MaxConcat(Fuser):
    def __init__(self, dims):
        super().__init__(dims)
        self.out_dim = sum(dims.values())
    def forward(self, signals):
        return Fusion(torch.cat([signals[m].max() for m in self.modalities], dim=-1))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    from mmcalib.samples.ave import generate

    root = generate(tmp_path_factory.mktemp('data') / 'ave', train=16, val=9, test=9, processes=1)
    (root / 'sample.json').unlink()  # from here on it passes for real data
    return root


def run(tool, *args, cwd, options=SMALL, launcher=(), check=True):
    command = [sys.executable, *launcher, REPOSITORY / 'tools' / f'{tool}.py', *args]
    if options:
        command += ['--cfg-options', *options]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(cwd)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    done.text = done.stdout + done.stderr
    assert (done.returncode == 0) == check, done.text
    return done


@pytest.fixture
def train_here(root, tmp_path, monkeypatch):
    """The same in this process, which saves a start: for what a fresh process has no part in."""

    def train(*args, options=SMALL):
        given = map(str, [*args, '--data-root', root, '--cfg-options', *options])
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, 'argv', ['train.py', *given])
        runpy.run_path(str(REPOSITORY / 'tools' / 'train.py'), run_name='__main__')

    return train


def config(name):
    return REPOSITORY / 'configs' / f'{name}.py'


def result(work_dir):
    record = json.loads((work_dir / 'test.json').read_text())
    # How it was started, and how long it took, is another matter than what came of it.
    return {k: v for k, v in record.items() if k not in ('command', 'epoch_s', 'inference_ms')}


def test_train_leaves_what_a_user_looks_for_and_test_repeats_its_metrics(root, tmp_path):
    done = run('train', config('calib_conv_ave'), '--data-root', root, cwd=tmp_path)
    work_dir = tmp_path / 'work_dirs' / 'calib_conv_ave'
    record = result(work_dir)
    assert record['test'].keys() == {'accuracy', 'macro_f1', 'mAP'}
    assert record['sample_data'] is False
    assert 'loss_value' in done.text
    assert 'SAMPLE DATA' not in done.text
    assert list(work_dir.glob('*/vis_data/events.out.tfevents*'))
    assert (work_dir / 'calib_conv_ave.py').is_file()
    best = work_dir / record['checkpoint']
    assert best.name.startswith('best_accuracy_epoch_')
    assert len(list(work_dir.glob('*.pth'))) == 2  # the best and the last
    run(
        'test',
        work_dir / 'calib_conv_ave.py',
        best,
        '--out',
        'again.json',
        cwd=tmp_path,
        options=[],
    )
    assert json.loads((tmp_path / 'again.json').read_text()) == record['test']


def test_without_data_a_run_on_sample_data_says_so_everywhere(tmp_path):
    args = [f'sample.args.{k}={v}' for k, v in {'train': 8, 'val': 8, 'test': 8}.items()]
    done = run('train', config('base_conv_ave'), cwd=tmp_path, options=[*args, *SMALL])
    assert 'SAMPLE DATA' in done.stdout.splitlines()[1]
    work_dir = tmp_path / 'work_dirs' / 'base_conv_ave-sample'
    assert result(work_dir)['sample_data'] is True
    meta = torch.load(next(work_dir.glob('epoch_*.pth')), weights_only=False)['meta']
    assert 'sample_data = True' in meta['cfg']
    assert 'sample' in meta['experiment_name']
    assert 'SAMPLE DATA' in next(work_dir.glob('*/*.log')).read_text()
    assert (tmp_path / 'data' / 'sample_ave' / 'reliability.csv').is_file()


def test_a_fuser_from_a_file_outside_the_package_trains(root, tmp_path):
    (tmp_path / 'max_concat.py').write_text(FUSER)
    (tmp_path / 'mine.py').write_text(
        f'_base_ = [{str(config("base_conv_ave"))!r}]\n'
        "custom_imports = dict(imports=['max_concat'])\n"
        "model = dict(fuser=dict(type='MaxConcat'))\n"
    )
    run('train', 'mine.py', '--data-root', root, cwd=tmp_path)
    state = torch.load(next((tmp_path / 'work_dirs/mine').glob('epoch_*.pth')), weights_only=False)
    assert "type='MaxConcat'" in state['meta']['cfg']


@pytest.mark.parametrize('name', ['base_seq_ave', 'calib_seq_ave'])
def test_the_sequence_family_trains_in_mixed_precision(name, train_here, tmp_path):
    train_here(config(name), '--amp')
    assert result(tmp_path / 'work_dirs' / name)['test']['accuracy'] >= 0


def test_flags_change_the_run_and_its_work_dir(train_here, tmp_path):
    flags = ['--calibrator', 'VGMR', '--seed', '3', '--no-validate', '--auto-scale-lr']
    train_here(config('base_conv_ave'), *flags)
    work_dir = tmp_path / 'work_dirs' / 'base_conv_ave-VGMR-seed3'
    assert result(work_dir)['checkpoint'] == 'last'
    assert result(work_dir)['seed'] == 3
    log = next(work_dir.glob('*/*.log')).read_text()
    assert 'loss_value' in log
    assert 'lr: 2.5000e-04' in log  # 1e-3 for 32 samples, here 8


def test_resume_ends_as_if_never_interrupted(root, tmp_path):
    args = ['train', config('calib_conv_ave'), '--data-root', root]
    run(*args, '--work-dir', 'whole', cwd=tmp_path)
    # The learning rate of epoch 1 does not depend on the number of epochs.
    run(*args, '--work-dir', 'parts', cwd=tmp_path, options=[*SMALL, 'train_cfg.max_epochs=1'])
    run(*args, '--work-dir', 'parts', '--resume', cwd=tmp_path)
    assert result(tmp_path / 'whole') == result(tmp_path / 'parts')


def test_two_processes_train_and_count_every_test_sample_once(root, tmp_path):
    launcher = ['-m', 'torch.distributed.run', '--nproc-per-node', '2', '--master-port', '29617']
    args = ['--data-root', root, '--launcher', 'pytorch']
    run('train', config('calib_conv_ave'), *args, cwd=tmp_path, launcher=launcher)
    record = result(tmp_path / 'work_dirs' / 'calib_conv_ave')
    checkpoint = tmp_path / 'work_dirs' / 'calib_conv_ave' / record['checkpoint']
    args = [config('calib_conv_ave'), checkpoint, '--data-root', root, '--out', 'one.json']
    run('test', *args, cwd=tmp_path)
    assert json.loads((tmp_path / 'one.json').read_text()) == pytest.approx(record['test'])


@pytest.mark.parametrize(
    ('flags', 'says'),
    [
        (['--data-root', 'nowhere'], ['nowhere', 'docs/datasets/ave.md']),
        (['--calibrator', 'VGRM'], ["no calibrator 'VGRM'", "did you mean 'VGMR'", 'Identity']),
    ],
)
def test_a_wrong_flag_is_answered_with_what_is_possible(flags, says, root, tmp_path):
    flags = flags if '--data-root' in flags else ['--data-root', root, *flags]
    done = run('train', config('base_conv_ave'), *flags, cwd=tmp_path, check=False)
    assert all(part in done.text for part in says), done.text


def test_a_head_of_another_size_is_refused_before_training(train_here):
    with pytest.raises(ValueError, match=r'--cfg-options model\.head\.num_classes=8'):
        train_here(config('base_conv_ave'), options=[*SMALL, 'data.classes=auto'])


def test_a_balancing_method_trains_beside_a_calibrator_and_resumes_exactly(train_here, tmp_path):
    args = [config('base_conv_ave'), '--calibrator', 'VGMR', '--balancing', 'OGM']
    train_here(*args, '--work-dir', 'whole')
    half = [*SMALL, 'train_cfg.max_epochs=1']
    train_here(*args, '--work-dir', 'parts', options=half)
    train_here(*args, '--work-dir', 'parts', '--resume')
    assert result(tmp_path / 'parts') == result(tmp_path / 'whole')
    log = next((tmp_path / 'whole').glob('*/vis_data/scalars.json')).read_text()
    assert 'balance_audio' in log and 'loss_value' in log
