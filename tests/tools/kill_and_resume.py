"""Kill a training at random moments, resume it, and compare with one that nobody disturbed.

python tests/tools/kill_and_resume.py --kills 10
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mmcalib.samples.ave import generate

REPOSITORY = Path(__file__).parents[2]
OPTIONS = ['train_cfg.max_epochs=6', 'data.audio.0.length_s=1']
for loader in ('train', 'val', 'test'):
    OPTIONS.append(f'{loader}_dataloader.dataset.visual.0.size=64')
    OPTIONS.append(f'{loader}_dataloader.num_workers=1')
OPTIONS.append('train_dataloader.batch_size=16')


def start(root: Path, work_dir: Path, *flags: str) -> subprocess.Popen:
    """Begin a training in a process group of its own."""
    command = [sys.executable, REPOSITORY / 'tools/train.py']
    command += [REPOSITORY / 'configs/calib_conv_ave.py', '--data-root', root]
    command += ['--work-dir', work_dir, *flags, '--cfg-options', *OPTIONS]
    log = (work_dir.parent / f'{work_dir.name}.log').open('a')
    return subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, start_new_session=True)


def outcome(work_dir: Path) -> tuple[object, list[float]]:
    """The test record, and the training losses that were logged, by iteration."""
    losses: dict[int, float] = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            entry = json.loads(line) if line.endswith('}') else {}
            if 'loss' in entry:
                losses[entry['step']] = entry['loss']
    record = json.loads((work_dir / 'test.json').read_text())
    return record['test'], list(losses.values())


def main() -> None:
    """Print one line per kill; exit 1 if one of them ended differently."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--seed', type=int, default=0, help='of the moments')
    args = parser.parse_args()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = generate(Path(folder, 'ave'), train=96, val=24, test=24)
        began = time.time()
        if start(root, Path(folder, 'whole')).wait():
            sys.exit(Path(folder, 'whole.log').read_text())
        took = time.time() - began
        expected = outcome(Path(folder, 'whole'))
        print(f'uninterrupted: {took:.0f} s, {expected[0]}')
        same = 0
        for index in range(args.kills):
            work_dir = Path(folder, f'kill{index}')
            moment = draw.uniform(0.1, 0.98) * took
            process = start(root, work_dir)
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            pointer = work_dir / 'last_checkpoint'
            last = Path(pointer.read_text()).name if pointer.exists() else 'nothing'
            start(root, work_dir, '--resume').wait()
            equal = outcome(work_dir) == expected
            same += equal
            print(
                f'killed after {moment:.1f} s, resumed from {last}: {"same" if equal else "OTHER"}'
            )
        print(f'{same} of {args.kills} end as the uninterrupted run does')
        sys.exit(same < args.kills)


if __name__ == '__main__':
    main()
