"""A stand-in for CREMA-D: drawn faces and synthesised voices in two layouts, some damaged.

python -m mmcalib.samples.cremad data/sample_cremad
"""

import argparse
import wave
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from mmcalib.media.choices import check_choices
from mmcalib.samples import folder
from mmcalib.samples.faces import film, grain
from mmcalib.samples.plan import Damage, damages
from mmcalib.samples.voices import RATE_HZ, speak

VERSION = 2  # raise it when the same arguments give other files
LAYOUTS = ('raw', 'ogm')
FPS = 10
ACTORS = 12
EMOTIONS = ('NEU', 'HAP', 'SAD', 'FEA', 'DIS', 'ANG')
SENTENCES = ('IEO', 'TIE', 'IOM', 'IWW', 'TAI', 'MTI', 'IWL', 'ITH', 'DFA', 'ITS', 'TSI', 'WSI')
LEVELS = ('LO', 'MD', 'HI')  # only of the first sentence, and not of a neutral voice
KEPT = 0.1  # of a modality under noise


class Clip(NamedTuple):
    """One clip; everything that it shows follows from these fields."""

    seed: int
    number: int
    damage: Damage | None = None

    @property
    def emotion(self) -> str:
        return EMOTIONS[self.number % len(EMOTIONS)]

    @property
    def actor(self) -> int:
        return 1001 + self.number // len(EMOTIONS) % ACTORS

    @property
    def id(self) -> str:
        """As in CREMA-D; a name is used once, up to 864 clips."""
        sentence = SENTENCES[self.number // (len(EMOTIONS) * ACTORS) % len(SENTENCES)]
        level = 'XX'
        if sentence == SENTENCES[0] and self.emotion != 'NEU':
            level = LEVELS[self.number // len(EMOTIONS) % len(LEVELS)]
        return f'{self.actor}_{sentence}_{self.emotion}_{level}'

    def generator(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.number, *purpose.encode()))

    def looks(self) -> np.random.Generator:
        return np.random.default_rng((self.seed, self.actor))

    def shown(self, modality: str) -> str:
        """The emotion that a modality really shows."""
        swapped = self.damage and self.damage.modality == modality and self.damage.source
        return swapped or self.emotion

    def harm(self, modality: str) -> str:
        """'noise', 'blank' or nothing."""
        hit = self.damage is not None and self.damage.modality == modality
        return self.damage.kind if hit and self.damage else ''


def generate(
    root: str | Path,
    seed: int = 0,
    train: int = 360,
    test: int = 90,
    corrupted: float = 0.3,
    processes: int | None = None,
    layout: str = 'raw',
) -> Path:
    """Make sure that `root` holds the sample of these arguments; returns the resolved folder.

    See `folder.generate` for what happens to a folder that is there already.

    Args:
        seed: of everything; clip i is a function of (seed, i) alone, its damage apart.
        train: clips of train.csv, from which the reader takes a validation split.
        test: clips of test.csv. All actors are in both, as in the published split.
        corrupted: share of clips, in [0, 1], of which one modality is noise, blank or of another
            emotion; `reliability.csv` lists them.
        processes: how many to render with; the default is one per core, four at most.
        layout: 'raw' (videos), or 'ogm': a picture of each second, as JPEG.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
        ValueError: a number is out of its range, or an unknown layout.
    """
    check_choices('generate', {'layout': layout}, {'layout': LAYOUTS})
    most = len(EMOTIONS) * ACTORS * len(SENTENCES)
    if seed < 0 or min(train, test) < 1 or train + test > most or not 0 <= corrupted <= 1:
        raise ValueError(
            f'generate(seed={seed}, train={train}, test={test}, corrupted={corrupted}): the seed '
            f'is at least 0, each split has a clip, both at most {most}, the share is within [0, 1]'
        )
    card = {'generator': 'mmcalib.samples.cremad', 'version': VERSION, 'seed': seed}
    card |= {'train': train, 'test': test, 'corrupted': corrupted}
    card |= {'layout': layout} if layout != 'raw' else {}
    clips = {}
    for split, numbers in {'train': range(train), 'test': range(train, train + test)}.items():
        whole = [Clip(seed, number) for number in numbers]
        rng = np.random.default_rng((seed, *split.encode()))
        hit = damages([c.emotion for c in whole], ('audio', 'visual'), corrupted, rng)
        clips[split] = [clip._replace(damage=hit.get(k)) for k, clip in enumerate(whole)]
    return folder.generate(
        root, card, partial(_write, clips=clips, processes=processes, layout=layout)
    )


def _write(root: Path, clips: dict[str, list[Clip]], processes: int | None, layout: str) -> None:
    for name in ('AudioWAV', {'raw': 'VideoFlash', 'ogm': 'Image-01-FPS'}[layout]):
        (root / name).mkdir()
    for split, some in clips.items():
        lines = sorted(f'{clip.id},{clip.emotion}' for clip in some)
        (root / f'{split}.csv').write_text('\n'.join(lines) + '\n')
    every = [(split, clip) for split, some in clips.items() for clip in some]
    rows = ([c.id, split, c.emotion, *(c.damage or ('', '', ''))] for split, c in every)
    folder.write_reliability(root, rows)
    write = partial(render, root=root, layout=layout)
    folder.write_all([c for _, c in every], write, processes, 'CREMA-D')


def render(clip: Clip, root: Path, layout: str = 'raw') -> None:
    """Write the WAV file of a clip, and its FLV file or pictures."""
    seconds = clip.generator('length').uniform(1.6, 2.6)
    samples = speak(clip.shown('audio'), clip.looks(), clip.generator('sound'), seconds)
    if clip.harm('audio') == 'noise':
        hiss = clip.generator('hiss').standard_normal(len(samples))
        samples = np.clip(KEPT * samples + 0.15 * hiss, -1, 1)
    elif clip.harm('audio') == 'blank':
        samples = np.zeros_like(samples)
    with wave.open(str(root / 'AudioWAV' / f'{clip.id}.wav'), 'wb') as file:
        file.setparams((1, 2, RATE_HZ, 0, 'NONE', ''))
        file.writeframes(np.round(32767 * samples).astype('<i2').tobytes())
    count = round(seconds * FPS)
    frames = film(clip.shown('visual'), clip.looks(), clip.generator('picture'), count, FPS)
    if clip.harm('visual') == 'noise':
        frames = grain(frames, KEPT, clip.generator('dots'))
    elif clip.harm('visual') == 'blank':
        frames = np.zeros_like(frames)
    if layout == 'raw':
        _write_flv(root / 'VideoFlash' / f'{clip.id}.flv', frames)
        return
    path = root / 'Image-01-FPS' / clip.id
    path.mkdir()
    for k, frame in enumerate(frames[::FPS], start=1):
        cv2.imwrite(str(path / f'frame_{k:05d}.jpg'), frame[..., ::-1])


def _write_flv(path: Path, frames: np.ndarray) -> None:
    with av.open(str(path), 'w', format='flv', options={'fflags': '+bitexact'}) as container:
        stream = container.add_stream('flv', rate=FPS)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.bit_rate = 'yuv420p', 400_000
        for k, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = k, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--train', type=int, default=360)
    parser.add_argument('--test', type=int, default=90)
    parser.add_argument('--corrupted', type=float, default=0.3, help='share of damaged clips')
    parser.add_argument('--processes', type=int)
    parser.add_argument('--layout', choices=LAYOUTS, default='raw')
    print(generate(**vars(parser.parse_args())))


if __name__ == '__main__':
    main()
