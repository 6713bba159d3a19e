"""What is kept of an item, against numpy; items that cannot be read."""

import wave

import numpy as np
import pytest
import torch
from footage import write

from mmcalib.contract import Signal
from mmcalib.media.files import Files
from mmcalib.media.film import Video
from mmcalib.verification.facts import Reading, kind, look_at, read
from mmcalib.verification.splits import Split


class Numbers:
    """Items k of one token, the number k; some raise, some are not there."""

    metainfo = {'name': 'Numbers', 'modalities': ('a',)}

    def __init__(self, count, broken=(), absent=()):
        self.count, self.broken, self.absent = count, broken, absent

    def __len__(self):
        return self.count

    def __getitem__(self, k):
        if k in self.broken:
            raise ZeroDivisionError('of this one')
        there = k not in self.absent
        signal = Signal(torch.full((1, 2), float(k)), torch.tensor([there]))
        unreadable = {} if there else {'a': 'a.wav: no such file'}
        target = torch.tensor(k % 2)
        return {'inputs': {'a': signal}, 'target': target, 'id': k, 'unreadable': unreadable}


def signal(x, *mask):
    x = torch.as_tensor(np.asarray(x))
    return Signal(x, torch.tensor(mask or [True] * len(x)))


@pytest.mark.parametrize(
    ('modality', 'shape', 'expected'),
    [
        ('visual', (1, 3, 224, 224), 'pictures'),
        ('image', (4, 20, 30, 3), 'pictures'),
        ('image', (1, 1, 28, 28), 'pictures'),
        ('flow', (3, 2, 224, 224), 'flow'),
        ('audio', (1, 1, 257, 1004), 'map'),
        ('audio', (1, 3, 128, 1024), 'map'),
        ('visual', (1, 7, 7, 512), 'map'),
        ('audio', (1, 1024, 128), 'map'),
        ('audio', (1, 16_000), 'wave'),
        ('audio', (1, 74), 'tokens'),
        ('text', (1, 4096), 'tokens'),
        ('text', (50, 768), 'tokens'),
        ('text', (39,), 'tokens'),
    ],
)
def test_what_an_input_is_follows_from_its_shape_and_name(modality, shape, expected):
    assert kind(modality, shape) == expected


def test_moments_are_those_of_real_tokens():
    x = np.random.default_rng(0).normal(2, 3, (5, 4)).astype(np.float32)
    x[3:] = np.nan  # padding
    facts = look_at('text', signal(x, True, True, True, False, False))
    real = x[:3].astype(np.float64)
    assert facts.mean == pytest.approx(real.mean())
    assert facts.square == pytest.approx((real**2).mean())
    assert (facts.low, facts.high) == (real.min(), real.max())
    assert (facts.shape, facts.dtype, facts.length, facts.size) == ((5, 4), 'float32', 3, 12)
    assert facts.finite and not facts.constant and facts.look is None


def test_padding_does_not_change_the_digest():
    x = np.ones((4, 2), np.float32)
    assert look_at('t', signal(x, *[True] * 3, False)).digest == look_at('t', signal(x[:3])).digest


def test_what_is_missing_has_no_token_and_is_not_constant():
    facts = look_at('audio', signal(np.zeros((1, 8), np.float32), False))
    assert facts.length == 0 and facts.finite and not facts.constant


@pytest.mark.parametrize('wrong', [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_seen(wrong):
    x = np.zeros((1, 8), np.float32)
    x[0, 3] = wrong
    assert not look_at('audio', signal(x)).finite


def test_black_pictures_are_constant_though_their_channels_differ():
    black = np.broadcast_to(
        np.array([-2.1, -2.0, -1.8], np.float32).reshape(1, 3, 1, 1), (2, 3, 9, 9)
    )
    assert look_at('visual', signal(black.copy())).constant
    grey = black.copy()
    grey[1, 2, 4, 4] += 0.1
    assert not look_at('visual', signal(grey)).constant
    assert not look_at('visual', signal(np.stack([black[0], black[0] + 1]))).constant


def test_silence_is_constant_and_a_single_number_is_not():
    assert look_at('audio', signal(np.zeros((1, 1, 9, 9), np.float32))).constant
    assert not look_at('text', signal(np.ones((1, 1), np.float32))).constant


def test_of_pictures_the_middle_one_is_looked_at():
    ramp = np.broadcast_to(np.arange(90, dtype=np.float32), (3, 80, 90))
    frames = np.stack([ramp[..., ::-1], ramp, ramp[..., ::-1]])
    assert look_at('visual', signal(frames)).look == (1 << 64) - 1
    assert look_at('audio', signal(frames)).look is None


def test_an_item_that_raises_is_a_record_and_the_others_are_read():
    good, bad = (Reading('val', Numbers(2, broken=(1,)), np.arange(2))[k] for k in range(2))
    assert (good.split, good.place, good.id, good.target) == ('val', 0, '0', 0)
    assert bad.target is None and bad.facts == {}
    assert bad.reasons == {'item': 'ZeroDivisionError: of this one'}


def test_every_item_is_read_once_and_a_quick_look_is_a_seeded_sample():
    splits = {s: Split(None, Numbers(n)) for s, n in {'train': 450, 'test': 30}.items()}
    every = [(r.split, r.place) for r in read(splits)]
    assert every == [('train', k) for k in range(450)] + [('test', k) for k in range(30)]
    some, again, other = (
        [(r.split, r.place) for r in read(splits, quick=True, seed=seed)] for seed in (0, 0, 1)
    )
    assert some == again != other
    assert len(set(some)) == len(some) == 230
    assert {place for split, place in some if split == 'test'} == set(range(30))


class Media(Numbers):
    """Item k is k / 2 + 1/2 s of sound, and a video of 2 s from its second k on."""

    def __init__(self, folder, count):
        super().__init__(count)
        self.files = Files(folder)
        for k in range(count):
            with wave.open(str(folder / f'{k}.wav'), 'wb') as file:
                file.setparams((1, 2, 8000, 0, 'NONE', ''))
                file.writeframes(bytes(2 * 4000 * (k + 1)))
        write(folder / 'a.mp4', seconds=2.0)

    def __getitem__(self, k):
        folder = self.files.files.root
        self.files.sound(folder / f'{k}.wav', 8000)
        if k:
            self.files.pictures(Video(folder / 'a.mp4', start_s=k), 1)
        return super().__getitem__(k)


def test_the_seconds_of_sound_and_video_are_those_that_were_read(tmp_path):
    records = read({'val': Split(None, Media(tmp_path, 2))})
    assert records[0].seconds == {'sound': 0.5}
    assert records[1].seconds == {'sound': 1.0, 'video': pytest.approx(1.0, abs=0.05)}
    assert read({'val': Split(None, Numbers(1))})[0].seconds == {}
