"""A trained model as one graph, for programs that do not have mmcalib."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from mmcalib.contract import Signal, Signals
from mmcalib.engine.observe import gate_name

LARGEST = 2**31 - 1  # batch; torch 2.5 does not trace without a bound
ONNX_SINCE = (2, 5)  # torch: before, its exporter takes no ExportedProgram


class Graph(nn.Module):
    """What is exported: a model in evaluation, from tensors by name to tensors by name."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.encoders, self.calibrator = model.encoders, model.calibrator
        self.fuser, self.head = model.fuser, model.head

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        signals: Signals = {
            m: encoder(Signal(inputs[m], inputs[f'{m}.mask']))
            for m, encoder in self.encoders.items()
        }
        calibrated, _, evidence = self.calibrator(signals)
        outputs = {'prediction': self.head(self.fuser(calibrated).vector)}
        for what, name in (('value', 'value'), ('gate', gate_name(evidence))):
            outputs |= {f'{m}.{what}': given for m, given in evidence.get(name, {}).items()}
        return outputs


def by_name(inputs: Signals) -> dict[str, Tensor]:
    """The input of an exported model: x of `audio` is 'audio', its mask 'audio.mask'."""
    return {
        name: tensor
        for m, signal in inputs.items()
        for name, tensor in ((m, signal.x), (f'{m}.mask', signal.mask))
    }


def export(model: Any, example: Signals) -> ExportedProgram:
    """Trace a MultimodalModel; the model is in evaluation mode afterwards.

    `program.module()(by_name(inputs))` returns a dict: `prediction` (B, ...) is the output of the
    head and, where the calibrator has such evidence, `<modality>.value` (B,) and
    `<modality>.gate`, what the features were scaled by, which mean something where the modality is
    real. The size of the batch is free. A missing modality is a mask of False.

    Args:
        model: any, but for recurrent networks: they take as many steps as a sample has tokens.
        example: raw signals of every modality, on the model's device. Their number of tokens L
            becomes that of the graph; shorter ones are padded, with False in the mask.

    Raises:
        ValueError: the example lacks a modality, or the model has a recurrent network.
    """
    if unfit := [m for m in model.encoders if m not in example]:
        raise ValueError(
            f'export: the model encodes {list(model.encoders)}, but the example has '
            f'{list(example)}: {unfit} is not there'
        )
    rnns = [name for name, module in model.named_modules() if isinstance(module, nn.RNNBase)]
    if rnns:
        raise ValueError(
            f'export: {", ".join(rnns)} is a recurrent network, which takes as many steps as a '
            'sample has tokens; possible are models without one'
        )
    model.eval()
    inputs = by_name({m: example[m] for m in model.encoders})
    # Sizes of 0 and 1 would be taken for constants.
    inputs = {name: x if len(x) > 1 else x.repeat_interleave(2, 0) for name, x in inputs.items()}
    batch = Dim('batch', max=LARGEST)
    free = {'inputs': {name: {0: batch} for name in inputs}}
    with _traceable():
        return torch.export.export(Graph(model), (inputs,), dynamic_shapes=free, strict=False)


def to_onnx(program: ExportedProgram, path: str | Path) -> None:
    """Write what `export` gave as ONNX, one file; inputs and outputs keep their names.

    Raises:
        ImportError: onnx or onnxscript is not installed, or torch is older than 2.5.
    """
    version = tuple(int(part) for part in torch.__version__.split('.')[:2])
    if version < ONNX_SINCE:
        raise ImportError(f'to_onnx needs torch 2.5 or newer; this is {torch.__version__}')
    if absent := [name for name in ('onnx', 'onnxscript') if find_spec(name) is None]:
        raise ImportError(f"to_onnx needs {absent}: pip install 'mmcalib[export]'")
    (inputs,), _ = program.example_inputs
    with _traceable(), torch.no_grad():
        outputs = program.module()(inputs)
        written = torch.onnx.export(
            program,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamo=True,
            verbose=False,
        )
    assert written is not None  # without a path, the exporter returns what it made
    written.save(str(path))


@contextmanager
def _traceable() -> Iterator[None]:
    """No fused attention, which torch 2.4 cannot trace, and no warnings of torch about torch."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with warnings.catch_warnings():
            # Version 2.13 copies its trees by what it deprecates.
            warnings.simplefilter('ignore', FutureWarning)
            warnings.simplefilter('ignore', DeprecationWarning)
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
