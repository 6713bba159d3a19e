"""The generated AVE sample: its layout, its determinism, and that it appears whole or never."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import pytest

from mmcalib.samples.ave import generate
from mmcalib.samples.folder import is_sample

SMALL = {'train': 8, 'val': 1, 'test': 1}
OFFICIAL = {
    'Church bell',
    'Clock',
    'Helicopter',
    'Truck',
    'Violin, fiddle',
    'Acoustic guitar',
    'Baby cry, infant cry',
    'Bark',
}


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp('small') / 'AVE', **SMALL, processes=1)


def test_the_layout_is_the_official_one(small: Path) -> None:
    header, *lines = (small / 'Annotations.txt').read_text().splitlines()
    assert header == 'Category&VideoID&Quality&StartTime&EndTime'
    splits = {
        split: (small / f'{split}Set.txt').read_text().splitlines()
        for split in ('train', 'val', 'test')
    }
    assert {split: len(rows) for split, rows in splits.items()} == SMALL
    assert [line for rows in splits.values() for line in rows] == lines
    for line in lines:
        category, name, quality, start, end = line.split('&')
        assert category in OFFICIAL
        assert len(name) == 11
        assert quality == 'good'
        assert 2 <= int(end) - int(start) <= 10
        assert {int(start), int(end)} <= set(range(11))
        assert (small / 'AVE' / f'{name}.mp4').is_file()
    assert len(list((small / 'AVE').iterdir())) == len({line.split('&')[1] for line in lines}) == 10


def test_each_clip_is_ten_seconds_of_h264_and_aac(small: Path) -> None:
    for path in (small / 'AVE').iterdir():
        with av.open(str(path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, audio.codec_context.name) == ('h264', 'aac')
            assert video.codec_context.pix_fmt == 'yuv420p'
            assert float(video.duration * video.time_base) == 10
            assert float(audio.duration * audio.time_base) == pytest.approx(10, abs=0.05)
            assert 'creation_time' not in container.metadata
            assert sum(1 for _ in container.decode(video)) == 80
        with av.open(str(path)) as container:
            heard = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
            assert heard == pytest.approx(10, abs=0.05)


def test_opencv_reads_the_same_number_of_frames(small: Path) -> None:
    reader = cv2.VideoCapture(str(next((small / 'AVE').iterdir())))
    count = 0
    while reader.read()[0]:
        count += 1
    assert count == 80


def test_files_are_the_same_bytes_in_another_run_with_two_processes(
    small: Path, tmp_path: Path
) -> None:
    assert contents(generate(tmp_path / 'again', **SMALL, processes=2)) == contents(small)


def test_another_seed_gives_other_clips(small: Path, tmp_path: Path) -> None:
    other = generate(tmp_path / 'other', seed=1, train=1, val=1, test=1, processes=1)
    assert not set(contents(other / 'AVE')) & set(contents(small / 'AVE'))


def packets(file: Path, modality: str) -> bytes:
    with av.open(str(file)) as container:
        stream = container.streams.audio[0] if modality == 'audio' else container.streams.video[0]
        return b''.join(bytes(packet) for packet in container.demux(stream))


def test_a_damaged_clip_differs_from_its_clean_twin_in_the_listed_modality_only(
    small: Path, tmp_path: Path
) -> None:
    twins = generate(tmp_path / 'clean', **SMALL, corrupted=0, processes=1)
    damaged = set()
    with (small / 'reliability.csv').open(newline='') as table:
        for row in csv.DictReader(table):
            name = f'AVE/{row["id"]}.mp4'
            for modality in ('audio', 'visual'):
                same = packets(small / name, modality) == packets(twins / name, modality)
                assert same is (modality != row['modality'])
            damaged |= {row['modality']} - {''}
    assert damaged == {'audio', 'visual'}


def test_a_complete_sample_is_reused(small: Path) -> None:
    before = small.stat().st_ino
    assert generate(small, **SMALL) == small
    assert small.stat().st_ino == before


@pytest.mark.parametrize('change', ['version', 'parameter', 'lost clip'])
def test_a_sample_that_differs_is_generated_anew(tmp_path: Path, change: str) -> None:
    root = generate(tmp_path / 'AVE', train=1, val=1, test=1, processes=1)
    expected = contents(root)
    if change == 'lost clip':
        next((root / 'AVE').iterdir()).unlink()
    else:
        card = json.loads((root / 'sample.json').read_text())
        card['version' if change == 'version' else 'seed'] += 1
        (root / 'sample.json').write_text(json.dumps(card))
    generate(root, train=1, val=1, test=1, processes=1)
    assert contents(root) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.AVE.lock', 'AVE']


def test_a_folder_that_was_not_generated_is_left_alone(tmp_path: Path) -> None:
    root = tmp_path / 'AVE'
    root.mkdir()
    with pytest.raises(FileExistsError, match='not \\(only\\) a generated sample'):
        generate(root, **SMALL)
    (root / 'Annotations.txt').write_text('mine')
    with pytest.raises(FileExistsError, match=r"'Annotations\.txt'"):
        generate(root, **SMALL)
    assert contents(root) == {'Annotations.txt': b'mine'}
    assert not is_sample(root)


def test_real_clips_unpacked_over_a_sample_are_never_deleted(tmp_path: Path) -> None:
    root = generate(tmp_path / 'AVE', train=1, val=1, test=1, processes=1)
    assert is_sample(root)
    (root / 'AVE' / 'RUhOCu3LNXM.mp4').write_bytes(b'real')
    assert not is_sample(root)
    for seed in (0, 1):
        with pytest.raises(FileExistsError, match='RUhOCu3LNXM'):
            generate(root, seed=seed, train=1, val=1, test=1)
    assert (root / 'AVE' / 'RUhOCu3LNXM.mp4').read_bytes() == b'real'


@pytest.mark.parametrize('bad', [{'seed': -1}, {'train': 0}, {'corrupted': 1.5}])
def test_numbers_out_of_range_are_refused(tmp_path: Path, bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f'{next(iter(bad))}={next(iter(bad.values()))}'):
        generate(tmp_path / 'AVE', **bad)  # type: ignore[arg-type]


def command(root: Path, train: int) -> list[str]:
    sizes = ['--train', str(train), '--val', '1', '--test', '1', '--processes', '2']
    return [sys.executable, '-m', 'mmcalib.samples.ave', str(root), *sizes]


@pytest.mark.slow
def test_a_killed_run_leaves_no_sample_and_no_process_and_the_next_run_succeeds(
    tmp_path: Path,
) -> None:
    root = tmp_path / 'AVE'
    run = subprocess.Popen(command(root, 200), start_new_session=True)
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob('.AVE.new/AVE/*.mp4')):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert not root.exists()
    while time.monotonic() < deadline:  # the workers are of the group of the run
        try:
            os.killpg(run.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        os.killpg(run.pid, signal.SIGKILL)
        pytest.fail('a worker outlives the process that it works for')
    generate(root, train=1, val=1, test=1, processes=1)
    assert len(list((root / 'AVE').iterdir())) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.AVE.lock', 'AVE']


@pytest.mark.slow
def test_two_processes_at_once_generate_one_sample(tmp_path: Path) -> None:
    root = tmp_path / 'AVE'
    runs = [subprocess.Popen(command(root, 6), stdout=subprocess.PIPE) for _ in range(2)]
    inodes = set()
    for run in runs:
        assert run.communicate()[0].decode().strip() == str(root)
        assert run.returncode == 0
        inodes.add(root.stat().st_ino)
    assert len(inodes) == 1
    assert len(list((root / 'AVE').iterdir())) == 8
