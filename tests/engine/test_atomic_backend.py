"""AtomicBackend: old content or new content, nothing between."""

import os

import pytest
from mmengine.fileio import get_file_backend


@pytest.fixture
def backend():
    return get_file_backend(backend_args={'backend': 'atomic'})


def test_bytes_and_text_arrive_and_leave_no_other_file(backend, tmp_path):
    backend.put(b'\x00\x01', tmp_path / 'new' / 'a')
    backend.put_text('näme', tmp_path / 'new' / 'b')
    assert (tmp_path / 'new' / 'a').read_bytes() == b'\x00\x01'
    assert (tmp_path / 'new' / 'b').read_text('utf-8') == 'näme'
    assert sorted(p.name for p in (tmp_path / 'new').iterdir()) == ['a', 'b']


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_a_failure_keeps_the_old_content(backend, tmp_path, monkeypatch, step):
    path = tmp_path / 'a'
    backend.put(b'old', path)

    def fail(*arguments):
        raise OSError('disk full')

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(OSError, match='disk full'):
        backend.put(b'new', path)
    assert path.read_bytes() == b'old'
    assert [p.name for p in tmp_path.iterdir()] == ['a']


def test_data_is_on_the_disk_before_the_name_moves_and_the_move_after(
    backend, tmp_path, monkeypatch
):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda d: (order.append('fsync'), fsync(d)))
    monkeypatch.setattr(os, 'replace', lambda a, b: (order.append('replace'), replace(a, b)))
    backend.put(b'new', tmp_path / 'a')
    assert order == ['fsync', 'replace', 'fsync']
