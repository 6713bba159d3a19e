"""Synthesised speech of the six emotions of CREMA-D: syllables without words."""

from typing import NamedTuple

import numpy as np

RATE_HZ = 16_000


class Voice(NamedTuple):
    """What an emotion does to a voice."""

    pitch: float = 1.0  # times the actor's
    slope: float = -0.1  # of pitch over the clip, as a share
    swing: float = 0.05  # of pitch within a syllable, as a share
    pace_hz: float = 4.0  # syllables per second
    level: float = 0.35  # of the loudest syllable
    tilt: float = 1.2  # how fast overtones fall; lower is sharper
    breath: float = 0.03  # noise beside the tone
    tremor: float = 0.0  # of pitch at 7 Hz, as a share


VOICES = {
    'NEU': Voice(),
    'HAP': Voice(pitch=1.35, slope=0.15, swing=0.25, pace_hz=4.8, level=0.6, tilt=1.0),
    'SAD': Voice(pitch=0.92, slope=-0.2, swing=0.03, pace_hz=2.8, level=0.18, tilt=1.8, breath=0.1),
    'ANG': Voice(
        pitch=1.25, slope=-0.05, swing=0.15, pace_hz=5.2, level=0.9, tilt=0.6, breath=0.08
    ),
    'FEA': Voice(
        pitch=1.65, slope=0.1, swing=0.08, pace_hz=5.5, level=0.4, breath=0.06, tremor=0.06
    ),
    'DIS': Voice(pitch=0.8, slope=-0.3, swing=0.12, pace_hz=3.2, level=0.45, tilt=0.9, breath=0.14),
}


def speak(
    emotion: str, actor: np.random.Generator, clip: np.random.Generator, seconds: float
) -> np.ndarray:
    """(samples,) float64 in [-1, 1].

    Args:
        emotion: one of VOICES.
        actor: draws the pitch and the timbre; the same seed is the same person.
        clip: draws how strong the emotion is, and the syllables.
        seconds: how long.
    """
    voice, plain, strength = VOICES[emotion], VOICES['NEU'], clip.uniform(0.6, 1.2)
    at = {
        f: getattr(plain, f) + strength * (getattr(voice, f) - getattr(plain, f))
        for f in voice._fields
    }
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    beat = time * at['pace_hz'] * clip.uniform(0.9, 1.1) + clip.uniform()
    pitch = actor.uniform(100, 230) * at['pitch'] * (1 + at['slope'] * (time / seconds - 0.5))
    pitch = pitch * (1 + at['swing'] * np.sin(2 * np.pi * beat))
    pitch = pitch * (1 + at['tremor'] * np.sin(2 * np.pi * 7 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    formants = actor.uniform(0.9, 1.1) * np.array([550, 1500, 2500])
    sound = np.zeros_like(time)
    for overtone in range(1, 25):
        near = np.exp(-(((overtone * pitch[:, None] - formants) / 350) ** 2)).sum(axis=1)
        sound += np.sin(overtone * phase) * (0.15 + near) * overtone ** -at['tilt']
    sound = sound / np.abs(sound).max() + at['breath'] * clip.standard_normal(len(time))
    syllables = np.clip(np.sin(np.pi * (beat % 1)), 0, 1) ** 0.7
    edges = np.clip(np.minimum(time, time[::-1]) / 0.15, 0, 1)
    room = 0.003 * clip.standard_normal(len(time))
    return np.clip(max(at['level'], 0.05) * sound * syllables * edges + room, -1, 1)
