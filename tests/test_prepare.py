"""Caches against the files that they were made of, and `prepare` against interruptions."""

import hashlib
import json
import pickle
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from footage import write
from mmengine.registry import init_default_scope

from mmcalib.contract import Draw
from mmcalib.media.cache import Cache, CacheError, open_files
from mmcalib.media.disk import alone
from mmcalib.media.files import Files
from mmcalib.media.film import Folder, Video
from mmcalib.prepare import prepare
from mmcalib.registry import DATASETS

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / 'shared' / 'data'
SUFFIXES = ('.mp4', '.mkv', '.avi', '.mpg', '.webm', '.mov', '.ts')
LARGE_BYTES = 300_000
VISUAL = [dict(type='RandomResizedCrop', size=16), dict(type='RandomFlip'), dict(type='Normalize')]
AUDIO = [dict(type='LogSpectrogram', length_s=0.5)]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmcalib')


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """Ten clips in AVE's layout; one is truncated, one has no sound, one no pictures."""
    root = tmp_path_factory.mktemp('made')
    (root / 'AVE').mkdir()
    events = {'train': range(0, 6), 'val': range(6, 8), 'test': range(8, 10)}
    for split, numbers in events.items():
        rows = [f'Bark&clip{n}&good&{0.1 * n}&{0.1 * n + 0.9}' for n in numbers]
        (root / f'{split}Set.txt').write_text('\n'.join(rows) + '\n')
    for n in range(10):
        write(root / 'AVE' / f'clip{n}.mp4', video=n != 2, audio=n != 3, rate_hz=16_000)
    cut = root / 'AVE' / 'clip4.mp4'
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return root


@pytest.fixture
def root(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / 'root'))


def configs(root, **given):
    shared = dict(type='AVE', root=str(root), frames=2, visual=VISUAL, audio=AUDIO, **given)
    return {split: dict(shared, split=split) for split in ('train', 'val', 'test')}


def assert_equal(raw, cached, epochs=3):
    """Item for item, to the last bit, over splits and epochs; how many modalities were missing."""
    missing = 0
    for split in raw:
        files, stored = DATASETS.build(raw[split]), DATASETS.build(cached[split])
        assert len(files) == len(stored) and files.shapes == stored.shapes
        for index in range(len(files)):
            for epoch in range(epochs):
                one, two = (data[Draw(index, epoch)] for data in (files, stored))
                assert one['id'] == two['id'] and torch.equal(one['target'], two['target'])
                assert one['unreadable'].keys() == two['unreadable'].keys()
                missing += len(one['unreadable'])
                for modality, signal in one['inputs'].items():
                    assert torch.equal(signal.x, two['inputs'][modality].x), (split, index)
                    assert torch.equal(signal.mask, two['inputs'][modality].mask)
    return missing


@pytest.mark.parametrize(
    'media', [{}, {'fps': 4.0}, {'side': 24}, {'fps': 1.0, 'side': 100}], ids=str
)
def test_files_and_cache_give_identical_items(root, tmp_path, media):
    prepare(configs(root, media=media), tmp_path / 'cache', workers=0)
    stored = configs(root, media={**media, 'cache': str(tmp_path / 'cache')})
    assert assert_equal(configs(root, media=media), stored) == 3 * 4  # no. 2, 3, and twice no. 4


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason='../shared/data is not there')
@pytest.mark.parametrize('fps', [None, 5.0])
def test_real_footage_of_all_kinds_is_identical(tmp_path, fps):
    found = (SHARED / 'av_samples').rglob('*')
    files = sorted(p for p in found if p.suffix in SUFFIXES and p.stat().st_size < LARGE_BYTES)
    assert {file.suffix for file in files} >= {'.mp4', '.mkv', '.avi', '.webm'}
    table = tmp_path / 'manifest.csv'
    rows = [f'{k},{"ab"[k % 2]},train,{f},{f}' for k, f in enumerate(files)]
    table.write_text('id,target,split,video,audio\n' + '\n'.join(rows) + '\n')
    crop = [dict(type='Resize', size=16), dict(type='Normalize')]
    sources = {
        'video': dict(read='video', frames=2, transforms=crop),
        'audio': dict(read='audio', transforms=[dict(type='FixLength', rate_hz=16_000)]),
    }

    def given(**more):
        media = {'side': 60, 'fps': fps, **more}
        shared = dict(type='Manifest', root=str(table), modalities=sources, media=media)
        return {'train': dict(shared, split='train')}

    prepare(given(), tmp_path / 'cache', workers=0)
    assert_equal(given(), given(cache=str(tmp_path / 'cache')), epochs=1)


