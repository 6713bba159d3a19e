"""Tables against the same rows typed by hand."""

import numpy as np
import pytest

from mmcalib.media.table import read_table

ROWS = [{'id': 'a', 'target': 'dog, big', 'split': 'train'}, {'id': 'ü', 'split': 'test'}]


@pytest.mark.parametrize('separator', [',', ';', '\t'])
@pytest.mark.parametrize('end', ['\n', '\r\n'])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_csv_is_read_in_every_form_that_is_around(tmp_path, separator, end, encoding):
    lines = [
        ['id', ' target', 'split'],
        ['a', '"dog, big"', 'train'],
        ['', '', ''],
        ['ü', ' ', 'test'],
    ]
    text = end.join(separator.join(line) for line in lines) + end
    (tmp_path / 't.csv').write_bytes(text.encode(encoding))
    table = read_table(tmp_path / 't.csv')
    assert table.columns == ('id', 'target', 'split')
    assert [row.cells for row in table.rows] == ROWS
    assert [row.place.rpartition(', ')[2] for row in table.rows] == ['line 2', 'line 4']


def test_json_lines_keep_their_types_and_drop_what_is_empty(tmp_path):
    lines = [
        '{"id": "a", "x": [1, 2.5]}',
        '',
        '{"id": "b", "x": null, "y": 0}',
        '{"id": "", "y": []}',
    ]
    (tmp_path / 't.jsonl').write_text('\n'.join(lines))
    table = read_table(tmp_path / 't.jsonl')
    assert table.columns == ('id', 'x', 'y')
    assert [r.cells for r in table.rows] == [
        {'id': 'a', 'x': [1, 2.5]},
        {'id': 'b', 'y': 0},
        {'y': []},
    ]
    assert table.rows[2].place.endswith('line 4')


def test_an_npz_file_is_a_table_of_its_arrays(tmp_path):
    x = np.arange(12.0).reshape(3, 4)
    np.savez(tmp_path / 't.npz', id=['a', 'b', ''], x=x, n=[5, 6, 7], classes=['p', 'q'])
    table = read_table(tmp_path / 't.npz')
    assert table.columns == ('id', 'x', 'n')
    np.testing.assert_array_equal([row.cells['x'] for row in table.rows], x)
    assert [row.cells.get('id') for row in table.rows] == ['a', 'b', None]
    assert [row.cells['n'] for row in table.rows] == [5, 6, 7]
    assert type(table.rows[0].cells['n']) is int and type(table.rows[0].cells['id']) is str


@pytest.mark.parametrize(
    ('name', 'data', 'why'),
    [
        ('t.csv', b'id,split\na,train,x\n', r't\.csv, line 2 has 3 cells, but the header 2'),
        ('t.csv', b'id,split\na\n', r'line 2 has 1 cells'),
        ('t.csv', b'id,x,id\na,b,c\n', r"names \['id'\] more than once"),
        ('t.csv', b'id,split\n', r't\.csv holds no row'),
        ('t.csv', b'', r't\.csv holds no row'),
        ('t.csv', b'id,split\n\xff\xfe,train\n', r'is not UTF-8'),
        ('t.jsonl', b'{"id": 1}\n{"id": 2\n', r't\.jsonl, line 2 is not JSON'),
        ('t.jsonl', b'[1, 2]\n', r'line 1 is .*not a JSON object'),
        ('t.npz', b'no zip', r't\.npz is not an NPZ file'),
        ('t.xlsx', b'', r't\.xlsx: a table is one of \.csv, \.tsv, \.jsonl, \.npz'),
    ],
)
def test_what_is_not_understood_is_named(tmp_path, name, data, why):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=why):
        read_table(tmp_path / name)


def test_an_npz_file_needs_ids_and_runs_no_pickle(tmp_path):
    np.savez(tmp_path / 'a.npz', x=np.zeros(3))
    with pytest.raises(ValueError, match=r"arrays \['x'\]; one must be 'id'"):
        read_table(tmp_path / 'a.npz')
    np.savez(tmp_path / 'b.npz', id=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match='allow_pickle=False'):
        read_table(tmp_path / 'b.npz')
    with pytest.raises(FileNotFoundError, match=r'none\.csv: no such file'):
        read_table(tmp_path / 'none.csv')
