"""What the eight classes of the sample sound like: one synthesiser per class, in its spirit."""

from collections.abc import Callable, Sequence

import numpy as np

RATE_HZ = 22050
Samples = np.ndarray  # (n,) float64
Sound = Callable[[np.random.Generator, int], Samples]  # n samples of an event, any scale


def noise(rng: np.random.Generator, n: int, gain: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """Gaussian noise of unit RMS whose spectrum follows `gain(frequencies in Hz)`."""
    frequencies = np.fft.rfftfreq(n, 1 / RATE_HZ)
    shaped = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * gain(frequencies), n)
    return shaped / max(np.sqrt(np.mean(shaped**2)), 1e-12)


def background(rng: np.random.Generator, n: int) -> Samples:
    """The place of a recording: a hiss, a hum or anything between, of unit RMS."""
    tilt, corner = rng.uniform(0, 1.2), rng.uniform(60, 600)
    return noise(rng, n, lambda f: (1 + f / corner) ** -tilt)


def church_bell(rng: np.random.Generator, n: int) -> Samples:
    """Strikes of inharmonic partials that ring for seconds, the high ones shorter."""
    pitch, ring = rng.uniform(180, 650), rng.uniform(0.6, 2.0)
    time = _time(min(n, 4 * RATE_HZ))
    strike = np.zeros_like(time)
    for ratio in (0.5, 1.0, 1.19, 1.5, 2.0, 2.74, 3.0, 4.07, 5.43):
        partial = ratio * rng.uniform(0.99, 1.01)
        strike += (
            rng.uniform(0.4, 1.0)
            * np.exp(-time * (0.4 + partial) / ring)
            * _wave(pitch * partial, time, rng)
        )
    return _repeat(rng, n, [strike], gap_s=rng.uniform(0.7, 2.4))


