"""A stand-in for UCF101: shapes that move, in the layout of the official download, some damaged.

The videos are small, so that flow is computed while they are read in a millisecond per frame; they
take a fiftieth of the space of pictures and stored flow, which `layout='mmaction2'` writes.

python -m mmcalib.samples.ucf101 data/sample_ucf101
"""

import argparse
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

from mmcalib.media.choices import check_choices
from mmcalib.media.flow import flow_to_bytes, optical_flow
from mmcalib.samples import folder
from mmcalib.samples.faces import grain
from mmcalib.samples.pen import Pen, colour
from mmcalib.samples.plan import Damage, damages

VERSION = 1  # raise it when the same arguments give other files
LAYOUTS = ('videos', 'mmaction2')
FPS, COUNT = 25, 40
WIDTH, HEIGHT = 96, 72
GROUPS = 12  # of each class; the first three are for test
TEST_GROUPS = 3

# Where the shape is at a time in seconds: x and y in [-1, 1], angle, size.
Motion = Callable[[float], tuple[float, float, float, float]]
MOTIONS: dict[str, Motion] = {
    'HorseRiding': lambda t: (1.4 * ((0.7 * t) % 1) - 0.7, 0.05 * np.sin(20 * t), 0.0, 1.0),
    'HulaHoop': lambda t: (0.4 * np.cos(7 * t), 0.4 * np.sin(7 * t), 0.0, 1.0),
    'JumpRope': lambda t: (0.0, 0.6 - 1.2 * abs(np.sin(5 * t)), 0.0, 1.0),
    'PushUps': lambda t: (0.0, 0.0, 0.0, 0.9 + 0.45 * np.sin(6 * t)),
    'TrampolineJumping': lambda t: (0.5 * np.sin(3 * t), -0.6 * abs(np.sin(4.5 * t)), 0.0, 1.0),
    'YoYo': lambda t: (0.0, 0.0, 5.0 * t, 1.0),
}
CLASSES = tuple(MOTIONS)
SIDES = dict(zip(CLASSES, (4, 16, 3, 6, 5, 8), strict=True))  # corners of the shape


class Clip(NamedTuple):
    """One clip; everything that it shows follows from these fields."""

    seed: int
    label: str
    group: int
    number: int
    damage: Damage | None = None

    @property
    def id(self) -> str:
        return f'v_{self.label}_g{self.group:02d}_c{self.number:02d}'

    def generator(self, purpose: str) -> np.random.Generator:
        place = (CLASSES.index(self.label), self.group)
        clip = () if purpose == 'group' else (self.number, *purpose.encode())
        return np.random.default_rng((self.seed, *place, *clip))


def generate(
    root: str | Path,
    seed: int = 0,
    clips: int = 6,
    corrupted: float = 0.3,
    processes: int | None = None,
    layout: str = 'videos',
) -> Path:
    """Make sure that `root` holds the sample of these arguments; returns the resolved folder.

    Six classes of twelve groups; the shape tells half of the class, its motion the other half. See
    `folder.generate` for what happens to a folder that is there already.

    Args:
        seed: of everything.
        clips: of each group; three groups of each class are for test.
        corrupted: share of clips, in [0, 1], of which the pictures are noise or black, which spoils
            flow too, or in which the shape is that of another class; `reliability.csv` lists them.
        processes: how many to render with; the default is one per core, four at most.
        layout: 'videos', or 'mmaction2': JPEG files of every frame and of its flow, u and v.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
        ValueError: a number is out of its range, or an unknown layout.
    """
    check_choices('generate', {'layout': layout}, {'layout': LAYOUTS})
    if seed < 0 or not 1 <= clips <= 99 or not 0 <= corrupted <= 1:
        raise ValueError(
            f'generate(seed={seed}, clips={clips}, corrupted={corrupted}): the seed is at least 0, '
            'clips are 1 to 99, the share is within [0, 1]'
        )
    card = {'generator': 'mmcalib.samples.ucf101', 'version': VERSION, 'seed': seed}
    card |= {'clips': clips, 'corrupted': corrupted}
    card |= {'layout': layout} if layout != 'videos' else {}
    groups = {'test': range(1, TEST_GROUPS + 1), 'train': range(TEST_GROUPS + 1, GROUPS + 1)}
    plan = {}
    for split, numbers in groups.items():
        whole = [
            Clip(seed, label, group, number)
            for label in CLASSES
            for group in numbers
            for number in range(1, clips + 1)
        ]
        rng = np.random.default_rng((seed, *split.encode()))
        hit = damages([c.label for c in whole], ('rgb',), corrupted, rng)
        plan[split] = [clip._replace(damage=hit.get(k)) for k, clip in enumerate(whole)]
    return folder.generate(
        root, card, partial(_write, plan=plan, processes=processes, layout=layout)
    )


