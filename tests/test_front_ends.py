"""docs/front_ends.md: every line of its tables, run."""

import re
from pathlib import Path

import numpy as np
import pytest

from mmcalib.contract import Draw
from mmcalib.registry import TRANSFORMS

PAGE = Path(__file__).parents[1] / 'docs' / 'front_ends.md'
ROW = re.compile(r'^\| (.+) \| (.+) \| (\([\d, ]+\)) \| `(\[.+\])` \| .+ \|$')
ROWS = [match.groups() for line in PAGE.read_text().splitlines() if (match := ROW.match(line))]
SPACE = 2  # a stream for crops and flips


def evaluated(text: str):
    """A shape or a list of configs, as it stands on the page."""
    return eval(text, {'__builtins__': {}, 'dict': dict})


def given(text: str) -> np.ndarray:
    """Sound ('2.1 s at 22050 Hz'), frames ('3 x 240 x 320 x 3') or features ('77 x 74')."""
    generator = np.random.default_rng(0)
    if sound := re.fullmatch(r'([\d.]+) s at (\d+) Hz', text):
        samples = round(float(sound[1]) * int(sound[2]))
        return generator.uniform(-1, 1, samples).astype(np.float32)
    shape = tuple(int(part) for part in text.split(' x '))
    if len(shape) == 4:
        return generator.integers(0, 256, shape, np.uint8)
    return generator.normal(size=shape).astype(np.float32)


def run(configs, array, generator):
    for config in configs:
        array = TRANSFORMS.build(config)(array, generator)
    return array


def test_the_page_has_the_published_shapes():
    shapes = {evaluated(shape) for _, _, shape, _ in ROWS}
    assert {(1, 257, 188), (1, 129, 626), (1, 257, 1004), (1, 1024, 128)} <= shapes
    lines = [line for line in PAGE.read_text().splitlines() if 'dict(type' in line]
    assert len(ROWS) == len(lines) > 15, 'every line is understood'


@pytest.mark.parametrize(('name', 'text', 'shape', 'configs'), ROWS, ids=[row[0] for row in ROWS])
def test_a_line_gives_its_shape_in_float32_and_again_the_same(name, text, shape, configs):
    array, lines = given(text), evaluated(configs)
    x = run(lines, array, np.random.default_rng(1))
    assert x.shape == evaluated(shape) and x.dtype == np.float32
    assert np.isfinite(x).all()
    np.testing.assert_array_equal(x, run(lines, array, np.random.default_rng(1)))


SOUND = [row for row in ROWS if row[1].endswith('Hz')]


@pytest.mark.parametrize('samples', [0, 1, 5000])
@pytest.mark.parametrize(('name', 'text', 'shape', 'configs'), SOUND, ids=[r[0] for r in SOUND])
def test_silence_of_any_length_has_the_same_shape_and_is_finite(
    name, text, shape, configs, samples
):
    x = run(evaluated(configs), np.zeros(samples, np.float32), np.random.default_rng(1))
    assert x.shape == evaluated(shape) and np.isfinite(x).all()


def test_modalities_with_equal_generators_are_cropped_and_mirrored_alike():
    lines = {row[0]: evaluated(row[3])[:2] for row in ROWS}
    tied = [lines['RGB, training'], lines['flow, training']]
    frames = np.zeros((2, 240, 320, 3), np.uint8)
    frames[..., 0] = np.arange(320) * 255 // 319  # columns; u of flow, which a flip negates
    frames[..., 1] = np.arange(240)[:, np.newaxis]  # rows
    flipped = 0
    for sample in range(12):
        draw = Draw(sample, epoch=3)
        rgb = run(tied[0], frames, draw.generator(SPACE)).astype(int)
        flow = run(tied[1], frames[..., :2], draw.generator(SPACE)).astype(int)
        np.testing.assert_array_equal(rgb[..., 1], flow[..., 1])
        mirrored = rgb[0, 0, 0, 0] > rgb[0, 0, -1, 0]
        flipped += mirrored
        expected = 255 - rgb[..., 0] if mirrored else rgb[..., 0]
        np.testing.assert_array_equal(flow[..., 0], expected)
    assert 0 < flipped < 12
