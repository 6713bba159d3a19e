"""The tutorial, run block by block as its reader does, with fewer epochs and narrower nets."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGE = (REPOSITORY / 'docs' / 'your_data.md').read_text()
BLOCKS = re.findall(r'^```(\w+)\n(.*?)^```', PAGE, flags=re.MULTILINE | re.DOTALL)
EPOCHS = 2
# Each command in a process of its own, forked once what takes longest to import is there.
RUN = """
import os, runpy, sys
import mmcalib.config, mmcalib.engine.runner, mmcalib.model
for line in sys.argv[1:]:
    program, *sys.argv = line.split()
    assert program == 'python', line
    print('$', line, flush=True)
    if child := os.fork():
        if status := os.waitpid(child, 0)[1]:
            sys.exit(f'{line}: {status}')
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name='__main__')
        sys.exit()
"""


def result(path: Path) -> dict:
    return json.loads(path.read_text())


@pytest.mark.slow
def test_every_block_of_the_tutorial_runs_and_its_models_learn(tmp_path):
    for name in ('configs', 'tools'):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    commands = []
    for language, text in BLOCKS:
        assert language in ('python', 'bash')
        if language == 'python':
            short = text.replace('max_epochs=4', f'max_epochs={EPOCHS}')
            short = short.replace('depth=18', 'depth=18, base_channels=16')
            (tmp_path / text.split()[1]).write_text(short)
        else:
            text = text.replace('epoch_4.pth', f'epoch_{EPOCHS}.pth')
            commands += text.replace('--seeds 3', '--seeds 1').splitlines()
    done = subprocess.run(
        [sys.executable, '-c', RUN, *commands],
        cwd=tmp_path,
        env={**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    heard = done.stdout + done.stderr
    assert done.returncode == 0, heard
    assert [line for line in heard.splitlines() if line[:2] == '$ '] == [f'$ {c}' for c in commands]
    table = (tmp_path / 'data' / 'mine' / 'manifest.csv').read_text().splitlines()
    shown = re.search(r'^    id,.*?\n\n', PAGE, flags=re.MULTILINE | re.DOTALL)[0].split()
    assert table[: len(shown)] == shown and len(table) == 91
    assert 'train has no image in 1 of 54 rows' in heard
    for run in ('mine', 'mine-VGMR'):
        scores = result(tmp_path / 'work_dirs' / run / 'test.json')['test']
        assert scores['mAP'] > 0.6  # a third is chance
    whole, silent, some = (result(tmp_path / f'{n}.json') for n in ('whole', 'silent', 'some'))
    assert whole.keys() == silent.keys() == some.keys()
    assert silent['mAP'] < whole['mAP'], 'colours alone mislead'
    table = (tmp_path / 'work_dirs' / 'compare' / 'table.md').read_text()
    assert re.findall(r'^\| (\w+) \| [01]\.', table, re.MULTILINE) == [
        'Identity',
        'VGMR',
        'NormOnly',
    ]
    alone = result(tmp_path / 'work_dirs' / 'mine-VGMR' / 'test.json')
    grid = result(tmp_path / 'work_dirs' / 'compare' / 'mine-VGMR-seed0' / 'test.json')
    assert grid['test'] == alone['test'] and grid['setting'] == alone['setting']
    assert (tmp_path / 'result.png').stat().st_size > 10_000
