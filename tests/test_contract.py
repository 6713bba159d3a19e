"""The types of the contract against numpy, one sample and one token at a time."""

import numpy as np
import pytest
import torch
from torch import nn

from mmcalib.contract import Calibrator, Draw, Encoder, Signal, merge

REAL = [[True, True, True], [True, False, True], [True, False, False], [False, False, False]]
GARBAGE = [float('nan'), float('inf'), -float('inf'), 1e30]


def signal(fill: float = 0.0) -> Signal:
    """(4, 3, 2), all values negative, with `fill` wherever a token is not real."""
    x = -1.0 - torch.rand(4, 3, 2, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor(REAL)
    return Signal(x.masked_fill(~mask.unsqueeze(-1), fill), mask)


def over_real_tokens(reduce, given: Signal) -> np.ndarray:
    """(B, D): `reduce` of the real rows of each sample, zeros where there is none."""
    x, mask = given.x.numpy(), given.mask.numpy()
    rows = [reduce(x[b, mask[b]], axis=0) if mask[b].any() else np.zeros(2) for b in range(4)]
    return np.stack(rows)


@pytest.mark.parametrize('fill', GARBAGE)
def test_mean_and_max_see_real_tokens_only(fill):
    given = signal(fill)
    np.testing.assert_allclose(given.mean(), over_real_tokens(np.mean, given), rtol=1e-6)
    np.testing.assert_allclose(given.max(), over_real_tokens(np.max, given), rtol=1e-6)


@pytest.mark.parametrize('fill', GARBAGE)
def test_clean_zeroes_what_is_not_real_and_nothing_else(fill):
    given = signal(fill)
    for b, row in enumerate(REAL):
        for token, real in enumerate(row):
            expected = given.x[b, token] if real else torch.zeros(2)
            assert torch.equal(given.clean()[b, token], expected)


def test_clean_follows_the_mask_through_frames_images_and_token_ids():
    mask = torch.tensor([[True, False], [False, False]])
    for shape in [(2, 2), (2, 2, 3), (2, 2, 3, 4, 4)]:
        kept = Signal(torch.ones(shape), mask).clean().flatten(2 if len(shape) > 2 else 1)
        assert kept.reshape(2, 2, -1).all(dim=-1).tolist() == mask.tolist()
    image = Signal(torch.ones(2, 3, 4, 4), torch.tensor([[True], [False]])).clean()
    assert image[0].eq(1).all() and image[1].eq(0).all()


@pytest.mark.parametrize('fill', GARBAGE)
@pytest.mark.parametrize('pool', [Signal.mean, Signal.max, Signal.clean])
def test_what_is_not_real_gets_a_zero_gradient_and_the_rest_a_finite_one(pool, fill):
    given = signal(fill)
    x = given.x.requires_grad_()
    pool(Signal(x, given.mask)).square().sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad[~given.mask].eq(0).all()
    assert x.grad[given.mask].abs().sum() > 0


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float64])
def test_pooling_keeps_the_dtype(dtype):
    given = signal()
    half = Signal(given.x.to(dtype), given.mask)
    assert half.mean().dtype == half.max().dtype == half.clean().dtype == dtype
    assert half.max()[3].eq(0).all()


def test_present_and_missing():
    given = signal()
    assert given.present.tolist() == [True, True, True, False]
    gone = given.missing()
    assert gone.x is given.x and not gone.mask.any() and gone.mask.shape == given.mask.shape
    assert gone.mask.dtype == torch.bool
    assert given.mask.tolist() == REAL, 'the original signal has changed'


class Normed(Encoder):
    """Records what reaches `encode`; its batch norm would notice an absent sample."""

    def __init__(self) -> None:
        super().__init__()
        self.out_dim = 3
        self.linear = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.seen: list[Signal] = []

    def encode(self, raw: Signal) -> Signal:
        self.seen.append(raw)
        x = self.norm(self.linear(raw.clean()).transpose(1, 2)).transpose(1, 2)
        return Signal(x[:, 1:], raw.mask[:, 1:])  # the number of tokens may change


def raw(*present: int) -> Signal:
    """(4, 3, 2) with the given samples present and NaN in the others."""
    rows = torch.zeros(4, dtype=torch.bool)
    rows[list(present)] = True
    x = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(1))
    return Signal(x.masked_fill(~rows[:, None, None], float('nan')), rows[:, None].repeat(1, 3))


