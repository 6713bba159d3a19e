"""What the clips show: each modality tells the class, and a damaged one is damaged as listed."""

import csv
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mmcalib.samples import render
from mmcalib.samples.ave import generate
from mmcalib.samples.plan import Clip

TRAIN, HELD_OUT = range(80), range(200, 240)
RATE_HZ, FPS = 22050, 8


def hear(sound: np.ndarray, start: int, end: int) -> np.ndarray:
    """Mean, spread and change of 32 log bands within the event; the level is taken away."""
    event = sound[start * RATE_HZ : end * RATE_HZ]
    windows = event[: len(event) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power = np.abs(np.fft.rfft(windows)[:, 1:]) ** 2
    level = np.log(power.reshape(len(power), 32, 8).mean(axis=2) + 1e-7)
    level = (level - level.mean()) / (level.std() + 1e-6)
    return np.r_[level.mean(0), level.std(0), np.abs(np.diff(level, axis=0)).mean(0)]


def see(frames: np.ndarray, start: int, end: int) -> np.ndarray:
    """Histograms of gradient directions on a grid of 6 x 8, mean of three frames; no colour."""
    histograms = []
    for part in (1, 3, 5):
        frame = frames[int(FPS * (start + (end - start) * part / 6))]
        grey = cv2.resize(frame, (64, 48), interpolation=cv2.INTER_AREA).mean(axis=2)
        down, right = np.gradient(grey)
        strength, direction = np.hypot(down, right), np.arctan2(down, right) % np.pi
        bins = np.minimum(direction / np.pi * 9, 8).astype(int)
        cells = (strength[..., None] * np.eye(9)[bins]).reshape(6, 8, 8, 8, 9).sum(axis=(1, 3))
        histograms.append(cells.ravel() / (np.linalg.norm(cells) + 1e-3))
    return np.mean(histograms, axis=0)


def tint(frames: np.ndarray, start: int, end: int) -> np.ndarray:
    return frames[FPS * start : FPS * end].mean(axis=(0, 1, 2))


def heard(clip: Clip) -> np.ndarray:
    return hear(render.sound(clip), *clip.span)


@cache  # films are the slow part, and two tests look at them
def seen(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of the clip's picture, and its mean colour."""
    frames = np.stack([*render.frames(clip)])
    return see(frames, *clip.span), tint(frames, *clip.span)


class Judge:
    """A random forest that knows the clean clips by a simple feature of one modality."""

    def __init__(self, feature: Callable[[Clip], np.ndarray]) -> None:
        self.feature = feature
        self.forest = RandomForestClassifier(200, random_state=0)
        clips = [Clip(0, k, 'train') for k in TRAIN]
        self.forest.fit([feature(clip) for clip in clips], [clip.category for clip in clips])

    def accuracy(self) -> float:
        clips = [Clip(0, k, 'test') for k in HELD_OUT]
        predictions = self.forest.predict([self.feature(clip) for clip in clips])
        return float(np.mean(predictions == [clip.category for clip in clips]))

    def prefers(self, row: np.ndarray, a: str, b: str) -> bool:
        """Is this feature more like class `a` than like class `b`?"""
        classes = self.forest.classes_.tolist()
        shares = self.forest.predict_proba([row])[0]
        return bool(shares[classes.index(a)] > shares[classes.index(b)])


@pytest.fixture(scope='module')
def ear() -> Judge:
    return Judge(heard)


@pytest.fixture(scope='module')
def eye() -> Judge:
    return Judge(lambda clip: seen(clip)[0])


@pytest.fixture(scope='module')
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 clips, each class with each damage once, and two that do not matter."""
    root = tmp_path_factory.mktemp('damaged') / 'AVE'
    return generate(root, train=48, val=1, test=1, corrupted=1.0, processes=2)


def rows_of(root: Path, modality: str, kind: str) -> list[dict[str, str]]:
    with (root / 'reliability.csv').open(newline='') as table:
        return [r for r in csv.DictReader(table) if (r['modality'], r['kind']) == (modality, kind)]


def decode(root: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    file = str(root / 'AVE' / f'{name}.mp4')
    with av.open(file) as container:
        frames = np.stack([f.to_ndarray(format='rgb24') for f in container.decode(video=0)])
    with av.open(file) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(audio=0)])
    return sound, frames


def spans_of(root: Path) -> dict[str, tuple[int, int]]:
    lines = [line.split('&') for line in (root / 'Annotations.txt').read_text().splitlines()[1:]]
    return {name: (int(start), int(end)) for _, name, _, start, end in lines}


@pytest.mark.slow
def test_the_class_can_be_heard(ear: Judge) -> None:
    assert ear.accuracy() > 0.6  # chance is 1 / 8


@pytest.mark.slow
def test_the_class_can_be_seen(eye: Judge) -> None:
    assert eye.accuracy() > 0.6


@pytest.mark.slow
def test_the_mean_colour_does_not_tell_the_class() -> None:
    assert Judge(lambda clip: seen(clip)[1]).accuracy() < 0.35


@pytest.mark.slow
def test_blank_is_silence_or_black_and_leaves_the_other_modality_alone(damaged: Path) -> None:
    for row in rows_of(damaged, 'audio', 'blank'):
        sound, frames = decode(damaged, row['id'])
        assert not sound.any()
        assert frames.std() > 5
    for row in rows_of(damaged, 'visual', 'blank'):
        sound, frames = decode(damaged, row['id'])
        assert frames.max() <= 2  # the conversion to YUV and back may round
        assert np.abs(sound).max() > 0.05


@pytest.mark.slow
def test_noise_is_white_in_the_sound_and_new_in_every_frame(damaged: Path) -> None:
    for row in rows_of(damaged, 'audio', 'noise'):
        power = np.abs(np.fft.rfft(decode(damaged, row['id'])[0])) ** 2
        bands = power[1000:69000].reshape(-1, 100).mean(axis=1)  # the codec cuts the top
        assert bands.std() / bands.mean() < 1
        assert bands[: len(bands) // 2].mean() < 2 * bands[len(bands) // 2 :].mean()
    for row in rows_of(damaged, 'visual', 'noise'):
        frames = decode(damaged, row['id'])[1].astype(float)
        assert frames.std() > 40
        assert abs(np.corrcoef(frames[20].ravel(), frames[30].ravel())[0, 1]) < 0.3


@pytest.mark.slow
@pytest.mark.parametrize('modality', ['audio', 'visual'])
def test_a_swapped_modality_is_like_its_source_and_the_other_one_is_not(
    damaged: Path, ear: Judge, eye: Judge, modality: str
) -> None:
    rows, spans = rows_of(damaged, modality, 'swap'), spans_of(damaged)
    assert len(rows) >= 8
    like_source: dict[str, list[bool]] = {'audio': [], 'visual': []}
    for row in rows:
        sound, frames = decode(damaged, row['id'])
        span, pair = spans[row['id']], (row['source'], row['category'])
        like_source['audio'].append(ear.prefers(hear(sound, *span), *pair))
        like_source['visual'].append(eye.prefers(see(frames, *span), *pair))
    other = 'visual' if modality == 'audio' else 'audio'
    assert np.mean(like_source[modality]) >= 0.75
    assert np.mean(like_source[other]) <= 0.25
