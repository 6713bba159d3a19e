"""UCF101 in its three layouts, of pictures whose values tell place and kind."""

import shutil
from collections.abc import Collection
from pathlib import Path

import cv2
import numpy as np

CLASSES = ('Archery', 'BabyCrawling', 'HandstandPushups')
GROUPS = {'train': (8, 9, 10, 11), 'test': (1, 2)}


def name(label, group, clip):
    # The official files spell one class otherwise than its folder.
    spelled = label.replace('Handstand', 'HandStand')
    return f'v_{spelled}_g{group:02d}_c{clip:02d}'


def videos(part):
    return [
        (k, label, name(label, group, clip))
        for k, label in enumerate(CLASSES)
        for group in GROUPS[part]
        for clip in (1, 2)
    ]


def make(root: Path, layout: str, film: Path, parts: Collection[str] = GROUPS) -> Path:
    """A root. Picture k of a video is grey 10 * k, its u 10 * k + 1, its v 10 * k + 2.

    Args:
        root: where.
        layout: which.
        film: every video, where the layout has videos.
        parts: whose videos are there; all are listed.
    """
    root.mkdir()
    for part in GROUPS:
        for _, label, video in videos(part) if part in parts else ():
            write_video(root, layout, label, video, film)
        write_lists(root, layout, part)
    return root


def write_video(root, layout, label, video, film):
    if layout == 'videos':
        target = root / 'UCF-101' / label / f'{video}.avi'
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(film, target)
        return
    for place in range(1, 7):
        if layout == 'balancebenchmark':
            folders = [f'jpegs_256/{video}', f'tvl1_flow/u/{video}', f'tvl1_flow/v/{video}']
            at = [root / folder / f'frame{place:06d}.jpg' for folder in folders]
        else:
            folder = root / 'rawframes' / label / video
            at = [folder / f'{kind}_{place:05d}.jpg' for kind in ('img', 'flow_x', 'flow_y')]
        for extra, path in enumerate(at):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), np.full((24, 32), 10 * place + extra, np.uint8))


def write_lists(root, layout, part):
    if layout == 'mmaction2':
        rows = [f'{label}/{v} 6 {k}' for k, label, v in videos(part)]
        part = {'train': 'train', 'test': 'val'}[part]
        (root / f'ucf101_{part}_split_1_rawframes.txt').write_text('\n'.join(rows) + '\n')
        return
    rows = [f'{label}/{v}.avi {k + 1}' for k, label, v in videos(part)]
    if part == 'test':
        rows = [row.split()[0] for row in rows]
    lists = root / 'ucfTrainTestlist'
    lists.mkdir(exist_ok=True)
    (lists / f'{part}list01.txt').write_text('\r\n'.join(rows) + '\r\n')
    index = [f'{k + 1} {label}' for k, label in enumerate(CLASSES)]
    (lists / 'classInd.txt').write_text('\n'.join(index) + '\n')
