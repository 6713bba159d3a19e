"""AVE as its authors, PMR and OGM-GE keep it, of files whose values tell video and place."""

import pickle
import shutil
from pathlib import Path

import cv2
import numpy as np

BARK, SPEECH = 'Bark', 'Male speech, man speaking'  # targets 2 and 1
IDS = [f'-v_{k:02}' for k in range(24)]
LABELS = {name: (BARK, SPEECH)[k % 2] for k, name in enumerate(IDS)}
PARTS = {'train': IDS[:12], 'val': IDS[12:18], 'test': IDS[18:]}
BANK = (8, 4)
NUMBERS = (1, 2, 10)  # of pictures, whose names sort otherwise
SOUND = {'pmr': 'Audio-1004-SE', 'ogm': 'AVE/audio_spec'}
SIGHT = {'pmr': 'Image-01-FPS-SE', 'ogm': 'AVE/visual'}


def bank(name: str) -> np.ndarray:
    return np.arange(32, dtype=np.float32).reshape(BANK) + 100 * IDS.index(name)


def store(path: Path, held: object, protocol: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(held, protocol))


def write_pictures(folder: Path, name: str) -> None:
    folder.mkdir(parents=True)
    for number in NUMBERS:
        grey = np.full((12, 16, 3), 20 * number, np.uint8)
        cv2.imwrite(str(folder / name.format(number)), grey)


def make_pmr(root: Path) -> Path:
    for name in IDS:
        store(root / f'Audio-1004-SE/{name}.pkl', bank(name))
        write_pictures(root / f'Image-01-FPS-SE/{name}', '{:05d}.jpg')
    write_events(root, 'good&2&5')
    return root


def make_official(root: Path, film: Path) -> Path:
    """The film is every video, and the first 0.8 s of it the event."""
    (root / 'AVE').mkdir(parents=True)
    for name in IDS:
        shutil.copy(film, root / 'AVE' / f'{name}.mp4')
    write_events(root, 'good&0&0.8')
    return root


def write_events(root: Path, rest: str) -> None:
    for part, names in PARTS.items():
        rows = [f'{LABELS[name]}&{name}&{rest}' for name in names]
        (root / f'{part}Set.txt').write_text('\n'.join(rows) + '\n')


def make_ogm(root: Path) -> Path:
    for name in IDS:
        store(root / f'AVE/audio_spec/{name}.pkl', bank(name).astype(np.float64), protocol=2)
        write_pictures(root / f'AVE/visual/{name}', 'frame_{:05d}.jpg')
    write_pairs(root, IDS[:18], IDS[18:])
    (root / 'stat.txt').write_text(f'"{SPEECH}",9\nHelicopter\n{BARK},9\n')
    return root


def write_pairs(root: Path, train: list[str], test: list[str]) -> None:
    (root / 'my_train.txt').write_text('\ufeff' + '\r\n'.join(f'{LABELS[n]},{n}' for n in train))
    (root / 'my_test.txt').write_text('\n'.join(f'"{LABELS[n]}",{n}' for n in test) + '\n\n')


MAKE = {'pmr': make_pmr, 'ogm': make_ogm}
