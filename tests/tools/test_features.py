"""tools/features.py on a tiny dump, run as a user runs it."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def work_dir(tmp_path):
    """A run of one epoch: the value is high for the two clips whose sound is damaged, but one."""
    folder = tmp_path / 'run' / 'features'
    folder.mkdir(parents=True)
    x = np.random.default_rng(0).normal(size=(6, 4)).astype('f4')
    arrays = {
        'id': np.array(list('abcdef')),
        'split': np.array(['val'] * 6),
        'target': np.array([0, 1, 0, 1, 0, 1]),
        'prediction': x[:, :2],
        'fused': x,
        'before/audio': x,
        'after/audio': 2 * x,
        'present/audio': np.ones(6, bool),
        'evidence/value/audio': np.array([0.1, 0.2, 0.4, 0.3, 0.9, 0.5], 'f4'),
        'modalities': np.array(['audio']),
        'classes': np.array(['x', 'y']),
        'epoch': np.array(3),
        'run': np.array('tiny'),
        'sample_data': np.array(True),
    }
    np.savez(folder / 'epoch_3.npz', allow_pickle=False, **arrays)
    rows = ['id,modality,kind', 'a,,', 'b,,', 'c,,', 'd,audio,noise', 'e,audio,swap']
    (tmp_path / 'reliability.csv').write_text('\n'.join(rows) + '\n')
    return folder.parent


def run(*arguments):
    command = [sys.executable, str(REPOSITORY / 'tools' / 'features.py'), *map(str, arguments)]
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_it_writes_pictures_one_page_and_the_auroc(work_dir, tmp_path):
    table, out = tmp_path / 'reliability.csv', tmp_path / 'out'
    done = run(work_dir, '--reliability', table, '--out', out)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in out.rglob('*.png')}
    assert names == {'embedding.png', 'distributions.png', 'confusion.png'}
    page = (out / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == 3 and 'SAMPLE DATA' in page
    with (out / 'auroc.csv').open(newline='') as file:
        rows = {row['kind']: row for row in csv.DictReader(file)}
    # Of the pairs of {.3, .9} with {.1, .2, .4}, five of six are in the right order.
    assert float(rows['any']['auroc']) == pytest.approx(5 / 6)
    assert float(rows['any']['low']) <= 5 / 6 <= float(rows['any']['high'])
    assert float(rows['noise']['auroc']) == pytest.approx(2 / 3)


def test_errors_say_what_was_given_and_what_is_possible(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 2 and 'no features/epoch_<k>.npz' in done.stderr
    assert len(done.stderr.splitlines()) == 1
