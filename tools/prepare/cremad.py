"""Decode CREMA-D into a cache that trains fast.

python tools/prepare/cremad.py --data-root data/CREMA-D --out cache/cremad
"""

from pathlib import Path

from mmcalib.prepare import main

if __name__ == '__main__':
    main(Path(__file__).parents[2] / 'configs' / 'base_conv_cremad.py')
