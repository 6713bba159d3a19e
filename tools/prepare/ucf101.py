"""Decode UCF101, its optical flow too into a cache that trains fast.

python tools/prepare/ucf101.py --data-root data/UCF101 --out cache/ucf101
"""

from pathlib import Path

from mmcalib.prepare import main

if __name__ == '__main__':
    main(Path(__file__).parents[2] / 'configs' / 'base_conv_ucf101.py')
