"""Drawn faces of the six emotions of CREMA-D; an actor keeps their looks, an emotion its face."""

from typing import NamedTuple

import cv2
import numpy as np

from mmcalib.samples.pen import Colour, Pen, colour

WIDTH, HEIGHT = 120, 90


class Face(NamedTuple):
    """What an emotion does to a face; 0 is neutral, distances in halves of its height."""

    smile: float = 0.0  # how far the corners of the mouth go up
    open: float = 0.05  # how far the mouth opens between words
    brow: float = 0.0  # how far the brows go up
    frown: float = 0.0  # how far the brows' inner ends go down
    eyes: float = 1.0  # how wide they are
    flush: float = 0.0  # how red the skin is


FACES = {
    'NEU': Face(),
    'HAP': Face(smile=0.16, open=0.10, brow=0.04),
    'SAD': Face(smile=-0.14, brow=0.02, frown=-0.10, eyes=0.6),
    'ANG': Face(smile=-0.06, open=0.12, brow=-0.07, frown=0.14, eyes=0.8, flush=0.35),
    'FEA': Face(smile=-0.03, open=0.22, brow=0.16, frown=-0.06, eyes=1.6),
    'DIS': Face(smile=-0.10, brow=-0.06, frown=0.05, eyes=0.45, flush=-0.15),
}


def film(
    emotion: str, actor: np.random.Generator, clip: np.random.Generator, count: int, fps: int
) -> np.ndarray:
    """(count, HEIGHT, WIDTH, 3) uint8 RGB.

    Args:
        emotion: one of FACES.
        actor: draws the looks; the same seed is the same person.
        clip: draws how strong the emotion is, and how the head and the mouth move.
        count: of frames.
        fps: how many per second.
    """
    skin, hair = (
        actor.uniform(0.35, 0.95),
        colour(actor.uniform(0.02, 0.13), 0.6, actor.uniform(0.1, 0.7)),
    )
    shirt, broad = colour(actor.uniform(), 0.4, actor.uniform(0.3, 0.8)), actor.uniform(0.55, 0.7)
    wall = colour(actor.uniform(), 0.15, actor.uniform(0.4, 0.9))
    strength = clip.uniform(0.6, 1.2)
    face = FACES[emotion]
    tone = colour(0.06 - 0.03 * face.flush, 0.45 + 0.4 * face.flush * strength, skin)
    x, y = WIDTH * clip.uniform(0.42, 0.58), HEIGHT * clip.uniform(0.46, 0.56)
    size, phase, pace = (
        HEIGHT * clip.uniform(0.36, 0.44),
        clip.uniform(0, 6.3),
        clip.uniform(2.5, 5),
    )
    frames = np.empty((count, HEIGHT, WIDTH, 3), np.uint8)
    for k, frame in enumerate(frames):
        frame[:] = wall
        time = k / fps
        nod = 0.03 * np.sin(2 * np.pi * 0.7 * time + phase)
        talk = abs(np.sin(2 * np.pi * pace * time + phase))
        pen = Pen(frame, np.array([[size, 0, x], [0, size, y + size * nod]]))
        pen.ellipse(0, 1.7, 1.1, 0.8, shirt)
        pen.ellipse(0, -0.1, broad + 0.12, 1.0, hair)
        pen.ellipse(0, 0, broad, 0.9, tone)
        _features(pen, face, strength, broad, talk, tone)
    return frames


def _features(
    pen: Pen, face: Face, strength: float, broad: float, talk: float, tone: Colour
) -> None:
    ink, white, red = (30, 25, 25), (240, 240, 235), (130, 40, 45)
    for side in (-1, 1):
        at = side * broad * 0.45
        pen.ellipse(at, -0.2, 0.15, 0.09 * (1 + strength * (face.eyes - 1)), white)
        pen.ellipse(at, -0.2, 0.06, 0.06 * min(1.0, 1 + strength * (face.eyes - 1)), ink)
        outer = (at + side * 0.18, -0.42 - strength * (face.brow - 0.3 * face.frown))
        inner = (at - side * 0.16, -0.42 - strength * (face.brow - face.frown))
        pen.line(inner, outer, 0.06, ink)
    pen.line((0.0, -0.05), (0.06, 0.18), 0.04, _shade(tone))
    rise, gap = strength * face.smile, 0.03 + strength * face.open * talk
    across = np.linspace(-1, 1, 9)
    middle = 0.48 + rise * (0.5 - across**2)
    lens = gap * (1 - across**2) + 0.02
    upper, lower = (
        np.column_stack([0.3 * across, middle - lens]),
        np.column_stack([0.3 * across, middle + lens]),
    )
    pen.polygon(np.concatenate([upper, lower[::-1]]), red)


def _shade(base: Colour) -> Colour:
    red, green, blue = (round(0.7 * part) for part in base)
    return red, green, blue


def grain(frames: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    """Pictures under pixel noise in grains of 3 x 3, of which a share of the contrast is kept."""
    height, width = frames.shape[1:3]
    noisy = np.empty_like(frames)
    for frame, made in zip(frames, noisy, strict=True):
        dots = rng.integers(0, 256, (height // 3, width // 3, 3), dtype=np.uint8)
        coarse = cv2.resize(dots, (width, height), interpolation=cv2.INTER_NEAREST)
        made[:] = cv2.addWeighted(frame, kept, coarse, 1 - kept, 0)
    return noisy
