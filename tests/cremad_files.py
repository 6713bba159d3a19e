"""CREMA-D in every layout, of files whose sound and pictures tell the clip and the place."""

import shutil
import wave
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import torch

OGM = ('NEU', 'HAP', 'SAD', 'FEA', 'DIS', 'ANG')
WORDS = dict(zip(OGM, ('Neutral', 'Happy', 'Sad', 'Fear', 'Disgust', 'Anger'), strict=True))
CLIPS = [f'10{a:02}_{s}_{e}_XX' for a, s, e in product(range(4), ('IEO', 'TIE'), OGM)]  # 48
TRAIN, TEST = CLIPS[:36], CLIPS[36:]  # actors 0-2, actor 3
BANK = (8, 4)


def level(clip: str) -> int:
    """What tells a clip's sound from another's, in 1/100 of full scale."""
    return CLIPS.index(clip) + 1


def bank(clip: str) -> np.ndarray:
    return np.arange(32, dtype=np.float32).reshape(BANK) + 100 * level(clip)


def write_wave(path: Path, clip: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), 'wb') as file:
        file.setparams((1, 2, 4000, 0, 'NONE', ''))
        file.writeframes(np.full(2000, round(327.67 * level(clip)), '<i2').tobytes())


def write_pictures(folder: Path, name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in (1, 2, 10):
        grey = np.full((12, 16, 3), 20 * number, np.uint8)
        cv2.imwrite(str(folder / name.format(number)), grey)


def write_clip(root: Path, layout: str, clip: str, flv: Path) -> None:
    part = 'train' if clip in TRAIN else 'test'
    if layout in ('ogm', 'lfm', 'raw'):
        write_wave(root / f'AudioWAV/{clip}.wav', clip)
    if layout == 'agm':
        write_wave(root / f'Audio/{clip}.wav', clip)
    if layout in ('ogm', 'agm', 'lfm'):
        write_pictures(root / f'Image-01-FPS/{clip}', '{:05d}.jpg')
    if layout == 'raw':
        (root / 'VideoFlash').mkdir(exist_ok=True)
        shutil.copy(flv, root / f'VideoFlash/{clip}.flv')
    if layout == 'balancebenchmark':
        (root / 'audio').mkdir(parents=True, exist_ok=True)
        torch.save(torch.from_numpy(bank(clip)), root / f'audio/{clip}.pt')
        write_pictures(root / f'visual/{clip}', 'picture{}.png')
    if layout == 'mla':
        (root / f'audio/{part}_fbank').mkdir(parents=True, exist_ok=True)
        np.save(root / f'audio/{part}_fbank/{clip}.npy', bank(clip))
        write_pictures(root / f'visual/{part}_imgs/Image-01-FPS/{clip}', '{:05d}.jpg')


def write_lists(root: Path, layout: str = 'ogm') -> None:
    for part, clips in (('train', TRAIN), ('test', TEST)):
        rows = [f'{clip},{clip[9:12]}' for clip in clips]
        path, encoding = root / f'{part}.csv', 'utf-8-sig'
        if layout == 'lfm':
            path = root / 'annotations' / f'{part}.csv'
        if layout == 'balancebenchmark':
            rows, encoding = ['name,label', *rows], 'utf-8'
        if layout == 'mla':
            path = root / f'my_{part}_cre.txt'
            rows = [f'{clip}.flv {WORDS[clip[9:12]]}' for clip in clips]
        path.parent.mkdir(exist_ok=True)
        path.write_text('\n'.join(rows) + '\n', encoding=encoding)


def make(root: Path, layout: str, flv: Path, clips: Sequence[str] = CLIPS) -> Path:
    """A root.

    Args:
        root: where.
        layout: which.
        flv: every video, where the layout has videos, and no lists.
        clips: whose files are there; all are listed.
    """
    root.mkdir()
    for clip in clips:
        write_clip(root, layout, clip, flv)
    if layout != 'raw':
        write_lists(root, layout)
    return root
