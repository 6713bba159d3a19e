"""From the pickle of a data set to a folder whose arrays are mapped into memory."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from mmcalib import config
from mmcalib.media import MediaError
from mmcalib.media.cache import CacheError
from mmcalib.media.disk import alone, free_bytes, gb
from mmcalib.media.mapped_pickle import check_mapped, is_mapped, origin, write_mapped
from mmcalib.media.sentiment_pickles import find
from mmcalib.samples.folder import is_sample


def prepare(path: Path, folder: Path, dry_run: bool = False) -> None:
    """Make the folder of a pickle, or leave it if it is there and whole.

    Interrupted, it starts again, to the same bytes; what is half made never counts as whole.

    Args:
        path: of the pickle.
        folder: to make.
        dry_run: only say how large it would be.

    Raises:
        CacheError: the folder holds something else, another process works on it, or the disk is
            too small.
        MediaError: the pickle is none, or holds something else than plain data.
    """
    needed, free = path.stat().st_size, free_bytes(folder)
    print(f'{folder}: about {gb(needed)} from {path}; {gb(free)} are free', flush=True)
    if folder.exists() and any(p.name[0] != '.' for p in folder.iterdir()) and not _ours(folder):
        raise CacheError(f'{folder} is not empty and no cache; another folder is possible')
    if dry_run:
        return
    with alone(folder):
        if _is_whole(folder, path):
            print(f'{folder} was there')
            return
        if needed > free:
            raise CacheError(f'{folder} needs about {gb(needed)}, but {gb(free)} are free')
        with tqdm(
            total=needed, desc=folder.name, unit='B', unit_scale=True, disable=None
        ) as progress:
            write_mapped(path, folder, is_sample(path.parent), progress.update)
    print(f'{folder}: {gb(sum(p.stat().st_size for p in folder.iterdir()))}')


def _ours(folder: Path) -> bool:
    return is_mapped(folder) or all(p.suffix == '.tmp' for p in folder.glob('[!.]*'))


def _is_whole(folder: Path, path: Path) -> bool:
    """Is it finished, as it was, and of this pickle?"""
    try:
        return check_mapped(folder) == origin(path)
    except CacheError:
        return False


def main(name: str, files: Sequence[str], config_file: Path) -> None:
    """The command line of `tools/prepare` for a data set that is one pickle.

    Args:
        name: of the data set.
        files: its usual file names.
        config_file: reads it.
    """
    parser = argparse.ArgumentParser(
        description='Turn the pickle of a data set once into files that are mapped into memory: '
        'training starts without reading all of it, and processes share it. Interrupted, the same '
        'command makes the same files.'
    )
    parser.add_argument('--data-root', help='file or folder; without it, the config says')
    parser.add_argument('--out', type=Path, required=True, help='folder of the cache')
    parser.add_argument('--dry-run', action='store_true', help='only say how large it would be')
    args = parser.parse_args()
    try:
        cfg = config.load(str(config_file), {}, args.data_root)
        if cfg.sample_data:
            config.prepare_sample(cfg)
        root = config.plain_of_splits(cfg)['train']['root']
        prepare(find(root, name, files), args.out, args.dry_run)
    except KeyboardInterrupt:
        sys.exit('interrupted; the same command makes it anew')
    except (ValueError, OSError, MediaError) as error:
        sys.exit(f'{type(error).__name__}: {error}')
    if not args.dry_run:
        print(f'python tools/train.py {os.path.relpath(config_file)} --cache {args.out}')
