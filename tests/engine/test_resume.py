"""kill -9 at random moments, over and over, changes no number of a training."""

import random
from pathlib import Path

import pytest
from engine_project import config, diary
from mmengine.runner.checkpoint import _load_checkpoint


@pytest.mark.parametrize('workers', [0, pytest.param(2, marks=pytest.mark.slow)])
def test_kill_nine_at_random_moments(tmp_path, start, wait, uninterrupted, same, workers):
    chance = random.Random(workers)
    for _ in range(5):
        child = start(config(tmp_path, workers=workers, slow=0.01, resume=True))
        there = len(diary(tmp_path)) + chance.randint(1, 13)
        wait(lambda c=child, n=there: len(diary(tmp_path)) >= n or not c.is_alive())
        child.join(chance.uniform(0, 0.03))
        child.kill()
        child.join(10)
        pointer = Path(tmp_path, 'last_checkpoint')
        if pointer.exists():
            assert 'optimizer' in _load_checkpoint(pointer.read_text())
    child = start(config(tmp_path, workers=workers, resume=True))
    child.join(60)
    assert child.exitcode == 0
    same(diary(tmp_path), uninterrupted)
    names = sorted(p.name for p in tmp_path.iterdir() if p.suffix in ('.pth', '.tmp'))
    best = _load_checkpoint(pointer.read_text())['message_hub']['runtime_info']['best_ckpt']
    assert names == [Path(best).name, 'epoch_3.pth', 'epoch_4.pth']