def _write(root: Path, plan: dict[str, list[Clip]], processes: int | None, layout: str) -> None:
    for label in CLASSES if layout == 'videos' else ():
        (root / 'UCF-101' / label).mkdir(parents=True)
    lists = root / 'ucfTrainTestlist'
    lists.mkdir()
    index = [f'{k} {label}' for k, label in enumerate(CLASSES, start=1)]
    (lists / 'classInd.txt').write_text('\n'.join(index) + '\n')
    for split, clips in plan.items():
        ends = {c.id: f' {CLASSES.index(c.label) + 1}' if split == 'train' else '' for c in clips}
        rows = [f'{c.label}/{c.id}.avi{ends[c.id]}' for c in clips]
        (lists / f'{split}list01.txt').write_text('\n'.join(rows) + '\n')
    every = [(split, clip) for split, clips in plan.items() for clip in clips]
    rows_of = ([c.id, split, c.label, *(c.damage or ('', '', ''))] for split, c in every)
    folder.write_reliability(root, rows_of)
    write = {'videos': render, 'mmaction2': render_pictures}[layout]
    folder.write_all([c for _, c in every], partial(write, root=root), processes, 'UCF101')


def seen(clip: Clip) -> np.ndarray:
    """(COUNT, HEIGHT, WIDTH, 3) uint8 RGB: what is filmed, and what damage makes of it."""
    frames = film(clip)
    if clip.damage is not None and clip.damage.kind == 'noise':
        return grain(frames, 0.1, clip.generator('dots'))
    if clip.damage is not None and clip.damage.kind == 'blank':
        return np.zeros_like(frames)
    return frames


def render_pictures(clip: Clip, root: Path) -> None:
    """Write the frames of a clip and their flow, of which the last frame has none."""
    frames = seen(clip)
    flow = flow_to_bytes(optical_flow(frames[:-1], frames[1:]))
    kinds = {'img': frames[..., ::-1], 'flow_x': flow[..., 0], 'flow_y': flow[..., 1]}
    path = root / 'rawframes' / clip.label / clip.id
    path.mkdir(parents=True)
    for kind, pictures in kinds.items():
        for k, picture in enumerate(pictures, start=1):
            cv2.imwrite(str(path / f'{kind}_{k:05d}.jpg'), picture)


def render(clip: Clip, root: Path) -> None:
    """Write the video of a clip."""
    frames = seen(clip)
    path = root / 'UCF-101' / clip.label / f'{clip.id}.avi'
    with av.open(str(path), 'w', options={'fflags': '+bitexact'}) as container:
        stream = container.add_stream('mpeg4', rate=FPS)
        stream.height, stream.width = HEIGHT, WIDTH
        stream.pix_fmt, stream.bit_rate = 'yuv420p', 600_000
        for k, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            picture.pts, picture.time_base = k, Fraction(1, FPS)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def film(clip: Clip) -> np.ndarray:
    """(COUNT, HEIGHT, WIDTH, 3) uint8 RGB: a group keeps its place and its shape."""
    group, own = clip.generator('group'), clip.generator('motion')
    swapped = clip.damage is not None and clip.damage.source
    label = swapped or clip.label
    # The shape of a third of the groups is drawn, so that it does not tell everything.
    told = group.random() < 2 / 3
    sides = SIDES[label] if told else int(group.choice(list(SIDES.values())))
    ink = colour(group.uniform(), 0.7, group.uniform(0.5, 1.0))
    texture = cv2.GaussianBlur(
        group.uniform(0, 255, (HEIGHT, WIDTH, 3)).astype(np.float32), (0, 0), 2
    )
    place = cv2.normalize(texture, None, 20, 200, cv2.NORM_MINMAX).astype(np.uint8)  # type: ignore[call-overload]
    start, pace = own.uniform(0, 3), own.uniform(0.8, 1.2)
    x, y, size = own.uniform(0.4, 0.6), own.uniform(0.45, 0.55), HEIGHT * own.uniform(0.2, 0.28)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    outline = np.column_stack([np.cos(turn), 0.7 * np.sin(turn)])
    frames = np.repeat(place[np.newaxis], COUNT, axis=0)
    for k, frame in enumerate(frames):
        right, down, angle, scale = MOTIONS[clip.label](start + pace * k / FPS)
        half = HEIGHT / 2
        at = np.array([[1, 0, WIDTH * x + half * right], [0, 1, HEIGHT * y + half * down]])
        pen = Pen(frame, at).moved(0, 0, angle, (size * scale, size * scale))
        pen.polygon(outline, ink)
        pen.polygon(outline * [0.3, 0.2] + [0.4, 0.0], (250, 250, 250))
    return frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', type=Path)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--clips', type=int, default=6, help='of each group')
    parser.add_argument('--corrupted', type=float, default=0.3, help='share of damaged clips')
    parser.add_argument('--processes', type=int)
    parser.add_argument('--layout', choices=LAYOUTS, default='videos')
    print(generate(**vars(parser.parse_args())))


if __name__ == '__main__':
    main()
