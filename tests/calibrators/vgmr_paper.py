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


class Settings(NamedTuple):
    """Constants of the method, and which of its parts are there."""

    alpha: float
    beta: float
    order: str
    post: str
    value: bool = True
    channel_value: bool = True
    agreement: bool = True
    discrepancy: bool = True
    partners: bool = True


class Refined(NamedTuple):
    """What the paper names, for one modality of one sample; None is ablated."""

    interaction_input: Array | None  # the brackets of Eq. 8
    g: float | None
    p: Array | None  # (d_p,)
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
    weights = {
        s: (state[f'{name}.weight'], state[f'{name}.bias'])
        for s, name in names.items()
        if f'{name}.weight' in state
    }
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
    settings: Settings,
    met: dict[str, dict[str, Array]] | None = None,
) -> dict[str, Refined]:
    """One sample: real tokens (L, d_m) per modality, L = 0 where it is absent.

    The paper has no absent modality. The module's rule: its summary, agreements and discrepancies
    are zero, and the averaged context is over the others. `met[m]` are the tokens of the sample
    whose partners m meets in place of its own.
    """
    refined = {}
    for m, x in tokens.items():
        s = summaries(tokens, weights)
        others = s if met is None else summaries(met[m], weights)
        partners = {o: s_o for o, s_o in others.items() if o != m}  # (4)
        refined[m] = branch(x, s.get(m), partners, weights[m], settings)
    return refined


def summaries(tokens: dict[str, Array], weights: dict[str, Weights]) -> dict[str, Array | None]:
    """(2) and (3); None is an absent modality."""
    s = {}
    for m, x in tokens.items():
        h = affine(weights[m], 'P', x)
        pooled = np.concatenate([h.mean(0), h.max(0)]) if len(x) else None
        known = len(x) > 0 and 'phi1' in weights[m]
        s[m] = mlp(weights[m], 'phi', pooled) if known else None
    return s


def branch(
    x: Array,
    s: Array | None,
    partners: dict[str, Array | None],
    weights: Weights,
    settings: Settings,
) -> Refined:
    """Equations (4)-(13) for one modality."""
    logit = affine(weights, 'rho_x', x) + affine(weights, 'rho_h', affine(weights, 'P', x))
    brackets = g = p = None
    if settings.value or settings.channel_value:
        nothing = np.zeros(weights['P'][1].size)
        s = nothing if s is None else s
        brackets = interaction_input(s, partners, settings)
        r = mlp(weights, 'psi', brackets)  # (8)
        z = mlp(weights, 'eta', np.concatenate([s, r]))  # (9)
    if settings.value:
        g = expit(affine(weights, 'w_g', z))  # (10)
        logit = logit + affine(weights, 'rho_g', 2 * g - 1)
    if settings.channel_value:
        p = expit(affine(weights, 'W_p', z))
        logit = logit + affine(weights, 'rho_p', 2 * p - 1)
    gate = expit(logit)  # (11)
    amplified = 1 + settings.alpha * (2 * gate - 1)  # (12)
    effective = settings.beta + (1 - settings.beta) * amplified  # (13)
    if settings.post == 'none':
        out = x * effective
    elif settings.order == 'gate_then_norm':
        out = layer_norm(x * effective, *weights['norm'])
    else:
        out = layer_norm(x, *weights['norm']) * effective
    return Refined(brackets, None if g is None else float(g[0]), p, gate, effective, out)


def interaction_input(s: Array, partners: dict[str, Array | None], settings: Settings) -> Array:
    """The brackets of (8)."""
    if not settings.partners:
        return s
    nothing = np.zeros_like(s)
    present = [s_o for s_o in partners.values() if s_o is not None]
    parts = [s, *(nothing if s_o is None else s_o for s_o in partners.values())]
    if settings.agreement:  # (6)
        parts += [nothing if s_o is None else s * s_o for s_o in partners.values()]
    if settings.discrepancy:
        parts += [nothing if s_o is None else np.abs(s - s_o) for s_o in partners.values()]
    u = sum(present, nothing) / max(1, len(present))  # (5)
    return np.concatenate([*parts, u])