def test_absent_samples_do_not_reach_encode_or_its_statistics():
    encoder = Normed()
    encoder(raw(0, 2))
    assert torch.equal(encoder.seen[0].x, raw(0, 2).x[[0, 2]])
    assert encoder.seen[0].mask.shape == (2, 3)
    rows = encoder.linear(raw(0, 2).x[[0, 2]]).detach().numpy().reshape(-1, 3)
    np.testing.assert_allclose(encoder.norm.running_mean, 0.1 * rows.mean(0), rtol=1e-4, atol=1e-7)


def test_encoded_samples_return_to_their_rows():
    encoder = Normed().eval()
    given = raw(1, 3)
    out = encoder(given)
    assert out.x.shape == (4, 2, 3) and out.mask.shape == (4, 2)
    assert out.present.tolist() == [False, True, False, True]
    for row in (1, 3):
        alone = encoder.encode(Signal(given.x[[row]], given.mask[[row]]))
        torch.testing.assert_close(out.x[[row]], alone.x)
    assert out.x[[0, 2]].eq(0).all()


def test_a_batch_without_absence_is_encoded_as_it_is():
    encoder = Normed()
    given = raw(0, 1, 2, 3)
    encoder(given)
    assert encoder.seen[0] is given


def test_with_none_present_every_trained_parameter_gets_a_zero_gradient():
    encoder = Normed()
    out = encoder(raw())
    assert not encoder.seen
    assert out.x.shape[0] == 4 and out.x.shape[2] == encoder.out_dim
    assert out.mask.shape == out.x.shape[:2] and not out.mask.any()
    out.x.sum().backward()
    for name, parameter in encoder.named_parameters():
        if name == 'frozen':
            assert parameter.grad is None
        else:
            assert parameter.grad is not None and parameter.grad.eq(0).all(), name


@pytest.mark.parametrize('present', [(0, 2), (1,), (0, 1, 2, 3)])
def test_gradients_of_the_encoder_stay_finite_when_absent_samples_hold_nan(present):
    encoder = Normed()
    given = raw(*present)
    x = given.x.requires_grad_()
    encoder(Signal(x, given.mask)).x.square().sum().backward()
    absent = [row for row in range(4) if row not in present]
    assert x.grad.isfinite().all() and x.grad[absent].eq(0).all()
    assert all(p.grad.isfinite().all() for p in encoder.parameters() if p.requires_grad)


def test_merge_joins_losses_by_name():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    merged = merge({'loss_task': one}, {}, {'loss_value': two})
    assert list(merged) == ['loss_task', 'loss_value']
    assert merged['loss_task'] is one and merged['loss_value'] is two
    assert merge() == {}


def test_merge_refuses_a_name_twice_and_a_name_that_is_no_loss():
    one = torch.tensor(1.0)
    with pytest.raises(ValueError, match="Two components return the loss 'loss_align'"):
        merge({'loss_align': one}, {'loss_align': one})
    with pytest.raises(ValueError, match=r'\'align\'.*start with "loss_"'):
        merge({'align': one})


def test_a_draw_is_a_function_of_seed_epoch_sample_and_stream():
    def numbers(draw: Draw, stream: int = 0) -> tuple[float, ...]:
        return tuple(draw.generator(stream).random(4))

    base = numbers(Draw(3, epoch=1, seed=2))
    assert numbers(Draw(3, epoch=1, seed=2)) == base
    others = [Draw(4, 1, 2), Draw(3, 2, 2), Draw(3, 1, 3), Draw(1, 3, 2), Draw(2, 1, 3)]
    drawn = {base, numbers(Draw(3, 1, 2), stream=1), *map(numbers, others)}
    assert len(drawn) == 2 + len(others)
    assert Draw(7) == (7, 0, 0)


def test_two_generators_of_one_draw_do_not_share_their_state():
    draw = Draw(0)
    first = draw.generator()
    first.random(10)
    assert draw.generator().random() == draw.generator().random()


@pytest.mark.parametrize('dims', [{}, {'audio': 0}, {'audio': 4, 'video': -1}])
def test_a_component_needs_a_positive_width_per_modality(dims):
    class Still(Calibrator):
        def forward(self, signals, supervision=None):
            raise NotImplementedError

    with pytest.raises(ValueError, match=r'Still was given dims=.*one positive width'):
        Still(dims)
    dims = {'video': 3, 'audio': 4}
    still = Still(dims)
    dims['text'] = 5
    assert still.dims == {'video': 3, 'audio': 4} and still.modalities == ('video', 'audio')
