"""A pickle and the folder it becomes: the same items, the same bytes, and what is refused."""

import hashlib
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from sentiment_files import mag_bert, mmsa, mult, save, utterances

from mmcalib import config
from mmcalib.datasets.mosi import MOSI
from mmcalib.media import MediaError
from mmcalib.media.cache import CacheError
from mmcalib.media.disk import alone
from mmcalib.media.mapped_pickle import load_mapped, write_mapped
from mmcalib.media.pickles import load
from mmcalib.prepare_pickle import prepare

REPOSITORY = Path(__file__).parents[1]
WIDTHS = {'text': 4, 'audio': 3, 'vision': 2}
WRITERS = {
    'MulT': mult,
    'MulT, text ids': lambda truth: mult(truth, ids='text'),
    'MMSA': mmsa,
    'MMSA, unaligned': lambda truth: mmsa(truth, aligned=False),
    'MAG-BERT': mag_bert,
}


def dirty(truth):
    """Numbers that are none: -inf as COVAREP has it, NaN, a modality of zeros."""
    truth['train'][0].x['audio'][1, 0] = -np.inf
    truth['train'][1].x['vision'][0] = np.nan
    truth['test'][0].x['audio'][:] = 0
    return truth


@pytest.fixture
def source(tmp_path):
    return save(mmsa(dirty(utterances(WIDTHS))), tmp_path / 'mosi' / 'aligned_50.pkl')


def assert_same(one, two, where='data'):
    """Two trees of containers, text, numbers and arrays, to the last bit."""
    if isinstance(one, np.ndarray) and one.dtype.kind != 'O':
        assert (one.dtype, one.shape) == (two.dtype, two.shape), where
        assert one.tobytes() == two.tobytes(), where
    elif isinstance(one, Mapping):
        assert list(one) == list(two), where
        for key in one:
            assert_same(one[key], two[key], f'{where}[{key!r}]')
    elif isinstance(one, list | tuple | np.ndarray):
        assert type(one) is type(two) or isinstance(one, np.ndarray), where
        assert len(one) == len(two), where
        for k, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_same(a, b, f'{where}[{k}]')
    else:
        assert type(one) is type(two) and one == two, where


def assert_same_items(one, two):
    assert one.metainfo == two.metainfo
    for k in range(len(one)):
        a, b = one[k], two[k]
        assert (a['id'], a['unreadable']) == (b['id'], b['unreadable'])
        assert torch.equal(a['target'], b['target'])
        for m, signal in a['inputs'].items():
            assert torch.equal(signal.x, b['inputs'][m].x)
            assert torch.equal(signal.mask, b['inputs'][m].mask)


@pytest.mark.parametrize('writer', WRITERS)
@pytest.mark.parametrize('split', ['train', 'val', 'test'])
def test_pickle_and_cache_give_identical_items(tmp_path, writer, split):
    truth = dirty(utterances(WIDTHS, aligned=writer != 'MMSA, unaligned'))
    path = save(WRITERS[writer](truth), tmp_path / 'aligned_50.pkl')
    prepare(path, tmp_path / 'cache')
    assert_same(load(path), load_mapped(tmp_path / 'cache'))
    for more in (
        {},
        {'target': 'regression', 'length': 3, 'keep': 'last'},
        {'standardise': ['audio', 'vision'], 'modalities': ['vision', 'audio']},
    ):
        assert_same_items(MOSI(path, split, **more), MOSI(tmp_path / 'cache', split, **more))
    if writer.startswith('MMSA'):
        assert_same_items(
            MOSI(path, split, text='ids'), MOSI(tmp_path / 'cache', split, text='ids')
        )


def test_every_kind_of_plain_data_comes_back(tmp_path):
    data = {
        'big endian': np.arange(5, dtype='>f4'),
        'Fortran': np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        'no rows': np.zeros((0, 3), np.float32),
        'no axes': np.array(2.5),
        'bytes': np.array([b'ab', b'c']),
        'text': np.array(['ab', 'é']),
        'bool': np.array([True, False]),
        'complex': np.array([1 + 2j]),
        'half': np.array([1.5], np.float16),
        'objects': np.array(['x', 'longer', None], dtype=object),
        'ragged': [np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32)],
        'scalar': np.float32(0.5),
        'number': 3,
        'pair': ('a', b'b', 1.5, None, True),
    }
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.arange(3.0), np.arange(2)]
    data['ragged objects'] = ragged
    path = save(data, tmp_path / 'a.pkl')
    (tmp_path / 'cache').mkdir()
    write_mapped(path, tmp_path / 'cache')
    data['big endian'] = data['big endian'].astype('<f4')  # as numpy reads it on this machine
    assert_same(data, load_mapped(tmp_path / 'cache'))


def test_arrays_are_mapped_not_read(source, tmp_path):
    prepare(source, tmp_path / 'cache')
    array = load_mapped(tmp_path / 'cache')['train']['audio']
    while array.base is not None and not isinstance(array, np.memmap):
        array = array.base
    assert isinstance(array, np.memmap) and not array.flags.writeable


def contents(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.glob('[!.]*')}


