"""Train, validate and test one config.

python tools/train.py configs/calib_conv_ave.py
"""

import argparse
import os

from mmengine.config import Config, DictAction

from mmcalib import config
from mmcalib.apis.train import train


def parse() -> argparse.Namespace:
    """Flags as in mmpretrain, and --data-root, --cache, --seed, --calibrator, --balancing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument('--data-root', help='folder of the data set; without it, the config says')
    parser.add_argument('--cache', help='folder that tools/prepare made: read media from there')
    parser.add_argument(
        '--calibrator',
        help="instead of the config's: VGMR, or 'VGMR(order=norm_then_gate, width=80)'",
    )
    parser.add_argument('--balancing', help='a balancing method, such as OGM')
    parser.add_argument('--seed', type=int, help='seed of weights, order and augmentation')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue from a checkpoint, or from the last one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bf16 unless set)')
    parser.add_argument('--no-validate', action='store_true', help='neither validate nor select')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate by the batch size'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='key=value, dotted keys'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)
    return parser.parse_args()


def apply(cfg: Config, args: argparse.Namespace) -> None:
    """Put the flags that concern the run, not the model, into the config."""
    cfg.launcher = args.launcher
    if args.work_dir:
        cfg.work_dir = args.work_dir
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.default_hooks.checkpoint.pop('save_best', None)
        cfg.default_hooks.checkpoint.pop('rule', None)
    if args.amp:
        cfg.optim_wrapper.type = 'Amp'
    if args.auto_scale_lr:
        cfg.auto_scale_lr.enable = True
    if args.resume is not None:
        cfg.resume = True
        cfg.load_from = None if args.resume == 'auto' else args.resume


def main() -> None:
    """Run."""
    args = parse()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = config.load(
        args.config,
        args.cfg_options,
        args.data_root,
        args.calibrator,
        args.seed,
        args.balancing,
        args.cache,
    )
    apply(cfg, args)
    train(cfg)


if __name__ == '__main__':
    main()
