"""Put the tables of docs/results/*.csv into docs/results.md.

python tools/results.py

Each CSV file is the table.csv of one grid of tools/compare.py, copied to docs/results. The page
holds a pair of lines per table, and what stands between them is written here:

    <!-- table: cremad_votes.csv cremad_votes_conv -->
    <!-- end -->
"""

import argparse
import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).parents[1] / 'docs'
BLOCK = re.compile(r'(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end -->)', re.DOTALL)
COLUMNS = ('method', 'accuracy', 'difference', 'w/t/l', 'p t', 'p Wilcoxon', '95 % over items')
COLUMNS += ('p items', 'calibrator', 'ms')
Row = dict[str, str]


def read(path: Path, config: str) -> list[Row]:
    """The rows of one config.

    Raises:
        ValueError: the file has none.
    """
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    found = [row for row in rows if row['config'] == config]
    if not found:
        has = sorted({row['config'] for row in rows})
        raise ValueError(f'{path} has no rows of {config!r}; it has those of {has}')
    return found


def number(text: str, form: str = '.4f') -> str:
    """For people; a dash where there is none, and no minus before a zero."""
    if not text:
        return '-'
    shown = format(float(text), form)
    return shown.replace('-', '+') if float(shown) == 0 else shown


def p(raw: str, corrected: str) -> str:
    """A p-value, and in brackets what Holm's correction makes of it."""
    return f'{probability(raw)} ({probability(corrected)})' if raw else '-'


def probability(text: str) -> str:
    """Three digits, which never show 0."""
    return '< 0.001' if float(text) < 0.0005 else number(text, '.3f')


def cells(row: Row) -> list[str]:
    """Of one method."""
    versus = bool(row['difference_n'])
    interval = f'{number(row["low"], "+.4f")} to {number(row["high"], "+.4f")}'
    return [
        row['method'],
        f'{number(row["mean"])} ± {number(row["sd"])}',
        f'{number(row["difference_mean"], "+.4f")} ± {number(row["difference_sd"])}'
        if versus
        else '-',
        f'{row["wins"]}/{row["ties"]}/{row["losses"]}' if versus else '-',
        p(row['p_t'], row['p_t_holm']),
        p(row['p_wilcoxon'], row['p_wilcoxon_holm']),
        interval if row['low'] else '-',
        p(row['p_items'], row['p_items_holm']),
        f'{int(row["calibrator_parameters"]):,}',
        number(row['inference_ms'], '.2f'),
    ]


def table(rows: Sequence[Row]) -> str:
    """Markdown, and below it what the rows have in common."""
    head = ['| ' + ' | '.join(COLUMNS).replace('accuracy', rows[0]['metric']) + ' |']
    head.append('|---' * len(COLUMNS) + '|')
    lines = ['| ' + ' | '.join(cells(row)) + ' |' for row in rows]

    def every(name: str) -> str:
        return ', '.join(dict.fromkeys(row[name] for row in rows))

    facts = (
        f'n = {every("n")} seeds ({every("seeds")}), {every("test_items")} test items; data '
        f'{every("sha256")} ({every("split")}); {every("selection")}; {every("epochs")} epochs; '
        f'commit {every("commit")}; torch {every("torch")}, {every("device")}.'
    )
    return '\n'.join([*head, *lines, '', facts, ''])


def fill(text: str, folder: Path) -> str:
    """The page, with its tables.

    Raises:
        ValueError: a marker without its partner, or none at all.
    """
    begun, ended = text.count('<!-- table:'), text.count('<!-- end -->')
    if not len(BLOCK.findall(text)) == begun == ended or not begun:
        raise ValueError(
            f'the page has {begun} lines "<!-- table: FILE CONFIG -->" and {ended} lines '
            '"<!-- end -->"; one pair per table is possible, at least one'
        )
    return BLOCK.sub(lambda m: m[1] + table(read(folder / m[2], m[3])) + m[4], text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--page', type=Path, default=DOCS / 'results.md', help='docs/results.md')
    parser.add_argument('--folder', type=Path, default=DOCS / 'results', help='docs/results')
    args = parser.parse_args(arguments)
    try:
        args.page.write_text(fill(args.page.read_text(), args.folder))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
