"""Check a data set before training on it: counts, files, leaks between splits, what selects.

python tools/verify_dataset.py configs/base_conv_ave.py --data-root path/to/AVE_Dataset

Exit status: 0, nothing is wrong; 1, something is missing, corrupt or leaks; 2, the data set cannot
be read at all.
"""

import argparse
import os
import sys
from pathlib import Path

from mmengine.config import DictAction

from mmcalib import config
from mmcalib.media import MediaError
from mmcalib.verification import problems
from mmcalib.verification.contact_sheet import draw
from mmcalib.verification.facts import QUICK, read
from mmcalib.verification.report import report
from mmcalib.verification.splits import open_splits


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config file')
    parser.add_argument('--data-root', help='folder of the data set; without it, the config says')
    parser.add_argument('--out', type=Path, help='folder of the report (work_dirs/verify/<config>)')
    parser.add_argument('--quick', action='store_true', help=f'read {QUICK} items per split only')
    parser.add_argument(
        '--workers', type=int, default=min(os.cpu_count() or 1, 4), help='processes that read'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, default={}, help='key=value, dotted keys'
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    args = parse(arguments)
    try:
        cfg = config.load(args.config, args.cfg_options, args.data_root)
        if cfg.sample_data:
            config.prepare_sample(cfg)
        splits = open_splits(cfg)
    except (ValueError, OSError, MediaError, LookupError, TypeError) as error:
        print(error, file=sys.stderr)
        return 2
    records = read(splits, args.quick, args.workers)
    found = report(cfg, splits, records)
    out = args.out or Path('work_dirs', 'verify', Path(args.config).stem)
    out.mkdir(parents=True, exist_ok=True)
    (out / 'report.txt').write_text(found.text)
    problems.write(found.problems, out / 'problems.csv')
    print(found.text)
    draw(splits, records, out / 'contact_sheet.png')
    print(f'{out}: report.txt, contact_sheet.png, problems.csv')
    return found.status


if __name__ == '__main__':
    sys.exit(main())
