"""The same rows in every format: what is read back is what was put in."""

import csv
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from result_folders import write_classified

from mmcalib.comparison.dots import dots
from mmcalib.comparison.formats import (
    as_csv,
    as_latex,
    as_markdown,
    body,
    code,
    escape,
    head,
    p_value,
    plain,
)
from mmcalib.comparison.page import as_page
from mmcalib.comparison.result import read_result
from mmcalib.comparison.rows import make_tables
from mmcalib.comparison.table import write
from mmcalib.comparison.versus import P

NAME = "VGMR(order='norm_then_gate', a|b, <i>, 50%) + OGM_GE"
FAILED = [('base-MAG-seed3', "KeyError: 'a|b' <b> `x` 5% _")]


@pytest.fixture
def results(tmp_path):
    """Two methods, three seeds, 12 items."""
    generator = np.random.default_rng(0)

    def make(k, method, seed, **fields):
        right = generator.random(12) < 0.5 + 0.2 * k
        test = {'accuracy': float(right.mean()), 'macro_f1': float(generator.random())}
        folder = tmp_path / f'{k}-{seed}'
        fields = dict(calibrator=method, seed=seed, test=test, epoch_s=1 / 3) | fields
        return read_result(write_classified(folder, right, **fields))

    pairs = enumerate(('Identity', NAME))
    return [make(k, name, seed) for k, name in pairs for seed in (0, 1, 2)]


def cells(line):
    """Of a line of a Markdown table, with its escapes undone."""
    parts = re.split(r'(?<!\\)\|', line)[1:-1]
    return [re.sub(r'\\(.)', r'\1', part.strip()) for part in parts]


class Texts(HTMLParser):
    """Rows of all tables of a page."""

    def __init__(self):
        super().__init__()
        self.rows, self.images, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        self.images += [dict(attrs)['src']] if tag == 'img' else []
        self.links += [tag] if tag in ('link', 'script', 'iframe') else []

    def handle_data(self, data):
        if self.rows and self.rows[-1] and self.lasttag in ('td', 'th'):
            self.rows[-1][-1] += data.removesuffix('\n')


def test_markdown_has_the_cells_of_every_row(results):
    tables = make_tables(results)
    text = as_markdown(tables)
    lines = [cells(line) for line in text.splitlines() if line.startswith('|')]
    assert lines[0] == head(tables[0])
    assert lines[2:] == body(tables[0])
    assert lines[3][0] == NAME
    assert '**SAMPLE DATA' not in text
    assert 'Failed' not in text


def test_markdown_escapes_what_is_special_there_and_no_more():
    assert plain('a_b *c* _d_ [e] <i> <0.1 `f` \\ g\n|') == (
        r'a_b \*c\* \_d\_ \[e] \<i> <0.1 \`f\` \\ g |'
    )
    assert code('a') == '`a`'
    assert code('a `b` ``c') == '```a `b` ``c```'
    assert (code('`a'), code('a`')) == ('`` `a ``', '`` a` ``')


def test_the_cells_are_the_numbers_of_the_row(results):
    (table,) = make_tables(results)
    row = table.rows[1]
    found = dict(zip(head(table), body(table)[1], strict=True))
    assert found['accuracy'] == f'{row.spread.mean:.4f} ± {row.spread.sd:.4f}'
    assert found['difference'] == f'{row.versus.spread.mean:+.4f} ± {row.versus.spread.sd:.4f}'
    low, high, _ = row.versus.interval
    assert found['95 % over items'] == f'{low:+.4f} to {high:+.4f}'
    assert found['win/tie/loss'] == '/'.join(map(str, row.versus.record))
    assert (found['n'], found['pairs'], found['parameters']) == ('3', '3', '12345')
    assert (found['s/epoch'], found['ms/sample']) == ('0.33', '1.250')
    assert set(body(table)[0][3:10]) == {'–'}  # noqa: RUF001 - of the baseline
    alone = make_tables(results, baseline='none')[0]
    assert not {'difference', 'pairs', 'p t (Holm)'} & set(head(alone))


