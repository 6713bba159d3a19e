"""Which runs a grid has, what they are called, and that each is the training of its command."""

import runpy
import shlex
import sys
from pathlib import Path

import mini_project
import pytest

from mmcalib import config
from mmcalib.comparison.execute import fingerprint
from mmcalib.comparison.grid import expand

TRAIN = Path(__file__).parents[2] / 'tools' / 'train.py'


def test_every_combination_is_there_once_and_whole_tables_of_few_seeds_come_first():
    axes = {'model.fuser.type': ['Concat', 'Sum']}
    runs = expand(
        ['a.py', 'b.py'], Path('out'), ['Identity', 'SE'], ['none', 'OGM'], [0, 1], axes, {'k': 1}
    )
    seen = {
        (r.path, r.calibrator, r.balancing, r.seed, r.options['model.fuser.type']) for r in runs
    }
    assert len(runs) == len(seen) == 2 * 2 * 2 * 2 * 2
    assert [run.seed for run in runs] == [0] * 16 + [1] * 16
    assert {run.balancing for run in runs} == {None, 'OGM'}
    assert all(run.options['k'] == 1 for run in runs)
    assert runs[3].name == 'a-fuser.type=Concat-SE-OGM-seed0'
    assert runs[3].folder == Path('out') / runs[3].name


def test_a_word_given_twice_is_one_run():
    assert len(expand(['a.py'], Path(), ['SE', 'SE'], seeds=[0, 0])) == 1


def test_two_configs_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r'called a-seed0: .*x/a\.py.*y/a\.py'):
        expand(['x/a.py', 'y/a.py'], Path())


def test_an_axis_is_not_an_option():
    with pytest.raises(ValueError, match=r"\['lr'\] are both"):
        expand(['a.py'], Path(), axes={'lr': [1]}, options={'lr': 2})


def test_the_command_of_a_run_trains_what_the_grid_trains(tmp_path, monkeypatch):
    path = str(mini_project.make(tmp_path))
    axes = {'optim_wrapper.optimizer.betas': [[0.9, 0.99]]}
    options = {'train_cfg.max_epochs': 3, 'data.classes': ['a', 'b', 'c']}
    (run,) = expand(
        [path], tmp_path, ['VGMR(order=norm_then_gate, width=8)'], ['OGM'], [4], axes, options
    )
    words = shlex.split(run.command)
    assert words[:2] == ['python', 'tools/train.py']
    monkeypatch.setattr(sys, 'argv', words[1:])
    args = runpy.run_path(str(TRAIN))['parse']()
    cfg = config.load(
        args.config, args.cfg_options, None, args.calibrator, args.seed, args.balancing
    )
    mine = run.load()
    assert mine.model.calibrator == dict(type='VGMR', order='norm_then_gate', width=8)
    assert mine.train_cfg.max_epochs == 3 and mine.optim_wrapper.optimizer.betas == [0.9, 0.99]
    for loaded in (cfg, mine):
        loaded.pop('experiment_name')  # the grid's options are in the folder's name
    assert fingerprint(cfg) == fingerprint(mine)
    mine.optim_wrapper.optimizer.lr *= 2
    assert fingerprint(cfg) != fingerprint(mine)


def test_a_grid_is_tuned_as_a_whole_or_not_at_all():
    tuned = {'Identity': {'a': 1}, 'SE + OGM': {'a': 2}}
    runs = expand(['c.py'], Path('out'), ['SE'], ['OGM'], tuned=tuned)
    assert runs[0].tuned == {'a': 2}
    with pytest.raises(ValueError, match=r"settings for \['Identity', 'SE \+ OGM'\].*for \['SE'\]"):
        expand(['c.py'], Path('out'), ['Identity', 'SE'], ['none'], tuned=tuned)
