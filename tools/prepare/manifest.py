"""Decode your own data, or what any other config reads, into a cache that trains fast.

python tools/prepare/manifest.py my_config.py --out cache/mine
"""

from mmcalib.prepare import main

if __name__ == '__main__':
    main()
