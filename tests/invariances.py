"""What a prediction may depend on: one function each, which raises where it is broken."""

import torch
from sweep import Case, pad, predict, run, soil
from torch import Tensor

from mmcalib.contract import Signal, Signals


def check_padding(case: Case) -> None:
    """More padding, and other padding, changes nothing; in training, not even a statistic."""
    inputs, _ = case.mixed()
    longer = {m: pad(s, 2) for m, s in inputs.items()}
    expected = predict(case.model(), inputs)
    same(predict(case.model(), longer), expected, 'padding leaks: longer')
    for value in (0.0, 1.0):
        other = {m: refill(s, s.present, value) for m, s in inputs.items()}
        same(predict(case.model(), other), expected, f'padding leaks: {value}')
        same(train(case, other), train(case, inputs), f'padding leaks in training: {value}')


def check_absence(case: Case) -> None:
    """What an absent modality holds changes nothing; in training, not even a statistic."""
    inputs, _ = case.mixed()
    expected = predict(case.model(), inputs)
    for value in (0.0, 1e3):
        other = {m: refill(s, ~s.present, value) for m, s in inputs.items()}
        same(predict(case.model(), other), expected, f'absence leaks: {value}')
        same(train(case, other), train(case, inputs), f'absence leaks in training: {value}')


def train(case: Case, inputs: Signals) -> Tensor:
    """The prediction of a fresh model in training, always with the same random state."""
    model = case.model()
    torch.manual_seed(0)
    return model(inputs).detach()


def same(one: Tensor, other: Tensor, message: str) -> None:
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=message)


def refill(signal: Signal, rows: Tensor, value: float) -> Signal:
    """`value` instead of the garbage of some samples (B,)."""
    chosen = rows.reshape(-1, *[1] * (signal.x.ndim - 1))
    return Signal(torch.where(chosen, soil(signal, torch.tensor([value])).x, signal.x), signal.mask)


def check_labels(case: Case) -> None:
    """Signals do not depend on labels; in evaluation, neither on whether there are any."""
    inputs, target = case.mixed()
    for training in (True, False):
        seen = []
        for given in (target, target.flip(0), None)[: 2 if training else 3]:
            model = case.model().train(training)  # fresh, so that each meets the same statistics
            torch.manual_seed(0)
            seen.append(run(model, inputs, given).calibration.signals)
        for other in seen[1:]:
            for m, signal in other.items():
                unmoved = torch.equal(signal.clean(), seen[0][m].clean())
                assert unmoved and torch.equal(signal.mask, seen[0][m].mask), f'labels reach {m}'


@torch.no_grad()
def check_samples(case: Case) -> None:
    """In evaluation, a sample's prediction and loss do not depend on its neighbours."""
    model = case.model().eval()
    inputs, target = case.mixed()
    together = model(inputs)
    losses = model.head.loss(together, target)
    for row in range(len(target)):
        alone = {m: Signal(s.x[[row]], s.mask[[row]]) for m, s in inputs.items()}
        prediction = model(alone)
        loss = model.head.loss(prediction, target[[row]])
        same(prediction[0], together[row], f'prediction of sample {row} sees others')
        same(loss[0], losses[row], f'loss of sample {row} sees others')


def check_state_dict(case: Case) -> None:
    """A model that loads the state of another predicts and trains like it."""
    first, second = case.model(seed=1), case.model(seed=2)
    inputs, target = case.mixed()
    first(inputs, target, mode='loss')  # moves the buffers
    second.load_state_dict(first.state_dict())
    losses = []
    for model in (first, second):
        torch.manual_seed(0)
        losses.append({k: v.item() for k, v in model(inputs, target, mode='loss').items()})
    assert losses[0] == losses[1], 'the state dict does not hold all that training needs'
    predictions = [predict(model, inputs) for model in (first, second)]
    assert torch.equal(*predictions), 'the state dict does not hold all that prediction needs'


def check_determinism(case: Case) -> None:
    """In evaluation, a model predicts the same whatever the random state."""
    model, (inputs, _) = case.model(), case.mixed()
    predictions = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        predictions.append(predict(model, inputs))
    assert torch.equal(*predictions), 'evaluation is random'
