"""Decode Kinetics-Sounds into a cache that trains fast.

python tools/prepare/kinetics_sounds.py --data-root data/Kinetics-Sounds --out cache/kinetics_sounds
"""

from pathlib import Path

from mmcalib.prepare import main

if __name__ == '__main__':
    main(Path(__file__).parents[2] / 'configs' / 'base_conv_kinetics_sounds.py')
