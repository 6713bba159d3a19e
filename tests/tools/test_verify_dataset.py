"""The tool on whole and on broken copies of a sample whose every flaw is known."""

import csv
import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import pytest

from mmcalib.samples import render
from mmcalib.samples.ave import generate
from mmcalib.samples.plan import Damage, plan

REPOSITORY = Path(__file__).parents[2]
TOOL = REPOSITORY / 'tools' / 'verify_dataset.py'
CONFIG = REPOSITORY / 'configs' / 'base_conv_ave.py'
GRID = REPOSITORY.parent / 'shared' / 'data' / 'grid_digits'
SIZES = {'train': 16, 'val': 8, 'test': 8}
SMALL = ['data.audio.0.length_s=0.5', 'train_dataloader.dataset.visual.0.size=32']
SMALL += [f'{split}_dataloader.dataset.visual.0.size=32' for split in ('val', 'test')]
MANIFEST = """
_base_ = [{base!r}]
data = dict(type='Manifest', root={root!r}, modalities=['a', 'b'])
data.update(group='speaker', task='regression')
"""
MANIFEST += ''.join(
    f"{s}_dataloader = dict(batch_size=1, num_workers=0, dataset=dict(split='{s}'))\n"
    for s in ('train', 'val', 'test')
)


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('verify_dataset', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'ave'
    generate(root, corrupted=0.0, processes=1, **SIZES)
    (root / 'sample.json').unlink()  # from here on it passes for real data
    return root


@pytest.fixture
def root(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / 'root'))


def verify(main, root, out, *flags, config=CONFIG, options=SMALL):
    """Exit status, report, and how many problems of each kind there are."""
    root = ['--data-root', str(root)] if root else []
    options = ['--cfg-options', *options] if options else []
    status = main([str(config), *root, '--out', str(out), '--workers', '0', *flags, *options])
    with (out / 'problems.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    counts = Counter((r['kind'], r['split'], r['modality']) for r in rows)
    return status, (out / 'report.txt').read_text(), counts


def lines(report, start):
    """The words of all lines that begin so."""
    return [line.split() for line in report.splitlines() if line.split()[: len(start)] == start]


def listed(root, split):
    return (root / f'{split}Set.txt').read_text().splitlines()


def append(root, split, line):
    with (root / f'{split}Set.txt').open('a') as file:
        file.write(line + '\n')


def test_nothing_is_wrong_with_a_clean_sample(main, made, tmp_path, capsys):
    status, report, counts = verify(main, made, tmp_path)
    assert status == 0
    assert not any(kind != 'look alike' for kind, *_ in counts)
    assert 'every item was read once: 32 of 32' in report
    assert lines(report, ['items']) == [['items', '16', '8', '8']]
    assert lines(report, ['Helicopter']) == [['Helicopter', '2', '1', '1']]
    assert lines(report, ['majority']) == [['majority', '12.5%', '12.5%', '12.5%']]
    spans = [
        int(end) - int(start)
        for *_, start, end in (line.split('&') for line in listed(made, 'train'))
    ]
    told = [str(min(spans)), f'{median(spans):g}', str(max(spans))]
    for what in ('sound', 'video'):
        start = [what, 'that', 'was', 'read', 'train']
        assert lines(report, start) == [[*start, *told]]
    assert 'nothing is missing, corrupt or leaks' in report
    assert 'The split val selects checkpoints' in report
    assert report in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / 'contact_sheet.png'))
    assert picture.shape[0] == round((0.6 + 8 * 1.25) * 90)


