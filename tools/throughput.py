"""Items per second that reach the model, from files and from a cache, side by side.

python tools/throughput.py configs/base_conv_ave.py --cache cache/ave
"""

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mmcalib import config
from mmcalib.engine.runner import Runner

READING = '| config | source | ms per item for reading media alone | ratio |'
HEADER = '| config | source | workers | items per second | ratio | MB, first and last pass |'
RULE = '|---|---|---|---|---|---|'


def loader(cfg: Config, workers: int) -> DataLoader[Any]:
    """The training loader as the trainer builds it, but for the number of workers."""
    given = cfg.train_dataloader.to_dict()
    given.update(num_workers=workers, persistent_workers=workers > 0)
    return Runner.build_dataloader(given, seed=0)


def passes(feed: DataLoader[Any], batches: int) -> float:
    """Items per second over so many batches, from the first of them that arrives."""
    stream = iter(feed)
    next(stream)  # starting workers is not what is measured
    items, began = 0, time.perf_counter()
    for batch, _ in zip(stream, range(batches), strict=False):
        items += len(batch['target'])
    return items / (time.perf_counter() - began)


class Timed:
    """Files, or a cache of them, and how long it took to read from them."""

    def __init__(self, files: Any) -> None:
        self.files, self.seconds = files, 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.files, name)
        return self._timed(found) if name in ('sound', 'pictures') else found

    def _timed(self, read: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return read(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        return call


def reading(sources: Mapping[str, Config], name: str, items: int, repeats: int) -> list[str]:
    """Lines of a table: the time for sound and pictures before any transform, in turns."""
    data = {source: loader(cfg, 0).dataset for source, cfg in sources.items()}
    plain = {source: getattr(one, 'dataset', one) for source, one in data.items()}
    if not all(hasattr(one, 'files') for one in plain.values()):
        return []
    ms: dict[str, list[float]] = {source: [] for source in sources}
    for _ in range(repeats):
        for source, one in plain.items():
            one.files = timed = Timed(one.files)
            for index in range(items):
                data[source][index % len(data[source])]
            one.files = timed.files
            ms[source].append(1e3 * timed.seconds / items)
    first = ms[next(iter(ms))]
    return [
        f'| {name} | {source} | {statistics.median(took):.2f} ({min(took):.2f} to {max(took):.2f}) '
        f'| {statistics.median(f / t for f, t in zip(first, took, strict=True)):.1f} |'
        for source, took in ms.items()
    ]


def anonymous_mb(pid: str = 'self') -> float:
    """Memory of a process that is no mapped file, in MB; NaN where the system does not tell."""
    try:
        rows = Path(f'/proc/{pid}/status').read_text().splitlines()
    except OSError:
        return float('nan')
    return next(int(row.split()[1]) / 1e3 for row in rows if row.startswith('RssAnon'))


def compare(
    sources: Mapping[str, Config], workers: int, batches: int, repeats: int
) -> dict[str, tuple[list[float], float, float]]:
    """Per source its rates, and the memory after the first and the last pass; in turns."""
    feeds = {name: loader(cfg, workers) for name, cfg in sources.items()}
    rates: dict[str, list[float]] = {name: [] for name in sources}
    memory: dict[str, list[float]] = {name: [] for name in sources}
    for _ in range(repeats):
        for name, feed in feeds.items():
            rates[name].append(passes(feed, batches))
            memory[name].append(anonymous_mb())
    return {name: (rates[name], memory[name][0], memory[name][-1]) for name in sources}


def rows(name: str, found: Mapping[str, Any], workers: int) -> list[str]:
    """Of a Markdown table; a ratio is the median over pairs of passes."""
    first = next(iter(found.values()))[0]
    lines = []
    for source, (rates, before, after) in found.items():
        ratio = statistics.median(r / f for r, f in zip(rates, first, strict=True))
        rate = f'{statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})'
        memory = f'{before:.0f}, {after:.0f}'
        lines.append(f'| {name} | {source} | {workers} | {rate} | {ratio:.1f} | {memory} |')
    return lines


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file; its training loader is timed')
    parser.add_argument('--data-root', help='folder of the data set; without it, the config says')
    parser.add_argument('--cache', help='folder that tools/prepare made, to compare with')
    parser.add_argument('--workers', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--batches', type=int, default=8, help='per pass')
    parser.add_argument('--repeats', type=int, default=5, help='passes per source, in turns')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='key=value, dotted keys'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run."""
    args = parse(argv)
    init_default_scope('mmcalib')
    options = args.cfg_options
    sources = {'files': config.load(args.config, options, args.data_root)}
    if sources['files'].sample_data:
        config.prepare_sample(sources['files'])
    if args.cache:
        sources['cache'] = config.load(args.config, options, args.data_root, cache=args.cache)
    print(f'{HEADER}\n{RULE}')
    for workers in args.workers:
        found = compare(sources, workers, args.batches, args.repeats)
        print('\n'.join(rows(Path(args.config).stem, found, workers)), flush=True)
    items = args.batches * sources['files'].train_dataloader.batch_size
    if lines := reading(sources, Path(args.config).stem, items, args.repeats):
        print('\n'.join(['', READING, '|---|---|---|---|', *lines]))


if __name__ == '__main__':
    main()
