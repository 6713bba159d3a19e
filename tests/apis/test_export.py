"""Exported models say what they say in eager PyTorch, also of what is missing."""

import sys
from dataclasses import replace
from functools import partial
from itertools import zip_longest

import onnxruntime
import pytest
import torch
from sweep import RAW, Case, case, names

from mmcalib.apis.export import by_name, export, to_onnx
from mmcalib.contract import Signal
from mmcalib.engine.observe import observe
from mmcalib.registry import CALIBRATORS, ENCODERS, FUSERS, HEADS

RECURRENT = {'Recurrent', 'UPN', 'KnowledgeGuidance'}  # the sweep puts a UPN into the last


def small(
    calibrator: str = 'Identity',
    fuser: str = 'Concat',
    head: str = 'Classify',
    encoder: str = 'Features',
) -> Case:
    """Audio behind a registered encoder, video as it is; every batch holds garbage."""
    plain = case(2, calibrator, fuser, head)
    arguments, shape = RAW[encoder]
    encoders = {**plain.parts['encoders'], 'audio': {'type': encoder, **arguments}}
    return replace(
        plain,
        parts={**plain.parts, 'encoders': encoders},
        shapes={**plain.shapes, 'audio': shape},
    )


CASES = {
    'conv': small('VGMR', 'Concat', encoder='ResNet'),
    'seq': small('VGMR', 'TokenTransformer'),
}
KINDS = [sorted(set(names(kind)) - RECURRENT) for kind in (CALIBRATORS, FUSERS, HEADS)]
KINDS.append(sorted(RAW.keys() - RECURRENT))
PLAIN = ('Identity', 'Concat', 'Classify', 'Features')
EACH = [  # every component once; where a kind has no more, a plain one
    tuple(name or plain for name, plain in zip(row, PLAIN, strict=True))
    for row in zip_longest(*KINDS)
]


def frozen(given: Case):
    """In evaluation, where attention would take its fused kernel."""
    return given.model().eval().requires_grad_(False)


def example(given: Case) -> dict[str, Signal]:
    """Two samples, nothing missing."""
    return given.batch(torch.ones(2, 2, dtype=torch.bool))


def same(run, model, inputs) -> None:
    """Prediction, value and gate are those of the model, wherever the modality is real."""
    seen, got = observe(model, inputs), run(by_name(inputs))
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-5)
    close(got['prediction'], seen.prediction)
    for m, signal in seen.encoded.items():
        evidence = {name: given[m] for name, given in seen.calibration.evidence.items()}
        here, real = signal.present, signal.mask
        close(got[f'{m}.value'][here], evidence['value'][here])
        close(got[f'{m}.gate'][real], evidence['effective_gate'][real])


def onnx(path):
    """An ONNX file as a function of tensors by name."""
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    outputs = [output.name for output in session.get_outputs()]

    def run(inputs):
        assert {given.name for given in session.get_inputs()} == inputs.keys()
        values = session.run(outputs, {name: x.numpy() for name, x in inputs.items()})
        return dict(zip(outputs, map(torch.from_numpy, values), strict=True))

    return run


@pytest.mark.parametrize('name', CASES)
def test_a_graph_and_its_onnx_file_say_what_the_model_says(name, tmp_path):
    model, inputs = frozen(CASES[name]), CASES[name].mixed()[0]
    program = export(model, example(CASES[name]))
    same(program.module(), model, inputs)
    torch.export.save(program, tmp_path / 'model.pt2')
    same(torch.export.load(tmp_path / 'model.pt2').module(), model, inputs)
    to_onnx(model, example(CASES[name]), tmp_path / 'model.onnx')
    run = onnx(tmp_path / 'model.onnx')
    same(run, model, inputs)
    for k, row in enumerate(model(inputs)):
        alone = {m: Signal(s.x[k : k + 1], s.mask[k : k + 1]) for m, s in inputs.items()}
        for each in (program.module(), run):
            said = each(by_name(alone))['prediction'][0]
            torch.testing.assert_close(said, row, atol=1e-5, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ['model.pt2', 'model.onnx']


@pytest.mark.slow
@pytest.mark.parametrize('parts', EACH, ids='-'.join)
def test_each_component_but_the_recurrent_ones_exports(parts):
    given = small(*parts)
    model, inputs = frozen(given), given.mixed()[0]
    said = export(model, example(given)).module()(by_name(inputs))['prediction']
    torch.testing.assert_close(said, model(inputs), atol=1e-5, rtol=1e-5)


def test_the_recurrent_ones_are_refused():
    assert {*names(ENCODERS), *names(CALIBRATORS)} >= RECURRENT
    for given in (small(encoder='Recurrent'), small('UPN'), small('KnowledgeGuidance')):
        with pytest.raises(ValueError, match=r'(rnn|lstm) is a recurrent network.*without one'):
            export(given.model(), example(given))


def test_an_example_needs_every_modality_and_one_sample_is_enough():
    given = small()
    one = given.batch(torch.ones(2, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\['audio', 'video'\].*\['audio'\].*\['video'\]"):
        export(given.model(), {'audio': one['audio']})
    model, inputs = given.model(), given.mixed()[0]
    model.requires_grad_(False)
    said = export(model, one).module()(by_name(inputs))
    assert list(said) == ['prediction'], 'Identity has no evidence'
    torch.testing.assert_close(said['prediction'], model.eval()(inputs))


def test_onnx_needs_its_packages_and_a_torch_that_writes_it(monkeypatch, tmp_path):
    given = small()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'onnxscript', None)
        with pytest.raises(ImportError, match=r"pip install 'mmcalib\[export\]'"):
            to_onnx(given.model(), example(given), tmp_path / 'model.onnx')
    monkeypatch.setattr(torch, '__version__', '2.5.1+cpu')
    with pytest.raises(ImportError, match=r'torch 2\.6 or newer; this is 2\.5\.1\+cpu'):
        to_onnx(given.model(), example(given), tmp_path / 'model.onnx')