def test_a_folder_with_a_bad_picture_fails_only_where_that_one_is_asked_for(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for k in range(6):
        size = (5, 7, 3) if k < 4 else (4, 4, 3)
        cv2.imwrite(str(folder / f'{k}.png'), np.full(size, 30 * k, np.uint8))
    (folder / '2.png').write_bytes(b'no picture')
    files = Files(tmp_path)
    cache = stored(files, tmp_path / 'cache', lambda f: f.pictures(Folder(folder), 1))
    for count in (1, 2, 3, 6, 12):
        for seed in range(20):
            outcomes = []
            for source in (files, cache):
                generator = np.random.default_rng(seed)
                try:
                    outcomes.append(source.pictures(Folder(folder), count, generator).tolist())
                except Exception as error:
                    outcomes.append((type(error), str(error)))
            assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize('fps', [None, 2.0])
def test_times_after_the_last_picture_are_refused_alike(tmp_path, fps):
    whole = write(tmp_path / 'whole.mkv', seconds=4.0, audio=False)
    cut = tmp_path / 'cut.mkv'  # its header still says 4 s
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.4)])
    files, film = Files(tmp_path), Video(cut, fps=fps)
    cache = stored(files, tmp_path / 'cache', lambda f: f.pictures(film, 1))
    kinds = set()
    for seed in range(60):
        outcomes = []
        for source in (files, cache):
            try:
                found = source.pictures(film, 1, np.random.default_rng(seed)).tolist()
            except Exception as error:
                found = str(error)
            outcomes.append(found)
        # On a grid the time that is asked for differs from the one that was drawn.
        one, two = (o.split(' from ')[0] if isinstance(o, str) else o for o in outcomes)
        assert one == two
        kinds.add(type(one))
    assert kinds == {list, str}


def stored(files, folder, ask):
    from mmcalib.media.cache import Recorder, read_shard, write_index, write_shard

    recorder = Recorder(files)
    try:
        ask(recorder)
    except Exception as error:
        assert type(error).__name__ == 'MediaError'
    folder.mkdir()
    write_shard(folder / 'a.safetensors', recorder.entries)
    write_index(folder, {'fps': None, 'side': None}, [read_shard(folder / 'a.safetensors')])
    return open_files(files.root, cache=str(folder))


def contents(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob('[!.]*')}


def test_the_bytes_do_not_depend_on_the_number_of_processes(root, tmp_path):
    for workers in (0, 2):
        prepare(configs(root), tmp_path / str(workers), workers, shard_bytes=300_000)
    assert len(contents(tmp_path / '0')) > 5
    assert contents(tmp_path / '0') == contents(tmp_path / '2')
    assert not list(tmp_path.glob('*/*.tmp'))


COMMAND = """
import json, sys
from pathlib import Path
from mmcalib.prepare import prepare
if __name__ == '__main__':
    prepare(json.loads(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), 100_000)
"""


