"""Map CMU-MOSI's pickle into memory instead of reading it.

python tools/prepare/mosi.py --data-root data/MOSI --out cache/mosi
"""

from pathlib import Path

from mmcalib.datasets.mosi import FILES
from mmcalib.prepare_pickle import main

if __name__ == '__main__':
    main('MOSI', FILES, Path(__file__).parents[2] / 'configs' / 'base_seq_mosi.py')
