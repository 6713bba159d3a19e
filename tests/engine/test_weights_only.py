"""Checkpoints load as data; one that holds code is refused, wherever a Runner loads it."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_project import config, diary, train
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import _load_checkpoint

from mmcalib.engine.runner import Runner


class Malice:
    """Pickles into a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def trap(tmp_path):
    """A checkpoint that makes the file `harm` when something unpickles it."""
    torch.save({'state_dict': {}, 'meta': Malice(tmp_path / 'harm')}, tmp_path / 'trap.pth')
    yield str(tmp_path / 'trap.pth')
    assert not (tmp_path / 'harm').exists()


def test_a_log_history_goes_round_as_numbers(tmp_path):
    history = HistoryBuffer([1.5, 2.5], [1, 2], max_length=7)
    scalar = np.float64(0.25)
    torch.save({'history': history, 'score': scalar, 'n': np.int64(3)}, tmp_path / 'a.pth')
    loaded = _load_checkpoint(str(tmp_path / 'a.pth'))
    assert loaded['history'].data[0].tolist() == [1.5, 2.5]
    assert loaded['history'].data[1].tolist() == [1, 2]
    assert loaded['history'].max_length == 7
    assert (loaded['score'], loaded['n']) == (0.25, 3)


def test_nothing_that_reaches_other_code_is_allowed():
    allowed = {getattr(g, '__name__', str(g)) for g in torch.serialization.get_safe_globals()}
    assert not allowed & {'getattr', 'eval', 'exec', '__import__', 'import_module', 'partial'}


@pytest.mark.parametrize('stage', ['load_from', 'resume', 'test'])
def test_a_runner_refuses_code(tmp_path, trap, stage):
    runner = Runner.from_cfg(config(tmp_path, load_from=trap, resume=stage == 'resume'))
    with pytest.raises(pickle.UnpicklingError, match=r'trap\.pth is not loaded.*getattr'):
        runner.test() if stage == 'test' else runner.train()


def test_an_old_torch_gets_the_same_refusal(tmp_path, trap, monkeypatch):
    """Before 2.6 torch's own default runs what a file holds."""
    load, asked = torch.load, []

    def older(path, map_location=None, weights_only=False):
        asked.append(weights_only)
        return load(path, map_location=map_location, weights_only=weights_only)

    monkeypatch.setattr(torch, 'load', older)
    with pytest.raises(pickle.UnpicklingError, match='is not loaded'):
        _load_checkpoint(trap)
    assert asked == [True]


def test_a_download_is_refused_too(tmp_path, trap, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    with pytest.raises(pickle.UnpicklingError, match='is not loaded'):
        # torch's cache has this name already; nothing is downloaded.
        (tmp_path / 'checkpoints').mkdir()
        (tmp_path / 'checkpoints' / 'trap.pth').write_bytes(Path(trap).read_bytes())
        _load_checkpoint('https://example.org/trap.pth')


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nothing\.pth'):
        _load_checkpoint(str(tmp_path / 'nothing.pth'))


def test_the_weights_of_a_training_are_tested_and_continued(tmp_path):
    train(config(tmp_path / 'a'))
    weights = str(tmp_path / 'a' / 'epoch_4.pth')
    score = Runner.from_cfg(config(tmp_path / 'b', load_from=weights)).test()['line/mse']
    assert score.hex() == diary(tmp_path / 'a')[-1][2]
    train(config(tmp_path / 'c', epochs=1, load_from=weights))
    assert [e[1] for e in diary(tmp_path / 'c') if e[0] == 'step'] == [0, 1, 2, 3, 4, 5]
