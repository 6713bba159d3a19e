"""How well evidence tells that a modality is damaged, with an interval."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from mmcalib.plots.dump import Arrays

REPLICATES = 2000
LEVEL = 0.95
ANY, OTHER = 'any', 'any, against the other modality damaged'
Table = Mapping[str, Mapping[str, str]]  # by id: modality, kind, source


class Score(NamedTuple):
    """One evidence of one modality: damaged samples against clean ones."""

    evidence: str
    modality: str
    kind: str  # of damage; against completely clean samples, but for `OTHER`
    auroc: float  # NaN without samples on one side
    low: float
    high: float
    clean: tuple[float, float, int]  # mean, standard deviation, number
    damaged: tuple[float, float, int]


def scores(values: Mapping[str, Arrays], ids: np.ndarray, table: Table, seed: int) -> list[Score]:
    """Every evidence and modality, for any damage and for each kind of it.

    Above 0.5: larger where the modality is damaged. `OTHER` compares with samples whose other
    modality is damaged: evidence that only notices that something is wrong is at 0.5 there.

    Args:
        values: by evidence and modality (n,); NaN is left out.
        ids: of the n samples; those that the table does not have are left out.
        table: what is known of each sample.
        seed: of the bootstrap.
    """
    found = []
    known = [table.get(str(name)) for name in ids]
    modality = np.array(['?' if row is None else row['modality'] for row in known])
    kind = np.array(['?' if row is None else row['kind'] for row in known])
    kinds = sorted({k for k in kind.tolist() if k not in ('', '?')})
    for name, by_modality in values.items():
        for m, given in by_modality.items():
            here, clean = modality == m, modality == ''
            pairs = {ANY: (here, clean)} | {k: (here & (kind == k), clean) for k in kinds}
            pairs[OTHER] = (here, ~clean & ~here & (modality != '?'))
            for label, (bad, good) in pairs.items():
                real = np.isfinite(given)
                found.append(score(name, m, label, given[good & real], given[bad & real], seed))
    return found


def score(
    name: str, modality: str, kind: str, clean: np.ndarray, damaged: np.ndarray, seed: int
) -> Score:
    """Compare two sets of numbers."""
    facts = (describe(clean), describe(damaged))
    if not len(clean) or not len(damaged):
        return Score(name, modality, kind, np.nan, np.nan, np.nan, *facts)
    truth = np.repeat([0, 1], [len(clean), len(damaged)])
    area = float(roc_auc_score(truth, np.concatenate([clean, damaged])))
    low, high = interval(clean, damaged, seed)
    return Score(name, modality, kind, area, low, high, *facts)


def interval(clean: np.ndarray, damaged: np.ndarray, seed: int) -> tuple[float, float]:
    """Bootstrap percentiles of the AUROC; clean and damaged samples are drawn apart."""
    generator = np.random.default_rng(seed)
    many = generator.multinomial(len(damaged), np.full(len(damaged), 1 / len(damaged)), REPLICATES)
    few = generator.multinomial(len(clean), np.full(len(clean), 1 / len(clean)), REPLICATES)
    # AUROC is the share of pairs in the right order, half for a tie: so replicates only reweight.
    wins = (damaged[:, None] > clean) + 0.5 * (damaged[:, None] == clean)
    areas = ((many @ wins) * few).sum(axis=1) / wins.size
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(areas, (tail, 1 - tail))
    return float(low), float(high)


def describe(values: np.ndarray) -> tuple[float, float, int]:
    """Mean, sample standard deviation, number; NaN where there are too few."""
    mean = float(values.mean()) if len(values) else np.nan
    return mean, float(values.std(ddof=1)) if len(values) > 1 else np.nan, len(values)


def groups(arrays: Arrays, table: Table) -> dict[str, np.ndarray]:
    """Per modality (n,): 'clean' if all of the sample is, 'corrupted', 'swapped', else ''."""
    found = {}
    for m in arrays['modalities'].tolist():
        rows = [table.get(str(name)) for name in arrays['id']]
        found[m] = np.array(['' if row is None else _group(row, m) for row in rows])
    return found


def _group(row: Mapping[str, str], modality: str) -> str:
    if not row['kind']:
        return 'clean'
    if row['modality'] != modality:
        return ''
    return 'swapped' if row['kind'] == 'swap' else 'corrupted'
