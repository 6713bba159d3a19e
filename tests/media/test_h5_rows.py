"""HDF5 arrays, read row by row, of their own file only."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from mmcalib.media import MediaError
from mmcalib.media.h5_rows import H5Rows

ARRAY = np.arange(24, dtype=np.float64).reshape(4, 3, 2)


@pytest.fixture
def path(tmp_path) -> Path:
    with h5py.File(tmp_path / 'a.h5', 'w') as file:
        file['x'] = ARRAY
        file['group/y'] = ARRAY
        file['scalar'] = 3.0
    return tmp_path / 'a.h5'


def test_a_row_is_that_of_the_array(path):
    rows = H5Rows(path, 'x')
    assert (len(rows), rows.shape) == (4, (4, 3, 2))
    row = rows.row(2)
    assert row.dtype == np.float32 and np.array_equal(row, ARRAY[2])
    assert np.array_equal(rows.all(), ARRAY) and rows.all().dtype == np.float64
    assert np.array_equal(pickle.loads(pickle.dumps(rows)).row(3), ARRAY[3])


def test_another_process_opens_the_file_anew(path, monkeypatch):
    rows = H5Rows(path, 'x')
    assert rows._opened is None, 'nothing stays open before a row is asked for'
    rows.row(0)
    mine = rows._opened[1]
    rows.row(1)
    assert rows._opened[1] is mine
    monkeypatch.setattr('os.getpid', lambda: -1)
    assert np.array_equal(rows.row(1), ARRAY[1]) and rows._opened[1] is not mine


@pytest.mark.parametrize('key', ['none', 'group', 'scalar'])
def test_what_is_no_array_is_refused(path, key):
    with pytest.raises(MediaError, match=rf"a\.h5: asked for an array of numbers '{key}', but"):
        H5Rows(path, key)


def link(file: h5py.File) -> None:
    file['z'] = h5py.ExternalLink('a.h5', 'x')


def soft(file: h5py.File) -> None:
    file['z'] = h5py.SoftLink('/group/y')


def external(file: h5py.File) -> None:
    file.create_dataset('z', (4,), 'u1', external=[('secret', 0, 4)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4, 3, 2), 'f8')
    layout[:] = h5py.VirtualSource('a.h5', 'x', (4, 3, 2))
    file.create_virtual_dataset('z', layout)


@pytest.mark.parametrize('point', [link, soft, external, virtual])
def test_other_files_are_not_read(path, point):
    path.with_name('secret').write_bytes(b'1234')
    with h5py.File(path.with_name('b.h5'), 'w') as file:
        point(file)
    with pytest.raises(MediaError, match=r"b\.h5: asked for an array of numbers 'z', but it is <"):
        H5Rows(path.with_name('b.h5'), 'z')


def test_a_file_that_is_absent_or_broken_is_named(tmp_path, path):
    with pytest.raises(FileNotFoundError, match=r'c\.h5: no such file'):
        H5Rows(tmp_path / 'c.h5', 'x')
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(MediaError, match=r'a\.h5: asked for HDF5, but'):
        H5Rows(path, 'x')
