"""Tables as Markdown, CSV and LaTeX, all from the same rows."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmcalib.comparison.rows import Row, Table
from mmcalib.comparison.versus import P, Spread, Versus
from mmcalib.plots.report import NOTICE

NONE = '–'  # noqa: RUF001 - a dash as wide as a digit
Failed = Sequence[tuple[str, str]]  # name of a run and its last line of error

LATEX = {
    '\\': r'\textbackslash{}',
    **{letter: f'\\{letter}' for letter in '&%$#_{}'},
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
    '<': '$<$',
    '>': '$>$',
    '|': '$|$',
    '"': r'\char34{}',
    "'": r'\textquotesingle{}',
    '±': r'$\pm$',
    '…': r'\ldots{}',
    NONE: '--',
}


def caption(table: Table) -> str:
    """What a table is about."""
    versus = f'; differences to {table.baseline}' if table.baseline else ''
    return f'Test {table.metric} ({table.direction}), {table.items} test items{versus}.'


def head(table: Table) -> list[str]:
    """Names of the columns that people read."""
    return [name for name, _ in columns(table)]


def body(table: Table) -> list[list[str]]:
    """A line of text per row."""
    return [[cell(row) for _, cell in columns(table)] for row in table.rows]


def columns(table: Table) -> list[tuple[str, Callable[[Row], str]]]:
    """Name and text of every column that people read; the CSV has more."""

    def compared(cell: Callable[[Versus], str]) -> Callable[[Row], str]:
        return lambda row: NONE if row.versus is None else cell(row.versus)

    def other(name: str) -> Callable[[Row], str]:
        return lambda row: spread(row.others[name]) if name in row.others else NONE

    versus = [
        ('pairs', compared(lambda v: str(v.spread.n))),
        ('difference', compared(lambda v: spread(v.spread, '+'))),
        ('win/tie/loss', compared(lambda v: '/'.join(map(str, v.record)))),
        ('p t (Holm)', compared(lambda v: p_value(v.p_t))),
        ('p Wilcoxon (Holm)', compared(lambda v: p_value(v.p_wilcoxon))),
        ('95 % over items', compared(interval)),
        ('p items (Holm)', compared(lambda v: p_value(v.p_items))),
    ]
    return [
        ('method', lambda row: row.method),
        (table.metric, lambda row: spread(row.spread)),
        ('n', lambda row: str(row.spread.n)),
        *(versus if table.baseline else []),
        *((name, other(name)) for name in table.others),
        ('parameters', lambda row: f'{row.parameters}'),
        ('of calibrator', lambda row: f'{row.calibrator_parameters}'),
        ('s/epoch', lambda row: time(row.epoch_s, '.2f')),
        ('ms/sample', lambda row: time(row.inference_ms, '.3f')),
    ]


def spread(value: Spread, sign: str = '') -> str:
    """Mean ± standard deviation; the mean alone of one run."""
    mean = f'{value.mean:{sign}.4f}'
    return mean if value.sd is None else f'{mean} ± {value.sd:.4f}'


def time(value: float | None, form: str) -> str:
    """A dash where none was taken."""
    return NONE if value is None else format(value, form)


def interval(versus: Versus) -> str:
    """Its two ends."""
    found = versus.interval
    return NONE if found is None else f'{found.low:+.4f} to {found.high:+.4f}'


def p_value(p: P) -> str:
    """p, and p corrected in brackets."""
    if p.raw is None or p.holm is None:
        return NONE
    raw, holm = (f'{one:.3g}' if one >= 0.001 else '<0.001' for one in (p.raw, p.holm))
    return f'{raw} ({holm})'


def as_markdown(tables: Sequence[Table], failed: Failed = ()) -> str:
    """Headings, tables, remarks and where the rows come from."""
    lines = ['# Comparison', '']
    if any(table.sample_data for table in tables):
        lines += [f'**{NOTICE}**', '']
    for table in tables:
        lines += [f'## {plain(str(table.group))}', '', caption(table), '']
        lines += [pipes(head(table)), pipes(['---', *['---:'] * (len(head(table)) - 1)])]
        lines += [pipes(cells) for cells in body(table)]
        lines += ['', *(f'- {plain(note)}' for note in table.notes)]
        lines += ['', 'Where the rows come from:', '']
        lines += [f'- {line}' for line in origins(table, plain, code)]
        lines += ['']
    if failed:
        lines += ['## Failed runs', '', *(f'- {plain(n)}: {code(error)}' for n, error in failed)]
    if not tables:
        lines += ['', 'No run has finished.']
    return re.sub(r'\n{3,}', '\n\n', '\n'.join(lines)).strip() + '\n'


def pipes(cells: Sequence[str]) -> str:
    """A line of a Markdown table."""
    return f'| {" | ".join(plain(cell).replace("|", chr(92) + "|") for cell in cells)} |'


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    special = r'([\\`*\[]|<(?=[a-zA-Z/!])|(?<![a-zA-Z0-9])_|_(?![a-zA-Z0-9]))'
    return re.sub(special, r'\\\1', ' '.join(text.split()))


def code(text: str) -> str:
    """Text as typed."""
    text = ' '.join(text.split())
    ticks = '`' * (1 + max(map(len, re.findall('`+', text)), default=0))
    gap = ' ' if text.startswith('`') or text.endswith('`') or not text else ''
    return f'{ticks}{gap}{text}{gap}{ticks}'


def origins(
    table: Table, text: Callable[[str], str] = str, quote: Callable[[str], str] = str
) -> list[str]:
    """Where the rows come from: what they share in the first line, then a line for each.

    Args:
        table: with its rows.
        text: writes words in the format asked for.
        quote: writes a command.
    """
    every = [row.provenance._asdict() for row in table.rows]
    shared = [key for key in every[0] if key != 'command' and len({e[key] for e in every}) == 1]
    lines = [f'All rows: {text(said({k: every[0][k] for k in shared}))}'] if shared else []
    for row, facts in zip(table.rows, every, strict=True):
        rest = text(said({k: v for k, v in facts.items() if k not in ('command', *shared)}))
        command = quote(facts['command']) if facts['command'] else ''
        lines.append(f'{text(row.method)}: {"; ".join(filter(None, (command, rest)))}')
    return lines


def said(facts: Mapping[str, str]) -> str:
    """Name and value of each."""
    return '; '.join(f'{key} {value}' for key, value in facts.items())


def as_csv(tables: Sequence[Table]) -> str:
    """One line per row of every table, numbers in full."""
    lines = [record(table, row) for table in tables for row in table.rows]
    names = list(dict.fromkeys(name for line in lines for name in line))
    file = io.StringIO(newline='')
    writer = csv.DictWriter(file, names, restval='', lineterminator='\n')
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


def record(table: Table, row: Row) -> dict[str, Any]:
    """Everything about a row, by name."""
    return {
        'config': table.group.config,
        'options': table.group.options,
        'method': row.method,
        'metric': table.metric,
        'better': 'lower' if table.lower else 'higher',
        **numbers('', row.spread),
        'seeds': ' '.join(map(str, row.values)),
        'values': ' '.join(map(repr, row.values.values())),
        'baseline': table.baseline or '',
        **against(row.versus),
        'parameters': row.parameters,
        'calibrator_parameters': row.calibrator_parameters,
        'epoch_s': row.epoch_s,
        'inference_ms': row.inference_ms,
        'test_items': table.items,
        'sample_data': table.sample_data,
        **row.provenance._asdict(),
        **{
            key: value
            for name, one in row.others.items()
            for key, value in numbers(f'{name}_', one).items()
        },
    }


def numbers(start: str, value: Spread | None) -> dict[str, Any]:
    """Mean, sd and n under names that begin so."""
    keys = ('mean', 'sd', 'n')
    return {f'{start}{key}': None if value is None else getattr(value, key) for key in keys}


def against(versus: Versus | None) -> dict[str, Any]:
    """The comparison with the baseline; None where there is none."""
    low, high, _ = versus.interval if versus and versus.interval else (None, None, None)
    wins, ties, losses = versus.record if versus else (None, None, None)
    ps = (versus.p_items, versus.p_t, versus.p_wilcoxon) if versus else ()
    named = dict(zip(('items', 't', 'wilcoxon'), ps or [P(None, None)] * 3, strict=True))
    return {
        **numbers('difference_', versus.spread if versus else None),
        'differences': ' '.join(map(repr, versus.differences.values())) if versus else None,
        'low': low,
        'high': high,
        **{f'p_{name}': p.raw for name, p in named.items()},
        **{f'p_{name}_holm': p.holm for name, p in named.items()},
        'wins': wins,
        'ties': ties,
        'losses': losses,
    }


def as_latex(tables: Sequence[Table], failed: Failed = ()) -> str:
    """A booktabs tabular per table; remarks and origins are comments."""
    lines = ['% needs \\usepackage{booktabs} and \\usepackage{textcomp}']
    for table in tables:
        names = head(table)
        words = [str(table.group), caption(table), *table.notes, *origins(table)]
        lines += ['', *map(comment, words), f'\\begin{{tabular}}{{l{"r" * (len(names) - 1)}}}']
        if table.sample_data:
            lines.append(f'\\multicolumn{{{len(names)}}}{{l}}{{\\textbf{{{escape(NOTICE)}}}}} \\\\')
        lines += ['\\toprule', ampersands(names), '\\midrule']
        lines += [ampersands(cells) for cells in body(table)]
        lines += ['\\bottomrule', '\\end{tabular}']
    lines += [comment(f'failed: {name}: {error}') for name, error in failed]
    return '\n'.join(lines) + '\n'


def comment(text: str) -> str:
    """A line that LaTeX skips."""
    return f'% {" ".join(text.split())}'


def ampersands(cells: Sequence[str]) -> str:
    """A line of a tabular."""
    return f'{" & ".join(map(escape, cells))} \\\\'


def escape(text: str) -> str:
    """Text that LaTeX shows as it is, with a minus where a number has one."""
    safe = ''.join(LATEX.get(letter, letter) for letter in text)
    return re.sub(r'(?<![\w.}-])([-+])(?=\d)', r'$\1$', safe)
