"""Film and record one clip: an event of a class within a place of its own."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from mmcalib.samples.pen import Colour, Pen
from mmcalib.samples.pictures import PICTURES
from mmcalib.samples.sounds import RATE_HZ, SOUNDS, Samples, background

LENGTH_S = 10
FPS = 8
WIDTH, HEIGHT = 192, 144
_PAN = 24  # pixels that the camera may move to each side


class Event(NamedTuple):
    """What happens in a clip, and when."""

    category: str
    start_s: int
    end_s: int


def record(event: Event, rng: np.random.Generator) -> Samples:
    """The sound of a clip: (LENGTH_S * RATE_HZ,) in [-1, 1]; only background outside the event."""
    n = (event.end_s - event.start_s) * RATE_HZ
    sound = SOUNDS[event.category](rng, n)
    sound = sound / np.abs(sound).max()
    fade = np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.02 * RATE_HZ), 0, 1)
    place = background(rng, LENGTH_S * RATE_HZ)
    clip = place * 10 ** (rng.uniform(-40, -17) / 20)  # relative to the peak of the event
    clip[event.start_s * RATE_HZ : event.end_s * RATE_HZ] += sound * fade
    return clip / np.abs(clip).max() * 10 ** (rng.uniform(-18, -1) / 20)


def film(event: Event, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The frames of a clip, (HEIGHT, WIDTH, 3) uint8 RGB; only the place outside the event."""
    place = _place(rng)
    draw = PICTURES[event.category](rng)
    matrix = _placement(rng)
    light = _light(rng)
    drift, phase = rng.uniform(0.02, 0.12), rng.uniform(0, 2 * np.pi, size=2)
    front = _blob(rng, WIDTH, HEIGHT) if rng.random() < 0.2 else None
    for k in range(LENGTH_S * FPS):
        time = k / FPS
        pan = np.round(_PAN * (1 + np.sin(2 * np.pi * drift * time + phase))).astype(int)
        frame = place[pan[1] : pan[1] + HEIGHT, pan[0] : pan[0] + WIDTH].copy()
        if event.start_s <= time < event.end_s:
            draw(Pen(frame, matrix), time)
        if front is not None:
            Pen(frame, np.eye(2, 3)).polygon(front[0], front[1])
        yield cv2.transform(frame, light)


def _placement(rng: np.random.Generator) -> np.ndarray:
    """Where the object is, how large, how turned, and whether mirrored: (2, 3)."""
    half = HEIGHT * rng.uniform(0.32, 0.47)
    x, y = WIDTH * rng.uniform(0.38, 0.62), HEIGHT * rng.uniform(0.42, 0.58)
    mirror = float(rng.choice([-1, 1]))
    frame = Pen(np.empty(0), np.eye(2, 3))
    return frame.moved(x, y, rng.normal(0, 0.12), (mirror * half, half)).matrix


def _light(rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast and a colour cast, as a matrix for `cv2.transform`: (3, 4)."""
    gains = rng.uniform(0.6, 1.05) * rng.uniform(0.8, 1.15, size=3)
    return np.column_stack([np.diag(gains), np.full(3, rng.uniform(-10, 30))])


def _place(rng: np.random.Generator) -> np.ndarray:
    """A background larger than a frame: a gradient, a texture and clutter."""
    height, width = HEIGHT + 2 * _PAN, WIDTH + 2 * _PAN
    grey = rng.uniform(60, 200) + rng.normal(0, 22, size=3)
    corners = (grey + rng.normal(0, 20, size=(2, 2, 3))).astype(np.float32)
    image = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    for cells in (8, 40):
        bumps = rng.normal(0, rng.uniform(3, 9), size=(cells, cells)).astype(np.float32)
        texture = cv2.resize(bumps, (width, height), interpolation=cv2.INTER_CUBIC)
        image = image + texture[..., None]
    image = np.clip(image, 0, 255).astype(np.uint8)
    pen = Pen(image, np.eye(2, 3))
    for _ in range(rng.integers(2, 8)):
        pen.polygon(*_blob(rng, width, height))
    return image


def _blob(rng: np.random.Generator, width: int, height: int) -> tuple[np.ndarray, Colour]:
    """Clutter: a bar, a triangle, a box or a disc of any colour."""
    corners = int(rng.choice([3, 4, 4, 16]))
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 2 * np.pi)
    sizes = rng.uniform(4, 20, size=2)
    centre = rng.uniform((0, 0), (width, height))
    red, green, blue = rng.integers(20, 236, size=3).tolist()
    outline = np.column_stack([np.cos(turn), np.sin(turn)]) * sizes + centre
    return outline, (red, green, blue)
