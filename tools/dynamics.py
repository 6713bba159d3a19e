"""Draw the training dynamics of runs side by side: PNGs, a table of final figures, one HTML page.

python tools/dynamics.py work_dirs/base_conv_ave-seed* work_dirs/calib_conv_ave-seed* --out report

Name work dirs of tools/train.py. Runs whose names differ in `-seed<k>` only are drawn as one: a
line for their mean, in a band of one standard deviation. What each curve means is told by
docs/dynamics.md. report.html needs no other file; final.csv has the last value of every curve.
"""

import argparse
import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmcalib.plots.curves import curves
from mmcalib.plots.report import NOTICE, heading, page, paragraph, picture, table
from mmcalib.plots.run_log import Band, RunLog, band, group, read_run
from mmcalib.plots.style import png


class Picture(NamedTuple):
    """What one figure shows."""

    file: str
    title: str
    starts: tuple[str, ...]  # of the names of the curves; '' takes the metrics of validation
    look: dict[str, Any]


PICTURES = (
    Picture('loss', 'Loss: mean over an epoch of training, and of validation', ('loss/',), {}),
    Picture('metrics', 'Metrics of the whole validation set', ('',), {}),
    Picture(
        'gradient_norms',
        'Gradient norms before clipping',
        ('grad_norm/',),
        dict(x='iteration', y='Euclidean norm', log=True),
    ),
    Picture(
        'coupling',
        'Gradient coupling: cosine on the parameters of fuser and head',
        ('coupling/',),
        dict(y='cosine', zero=True, share=True),
    ),
    Picture(
        'coupling_spread',
        'Variance of the coupling over batches and over epochs',
        ('coupling_variance_batches/', 'coupling_variance_epochs/'),
        {},
    ),
    Picture(
        'scores',
        'Score with some modalities only, on the fixed validation samples',
        ('score/',),
        dict(share=True),
    ),
    Picture(
        'contribution',
        'Contribution (score with all less score without) and Shapley value',
        ('contribution/', 'shapley/'),
        dict(y='difference of scores', zero=True, share=True),
    ),
    Picture(
        'impact',
        'Loss increase when a modality is taken away behind the calibrator',
        ('loss_increase/',),
        dict(y='Delta', zero=True),
    ),
    Picture('evidence', 'Evidence of the calibrator: means over samples', ('evidence/',), {}),
    Picture(
        'spearman',
        'Is evidence impact? Rank correlation with the loss increase',
        ('spearman/',),
        dict(y='Spearman', zero=True, share=True),
    ),
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('runs', nargs='+', type=Path, metavar='RUN', help='a work dir')
    parser.add_argument('--out', type=Path, default=Path('dynamics'), help='folder (dynamics)')
    parser.add_argument('--separate', action='store_true', help='a line per run, not per group')
    return parser.parse_args(arguments)


def names(runs: Sequence[RunLog], starts: Sequence[str]) -> list[str]:
    """The curves of a picture, in the order in which they were logged."""
    every = dict.fromkeys(name for run in runs for name in run.series)
    return [
        name
        for start in starts
        for name in every
        if (name.startswith(start) if start else '/' not in name)
        and not name.endswith(('/std', '/spread'))
    ]


def bands(groups: Mapping[str, Sequence[RunLog]], name: str) -> dict[str, Band]:
    """One curve of every group that has it."""
    found = {label: band(runs, name) for label, runs in groups.items()}
    return {label: one for label, one in found.items() if one is not None}


def final(groups: Mapping[str, Sequence[RunLog]], curves_of: Sequence[str]) -> list[list[str]]:
    """A row per curve: its last value, mean, sd and n over the runs of each group."""
    rows = []
    for name in curves_of:
        of = bands(groups, name)
        cells = []
        for label in groups:
            if label not in of:
                cells.append('')
                continue
            mean, sd, n = of[label].mean[-1], of[label].spread[-1], len(of[label].values)
            cells.append(f'{mean:.4g} ± {sd:.2g} ({n})' if n > 1 else f'{mean:.4g} (1)')
        rows.append([name, *cells])
    return rows


def write_final(
    groups: Mapping[str, Sequence[RunLog]], curves_of: Sequence[str], path: Path
) -> None:
    """The same, for further use."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['group', 'curve', 'step', 'mean', 'sd', 'n'])
        for name in curves_of:
            for label, one in bands(groups, name).items():
                n = len(one.values)
                sd = one.spread[-1] if n > 1 else ''
                writer.writerow([label, name, one.steps[-1], one.mean[-1], sd, n])


def draw(args: argparse.Namespace) -> Path:
    """Do it all; returns the page."""
    runs = [read_run(path) for path in dict.fromkeys(args.runs)]
    groups = group(runs, args.separate)
    mark = 'sample data' if any(run.sample_data for run in runs) else ''
    args.out.mkdir(parents=True, exist_ok=True)
    parts = [paragraph(NOTICE, mark=True)] if mark else []
    count = ', '.join(f'{label} ({len(some)})' for label, some in groups.items())
    parts.append(paragraph(f'Runs: {count}. Lines are means over them, bands one sd.'))
    every: list[str] = []
    for one in PICTURES:
        shown = names(runs, one.starts)
        panels = {name: of for name in shown if (of := bands(groups, name))}
        if not panels:
            continue
        every += panels
        image = png(curves(panels, one.title, order=list(groups), mark=mark, **one.look))
        (args.out / f'{one.file}.png').write_bytes(image)
        parts += [heading(one.title), picture(image, one.title)]
    if not every:
        raise ValueError(f'{runs[0].name} has logged no curve; the hook TrainingDynamics logs them')
    every += [name for name in names(runs, ('missing/', 'system/')) if bands(groups, name)]
    parts += [heading('Final figures: mean ± sd (n runs)')]
    parts.append(table(['curve', *groups], final(groups, every)))
    write_final(groups, every, args.out / 'final.csv')
    target = args.out / 'report.html'
    target.write_text(page('Training dynamics', parts), encoding='utf-8')
    return target


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
