"""All pictures of one dump."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from mmcalib.plots.confusion import confusion
from mmcalib.plots.distributions import distributions
from mmcalib.plots.dump import Arrays, classes_of, group, scalars
from mmcalib.plots.embedding import embedding
from mmcalib.plots.gate_map import gate_map
from mmcalib.plots.inputs import Shown
from mmcalib.plots.sample_page import sample_page
from mmcalib.plots.suppression import suppression


def atlas(
    arrays: Arrays,
    groups: Mapping[str, np.ndarray] | None = None,
    damage: Mapping[str, str] = {},
    pages: int | None = None,
    seed: int = 0,
) -> dict[str, Figure]:
    """Pictures by name; one that the dump has nothing for is left out.

    Args:
        arrays: one split of a dump.
        groups: per modality (n,), whether it is 'clean', 'corrupted' or 'swapped'; None: unknown.
        damage: by id, what is known to be wrong with a sample.
        pages: samples shown beside their gates at most; None: all that are whole.
        seed: of t-SNE.
    """
    mark = 'SAMPLE DATA' if arrays.get('sample_data', np.array(False)) else ''
    target, classes = classes_of(arrays)
    colours = arrays.get('target') if target is None else target
    before, after = group(arrays, 'before'), group(arrays, 'after')
    figures = {'embedding': embedding(before, after, colours, classes, seed, mark)}
    values = scalars(arrays)
    if values:
        figures['distributions'] = distributions(values, groups, mark)
    if 'suppression' in values:
        figures['suppression'] = suppression(values['suppression'], groups, mark)
    gates, name = group(arrays, 'whole/gate'), str(arrays.get('gate', 'gate'))
    count = max((len(g) for g in gates.values()), default=0)
    if count:
        figures['gate_map'] = gate_map(gates, arrays['id'][:count].tolist(), name, mark=mark)
    logits = arrays['prediction']
    if target is not None and logits.ndim == 2 and logits.shape[1] > 1 and len(target):
        known = np.isfinite(logits).all(axis=1) & (target >= 0)
        if known.any():
            predicted = logits[known].argmax(axis=1)
            figures['confusion'] = confusion(target[known], predicted, classes, mark)
    whole = max((len(i) for i in group(arrays, 'whole/input').values()), default=0)
    for k in range(whole if pages is None else min(pages, whole)):
        figures[f'sample_{k}'] = _page(arrays, k, damage, mark)
    return figures


def _page(arrays: Arrays, k: int, damage: Mapping[str, str], mark: str) -> Figure:
    inputs = {
        m: Shown(str(arrays[f'whole/kind/{m}']), _unpad(given[k]))
        for m, given in group(arrays, 'whole/input').items()
    }
    gates = {m: given[k] for m, given in group(arrays, 'whole/gate').items()}
    values = {n: v for n, v in scalars(arrays).items() if 'value' in n and 'spread' not in n}
    facts = {
        m: ', '.join(f'{n} {v[m][k]:.3f}' for n, v in values.items() if m in v) for m in inputs
    }
    facts |= {m: 'missing' for m, here in group(arrays, 'present').items() if not here[k]}
    label = str(arrays['id'][k])
    target, classes = classes_of(arrays)
    title = f'{label}: {classes[target[k]]}' if target is not None and target[k] >= 0 else label
    if label in damage:
        title += f'; {damage[label]}'
    return sample_page(inputs, gates, title, facts, str(arrays.get('gate', 'gate')), mark)


def _unpad(array: np.ndarray) -> np.ndarray:
    """Without columns at the end that no number is in; bytes as they are."""
    if array.dtype.kind != 'f':
        return array
    real = np.flatnonzero(np.isfinite(array).any(axis=0))
    return array[:, : real[-1] + 1] if len(real) else array