def clock(rng: np.random.Generator, n: int) -> Samples:
    """Two short clicks in turn, tick and tock, of a small wooden or metal case."""
    time = _time(RATE_HZ // 10)
    clicks = []
    for base in rng.uniform(900, 4200) * np.array([1.0, rng.uniform(0.7, 0.95)]):
        click = np.zeros_like(time)
        for ratio in (1.0, 1.7, 2.3):
            click += np.exp(-time / rng.uniform(0.003, 0.015)) * _wave(base * ratio, time, rng)
        clicks.append(click)
    return _repeat(rng, n, clicks, gap_s=rng.uniform(0.2, 0.7), jitter=0.01)


def helicopter(rng: np.random.Generator, n: int) -> Samples:
    """Noise chopped by the blades, with a faint turbine above it."""
    blades, corner = rng.uniform(9, 20), rng.uniform(150, 700)
    time = _time(n)
    sweep = blades * time + rng.uniform(0, 0.4) * np.sin(2 * np.pi * 0.2 * time)
    chop = np.exp(rng.uniform(1.0, 2.5) * (np.cos(2 * np.pi * sweep) - 1))
    turbine = _wave(rng.uniform(900, 2500), time, rng) * rng.uniform(0, 0.15)
    return chop * noise(rng, n, lambda f: f / (50 + f) / (1 + (f / corner) ** 2)) + turbine


def truck(rng: np.random.Generator, n: int) -> Samples:
    """A low rumble: engine harmonics that rev up and down, over road noise."""
    idle, revs = rng.uniform(20, 48), rng.uniform(0.05, 0.5)
    time = _time(n)
    pitch = idle * (1 + revs * np.sin(2 * np.pi * rng.uniform(0.05, 0.3) * time + _angle(rng)))
    engine = _harmonics(pitch, [rng.uniform(0.3, 1) / (1 + k / 6) for k in range(12)])
    corner = rng.uniform(150, 600)
    road = noise(rng, n, lambda f: f / (40 + f) / (1 + (f / corner) ** 1.7))
    return engine + rng.uniform(0.8, 2.5) * road


def violin(rng: np.random.Generator, n: int) -> Samples:
    """Bowed notes, one after another, with vibrato and many harmonics."""
    out = np.zeros(n)
    tonic, body = rng.uniform(220, 640), rng.uniform(0.5, 1.1)
    at = 0
    while at < n:
        length = min(int(rng.uniform(0.35, 1.6) * RATE_HZ), n - at)
        time = _time(length)
        depth, rate = rng.uniform(0.004, 0.015), rng.uniform(4.5, 7.0)
        note = tonic * 2 ** (rng.choice([-5, -3, 0, 2, 4, 7, 9]) / 12)
        pitch = note * (1 + depth * np.sin(2 * np.pi * rate * time + _angle(rng)))
        tone = _harmonics(pitch, [(k + 1) ** -body * rng.uniform(0.4, 1) for k in range(12)])
        out[at : at + length] = tone * _swell(length, 0.06)
        at += length
    return out + 0.03 * np.abs(out).max() * noise(rng, n, lambda f: f / (3000 + f))


def acoustic_guitar(rng: np.random.Generator, n: int) -> Samples:
    """Plucked strings: harmonics that start at once and die away, alone or as a chord."""
    time = _time(2 * RATE_HZ)
    tonic, damping = rng.uniform(85, 260), rng.uniform(1.0, 3.0)
    plucks = []
    for _ in range(4):
        pluck = np.zeros_like(time)
        for step in rng.choice([0, 4, 7, 12, 16], size=rng.integers(1, 4), replace=False):
            for k in range(1, 11):
                decay = np.exp(-time * damping * (1 + 0.35 * k))
                pitch = tonic * 2 ** (step / 12) * k
                pluck += rng.uniform(0.3, 1) / k**0.8 * decay * _wave(pitch, time, rng)
        plucks.append(pluck)
    return _repeat(rng, n, plucks, gap_s=rng.uniform(0.2, 0.8), jitter=0.1)


def baby_cry(rng: np.random.Generator, n: int) -> Samples:
    """Cries: a harmonic voice that rises and falls, then a breath."""
    voice, formant = rng.uniform(330, 560), rng.uniform(900, 1600)
    out, at = np.zeros(n), 0
    while at < n:
        length = min(int(rng.uniform(0.5, 1.3) * RATE_HZ), n - at)
        arc = np.sin(np.pi * np.linspace(0, 1, length) ** rng.uniform(0.5, 1.2))
        pitch = voice * rng.uniform(0.9, 1.1) * (0.8 + rng.uniform(0.2, 0.5) * arc)
        loud = [np.exp(-(((k + 1) * voice / formant - 1) ** 2)) + 0.3 / (k + 1) for k in range(10)]
        out[at : at + length] = _harmonics(pitch, loud) * _swell(length, 0.05)
        at += length + int(rng.uniform(0.15, 0.5) * RATE_HZ)
    return out + 0.02 * np.abs(out).max() * noise(rng, n, lambda f: f / (1000 + f))


def bark(rng: np.random.Generator, n: int) -> Samples:
    """Short rough bursts whose pitch falls, in an uneven rhythm."""
    pitch, rough = rng.uniform(220, 620), rng.uniform(0.2, 0.9)
    barks = []
    for _ in range(3):
        length = int(rng.uniform(0.1, 0.28) * RATE_HZ)
        glide = pitch * rng.uniform(0.85, 1.15) * np.linspace(1.25, 0.75, length)
        voice = _harmonics(glide, [0.85**k for k in range(12)])
        breath = noise(rng, length, lambda f: f / (600 + f) / (1 + (f / 2500) ** 2))
        barks.append((voice / np.abs(voice).max() + rough * breath) * _swell(length, 0.02))
    return _repeat(rng, n, barks, gap_s=rng.uniform(0.35, 1.2), jitter=0.4)


SOUNDS: dict[str, Sound] = {
    'Church bell': church_bell,
    'Clock': clock,
    'Helicopter': helicopter,
    'Truck': truck,
    'Violin, fiddle': violin,
    'Acoustic guitar': acoustic_guitar,
    'Baby cry, infant cry': baby_cry,
    'Bark': bark,
}


def _time(n: int) -> np.ndarray:
    return np.arange(n) / RATE_HZ


def _angle(rng: np.random.Generator) -> float:
    return rng.uniform(0, 2 * np.pi)


def _wave(frequency_hz: float, time: np.ndarray, rng: np.random.Generator) -> Samples:
    return np.sin(2 * np.pi * frequency_hz * time + _angle(rng))


def _harmonics(pitch_hz: np.ndarray, amplitudes: Sequence[float]) -> Samples:
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    top = max(pitch_hz.max(), 1.0)
    # Harmonics above half the rate would fold back into wrong pitches.
    audible = [(k + 1, a) for k, a in enumerate(amplitudes) if (k + 1) * top < 0.45 * RATE_HZ]
    return np.sum([a * np.sin(k * phase) for k, a in audible], axis=0)


def _swell(n: int, ramp_s: float) -> np.ndarray:
    """An envelope of n samples that rises and falls within `ramp_s` seconds."""
    edge = np.minimum(np.arange(n), np.arange(n)[::-1]) / (ramp_s * RATE_HZ)
    return np.clip(edge, 0, 1)


def _repeat(
    rng: np.random.Generator, n: int, pieces: list[Samples], gap_s: float, jitter: float = 0.05
) -> Samples:
    """The pieces in turn, about every `gap_s` seconds, each a little louder or softer."""
    out = np.zeros(n)
    at, turn = 0.0, 0
    while at < n:
        start = int(at)
        piece = pieces[turn % len(pieces)][: n - start]
        out[start : start + len(piece)] += rng.uniform(0.6, 1.0) * piece
        at += gap_s * RATE_HZ * rng.uniform(1 - jitter, 1 + jitter)
        turn += 1
    return out