COMMAND = """
import sys
from pathlib import Path
from mmcalib.prepare_pickle import prepare
print('begun', flush=True)
prepare(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path):
    data = {'train': {'audio': np.random.default_rng(0).random((40_000, 500))}}  # 160 MB
    path = save(data, tmp_path / 'aligned_50.pkl')

    def start(folder):
        command = [sys.executable, '-c', COMMAND, str(path), str(folder)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert running.stdout.readline() == b'begun\n'
        return running

    def finish(running):
        running.communicate(timeout=120)
        return running.returncode

    began = time.monotonic()
    assert finish(start(tmp_path / 'whole')) == 0
    took = time.monotonic() - began
    seen = set()
    for share in (0.2, 0.4, 0.6, 0.8, 0.9):
        running = start(tmp_path / 'parts')
        time.sleep(share * took / 2)
        running.kill()
        finish(running)
        seen.add(tuple(sorted(p.name for p in (tmp_path / 'parts').glob('[!.]*'))))
        (tmp_path / 'parts' / 'index.json').unlink(missing_ok=True)  # as if it had been earlier
    assert any('arrays.bin.tmp' in names or 'arrays.bin' in names for names in seen), seen
    assert finish(start(tmp_path / 'parts')) == 0
    assert contents(tmp_path / 'parts') == contents(tmp_path / 'whole')
    assert contents(tmp_path / 'whole').keys() == {'arrays.bin', 'tree.pkl', 'index.json'}


def test_it_is_kept_mended_and_made_again(source, tmp_path, capsys):
    folder = tmp_path / 'cache'
    prepare(source, folder)
    before = contents(folder)
    capsys.readouterr()
    prepare(source, folder)
    assert 'was there' in capsys.readouterr().out
    for name in before:
        whole = (folder / name).read_bytes()
        for damaged in (whole[:-1], whole[:-1] + b'?', b''):
            (folder / name).write_bytes(damaged)
            with pytest.raises(CacheError, match=r'damaged|no finished cache'):
                MOSI(folder, 'train')
            (folder / name).write_bytes(whole)
        (folder / name).unlink()
        prepare(source, folder)
        assert contents(folder) == before
    save(mmsa(utterances(WIDTHS, seed=1)), source)  # another pickle of the same size
    prepare(source, folder)
    assert contents(folder) != before
    assert_same(load(source), load_mapped(folder))


def test_foreign_folders_two_at_once_and_small_disks_are_refused(source, tmp_path, monkeypatch):
    with pytest.raises(CacheError, match='not empty and no cache'):
        prepare(source, source.parent)
    with alone(tmp_path / 'cache'), pytest.raises(CacheError, match='another process'):
        prepare(source, tmp_path / 'cache')
    monkeypatch.setattr('mmcalib.prepare_pickle.free_bytes', lambda folder: 10)
    with pytest.raises(CacheError, match=r'needs about .* but 1e-05 MB are free'):
        prepare(source, tmp_path / 'cache')
    monkeypatch.undo()
    prepare(source, tmp_path / 'new', dry_run=True)
    assert not (tmp_path / 'new').exists()


def test_another_version_is_refused(source, tmp_path):
    prepare(source, tmp_path / 'cache')
    index = tmp_path / 'cache' / 'index.json'
    index.write_text(index.read_text().replace('"version": 1', '"version": 0'))
    with pytest.raises(CacheError, match='of version 0, needed is 1'):
        MOSI(tmp_path / 'cache', 'train')


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path('touched'),))


class Elsewhere(pickle.Pickler):
    """Says that text is an array elsewhere."""

    def persistent_id(self, obj):
        return (0, 'O', (1,)) if obj == 'pointers' else None


def test_a_cache_from_the_internet_runs_no_code(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'cache'
    prepare(source, folder)

    def swap(content):
        from mmcalib.media.mapped_pickle import ARRAYS, TREE, describe, origin, write_json

        (folder / 'tree.pkl').write_bytes(content)
        files = {name: describe(folder / name) for name in (ARRAYS, TREE)}
        index = {'version': 1, 'source': origin(source), 'sample': False, 'files': files}
        write_json(index, folder / 'index.json')

    swap(pickle.dumps(Evil()))
    with pytest.raises(MediaError, match='such a pickle may run code'):
        load_mapped(folder)
    assert not (tmp_path / 'touched').exists()
    with (tmp_path / 'tree').open('wb') as file:
        Elsewhere(file).dump({'train': 'pointers'})
    swap((tmp_path / 'tree').read_bytes())
    with pytest.raises(MediaError, match='asks for an array of object'):
        load_mapped(folder)
    (tmp_path / 'alone.pkl').write_bytes((tmp_path / 'tree').read_bytes())
    with pytest.raises(MediaError, match='names something outside of itself'):
        load(tmp_path / 'alone.pkl')


def test_the_tool_makes_what_the_trainer_reads_and_marks_samples(tmp_path):
    from mmcalib.samples.mosi import generate

    generate(tmp_path / 'sample')
    tool = [sys.executable, str(REPOSITORY / 'tools' / 'prepare' / 'mosi.py')]
    given = ['--data-root', str(tmp_path / 'sample'), '--out', str(tmp_path / 'cache')]
    done = subprocess.run([*tool, *given], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith(f'base_seq_mosi.py --cache {tmp_path / "cache"}')
    path = str(REPOSITORY / 'configs' / 'base_seq_mosi.py')
    raw = config.load(path, root=str(tmp_path / 'sample'))
    cached = config.load(path, cache=str(tmp_path / 'cache'))
    assert raw.sample_data and cached.sample_data
    assert cached.train_dataloader.dataset.root == str(tmp_path / 'cache')
    assert_same_items(MOSI(tmp_path / 'sample', 'val'), MOSI(tmp_path / 'cache', 'val'))
    failed = subprocess.run(
        [*tool, '--data-root', str(tmp_path), '--out', str(tmp_path / 'cache')],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith('FileNotFoundError: MOSI(root=')
    assert 'Traceback' not in failed.stderr