def test_each_p_is_in_its_column(results):
    (table,) = make_tables(results)
    ps = dict(p_items=P(0.01, 0.02), p_t=P(0.03, 0.04), p_wilcoxon=P(0.05, 0.06))
    row = table.rows[1]._replace(versus=table.rows[1].versus._replace(**ps))
    table = table._replace(rows=[row])
    found = dict(zip(head(table), body(table)[0], strict=True))
    assert found['p items (Holm)'] == '0.01 (0.02)'
    assert found['p t (Holm)'] == '0.03 (0.04)'
    assert found['p Wilcoxon (Holm)'] == '0.05 (0.06)'
    (line,) = csv.DictReader(io.StringIO(as_csv([table])))
    names = ('p_items', 'p_t', 'p_wilcoxon')
    assert [line[name] for name in names] == ['0.01', '0.03', '0.05']
    assert [line[f'{name}_holm'] for name in names] == ['0.02', '0.04', '0.06']


def test_p_values_are_short():
    assert p_value(P(0.0625, 0.25)) == '0.0625 (0.25)'
    assert p_value(P(0.0002, 0.0011)) == '<0.001 (0.0011)'
    assert p_value(P(1.0, 1.0)) == '1 (1)'
    assert p_value(P(None, None)) == '–'  # noqa: RUF001


def test_csv_loses_no_digit(results):
    tables = make_tables(results)
    first, second = csv.DictReader(io.StringIO(as_csv(tables)))
    row = tables[0].rows[1]
    assert second['method'] == NAME
    assert (float(second['mean']), float(second['sd'])) == row.spread[:2]
    assert [float(v) for v in second['values'].split()] == list(row.values.values())
    assert [float(v) for v in second['differences'].split()] == list(
        row.versus.differences.values()
    )
    assert float(second['difference_mean']) == row.versus.spread.mean
    assert (float(second['low']), float(second['high'])) == row.versus.interval[:2]
    assert float(second['p_t']) == row.versus.p_t.raw
    assert float(second['macro_f1_mean']) == row.others['macro_f1'].mean
    assert float(second['epoch_s']) == 1 / 3
    assert (second['seeds'], second['baseline'], second['config']) == (
        '0 1 2', 'Identity', 'base_conv_ave',
    )  # fmt: skip
    assert second['sha256'] == 'ab' * 8
    assert (first['p_t'], first['difference_mean'], first['wins']) == ('', '', '')


def test_csv_of_tables_with_other_metrics_has_all_columns(results):
    other = [r._replace(options={'a': 1}, test={'accuracy': r.test['accuracy'], 'x': 0.5})
             for r in results]  # fmt: skip
    lines = list(csv.DictReader(io.StringIO(as_csv(make_tables([*results, *other])))))
    assert [line['x_mean'] for line in lines] == ['', '', '0.5', '0.5']
    assert [bool(line['macro_f1_mean']) for line in lines] == [True, True, False, False]
    assert [line['options'] for line in lines] == ['', '', 'a=1', 'a=1']


def test_latex_escapes_what_is_special_there():
    assert escape(r'a_b & 50% $x #1 {y} ~ ^ \z') == (
        r'a\_b \& 50\% \$x \#1 \{y\} \textasciitilde{} \textasciicircum{} \textbackslash{}z'
    )
    assert escape('<0.001 ± –') == r'$<$0.001 $\pm$ --'  # noqa: RUF001
    assert escape("""'a' "b" |""") == (
        r'\textquotesingle{}a\textquotesingle{} \char34{}b\char34{} $|$'
    )
    assert escape('-0.1 to +0.2') == '$-$0.1 to $+$0.2'
    assert escape('a-1 x+2 VGMR + OGM') == 'a-1 x+2 VGMR + OGM'


def test_latex_has_as_many_cells_as_columns_and_nothing_unsafe(results):
    tables = make_tables(results)
    text = as_latex(tables, FAILED)
    lines = [line for line in text.splitlines() if line and not line.startswith('%')]
    assert lines[1] == '\\toprule'
    assert (lines[3], lines[-2], lines[-1]) == ('\\midrule', '\\bottomrule', '\\end{tabular}')
    width = len(head(tables[0]))
    assert lines[0] == f'\\begin{{tabular}}{{l{"r" * (width - 1)}}}'
    for line in (lines[2], *lines[4:-2]):
        assert len(re.split(r'(?<!\\)&', line)) == width
        assert line.endswith(' \\\\')
        assert not re.search(r'(?<!\\)[%#_]', line), line
        assert line.count('$') % 2 == 0
        assert line.isascii()
    assert 'python tools/train.py' in text
    assert text.splitlines()[-1].startswith('% failed: base-MAG-seed3: KeyError')


