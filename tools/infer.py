"""Predict on your files with a trained model.

python tools/infer.py CHECKPOINT audio=x.wav visual=clip.mp4
python tools/infer.py CHECKPOINT audio=x.wav --picture x.png --json x.json
python tools/infer.py CHECKPOINT --table items.csv --json items.json --device cuda

CHECKPOINT is a file of tools/publish.py, a checkpoint of a run, or the folder of a finished run.
Name each modality and its file: modality=path. The modalities are those the model was trained on;
one that you leave out is missing, and the model predicts without it. start_s=2 end_s=5 read only
that part, in seconds, of sound and video.

Many samples come in a table: .csv, .tsv or .jsonl, one line each, one column per modality with
paths relative to the table; optional columns are id, start_s and end_s, others are ignored.

What is printed: the prediction and its probability, the next most probable classes, and per
modality its value and its gate (what multiplies its features; 1 changes nothing), if the model's
calibrator tells them.
"""

import argparse
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmcalib.apis.inferencer import ALSO, Inferencer
from mmcalib.apis.result import Result
from mmcalib.media import MediaError
from mmcalib.media.table import read_table


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('checkpoint', help='published file, checkpoint, or folder of a run')
    parser.add_argument(
        'given', nargs='*', metavar='MODALITY=FILE', help='one sample: a file per modality'
    )
    parser.add_argument('--table', type=Path, metavar='FILE', help='many samples, one per line')
    parser.add_argument(
        '--picture', type=Path, metavar='PNG', help='draw the sample; with --table, a folder'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all numbers')
    parser.add_argument('--device', help='cpu or cuda (a GPU where there is one)')
    parser.add_argument('--batch-size', type=int, default=32, help='samples at once (32)')
    parser.add_argument(
        '--on-error',
        choices=['raise', 'missing'],
        default='raise',
        help='of a file that cannot be read: stop, or go on without it and say so (raise)',
    )
    parser.add_argument(
        '--trust-imports', action='store_true', help="import the modules of the model's config"
    )
    args = parser.parse_intermixed_args(arguments)  # files may stand behind options
    if bool(args.given) == bool(args.table):
        parser.error('name a sample, such as audio=x.wav, or --table FILE; one of the two')
    if wrong := [text for text in args.given if '=' not in text]:
        parser.error(f'{wrong[0]!r} is not MODALITY=FILE, such as audio=x.wav')
    return args


def read_samples(path: Path, inferencer: Inferencer) -> list[dict[str, Any]]:
    """The lines of a table."""
    table, modalities = read_table(path), inferencer.modalities
    if not set(modalities) & set(table.columns):
        raise ValueError(
            f'{path} has the columns {list(table.columns)}; needed is one or more of '
            f'{list(modalities)}'
        )
    samples = []
    for row in table.rows:
        sample = {key: row.cells[key] for key in (*modalities, *ALSO) if key in row.cells}
        for modality in modalities:
            cell = sample.get(modality)
            # A cell may also hold the features themselves.
            numbers = inferencer.readers.by_modality[modality].kind == 'features'
            if isinstance(cell, str) and (not numbers or (path.parent / cell).exists()):
                sample[modality] = path.parent / cell
        samples.append({'id': row.place, **sample})
    return samples


def lines(result: Result) -> str:
    """A result in words."""
    rows = [f'{result.id}: {result.words()}' if result.id else result.words()]
    others = list(result.top().items())[1 if isinstance(result.prediction, str) else 0 :]
    if others:
        rows.append('  ' + ', '.join(f'{name} {share:.3f}' for name, share in others))
    for modality in result.value:
        told = [('value', result.value[modality]), ('gate', result.gate[modality])]
        words = [f'{name} {number:.3f}' for name, number in told if number is not None]
        if modality in result.missing:
            words = ['missing']
        if modality in result.unreadable:
            words.append(result.unreadable[modality])
        if words:
            rows.append(f'  {modality}: {", ".join(words)}')
    return '\n'.join(rows)


def infer(args: argparse.Namespace) -> None:
    """Do it all."""
    inferencer = Inferencer(args.checkpoint, args.device, args.trust_imports)
    options = dict(on_error=args.on_error, pictures=bool(args.picture))
    if not args.table:
        given = dict(text.split('=', 1) for text in args.given)
        keep(list(given.values()), [args.picture, args.json])
        result = inferencer(given, **options)
        print(lines(result))
        if args.picture:
            result.draw(args.picture)
        write(args.json, result.plain())
        return
    samples, whole = read_samples(args.table, inferencer), []
    read = [args.table, *(v for s in samples for v in s.values() if isinstance(v, Path))]
    drawn = [args.picture / f'{k}.png' for k in range(len(samples))] if args.picture else []
    keep(read, [args.json, *drawn])
    if args.picture:
        args.picture.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(samples), args.batch_size):
        batch = samples[start : start + args.batch_size]
        for k, result in enumerate(inferencer(batch, batch_size=args.batch_size, **options)):
            print(lines(result))
            if result.page is not None:
                result.draw(args.picture / f'{start + k}.png')
            whole.append(result.plain())
    write(args.json, whole)


def keep(read: Sequence[str | Path], written: Sequence[Path | None]) -> None:
    """Nothing that is read may be written over."""
    own = {Path(path).resolve() for path in read}
    for path in written:
        if path and path.resolve() in own:
            raise ValueError(f'{path} is an input, and would be overwritten; name another file')


def write(path: Path | None, held: Any) -> None:
    """JSON, if it is asked for."""
    if path:
        path.write_text(json.dumps(held, indent=2, ensure_ascii=False) + '\n', encoding='utf-8')


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    try:
        infer(parse(arguments))
    except (ValueError, OSError, ImportError, MediaError, pickle.UnpicklingError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
