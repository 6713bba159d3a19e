"""Turn a planned clip into sound and frames, damaged where the plan says so, and into a file."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from mmcalib.samples import mp4
from mmcalib.samples.plan import Clip
from mmcalib.samples.scene import FPS, HEIGHT, LENGTH_S, WIDTH, Event, film, record
from mmcalib.samples.sounds import RATE_HZ, Samples

KEPT = 0.1  # of a modality under noise: of its amplitude, or of its contrast


def write(clip: Clip, folder: Path) -> None:
    """Write `<folder>/<id>.mp4`."""
    mp4.write(folder / f'{clip.id}.mp4', np.stack([*frames(clip)]), FPS, sound(clip), RATE_HZ)


def sound(clip: Clip) -> Samples:
    """(LENGTH_S * RATE_HZ,) in [-1, 1]."""
    damage = clip.damage
    if damage is None or damage.modality != 'audio':
        return record(Event(clip.category, *clip.span), clip.generator('sound'))
    if damage.kind == 'blank':
        return np.zeros(LENGTH_S * RATE_HZ)
    if damage.kind == 'swap':
        return record(Event(damage.source, *clip.span), clip.generator('other sound'))
    clean = record(Event(clip.category, *clip.span), clip.generator('sound'))
    rng = clip.generator('noise')
    hiss = rng.uniform(0.1, 0.25) * rng.standard_normal(len(clean))
    return np.clip(KEPT * clean / np.abs(clean).max() + hiss, -1, 1)


def frames(clip: Clip) -> Iterable[np.ndarray]:
    """LENGTH_S * FPS frames, (HEIGHT, WIDTH, 3) uint8 RGB."""
    damage = clip.damage
    if damage is None or damage.modality != 'visual':
        return film(Event(clip.category, *clip.span), clip.generator('picture'))
    if damage.kind == 'blank':
        return [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * (LENGTH_S * FPS)
    if damage.kind == 'swap':
        return film(Event(damage.source, *clip.span), clip.generator('other picture'))
    clean = film(Event(clip.category, *clip.span), clip.generator('picture'))
    rng = clip.generator('noise')
    return (_grain(frame, rng) for frame in clean)


def _grain(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixel noise in grains of 3 x 3: finer ones survive the video codec in huge files only."""
    grain = rng.integers(0, 256, size=(HEIGHT // 3, WIDTH // 3, 3), dtype=np.uint8)
    coarse = cv2.resize(grain, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    return cv2.addWeighted(frame, KEPT, coarse, 1 - KEPT, 0)
