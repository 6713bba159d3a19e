"""Decode AVE into a cache that trains fast.

python tools/prepare/ave.py --data-root data/AVE --out cache/ave
"""

from pathlib import Path

from mmcalib.prepare import main

if __name__ == '__main__':
    main(Path(__file__).parents[2] / 'configs' / 'base_conv_ave.py')
