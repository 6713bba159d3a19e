"""Map CMU-MOSEI's pickle into memory instead of reading it.

python tools/prepare/mosei.py --data-root data/MOSEI --out cache/mosei
"""

from pathlib import Path

from mmcalib.datasets.mosei import FILES
from mmcalib.prepare_pickle import main

if __name__ == '__main__':
    main('MOSEI', FILES, Path(__file__).parents[2] / 'configs' / 'base_seq_mosei.py')
