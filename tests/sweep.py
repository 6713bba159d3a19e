"""What the sweep runs: models of registered components, and batches with every kind of absence."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import torch
from sound import Mean, Pass, Score, Still
from torch import Tensor

from mmcalib.contract import Calibration, Fusion, Signal, Signals, Supervision
from mmcalib.model import MultimodalModel
from mmcalib.registry import CALIBRATORS, ENCODERS, FUSERS, HEADS

# Tokens and width of each modality; the first two make the bimodal cases.
SHAPES = {'audio': (4, 6), 'video': (3, 9), 'text': (1, 5)}

# Arguments without a default, and smaller ones than the default where those are slow.
ARGUMENTS: dict[str, dict[str, Any]] = {
    'Bottleneck': {'width': 8, 'depth': 2, 'heads': 2, 'tokens': 2, 'separate': 1},
    'Chain': {'steps': [{'type': 'VGMR', 'width': 8}, {'type': 'NormOnly'}]},
    'Classify': {'num_classes': 3},
    'ConcatMLP': {'width': 8},
    'CrossAttention': {'width': 8, 'heads': 2},
    'CrossModal': {'width': 8, 'depth': 1, 'heads': 2},
    'FiLM': {'width': 8},
    'Gated': {'width': 8},
    'InterCAD': {'levels': 1, 'streams': 1, 'width': 8},
    'IntraCED': {'levels': 1, 'shared': 2, 'private': 2, 'heads': 2},
    'KnowledgeGuidance': {'calibrator': {'type': 'UPN'}},
    'Localize': {'segments': 2, 'num_classes': 3},
    'LowRank': {'width': 8, 'rank': 2},
    'MatchedMLP': {'match_width': 4},
    'MultiLabel': {'num_classes': 3},
    'OwnGate': {'width': 8},
    'Product': {'width': 8},
    'ShuffledVGMR': {'width': 8},
    'SigmoidTanhGate': {'width': 8},
    'Sum': {'width': 8},
    'TensorFusion': {'width': 4, 'out_dim': 8},
    'TokenTransformer': {'width': 8, 'depth': 1, 'heads': 2},
    'UDML': {'width': 8},
    'VGMR': {'width': 8},
}
# Raw input (L, ...) of an encoder; an encoder that is not here is skipped.
RAW: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    'Features': ({'dim': 5}, (3, 5)),
    'Hierarchy': (
        {'backbone': {'type': 'ResNet', 'in_channels': 1, 'tokens': 'frame'}, 'width': 8},
        (3, 1, 33, 33),
    ),
    'HuggingFace': (
        {
            'config': {
                'model_type': 'vit',
                'hidden_size': 8,
                'num_hidden_layers': 1,
                'num_attention_heads': 2,
                'intermediate_size': 8,
                'image_size': 4,
                'patch_size': 2,
                'num_channels': 1,
            }
        },
        (3, 1, 4, 4),
    ),
    'MLP': ({'in_dim': 5, 'width': 4}, (4, 5)),
    'Recurrent': ({'in_dim': 5, 'width': 4}, (4, 5)),
    'ResNet': ({'in_channels': 1, 'tokens': 'frame'}, (3, 1, 33, 33)),
    'TemporalConv': ({'in_dim': 5, 'width': 4}, (4, 5)),
    'Transformer': ({'in_dim': 5, 'width': 4, 'depth': 1, 'heads': 2}, (4, 5)),
}
# Targets (B, ...) of a head; without an entry, one of three classes.
TARGETS: dict[str, Callable[[int], Tensor]] = {
    'Localize': lambda batch: torch.arange(2 * batch).reshape(batch, 2) % 3,
    'MultiLabel': lambda batch: torch.arange(3 * batch).reshape(batch, 3) % 2,
    'Regress': lambda batch: torch.arange(batch) / 4,
}

GARBAGE = torch.tensor([float('nan'), float('inf'), -float('inf'), 1e30])


@dataclass(frozen=True)
class Case:
    """One model, and the raw batches that it reads."""

    name: str
    parts: Mapping[str, Mapping[str, Any]]
    shapes: Mapping[str, tuple[int, ...]]  # modality -> (L, ...)
    target: Callable[[int], Tensor]

    def model(self, seed: int = 0) -> MultimodalModel:
        """Fresh, in training mode, and away from its start: zeros there may hide a leak."""
        torch.manual_seed(seed)
        model = MultimodalModel(**self.parts)
        for parameter in model.parameters():
            parameter.data += 0.2 * torch.randn_like(parameter)
        return model.train()

    def batch(self, presence: Tensor) -> Signals:
        """Raw signals for presence (M, B): ragged, with garbage wherever a token is not real."""
        generator = torch.Generator().manual_seed(0)
        signals: Signals = {}
        for index, (modality, shape) in enumerate(self.shapes.items()):
            rows = torch.arange(presence.shape[1]).unsqueeze(1)
            lengths = shape[0] - (rows + index) % shape[0]  # the first is as long as the batch
            mask = (torch.arange(shape[0]) < lengths) & presence[index].unsqueeze(1)
            x = torch.randn(len(rows), *shape, generator=generator)
            signals[modality] = soil(Signal(x, mask))
        return signals

    def patterns(self) -> dict[str, Tensor]:
        """Presence (M, B): all, alone, every subset mixed, every subset for the whole batch."""
        count = len(self.shapes)
        subsets = list(product([True, False], repeat=count))
        whole = {f'whole batch {s}': torch.tensor([s, s]).T for s in subsets}
        return {
            'all present': torch.ones(count, 3, dtype=torch.bool),
            'one sample': torch.ones(count, 1, dtype=torch.bool),
            'every subset': torch.tensor(subsets * 2).T,  # twice, with other lengths
            'each once': torch.arange(count).unsqueeze(1) == torch.arange(3),
            **whole,
        }

    def mixed(self) -> tuple[Signals, Tensor]:
        """The batch whose samples have every subset of modalities, and its target."""
        presence = self.patterns()['every subset']
        return self.batch(presence), self.target(presence.shape[1])


def classes(batch: int) -> Tensor:
    """(B,): one of three classes."""
    return torch.arange(batch) % 3


def soil(signal: Signal, fill: Tensor = GARBAGE) -> Signal:
    """The same signal with `fill` repeated wherever it is not real."""
    dirt = fill.repeat(signal.x.numel() // len(fill) + 1)[: signal.x.numel()]
    real = signal.mask.reshape(*signal.mask.shape, *[1] * (signal.x.ndim - 2))
    return Signal(torch.where(real, signal.x, dirt.reshape(signal.x.shape)), signal.mask)


def pad(signal: Signal, tokens: int) -> Signal:
    """The same signal with more padding behind it, full of garbage."""
    batch, _, *rest = signal.x.shape
    x = torch.cat([signal.x, torch.zeros(batch, tokens, *rest)], dim=1)
    mask = torch.cat([signal.mask, torch.zeros(batch, tokens, dtype=torch.bool)], dim=1)
    return soil(Signal(x, mask))


def case(
    modalities: int = 2,
    calibrator: Any = Still,
    fuser: Any = Mean,
    head: Any = Score,
    encoder: Any = Pass,
) -> Case:
    """A case of the named components; what is not named is sound and small."""
    if encoder is Pass:
        shapes: dict[str, tuple[int, ...]] = dict(list(SHAPES.items())[:modalities])
        encoders = {m: {'type': Pass, 'dim': shape[-1]} for m, shape in shapes.items()}
    else:
        arguments, shape = RAW[encoder] if isinstance(encoder, str) else ({'dim': 5}, (3, 5))
        shapes = {'audio': shape}
        encoders = {'audio': {'type': encoder, **arguments}}
    stages = {'calibrator': calibrator, 'fuser': fuser, 'head': head}
    parts = {k: {'type': v, **ARGUMENTS.get(v, {})} for k, v in stages.items()}
    if calibrator == 'KnowledgeGuidance':
        parts['calibrator']['head'] = parts['head']  # it scores the same target
    registered = [v for v in (encoder, *stages.values()) if isinstance(v, str)]
    return Case(
        '-'.join([*registered, str(len(shapes))]),
        {'encoders': encoders, **parts},
        shapes,
        TARGETS.get(head, classes),
    )


def each_component() -> list[Case]:
    """Every calibrator, fuser and head among sound stages, bimodal and trimodal; every encoder."""
    stages = {'calibrator': CALIBRATORS, 'fuser': FUSERS, 'head': HEADS}
    cases = [
        case(modalities, **{stage: name})
        for stage, registry in stages.items()
        for name in names(registry)
        for modalities in (2, 3)
    ]
    return cases + [case(encoder=name) for name in names(ENCODERS) if name in RAW]


def each_combination() -> list[Case]:
    """Every pair of calibrator, fuser and head, in turns bimodal and trimodal; the third is plain.

    Stages meet in pairs: a calibrator's signals meet the fuser, and its task loss the fuser and the
    head; the fuser's vector meets the head.
    """
    calibrators, fusers, heads = names(CALIBRATORS), names(FUSERS), names(HEADS)
    chosen = {
        *product(calibrators, fusers, ['Classify']),
        *product(calibrators, ['Concat'], heads),
        *product(['Identity'], fusers, heads),
    }
    return [case(2 + k % 2, *stages) for k, stages in enumerate(sorted(chosen))]


def names(registry: Any) -> list[str]:
    """What a registry of mmcalib holds."""
    registry.import_from_location()
    return sorted(registry.module_dict)


class Stages(NamedTuple):
    """What the two stages in the middle returned."""

    calibration: Calibration
    fusion: Fusion


def supervise(model: MultimodalModel, target: Tensor) -> Supervision:
    def task_loss(signals: Signals) -> Tensor:
        return model.head.loss(model.head(model.fuser(signals).vector), target)

    return Supervision(target, task_loss)


def run(model: MultimodalModel, inputs: Signals, target: Tensor | None = None) -> Stages:
    encoded = {m: encoder(inputs[m]) for m, encoder in model.encoders.items()}
    supervision = None if target is None else supervise(model, target)
    calibration = model.calibrator(encoded, supervision)
    return Stages(calibration, model.fuser(calibration.signals))


@torch.no_grad()
def predict(model: MultimodalModel, inputs: Signals) -> Tensor:
    return model.eval()(inputs)


def batches(case: Case) -> Iterator[tuple[str, Signals, Tensor]]:
    for name, presence in case.patterns().items():
        yield name, case.batch(presence), case.target(presence.shape[1])
