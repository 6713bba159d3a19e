"""Kinetics-Sounds in its four layouts, of files whose values tell class and place."""

import json
import pickle
import shutil
from pathlib import Path

import cv2
import h5py
import numpy as np
from footage import write

CLASSES = ('playing_drums', 'tap_dancing', 'typing')
COUNTS = {'train': 4, 'test': 2}  # clips per class
BANK = (8, 4)


def clips(part):
    """(class, name) of every clip; the names are those of videos and when they were cut."""
    start = {'train': 0, 'test': 500}[part]
    return [
        (k, f'{part:-<5}{k}{n}_x_1_{start + n:06d}_{start + n + 10:06d}')
        for k in range(len(CLASSES))
        for n in range(COUNTS[part])
    ]


def bank(k):
    return np.full(BANK, k + 0.5, np.float32)


def make(root: Path, layout: str, film: Path) -> Path:
    """A root; `film` is the video of every clip where the layout has videos."""
    root.mkdir()
    for part in COUNTS:
        for k, name in clips(part):
            write_clip(root, layout, part, k, name, film)
        if layout in ('ogm', 'balancebenchmark'):
            write_list(root, layout, part)
    if layout == 'bml':
        write_json(root)
    if layout == 'arl':
        spelled = ', '.join([*CLASSES, 'never seen']).replace('_', ' ')
        (root / 'class.txt').write_text(spelled)
    return root


def write_clip(root, layout, part, k, name, film):
    if layout == 'ogm':
        folder = root / f'{part}_video'
        folder.mkdir(exist_ok=True)
        bare = name.rsplit('_', 2)[0] if part == 'test' else name
        shutil.copy(film, folder / f'{bare}.mp4')
    elif layout == 'balancebenchmark':
        (root / 'audio').mkdir(exist_ok=True)
        np.save(root / 'audio' / f'{name}.npy', bank(k))
        write_pictures(root / 'visual' / name)
    elif layout == 'bml':
        encoded = [
            cv2.imencode('.jpg', np.full((24, 32, 3), 10 * place, np.uint8))[1].ravel()
            for place in range(1, 7)
        ]
        with h5py.File(root / f'{name}.hdf5', 'w') as file:
            kind = h5py.vlen_dtype(np.uint8)
            rows = file.create_dataset('video', (6,), dtype=kind)
            for place, data in enumerate(encoded):
                rows[place] = data
        (root / f'{name}.pkl').write_bytes(pickle.dumps(bank(k)))
    else:
        pictured, heard = {'train': ('train_img', 'train'), 'test': ('val_img', 'test')}[part]
        write_pictures(root / 'visual' / pictured / 'Image-01-FPS' / CLASSES[k] / name)
        folder = root / 'audio' / heard / CLASSES[k]
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / f'{name}.wav', seconds=0.5, rate_hz=16_000)


def write_pictures(folder):
    folder.mkdir(parents=True)
    for place in range(1, 7):
        grey = np.full((24, 32), 10 * place, np.uint8)
        cv2.imwrite(str(folder / f'frame_{place:05d}.jpg'), grey)


def write_list(root, layout, part):
    rows = [f'{name},10,{k}' for k, name in clips(part)]
    if layout == 'ogm' and part == 'test':  # test lines lack the end
        rows = [f'{name.rsplit("_", 1)[0]},10,{k}' for k, name in clips(part)]
    if layout == 'balancebenchmark':
        rows = [f'{name} 10 {k}' for k, name in clips(part)]
    end = '\r\n' if layout == 'ogm' else '\n'
    (root / f'my_{part}.txt').write_bytes((end.join(rows) + end).encode('utf-8-sig'))


def write_json(root):
    subsets = {'train': 'training', 'test': 'testing'}
    database = {
        name: {'subset': subsets[part] if n % 4 else 'validation', 'label': CLASSES[k]}
        for part in COUNTS
        for n, (k, name) in enumerate(clips(part), start=int(part == 'test') * 100 + 1)
        if part == 'train' or n % 4
    }
    told = {'labels': CLASSES, 'database': database}
    (root / 'KS_train_val.json').write_text(json.dumps(told))
