"""Draw what the hook FeatureDump has written: pictures, figures, and one HTML page of it all.

python tools/features.py work_dirs/RUN --reliability data/sample_ave/reliability.csv

A run with FeatureDump leaves WORK_DIR/features/epoch_<k>.npz. Name such files, or work dirs, whose
last epoch is taken. For each dump and split this writes PNGs (where samples lie before and after
calibration, gates, suppression, distributions of evidence, confusion, samples beside their gates)
and a section of report.html, which needs no other file.

--reliability names a table that says which samples are damaged: a CSV with the columns id, modality
(empty: clean) and kind, such as every generated sample has. Then the report also says how well each
evidence tells damaged from clean: the AUROC of "this modality is corrupted here", 0.5 for chance,
above it if the evidence is larger where the modality is damaged, with a bootstrap interval of 95 %.
"""

import argparse
import csv
import sys
from pathlib import Path

from mmcalib.plots.atlas import atlas
from mmcalib.plots.auroc import Score, Table, groups, scores
from mmcalib.plots.dump import Arrays, epochs, load, scalars, select
from mmcalib.plots.report import NOTICE, heading, page, paragraph, picture, table
from mmcalib.plots.style import png

COLUMNS = ('id', 'modality', 'kind')
HEAD = ['evidence', 'modality', 'damage', 'AUROC', '95 % interval', 'clean: mean ± sd (n)']
HEAD += ['damaged: mean ± sd (n)']


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        'dumps', nargs='+', type=Path, metavar='FILE_OR_WORK_DIR', help='an .npz file or a work dir'
    )
    parser.add_argument('--reliability', type=Path, metavar='CSV', help='which samples are damaged')
    parser.add_argument(
        '--out', type=Path, metavar='DIR', help='folder to write to (beside the first dump: report)'
    )
    parser.add_argument('--all-epochs', action='store_true', help='of work dirs, not only the last')
    parser.add_argument('--seed', type=int, default=0, help='of t-SNE and the bootstrap (0)')
    return parser.parse_args(arguments)


def find(given: list[Path], all_epochs: bool) -> list[Path]:
    """The files to read, each once."""
    files: list[Path] = []
    for path in given:
        if path.is_file() or path.suffix == '.npz':
            files.append(path)
        else:
            found = list(epochs(path).values())
            files += found if all_epochs else found[-1:]
    return list(dict.fromkeys(files))


def read_table(path: Path) -> Table:
    """What is known of each sample, by id.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it has not the columns.
    """
    if not path.is_file():
        raise FileNotFoundError(f'--reliability {path} is not a file; a CSV with {COLUMNS} is')
    with path.open(newline='') as file:
        reader = csv.DictReader(file)
        if absent := [name for name in COLUMNS if name not in (reader.fieldnames or ())]:
            has = list(reader.fieldnames or ())
            raise ValueError(f'--reliability {path} has no column {absent}, but {has}')
        return {row['id']: row for row in reader}


def section(
    arrays: Arrays, title: str, folder: Path, known: Table | None, seed: int
) -> tuple[list[str], list[Score]]:
    """Write the PNGs of one split of one dump; the HTML, and the scores."""
    parts, found = [heading(title)], []
    ids = arrays['id'].tolist()
    damage = {}
    if known is not None:
        if not (met := [name for name in ids if name in known]):
            raise ValueError(
                f'--reliability names {next(iter(known), "nothing")!r} and the like, but none of '
                f'the {len(ids)} samples of {title}, such as {ids[0]!r}'
            )
        parts.append(paragraph(f'{len(met)} of {len(ids)} samples are in the reliability table.'))
        damage = {i: f'{known[i]["modality"]}: {known[i]["kind"]}' for i in met if known[i]['kind']}
        found = scores(scalars(arrays), arrays['id'], known, seed)
        parts.append(table(HEAD, [cells(row) for row in found]))
    folder.mkdir(parents=True, exist_ok=True)
    by_group = None if known is None else groups(arrays, known)
    for name, figure in atlas(arrays, by_group, damage, seed=seed).items():
        image = png(figure)
        (folder / f'{name}.png').write_bytes(image)
        parts.append(picture(image, f'{title}: {name}'))
    return parts, found


def cells(row: Score) -> list[str]:
    """One line of the table."""
    sides = [f'{mean:.4g} ± {sd:.2g} ({n})' for mean, sd, n in (row.clean, row.damaged)]
    interval = f'{row.low:.3f} to {row.high:.3f}'
    return [row.evidence, row.modality, row.kind, f'{row.auroc:.3f}', interval, *sides]


def write_scores(found: dict[str, list[Score]], path: Path) -> None:
    """All scores as CSV, for further use."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        sides = [f'{side}_{fact}' for side in ('clean', 'damaged') for fact in ('mean', 'sd', 'n')]
        writer.writerow(['dump', *Score._fields[:6], *sides])
        for title, rows in found.items():
            writer.writerows([title, *row[:6], *row.clean, *row.damaged] for row in rows)


def draw(args: argparse.Namespace) -> Path:
    """Do it all; returns the page."""
    files = find(args.dumps, args.all_epochs)
    known = read_table(args.reliability) if args.reliability else None
    out = args.out or files[0].parent / 'report'
    parts, found, marked = [], {}, False
    for file in files:
        arrays = load(file)
        marked |= bool(arrays.get('sample_data', False))
        for split in dict.fromkeys(arrays['split'].tolist()):
            run = str(arrays.get('run', file.parent.parent.name))
            title = f'{run}, epoch {int(arrays["epoch"])}, {split}'
            while title in found:  # two seeds may bear one name
                title += ', again'
            folder = out / title.replace(', ', '_').replace(' ', '_').replace('/', '_')
            more, rows = section(select(arrays, split), title, folder, known, args.seed)
            parts += more
            found[title] = rows
    if known is not None:
        parts = joint(found) + parts
    if marked:
        parts.insert(0, paragraph(NOTICE, mark=True))
    out.mkdir(parents=True, exist_ok=True)
    if known is not None:
        write_scores(found, out / 'auroc.csv')
    target = out / 'report.html'
    target.write_text(page('Features and gates', parts), encoding='utf-8')
    return target


def joint(found: dict[str, list[Score]]) -> list[str]:
    """The AUROC of every dump side by side."""
    if len(found) < 2:
        return []
    keys = dict.fromkeys(row[:3] for rows in found.values() for row in rows)
    by_key = {title: {row[:3]: row for row in rows} for title, rows in found.items()}
    lines = [[*key, *(brief(of.get(key)) for of in by_key.values())] for key in keys]
    head = heading('AUROC of all dumps')
    return [head, table(['evidence', 'modality', 'damage', *by_key], lines)]


def brief(row: Score | None) -> str:
    """The AUROC and its interval."""
    return '' if row is None else f'{row.auroc:.3f} ({row.low:.3f} to {row.high:.3f})'


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    try:
        print(draw(parse(arguments)))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