@pytest.mark.slow
@pytest.mark.parametrize(('workers', 'kills'), [(0, 3), (2, 1)])
def test_killed_at_random_moments_it_ends_with_the_same_bytes(root, tmp_path, workers, kills):
    script = tmp_path / 'script.py'
    script.write_text(COMMAND)

    def command(folder):
        given = json.dumps(configs(root))
        return [sys.executable, str(script), given, str(folder), str(workers)]

    began = time.monotonic()
    subprocess.run(command(tmp_path / 'whole'), check=True, capture_output=True, timeout=120)
    took = time.monotonic() - began
    draws = random.Random(workers)
    found = []
    for _ in range(kills):
        running = subprocess.Popen(
            command(tmp_path / 'parts'),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(took * draws.uniform(0.4, 1.0))
        subprocess.run(['pkill', '-9', '-s', str(running.pid)], check=False)
        running.wait()
        found.append(len(list((tmp_path / 'parts').glob('*.safetensors'))))
    assert found == sorted(found), 'nothing that was whole is lost'
    assert found[-1], 'it was killed before it had written anything'
    subprocess.run(command(tmp_path / 'parts'), check=True, capture_output=True, timeout=120)
    assert contents(tmp_path / 'parts') == contents(tmp_path / 'whole')


def test_what_is_whole_is_kept_and_what_changed_is_made_again(root, tmp_path, capsys):
    folder = tmp_path / 'cache'
    prepare(configs(root), folder, 0, shard_bytes=1)  # a file per item
    before = contents(folder)
    assert '10 items in 10 files' in capsys.readouterr().out
    (folder / 'train-00001.safetensors').unlink()
    whole = folder / 'val-00000.safetensors'
    whole.write_bytes(whole.read_bytes()[:-1] + b'?')
    (folder / 'test-00000.safetensors').write_bytes(b'no shard')
    prepare(configs(root), folder, 0)
    out = capsys.readouterr().out
    assert '7 files were there' in out and 'val-00000.safetensors is damaged' in out
    assert contents(folder) == before
    write(root / 'AVE' / 'clip0.mp4', seconds=1.5)
    with pytest.raises(CacheError, match=r'clip0\.mp4 has \d+ bytes, but had'):
        DATASETS.build(configs(root, media={'cache': str(folder)})['train'])[0]
    prepare(configs(root), folder, 0)
    assert '9 files were there' in capsys.readouterr().out
    assert_equal(configs(root), configs(root, media={'cache': str(folder)}))


def test_a_list_that_shrinks_leaves_no_old_files(root, tmp_path):
    folder = tmp_path / 'cache'
    prepare(configs(root), folder, 0, shard_bytes=1)
    rows = (root / 'trainSet.txt').read_text().splitlines()
    (root / 'trainSet.txt').write_text('\n'.join(rows[:3]) + '\n')
    prepare(configs(root), folder, 0)
    assert len(list(folder.glob('train-*'))) == 3


def test_a_cache_that_does_not_fit_is_refused(root, tmp_path):
    folder = tmp_path / 'cache'
    with pytest.raises(CacheError, match=r'is no finished cache; docs/cache\.md'):
        DATASETS.build(configs(root, media={'cache': str(folder)})['val'])
    prepare(configs(root, media={'fps': 2}), folder, 0)
    with pytest.raises(CacheError, match=r"was made with \{'fps': 2, 'side': None\}"):
        DATASETS.build(configs(root, media={'cache': str(folder)})['val'])
    media = {'cache': str(folder), 'fps': 2}
    other = DATASETS.build(configs(root, media=media, rate_hz=8000)['val'])
    with pytest.raises(CacheError, match=r'asked for .*rate_hz=8000.* it has .*rate_hz=16000'):
        other[0]
    with pytest.raises(CacheError, match='was begun with'):
        prepare(configs(root), folder, 0)
    index = json.loads((folder / 'index.json').read_text())
    (folder / 'index.json').write_text(json.dumps({**index, 'version': 0}))
    with pytest.raises(CacheError, match='version 0'):
        open_files(root, cache=str(folder))


def test_damage_is_noticed_when_it_is_read(root, tmp_path):
    folder = tmp_path / 'cache'
    prepare(configs(root), folder, 0)
    data = DATASETS.build(configs(root, media={'cache': str(folder)})['val'])
    shard = folder / 'val-00000.safetensors'
    good = shard.read_bytes()
    start = 8 + int.from_bytes(good[:8], 'little')
    header = json.loads(good[8:start])
    for part, modality in (('samples', 'audio'), ('pixels', 'visual')):
        name = next(n for n in header if 'clip6.mp4' in n and n.endswith(f'/{part}'))
        begin, end = (start + offset for offset in header[name]['data_offsets'])
        bad = bytearray(good)
        for at in range(begin, end, 500):  # every picture has 9216 bytes
            bad[at] ^= 1
        shard.write_bytes(bytes(bad))
        read = Cache(root, folder, None, None)
        data.files = read
        with pytest.raises(CacheError, match=r'val-00000\.safetensors.*damaged'):
            data.read(modality, 0, np.random.default_rng(0))
    shard.write_bytes(good[:-1])
    with pytest.raises(CacheError, match='is not the'):
        open_files(root, cache=str(folder))
    shard.unlink()
    with pytest.raises(CacheError, match='is not the'):
        open_files(root, cache=str(folder))


def test_workers_of_a_loader_read_one_cache(root, tmp_path):
    prepare(configs(root), tmp_path / 'cache', 0)
    data = DATASETS.build(configs(root, media={'cache': str(tmp_path / 'cache')})['val'])
    item = data[0]
    again = pickle.loads(pickle.dumps(data))[0]  # as a spawned worker gets it
    assert torch.equal(item['inputs']['visual'].x, again['inputs']['visual'].x)


def test_too_small_a_disk_and_a_foreign_folder_are_refused(root, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(tmp_path)
        patch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=1000))
        with pytest.raises(CacheError, match=r'needs about .* free; .*--fps 1'):
            prepare(configs(root), tmp_path / 'cache', 0)
    assert not (tmp_path / 'cache').exists()
    prepare(configs(root), tmp_path / 'cache', 0, dry_run=True)
    assert not (tmp_path / 'cache').exists()
    assert 'cache: 10 items, about ' in capsys.readouterr().out
    with pytest.raises(CacheError, match='not empty and no cache'):
        prepare(configs(root), root, 0)


