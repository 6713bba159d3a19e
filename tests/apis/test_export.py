"""Exported models say what they say in eager PyTorch, also of what is missing."""

from functools import partial
from itertools import zip_longest

import onnxruntime
import pytest
import torch
from graphs import CASES, example, frozen, small
from sweep import RAW, names

from mmcalib.apis import export as export_module
from mmcalib.apis.export import by_name, export, to_onnx
from mmcalib.contract import Signal
from mmcalib.engine.observe import observe
from mmcalib.registry import CALIBRATORS, ENCODERS, FUSERS, HEADS

RECURRENT = {'Recurrent', 'UPN', 'KnowledgeGuidance'}  # the sweep puts a UPN into the last


DONE = {'VGMR', 'Chain', 'TokenTransformer', 'ResNet'}  # by CASES; the sweep chains VGMR
KINDS = [names(CALIBRATORS), names(FUSERS), names(HEADS), sorted(RAW)]
PLAIN = ('Identity', 'Concat', 'Classify', 'Features')
EACH = [  # every component once; where a kind has no more, a plain one
    tuple(name or plain for name, plain in zip(row, PLAIN, strict=True))
    for row in zip_longest(*([n for n in kind if n not in RECURRENT | DONE] for kind in KINDS))
]


pytestmark = pytest.mark.usefixtures('untraced')


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


@pytest.mark.slow
@pytest.mark.parametrize('name', CASES)
def test_a_graph_and_its_onnx_file_say_what_the_model_says(name, tmp_path):
    model, inputs = frozen(CASES[name]), CASES[name].mixed()[0]
    program = export(model, example(CASES[name]))
    to_onnx(program, tmp_path / 'model.onnx')
    for run in (program.module(), onnx(tmp_path / 'model.onnx')):
        same(run, model, inputs)
        for k, row in enumerate(model(inputs)):
            alone = {m: Signal(s.x[k : k + 1], s.mask[k : k + 1]) for m, s in inputs.items()}
            said = run(by_name(alone))['prediction'][0]
            torch.testing.assert_close(said, row, atol=1e-5, rtol=1e-5)
    assert len(list(tmp_path.iterdir())) == 1, 'weights are in the file'


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


def test_an_example_needs_every_modality_and_one_sample_is_enough(tmp_path):
    given = small()
    model, inputs = given.model(), given.mixed()[0]
    one = given.batch(torch.ones(2, 1, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"\['audio', 'video'\].*\['audio'\].*\['video'\]"):
        export(model, {'audio': one['audio']})
    torch.export.save(export(model, one), tmp_path / 'model.pt2')
    with torch.no_grad():
        said = torch.export.load(tmp_path / 'model.pt2').module()(by_name(inputs))
        assert not model.training and list(said) == ['prediction'], 'Identity has no evidence'
        torch.testing.assert_close(said['prediction'], model(inputs))


@pytest.mark.parametrize('absent', ['onnx', 'onnxscript'])
def test_onnx_needs_its_packages_and_a_torch_that_writes_it(absent, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(export_module, 'find_spec', lambda name: None if name == absent else name)
        with pytest.raises(ImportError, match=rf"\['{absent}'\]: pip install 'mmcalib\[export\]'"):
            to_onnx(None, tmp_path / 'model.onnx')
    monkeypatch.setattr(torch, '__version__', '2.4.1+cpu')
    with pytest.raises(ImportError, match=r'torch 2\.5 or newer; this is 2\.4\.1\+cpu'):
        to_onnx(None, tmp_path / 'model.onnx')
