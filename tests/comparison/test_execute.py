"""One run: its folder tells all, nobody does it twice, and what goes wrong is written down."""

import fcntl
import json

import mini_project
import numpy as np
import pytest
from sklearn.metrics import accuracy_score

from mmcalib import config
from mmcalib.comparison import execute as module
from mmcalib.comparison.execute import ERROR, LOCK, OUTPUT, PLAN, execute, held, state
from mmcalib.comparison.grid import expand
from mmcalib.comparison.pool import do_all


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return str(mini_project.make(tmp_path_factory.mktemp('project')))


@pytest.fixture(scope='module')
def done(project, tmp_path_factory):
    (run,) = expand([project], tmp_path_factory.mktemp('runs'), ['NormOnly'], ['OGM'], [3])
    assert state(run).name == 'waiting'
    execute(run)
    return run


def test_a_run_leaves_its_record(done, project):
    record = json.loads((done.folder / 'test.json').read_text())
    assert state(done).name == 'done' and not held(done.folder / LOCK)
    assert (record['calibrator'], record['balancing'], record['seed']) == ('NormOnly', 'OGM', 3)
    assert record['config'] == project and record['options'] == {}
    assert record['command'] == done.command
    assert record['epochs'] == 2 and record['epoch_s'] > 0 and record['inference_ms'] > 0
    assert record['calibrator_parameters'] == 2 * (6 + 4)  # scale and shift of two LayerNorms
    assert record['parameters'] == 2 * (6 + 4) + (6 + 4 + 1) * 3
    sizes = {name: record['data'][name] for name in ('name', 'train', 'val', 'test')}
    assert sizes == dict(name='Manifest', train=60, val=30, test=30)
    log = (done.folder / OUTPUT).read_text()
    assert 'Epoch(val) [2][2/2]' in log
    best = {k: v for k, v in record['selection'].items() if k in ('split', 'metric', 'rule')}
    assert best == dict(split='val', metric='accuracy', rule='greater')
    assert f'best_accuracy_epoch_{record["selection"]["epoch"]}.pth' == record['checkpoint']
    assert f'with accuracy {record["selection"]["value"]:.4f}' in log


def test_its_predictions_are_those_that_were_scored(done):
    record = json.loads((done.folder / 'test.json').read_text())
    with np.load(done.folder / 'predictions.npz') as found:
        arrays = dict(found)
    with np.load(config.Config.fromfile(done.path).data.root) as table:
        test = table['split'] == 'test'
        assert arrays['id'].tolist() == table['id'][test].tolist()
        assert arrays['target'].tolist() == table['target'][test].tolist()
    right = accuracy_score(arrays['target'], arrays['prediction'].argmax(-1))
    assert record['test']['accuracy'] == pytest.approx(right)
    assert arrays['prediction'].shape == (30, 3)


def test_what_is_done_is_not_done_again(done):
    before = (done.folder / OUTPUT).read_text()
    execute(done)
    assert (done.folder / OUTPUT).read_text() == before


def test_a_folder_that_another_process_holds_is_left_alone(project, tmp_path):
    (run,) = expand([project], tmp_path)
    run.folder.mkdir()
    with (run.folder / LOCK).open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert state(run).name == 'running'
        execute(run)
        assert [path.name for path in run.folder.iterdir()] == [LOCK]


def test_a_failure_is_written_down_and_forgotten_once_it_is_mended(project, tmp_path, monkeypatch):
    (run,) = expand([project], tmp_path, ['SE'])

    def fail(cfg):
        print('so far')
        raise RuntimeError('out of luck')

    monkeypatch.setattr(module, 'train', fail)
    execute(run)
    assert tuple(state(run)) == ('failed', 'RuntimeError: out of luck')
    assert 'in fail' in (run.folder / ERROR).read_text()
    assert (run.folder / OUTPUT).read_text().startswith('so far')

    def leave_a_record(cfg):
        (run.folder / 'test.json').touch()
        return {'checkpoint': 'last'}

    monkeypatch.setattr(module, 'train', leave_a_record)
    execute(run)
    assert state(run).name == 'done' and not (run.folder / ERROR).exists()


def test_a_folder_of_other_settings_is_refused(project, tmp_path, monkeypatch):
    monkeypatch.setattr(module, 'train', lambda cfg: {'checkpoint': 'last'})
    (run,) = expand([project], tmp_path)
    (other,) = expand([project], tmp_path, options={'train_cfg.max_epochs': 7})
    execute(run)
    assert state(run).name == 'waiting' and (run.folder / PLAN).exists()
    execute(other)
    assert 'holds a run of other settings' in state(other).error
    assert 'max_epochs=7' in state(other).error and 'another --out' in state(other).error


def test_what_is_done_with_other_settings_stops_a_grid_before_it_starts(done, project):
    def of(folder, **kwargs):
        (run,) = expand([project], folder.parent, ['NormOnly'], ['OGM'], [3], **kwargs)
        assert run.folder == folder
        return run

    assert do_all([of(done.folder)], None, 1)[done.name].name == 'done'
    other = of(done.folder, options={'train_cfg.max_epochs': 7})
    with pytest.raises(ValueError, match=r'holds a run of other settings.*max_epochs=7'):
        do_all([other], None, 1)


def test_runs_of_one_setting_share_it_whatever_their_calibrator_balancing_and_seed(
    done, project, tmp_path, monkeypatch
):
    from mmcalib.apis.train import asked

    def setting(run):
        return asked(run.load())['setting']

    runs = expand([project], tmp_path, ['Identity', 'VGMR(width=8)'], seeds=[0, 1])
    (other,) = expand([project], tmp_path, options={'optim_wrapper.optimizer.lr': 0.1})
    mine = json.loads((done.folder / 'test.json').read_text())['setting']
    assert {setting(run) for run in runs} == {mine} != {setting(other)}