def test_every_row_says_where_it_comes_from(results):
    results = [r._replace(torch='*') for r in results]
    changed = [r._replace(commit='d*') if r.seed == 0 else r for r in results[:3]]
    tables = make_tables([*changed, *results[3:]])
    text = as_markdown(tables)
    assert '- Identity: `python tools/train.py configs/x.py --seed SEED # SEED in 0 1 2`; ' in text
    assert r'commit d\*; abc1234' in text
    assert r'torch \*; device cpu' in text
    assert f'- {NAME.replace("<", chr(92) + "<")}: `python' in text
    assert f'All rows: data AVE data/ave; sha256 {"ab" * 8}; split 40 train, 8 val' in text
    assert 'selection highest accuracy on val' in text


def test_failed_runs_are_listed_even_if_none_finished(results):
    for tables in (make_tables(results), []):
        text = as_markdown(tables, FAILED)
        assert "- base-MAG-seed3: ``KeyError: 'a|b' <b> `x` 5% _``" in text
        page = Texts()
        page.feed(as_page(tables, FAILED))
        assert page.rows[-1] == list(FAILED[0])
    assert 'No run has finished.' in as_markdown([], FAILED)
    assert 'No run has finished.' in as_page([])


def test_the_page_holds_everything_and_needs_no_other_file(results):
    tables = make_tables(results)
    page = Texts()
    page.feed(as_page(tables))
    assert page.rows[0] == head(tables[0])
    assert page.rows[1:3] == body(tables[0])
    assert page.rows[4][1:3] == list(tables[0].rows[0].provenance[:2])
    assert [src[:22] for src in page.images] == ['data:image/png;base64,']
    assert page.links == []


def test_sample_data_is_marked_everywhere(results):
    marked = [r._replace(sample_data=True) for r in results]
    tables = make_tables(marked)
    assert '**SAMPLE DATA: ' in as_markdown(tables)
    assert '<p class=mark>SAMPLE DATA: ' in as_page(tables)
    assert f'\\multicolumn{{{len(head(tables[0]))}}}{{l}}{{\\textbf{{SAMPLE' in as_latex(tables)
    assert {line['sample_data'] for line in csv.DictReader(io.StringIO(as_csv(tables)))} == {'True'}
    assert dots(tables[0], 'sample data').get_suptitle().startswith('sample data: base')
    for text in (as_page(make_tables(results)), as_latex(make_tables(results))):
        assert 'SAMPLE' not in text


def test_the_picture_shows_every_seed_and_the_interval(results):
    (table,) = make_tables(results)
    left, right = dots(table).axes
    assert [t.get_text() for t in left.get_yticklabels()] == ['Identity', NAME]
    assert left.get_ylim() == (1.5, -0.5), 'the first row is on top'
    drawn = [c.get_offsets()[:, 0].tolist() for c in left.collections]
    assert drawn == [list(row.values.values()) for row in table.rows]
    versus = table.rows[1].versus
    assert right.collections[0].get_offsets()[:, 0].tolist() == list(versus.differences.values())
    lines = [list(line.get_xdata()) for line in right.get_lines()]
    assert [versus.spread.mean] in lines
    assert list(versus.interval[:2]) in lines
    assert right.get_xlabel() == 'difference to Identity (higher is better)'
    assert len(dots(make_tables(results, baseline='none')[0]).axes) == 1


def test_long_names_keep_both_ends(results):
    long = 'VGMR(order=norm_then_gate, width=80, context=False, value=False) + OGMGE(alpha=0.8)'
    table = make_tables([r._replace(calibrator=long) for r in results[:3]])[0]
    label = dots(table).axes[0].get_yticklabels()[0].get_text()
    start, end = label.split('…')
    assert long.startswith(start)
    assert long.endswith(end)
    assert 'OGMGE(alpha=0.8)' in end


def test_all_four_files_are_written_and_nothing_else(results, tmp_path):
    out = tmp_path / 'new' / 'out'
    text = write(results, out, FAILED, baseline='Identity', metric='macro_f1')
    assert sorted(path.name for path in out.iterdir()) == [
        'table.csv', 'table.html', 'table.md', 'table.tex',
    ]  # fmt: skip
    tables = make_tables(results, metric='macro_f1')
    assert (out / 'table.md').read_text() == text == as_markdown(tables, FAILED)
    assert (out / 'table.csv').read_text() == as_csv(tables)
    assert (out / 'table.tex').read_text() == as_latex(tables, FAILED)
    assert (out / 'table.html').read_text() == as_page(tables, FAILED)
    assert write(results, out) != text, 'written anew'
