"""tools/throughput.py on a tiny data set and its cache."""

import runpy
from pathlib import Path

import pytest

from mmcalib import config
from mmcalib.prepare import prepare

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / 'tools' / 'throughput.py'))


@pytest.mark.slow
def test_files_and_cache_are_timed_side_by_side(tmp_path, capsys):
    from mmcalib.samples.ave import generate

    root = generate(tmp_path / 'ave', train=6, val=2, test=2, processes=1)
    path = str(ROOT / 'configs' / 'base_conv_ave.py')
    options = {'train_dataloader.batch_size': 2, 'data.audio.0.length_s': 0.5}
    cfg = config.load(path, options, str(root))
    prepare(config.plain_of_splits(cfg), tmp_path / 'cache', workers=0)
    capsys.readouterr()
    given = [path, '--data-root', str(root), '--cache', str(tmp_path / 'cache'), '--workers', '0']
    given += ['--batches', '2', '--repeats', '2', '--cfg-options']
    TOOL['main']([*given, *(f'{key}={value}' for key, value in options.items())])
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith('| base_conv_ave')
    ]
    assert [row[1] for row in rows] == ['files', 'cache', 'files', 'cache']
    whole, reading = rows[:2], rows[2:]
    assert all(float(row[3].split()[0]) > 0 for row in whole)
    assert whole[0][4] == '1.0' and float(whole[1][4]) > 1
    assert float(reading[0][2].split()[0]) > float(reading[1][2].split()[0])
    assert reading[0][3] == '1.0' and float(reading[1][3]) > 2, 'decoding is what a cache saves'


def test_the_clock_runs_while_media_are_read(monkeypatch):
    class Files:
        root = 'here'

        def sound(self, name):
            return name

        def pictures(self, name):
            raise OSError(name)

    ticks = iter([1.0, 3.0, 10.0, 14.0])
    monkeypatch.setattr(TOOL['time'], 'perf_counter', lambda: next(ticks))
    timed = TOOL['Timed'](Files())
    assert (timed.sound('a'), timed.root, timed.seconds) == ('a', 'here', 2.0)
    with pytest.raises(OSError, match='b'):
        timed.pictures('b')
    assert timed.seconds == 6.0
