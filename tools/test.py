"""Test one checkpoint.

python tools/test.py configs/calib_conv_ave.py work_dirs/calib_conv_ave/best_accuracy_epoch_9.pth
"""

import argparse
import json
import os
from pathlib import Path

from mmengine.config import DictAction
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults
from mmengine.logging import print_log

from mmcalib import config
from mmcalib.engine.runner import Runner


def parse() -> argparse.Namespace:
    """Flags as in mmpretrain, and --data-root, --cache and --calibrator."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or the one that a run left in its work dir')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs')
    parser.add_argument('--data-root', help='folder of the data set; without it, the config says')
    parser.add_argument('--cache', help='folder that tools/prepare made: read media from there')
    parser.add_argument('--calibrator', help="a calibrator's name, instead of the config's")
    parser.add_argument('--out', help='file for the result')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        default='metrics',
        help='write metrics as .json, or every prediction as .pkl',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='key=value, dotted keys'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    args = parser.parse_args()
    suffix = {'metrics': '.json', 'pred': '.pkl'}[args.out_item]
    if args.out and not args.out.endswith(suffix):
        parser.error(f'--out {args.out}: --out-item {args.out_item} writes a {suffix} file')
    if not Path(args.checkpoint).is_file():
        parser.error(f'no checkpoint {args.checkpoint}')
    return args


def main() -> None:
    """Run."""
    args = parse()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = config.load(
        args.config, args.cfg_options, args.data_root, args.calibrator, cache=args.cache
    )
    cfg.launcher = args.launcher
    cfg.load_from = args.checkpoint
    if args.work_dir:
        cfg.work_dir = args.work_dir
    if args.amp:
        cfg.test_cfg.fp16 = True
    if cfg.sample_data:
        config.prepare_sample(cfg)
    runner = Runner.from_cfg(cfg)
    if args.out and args.out_item == 'pred':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        Path(args.out).write_text(json.dumps(metrics, indent=2) + '\n')
    if cfg.sample_data:
        print_log(cfg.sample.notice, 'current')


if __name__ == '__main__':
    main()
