"""Stand-ins for the feature files of CMU-MOSI and CMU-MOSEI: numbers in the layout of MMSA."""

import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mmcalib.samples import folder
from mmcalib.samples.plan import damages

STEPS = 50
TOLD = {'text': 1.2, 'audio': 0.5, 'vision': 0.5}  # how far a unit of sentiment moves a feature
CARRIERS = 0.2  # share of a modality's features that the sentiment moves
NOT_FINITE = 0.002  # share of audio's numbers that are -inf, the logarithm of nothing


def generate(
    root: str | Path,
    data: str,
    version: int,
    widths: Mapping[str, int],
    seed: int,
    sizes: Mapping[str, int],
    corrupted: float,
) -> Path:
    """Make sure that `root` holds `aligned_50.pkl`; returns the resolved folder.

    The sentiment of an utterance, in [-3, 3], moves some features of some of its words, of text
    most of all. See `folder.generate` for what happens to a folder that is there already.

    Args:
        root: the folder.
        data: 'mosi' or 'mosei'.
        version: of what the arguments give.
        widths: of text, audio and vision.
        seed: of everything.
        sizes: utterances of 'train', 'valid' and 'test'.
        corrupted: share of utterances of which one modality is noise, absent or of an utterance of
            the other sign; `reliability.csv` lists them.

    Raises:
        FileExistsError: the folder holds something that this function did not write.
        ValueError: a number is out of its range.
    """
    if seed < 0 or min(sizes.values()) < 1 or not 0 <= corrupted <= 1:
        raise ValueError(
            f'generate(seed={seed}, sizes={dict(sizes)}, corrupted={corrupted}): the seed is at '
            'least 0, each split has at least 1 utterance, the share is within [0, 1]'
        )
    card = {'generator': f'mmcalib.samples.{data}', 'version': version, 'seed': seed}
    card |= {**sizes, 'corrupted': corrupted}
    return folder.generate(
        root,
        card,
        partial(_write, widths=dict(widths), seed=seed, sizes=dict(sizes), share=corrupted),
    )


def _write(
    root: Path, widths: Mapping[str, int], seed: int, sizes: Mapping[str, int], share: float
) -> None:
    rng = np.random.default_rng(seed)
    carriers = {m: _carriers(width, rng) for m, width in widths.items()}
    rows: list[list[str]] = []
    splits = {}
    for split, size in sizes.items():
        splits[split] = _split(split, size, carriers, share, rng, rows)
    with (root / 'aligned_50.pkl').open('wb') as file:
        pickle.dump(splits, file, protocol=4)
    folder.write_reliability(root, rows)


def _carriers(width: int, rng: np.random.Generator) -> np.ndarray:
    """(width,): how the sentiment moves each feature, zero for most."""
    weights = rng.choice([-1.0, 1.0], width)
    weights[rng.random(width) > CARRIERS] = 0.0
    weights[0] = 1.0
    return weights


def _split(
    split: str,
    size: int,
    carriers: Mapping[str, np.ndarray],
    share: float,
    rng: np.random.Generator,
    rows: list[list[str]],
) -> dict[str, Any]:
    scores = np.round(np.clip(rng.normal(0.2, 1.6, size), -3, 3) * 5) / 5
    signs = ['negative' if score < 0 else 'non-negative' for score in scores]
    hit = damages(signs, list(carriers), share, rng)
    lengths = rng.integers(5, STEPS + 1, size)
    ids = [f'{split}{k // 8:03d}$_${k % 8}' for k in range(size)]
    rows += [[ids[k], split, signs[k], *hit.get(k, ('', '', ''))] for k in range(size)]
    arrays = {m: np.zeros((size, STEPS, len(w)), np.float32) for m, w in carriers.items()}
    for m, weights in carriers.items():
        for k, (score, length) in enumerate(zip(scores, lengths, strict=True)):
            damage = hit.get(k)
            kind = damage.kind if damage is not None and damage.modality == m else ''
            shown = {'swap': -score if score else -1.0, 'noise': 0.0}.get(kind, score)
            if kind != 'blank':
                arrays[m][k, :length] = _tokens(weights, TOLD[m] * shown, length, rng)
    silent = rng.random(arrays['audio'].shape) < NOT_FINITE
    arrays['audio'][silent & (arrays['audio'] != 0)] = -np.inf
    return {
        'raw_text': ['' for _ in ids],
        **arrays,
        'id': ids,
        'annotations': signs,
        'classification_labels': (np.sign(scores) + 1).astype(np.int64),
        'regression_labels': scores,
    }


def _tokens(weights: np.ndarray, shift: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """(length, width): noise, moved in a third of the steps, in one at least."""
    told = rng.random(length) < 1 / 3
    told[rng.integers(length)] = True
    return rng.standard_normal((length, len(weights))) + np.outer(told, shift * weights)
