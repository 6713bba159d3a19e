"""The results page shows what its result files hold, and nothing else."""

import csv
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = runpy.run_path(str(ROOT / 'tools' / 'results.py'))
PAGE = ROOT / 'docs' / 'results.md'
FILES = sorted((ROOT / 'docs' / 'results').glob('*.csv'))


def rows(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_the_page_is_what_the_tool_makes_of_the_files():
    text = PAGE.read_text()
    assert TOOL['fill'](text, ROOT / 'docs' / 'results') == text


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_every_table_of_a_file_is_on_the_page(path):
    shown = {
        match[3] for match in TOOL['BLOCK'].finditer(PAGE.read_text()) if match[2] == path.name
    }
    assert shown == {row['config'] for row in rows(path)}


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.stem)
def test_means_and_differences_are_those_of_the_values(path):
    found = rows(path)
    for row in found:
        values = [float(v) for v in row['values'].split()]
        mean = sum(values) / len(values)
        assert float(row['mean']) == pytest.approx(mean)
        assert len(values) == int(row['n']) == len(row['seeds'].split()) >= 5
        assert 'with changes' not in row['commit'] and row['sample_data'] in ('', 'False', 'no')
        if row['difference_n']:
            (base,) = (
                r for r in found if r['config'] == row['config'] and r['method'] == row['baseline']
            )
            paired = [v - float(b) for v, b in zip(values, base['values'].split(), strict=True)]
            assert float(row['difference_mean']) == pytest.approx(sum(paired) / len(paired))
            assert int(row['wins']) == sum(d > 1e-12 for d in paired)


def test_numbers_are_for_people():
    assert TOOL['number']('-0.00001', '+.4f') == '+0.0000'
    assert TOOL['number']('') == '-'
    assert TOOL['p']('0.0104', '0.125') == '0.010 (0.125)'
    assert TOOL['p']('0.0002', '0.0024') == '< 0.001 (0.002)'


def test_a_table_that_is_not_there_is_named(tmp_path):
    page = tmp_path / 'page.md'
    (tmp_path / 'a.csv').write_text('config,method\nother,SE\n')
    page.write_text('<!-- table: a.csv mine -->\n<!-- end -->\n')
    with pytest.raises(ValueError, match=r"no rows of 'mine'; it has those of \['other'\]"):
        TOOL['fill'](page.read_text(), tmp_path)
    assert TOOL['main'](['--page', str(page), '--folder', str(tmp_path)]) == 2


@pytest.mark.parametrize(
    'text',
    ['no table', '<!-- table: a.csv mine -->\n', '<!-- end -->\n<!-- table: a.csv mine -->\n'],
)
def test_a_marker_without_its_partner_is_an_error(text, tmp_path):
    with pytest.raises(ValueError, match='one pair per table'):
        TOOL['fill'](text, tmp_path)