def test_every_flaw_of_a_broken_copy_is_counted(main, root, tmp_path):
    clips = plan(0, SIZES, 0.0)
    train, val = clips[:16], clips[16:24]
    files = [root / 'AVE' / f'{clip.id}.mp4' for clip in train]
    files[0].write_bytes(files[0].read_bytes()[: files[0].stat().st_size // 2])
    files[1].unlink()
    shutil.copy(files[2], root / 'AVE' / 'copied.mp4')
    append(
        root,
        'test',
        next(x for x in listed(root, 'train') if train[2].id in x).replace(train[2].id, 'copied'),
    )
    append(root, 'test', listed(root, 'val')[3])
    render.write(train[4]._replace(damage=Damage('visual', 'blank')), root / 'AVE')
    status, report, counts = verify(main, root, tmp_path / 'out')
    assert status == 1
    del counts['look alike', 'train+test', 'visual'], counts['look alike', 'train+val', 'visual']
    assert counts == {
        ('unreadable', 'train', 'audio'): 1,
        ('unreadable', 'train', 'visual'): 1,
        ('absent', 'train', 'audio'): 1,
        ('absent', 'train', 'visual'): 1,
        ('constant', 'train', 'visual'): 1,
        ('shared id', 'val+test', ''): 1,
        ('equal content', 'train+test', 'audio'): 1,
        ('equal content', 'train+test', 'visual'): 1,
    }
    assert lines(report, ['items']) == [['items', '16', '8', '10']]
    for modality in ('audio', 'visual'):
        assert lines(report, [modality, 'absent']) == [[modality, 'absent', '1', '0', '0']]
        assert lines(report, [modality, 'unreadable']) == [[modality, 'unreadable', '1', '0', '0']]
        equal = f'train+test, equal content {modality}: {train[2].id} = copied (test)'
        assert equal in report
    assert f'train, absent audio: {train[1].id}: no such file for audio' in report
    assert f'val+test, shared id: {val[3].id}' in report
    assert lines(report, ['visual', 'train', '(1,'])[0][-3:] == ['1', 'of', '14']
    assert 'WRONG: 2 unreadable, 2 absent, 1 shared id, 2 equal content' in report


def test_selection_on_test_is_shouted(main, root, tmp_path):
    shutil.copy(root / 'testSet.txt', root / 'valSet.txt')
    status, report, counts = verify(main, root, tmp_path / 'out')
    assert status == 1 and '!!! THE TEST SPLIT SELECTS CHECKPOINTS !!!' in report
    assert counts['shared id', 'val+test', ''] == 8
    assert 'WRONG: 8 shared id, the test split selects' in report


@pytest.mark.parametrize(
    ('flags', 'says'),
    [
        (['--data-root', 'nowhere'], "AVE(root='nowhere', layout='auto'): no layout is there"),
        (['--cfg-options', 'data.frame=3'], "AVE takes no argument 'frame'; did you mean 'frames'"),
        (['--cfg-options', 'data.span=part'], "AVE(span='part'); possible are ('event', 'clip')"),
    ],
)
def test_what_cannot_be_read_is_answered_with_the_message_alone(main, made, capsys, flags, says):
    flags = flags if '--data-root' in flags else ['--data-root', str(made), *flags]
    assert main([str(CONFIG), *flags]) == 2
    given = capsys.readouterr()
    assert given.out == '' and given.err.startswith(says) and given.err.count('\n') == 1


def test_a_table_with_empty_cells_shared_groups_and_bad_numbers(main, tmp_path):
    random = np.random.default_rng(0)
    rows = ['id,target,split,speaker,a,b']
    for k in range(12):
        x = random.normal(size=(3 + k % 2, 80)).astype('f4')
        x[0, 0] = np.nan if k == 5 else x[0, 0]
        np.save(tmp_path / f'{k}.npy', x)
        split, speaker = ('train', 'train', 'val', 'test')[k % 4], f's{k if k != 6 else 1}'
        rows.append(f'x{k},{k / 4},{split},{speaker},{"" if k == 3 else f"{k}.npy"},{k} {k + 1}')
    (tmp_path / 'manifest.csv').write_text('\n'.join(rows) + '\n')
    config = tmp_path / 'mine.py'
    base = str(REPOSITORY / 'configs' / '_base_' / 'runtime.py')
    config.write_text(MANIFEST.format(base=base, root=str(tmp_path)))
    status, report, counts = verify(main, None, tmp_path / 'out', config=config, options=[])
    assert status == 1
    assert counts == {
        ('unreadable', 'train', 'a'): 1,
        ('shared speaker', 'train', ''): 1,
        ('shared speaker', 'val', ''): 1,
    }
    assert lines(report, ['a', 'empty']) == [['a', 'empty', 'by', 'the', 'table', '0', '0', '1']]
    assert lines(report, ['val'])[0] == ['val', '1.500', '0.816', '0.500', '2.500']
    assert lines(report, ['a', 'train', '3']) == [['a', 'train', '3', '3', '4']]


@pytest.mark.slow
def test_processes_do_not_change_the_report(made, tmp_path):
    for workers in (0, 2):
        out = ['--out', tmp_path / str(workers), '--workers', workers]
        command = [sys.executable, TOOL, CONFIG, '--data-root', made, *out]
        done = subprocess.run(
            [*map(str, command), '--cfg-options', *SMALL],
            env={**os.environ, 'OMP_NUM_THREADS': '1'},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    for name in ('report.txt', 'problems.csv', 'contact_sheet.png'):
        one, two = (tmp_path / str(workers) / name for workers in (0, 2))
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(not GRID.exists(), reason='../shared/data is not there')
def test_real_videos_have_the_counts_of_their_description(main, tmp_path):
    options = [*SMALL, 'data.classes=auto', 'model.head.num_classes=10']
    status, report, counts = verify(main, GRID, tmp_path, '--quick', options=options)
    assert status == 0
    assert 'a seeded sample was read once: 400 of 600' in report
    assert lines(report, ['items']) == [['items', '400', '80', '120']]
    for digit in ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'):
        assert lines(report, [digit]) == [[digit, '40', '8', '12']]
    assert set(kind for kind, *_ in counts) <= {'look alike'}