def test_two_at_once_do_not_write_into_each_other(root, tmp_path):
    with alone(tmp_path / 'cache'), pytest.raises(CacheError, match='another process'):
        prepare(configs(root), tmp_path / 'cache', 0)


def test_an_estimate_is_near_what_a_cache_takes(root, tmp_path, capsys):
    prepare(configs(root), tmp_path / 'cache', 0)
    out = capsys.readouterr().out
    said = float(out.split('about ')[1].split(' MB')[0])
    made = float(out.split('files, ')[1].split(' MB')[0])
    assert made == pytest.approx(said, rel=0.25)


def test_the_tool_makes_a_cache_that_the_trainer_reads(root, tmp_path):
    options = ['--data-root', str(root), '--cfg-options', 'data.classes=auto']
    tool = REPOSITORY / 'tools' / 'prepare' / 'ave.py'
    cache = ['--out', str(tmp_path / 'cache'), '--fps', '5', '--workers', '1']
    done = subprocess.run(
        [sys.executable, str(tool), *cache, *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '--cache' in done.stdout
    from mmcalib import config

    path = str(REPOSITORY / 'configs' / 'base_conv_ave.py')
    cfg = config.load(path, {'data.classes': 'auto'}, str(root), cache=str(tmp_path / 'cache'))
    media = {'fps': 5.0, 'side': None, 'cache': str(tmp_path / 'cache')}
    assert cfg.val_dataloader.dataset.media == media
    assert not DATASETS.build(cfg.val_dataloader.dataset)[0]['unreadable']
    failed = subprocess.run(
        [sys.executable, str(tool), '--out', str(root), *options], capture_output=True, text=True
    )
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith('CacheError: ')
    assert 'Traceback' not in failed.stderr
