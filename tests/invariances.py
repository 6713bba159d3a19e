"""What a prediction may depend on: one function each, which raises where it is broken."""

import torch
from sweep import Case, pad, predict, run, soil
from torch import Tensor

from mmcalib.contract import Signal

TOLERANCE = {'rtol': 1e-4, 'atol': 1e-5}


def check_padding(case: Case) -> None:
    """More padding, and other padding, changes nothing."""
    model = case.model()
    inputs = case.mixed()
    expected = predict(model, inputs)
    for name in ('longer', 'zeros', 'ones'):
        if name == 'longer':
            other = {m: pad(s, 2) for m, s in inputs.items()}
        else:
            fill = torch.full((1,), float(name == 'ones'))
            other = {m: refill(s, s.present, fill) for m, s in inputs.items()}
        torch.testing.assert_close(
            predict(model, other), expected, **TOLERANCE, msg=f'padding leaks: {name}'
        )


def check_absence(case: Case) -> None:
    """What an absent modality holds changes nothing."""
    model = case.model()
    inputs = case.mixed()
    expected = predict(model, inputs)
    for value in (0.0, 1.0, 1e3):
        other = {m: refill(s, ~s.present, torch.tensor([value])) for m, s in inputs.items()}
        torch.testing.assert_close(
            predict(model, other), expected, **TOLERANCE, msg=f'absence leaks: {value}'
        )


def refill(signal: Signal, rows: Tensor, fill: Tensor) -> Signal:
    """`fill` instead of the garbage of some samples (B,)."""
    chosen = rows.reshape(-1, *[1] * (signal.x.ndim - 1))
    return Signal(torch.where(chosen, soil(signal, fill).x, signal.x), signal.mask)


def check_labels(case: Case) -> None:
    """Signals do not depend on labels; in evaluation, neither on whether there are any."""
    inputs = case.mixed()
    target = case.target(2 ** len(case.shapes))
    for training in (True, False):
        seen = []
        for given in (target, target.flip(0), None)[: 2 if training else 3]:
            model = case.model().train(training)  # fresh, so that each meets the same statistics
            torch.manual_seed(0)
            seen.append(run(model, inputs, given).calibration.signals)
        for other in seen[1:]:
            for m, signal in other.items():
                same = torch.equal(signal.clean(), seen[0][m].clean())
                assert same and torch.equal(signal.mask, seen[0][m].mask), f'labels reach {m}'


@torch.no_grad()
def check_samples(case: Case) -> None:
    """In evaluation, a sample's prediction and loss do not depend on its neighbours."""
    model = case.model().eval()
    inputs = case.mixed()
    target = case.target(2 ** len(case.shapes))
    together = model(inputs)
    losses = model.head.loss(together, target)
    for row in range(len(target)):
        alone = {m: Signal(s.x[[row]], s.mask[[row]]) for m, s in inputs.items()}
        prediction = model(alone)
        loss = model.head.loss(prediction, target[[row]])
        for name, one, all_of_it in (('prediction', prediction, together), ('loss', loss, losses)):
            torch.testing.assert_close(
                one[0], all_of_it[row], **TOLERANCE, msg=f'{name} of sample {row} sees others'
            )


def check_state_dict(case: Case) -> None:
    """A model that loads the state of another predicts and trains like it."""
    first, second = case.model(seed=1), case.model(seed=2)
    inputs, target = case.mixed(), case.target(2 ** len(case.shapes))
    first(inputs, target, mode='loss')  # moves the buffers
    second.load_state_dict(first.state_dict())
    losses = []
    for model in (first, second):
        torch.manual_seed(0)
        losses.append({k: v.item() for k, v in model(inputs, target, mode='loss').items()})
    assert losses[0] == losses[1], 'the state dict does not hold all that training needs'
    same = torch.equal(predict(first, inputs), predict(second, inputs))
    assert same, 'the state dict does not hold all that prediction needs'


def check_determinism(case: Case) -> None:
    """In evaluation, a model predicts the same whatever the random state."""
    model, inputs = case.model(), case.mixed()
    predictions = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        predictions.append(predict(model, inputs))
    assert torch.equal(*predictions), 'evaluation is random'
