"""tools/dynamics.py on logs that are known, run as a user runs it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]
CURVES = {
    'loss/train': [2.0, 1.0],
    'accuracy': [0.4, 0.6],
    'grad_norm/head': [1.0, 0.1],
    'coupling/audio': [0.5, -0.5],
    'coupling_variance_batches/audio': [0.1, 0.2],
    'score/all': [0.4, 0.6],
    'contribution/audio': [0.0, 0.2],
    'loss_increase/audio': [0.1, 0.3],
    'evidence/value/audio/mean': [0.5, 0.7],
    'spearman/value/audio': [0.0, 0.4],
    'system/items_per_s': [10.0, 12.0],
}
PICTURES = {
    'loss', 'metrics', 'gradient_norms', 'coupling', 'coupling_spread', 'scores', 'contribution',
    'impact', 'evidence', 'spearman',
}  # fmt: skip


def write(folder, add=0.0, sample=False):
    target = folder / '1' / 'vis_data'
    target.mkdir(parents=True)
    rows = [
        {name: values[k] + add, 'step': k + 1} for name, values in CURVES.items() for k in (0, 1)
    ]
    (target / 'scalars.json').write_text('\n'.join(map(json.dumps, rows)) + '\n')
    (target / 'config.py').write_text(f'sample_data = {sample}\n')
    return folder


def run(*arguments):
    command = [sys.executable, str(REPOSITORY / 'tools' / 'dynamics.py'), *map(str, arguments)]
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_runs_are_drawn_by_group_with_a_table_of_final_figures(tmp_path):
    runs = [write(tmp_path / f'base-seed{k}', 0.2 * k) for k in (0, 1)]
    runs.append(write(tmp_path / 'calib', sample=True))
    done = run(*runs, '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / 'out' / 'report.html')
    assert {path.stem for path in (tmp_path / 'out').glob('*.png')} == PICTURES
    for path in (tmp_path / 'out').glob('*.png'):
        assert len(np.unique(cv2.imread(str(path)).reshape(-1, 3), axis=0)) > 10, path
    page = (tmp_path / 'out' / 'report.html').read_text()
    assert page.count('data:image/png;base64,') == len(PICTURES) and 'SAMPLE DATA' in page
    assert 'base (2), calib (1)' in page and '0.7 ± 0.14 (2)' in page
    with (tmp_path / 'out' / 'final.csv').open(newline='') as file:
        rows = {(row['group'], row['curve']): row for row in csv.DictReader(file)}
    assert len(rows) == 2 * len(CURVES)
    row = rows['base', 'coupling/audio']
    assert (float(row['mean']), float(row['sd']), row['n'], row['step']) == (
        pytest.approx(-0.4), pytest.approx(0.02**0.5), '2', '2'
    )  # fmt: skip
    assert rows['calib', 'accuracy']['sd'] == ''


def test_no_run_is_an_error_without_a_traceback(tmp_path):
    done = run(tmp_path / 'none')
    assert done.returncode == 2 and 'has no */vis_data/scalars.json' in done.stderr
    assert 'Traceback' not in done.stderr
