"""VGMR's equations (2)-(13) and its refinement in numpy, one sample at a time, in float64.

Written from the paper's formulas; only `symbols` knows the names of the module's parameters.
Axes: L real tokens, d_m width of a modality, d_p width of the latent space.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import erf, expit
from torch import nn

Array = np.ndarray
Weights = dict[str, tuple[Array, Array]]


class Refined(NamedTuple):
    """What the paper names, for one modality of one sample."""

    interaction_input: Array  # the brackets of Eq. 8
    g: float
    p: Array  # (d_p,)
    gate: Array  # G (L, d_m)
    effective: Array  # G-bar (L, d_m)
    x: Array  # X~ (L, d_m)


def symbols(branch: nn.Module) -> Weights:
    """The paper's symbol of each affine map -> (matrix, bias); MLPs have layers 1 and 2."""
    names = {
        'P': 'project',
        'phi1': 'summary.0',
        'phi2': 'summary.3',
        'psi1': 'interaction.0',
        'psi2': 'interaction.3',
        'eta1': 'code.0',
        'eta2': 'code.3',
        'w_g': 'value',
        'W_p': 'channel_value',
        'rho_x': 'gate_x',
        'rho_h': 'gate_h',
        'rho_g': 'gate_value',
        'rho_p': 'gate_channel',
    }
    state = {key: tensor.double().numpy() for key, tensor in branch.state_dict().items()}
    weights = {s: (state[f'{name}.weight'], state[f'{name}.bias']) for s, name in names.items()}
    if 'norm.weight' in state:
        weights['norm'] = (state['norm.weight'], state['norm.bias'])
    return weights


def affine(weights: Weights, symbol: str, x: Array) -> Array:
    matrix, bias = weights[symbol]
    return x @ matrix.T + bias


def mlp(weights: Weights, symbol: str, x: Array) -> Array:
    """Two layers with GELU between them."""
    inner = affine(weights, f'{symbol}1', x)
    return affine(weights, f'{symbol}2', inner * 0.5 * (1 + erf(inner / np.sqrt(2))))


def layer_norm(x: Array, scale: Array | float = 1.0, shift: Array | float = 0.0) -> Array:
    """Over the width; 1e-5 is what torch's layer adds to the variance."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * scale + shift


def refine(
    tokens: dict[str, Array],
    weights: dict[str, Weights],
    alpha: float,
    beta: float,
    order: str,
    post: str,
) -> dict[str, Refined]:
    """One sample: real tokens (L, d_m) per modality, L = 0 where it is absent.

    The paper has no absent modality. The module's rule: its summary, agreements and discrepancies
    are zero, and the averaged context is over the others.
    """
    hidden = {m: affine(weights[m], 'P', x) for m, x in tokens.items()}  # (2)
    here = {m: len(x) > 0 for m, x in tokens.items()}
    s = {}
    for m, h in hidden.items():
        width = weights[m]['P'][1].size
        pooled = np.concatenate([h.mean(0), h.max(0)]) if here[m] else np.zeros(2 * width)
        s[m] = mlp(weights[m], 'phi', pooled) if here[m] else np.zeros(width)  # (3)
    return {
        m: branch(m, tokens[m], hidden[m], s, here, weights[m], (alpha, beta, order, post))
        for m in tokens
    }


def branch(
    m: str,
    x: Array,
    h: Array,
    s: dict[str, Array],
    here: dict[str, bool],
    weights: Weights,
    settings: tuple[float, float, str, str],
) -> Refined:
    """Equations (4)-(13) for modality m."""
    alpha, beta, order, post = settings
    others = [o for o in s if o != m]  # (4)
    present = [o for o in others if here[o]]
    nothing = np.zeros_like(s[m])
    u = sum((s[o] for o in present), nothing) / max(1, len(present))  # (5)
    a = [s[m] * s[o] if here[o] else nothing for o in others]  # (6)
    delta = [np.abs(s[m] - s[o]) if here[o] else nothing for o in others]
    brackets = np.concatenate([s[m], *(s[o] for o in others), *a, *delta, u])
    r = mlp(weights, 'psi', brackets)  # (8)
    z = mlp(weights, 'eta', np.concatenate([s[m], r]))  # (9)
    g = expit(affine(weights, 'w_g', z))  # (10)
    p = expit(affine(weights, 'W_p', z))
    gate = expit(  # (11)
        affine(weights, 'rho_x', x)
        + affine(weights, 'rho_h', h)
        + affine(weights, 'rho_g', 2 * g - 1)
        + affine(weights, 'rho_p', 2 * p - 1)
    )
    amplified = 1 + alpha * (2 * gate - 1)  # (12)
    effective = beta + (1 - beta) * amplified  # (13)
    if post == 'none':
        out = x * effective
    elif order == 'gate_then_norm':
        out = layer_norm(x * effective, *weights['norm'])
    else:
        out = layer_norm(x, *weights['norm']) * effective
    return Refined(brackets, float(g[0]), p, gate, effective, out)
