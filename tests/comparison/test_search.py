"""A search gives every method one budget, never sees the test split, and can be started again."""

import json
import math

import mini_project
import pytest

from mmcalib.comparison import pool
from mmcalib.comparison.execute import ERROR, execute
from mmcalib.comparison.grid import expand
from mmcalib.comparison.search import Range, Trial, best, parse_space, search, value_of

SPACE = {'optim_wrapper.optimizer.lr': Range(1e-5, 1e-1, log=True), 'train_cfg.max_epochs': [1, 2]}


class Pretend:
    """Runs whose validation peaks at a learning rate of its own for each method."""

    def __init__(self, peaks, broken=()):
        self.peaks, self.broken, self.runs = peaks, broken, []

    def submit(self, run):
        self.runs.append(run)
        run.folder.mkdir(parents=True, exist_ok=True)
        if len(self.runs) in self.broken:
            (run.folder / ERROR).write_text('ValueError: broken\n')
        else:
            lr = run.tuned['optim_wrapper.optimizer.lr']
            value = 1 - abs(math.log10(lr) - math.log10(self.peaks[run.calibrator]))
            record = {'selection': {'value': value}, 'test': {}}
            (run.folder / 'test.json').write_text(json.dumps(record))
        return self

    def done(self):
        return True


@pytest.fixture(autouse=True)
def _haste(monkeypatch):
    monkeypatch.setattr(pool, 'POLL_S', 0)


@pytest.fixture
def methods(tmp_path):
    path = mini_project.make(tmp_path / 'project')
    return expand([str(path)], tmp_path / 'out', ['Identity', 'SE'], seeds=[1000])


def test_each_method_gets_as_many_trials_and_finds_its_own_peak(methods):
    executor = Pretend({'Identity': 1e-2, 'SE': 1e-4})
    trials = search(methods, SPACE, 25, executor, 2)
    assert [t.method for t in trials].count('Identity') == 25 == len(trials) - 25
    found = {m: t.options['optim_wrapper.optimizer.lr'] for m, t in best(trials).items()}
    assert 10**-2.3 < found['Identity'] < 10**-1.7 and 10**-4.3 < found['SE'] < 10**-3.7
    tried = {'Identity': [], 'SE': []}
    for trial in trials:
        tried[trial.method].append(trial.options)
        assert 1e-5 <= trial.options['optim_wrapper.optimizer.lr'] <= 1e-1
    assert tried['Identity'][:10] == tried['SE'][:10]  # random, and the same
    assert tried['Identity'] != tried['SE']


def test_no_trial_has_a_test_split(methods):
    executor = Pretend({'Identity': 1e-2, 'SE': 1e-4})
    search(methods, SPACE, 2, executor, 1)
    for run in executor.runs:
        cfg = run.load()
        assert cfg.test_dataloader is None and cfg.test_evaluator is None
        assert cfg.val_dataloader is not None and cfg.randomness.seed == 1000
        assert 'test_dataloader=None' in run.command


def test_a_search_started_again_does_nothing_twice(methods):
    first = search(methods, SPACE, 12, Pretend({'Identity': 1e-2, 'SE': 1e-4}), 2)
    again = Pretend({})
    assert search(methods, SPACE, 12, again, 2) == first and not again.runs
    longer = Pretend({'Identity': 1e-2, 'SE': 1e-4})
    assert search(methods, SPACE, 14, longer, 2)[:24] == first and len(longer.runs) == 4


def test_a_failed_trial_counts_and_is_not_the_best(methods):
    executor = Pretend({'Identity': 1e-2, 'SE': 1e-4}, broken=(1, 2, 5))
    trials = search(methods, SPACE, 5, executor, 2)
    assert len(trials) == 10 and [t.value for t in trials].count(None) == 3
    assert all(trial.value is not None for trial in best(trials).values())


def test_a_failed_trial_is_not_tried_again(methods):
    executor = Pretend({'Identity': 1e-2, 'SE': 1e-4}, broken=(1, 2, 5))
    first = search(methods, SPACE, 5, executor, 2)
    again = Pretend({})
    assert search(methods, SPACE, 5, again, 2) == first and not again.runs


@pytest.mark.parametrize('key', ['split', 'validation'])
def test_a_config_that_validates_on_test_is_not_searched(methods, key):
    options = {f'val_dataloader.dataset.{key}': 'test'}
    with pytest.raises(ValueError, match=rf"validates on the test split.*{key}='test'"):
        search([methods[0]._replace(options=options)], SPACE, 1, Pretend({}), 1)


def test_the_best_is_the_lowest_where_less_is_better():
    trials = [Trial('m', k, {}, value, '') for k, value in enumerate([2.0, None, 1.0, 1.0])]
    assert best(trials)['m'].number == 0
    assert best(trials, lower=True)['m'].number == 2


def test_a_config_that_selects_nothing_cannot_be_searched(methods):
    options = {'default_hooks.checkpoint.save_best': None}
    with pytest.raises(ValueError, match=r'save_best=None; a search needs one metric'):
        search([methods[0]._replace(options=options)], SPACE, 1, Pretend({}), 1)


def test_spaces_are_typed_shortly():
    given = parse_space(['a=1e-4..1e-2:log', 'b=32..256', 'c=sum,mean', 'd=0,0.01', 'e=True,None'])
    assert given == {
        'a': Range(1e-4, 1e-2, True),
        'b': Range(32, 256, False),
        'c': ['sum', 'mean'],
        'd': [0, 0.01],
        'e': [True, None],
    }


@pytest.mark.parametrize(
    'text',
    ['a', 'a=', 'a=1..', 'a=1..x', 'a=True..2', 'a=(1,2)..3', 'a=1..2:lin', 'a=2..1', 'a=0..1:log'],
)
def test_other_spaces_are_refused(text):
    with pytest.raises(ValueError, match='--space a'):
        parse_space([text])


def test_a_real_trial_is_trained_and_validated_and_not_tested(methods):
    class Here:
        def submit(self, run):
            execute(run)
            return self

        def done(self):
            return True

    (trial,) = search(methods[:1], SPACE, 1, Here(), 1)
    assert 0 < trial.value <= 1
    (folder,) = methods[0].folder.parent.iterdir()
    record = json.loads((folder / 'test.json').read_text())
    assert record['test'] == {} and record['tuned'] == trial.options
    assert record['selection']['split'] == 'val'
    assert not (folder / 'predictions.npz').exists()
    assert 'Epoch(test)' not in (folder / 'output.txt').read_text()
    assert value_of(methods[0]) is None  # only its trial has run


def test_a_tuned_run_is_of_the_setting_of_those_that_are_not(methods, tmp_path):
    from mmcalib.apis.train import asked

    tuned = {'SE': {'optim_wrapper.optimizer.lr': 0.5}}
    runs = expand([methods[0].path], tmp_path, ['Identity'])
    runs += expand([methods[0].path], tmp_path, ['SE'], tuned=tuned)
    plain, mine = (asked(run.load()) for run in runs)
    assert runs[1].load().optim_wrapper.optimizer.lr == 0.5
    assert plain['setting'] == mine['setting'] and mine['tuned'] == tuned['SE']
    assert mine['options'] == plain['options'] == plain['tuned'] == {}
    assert 'lr=0.5' in mine['command']
