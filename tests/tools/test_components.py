"""The index of components, and its figures, against the registries."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def tools(monkeypatch):
    """The two scripts as modules; a script sees its neighbours."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools'))
    import benchmark
    import components

    yield components, benchmark
    for name in ('benchmark', 'components'):
        del sys.modules[name]


def test_the_page_says_what_the_docstrings_say(tools):
    components, _ = tools
    costs = json.loads(components.COSTS.read_text())
    made = components.render(costs)
    assert components.PAGE.read_text() == made, 'run python tools/components.py'


def test_every_component_has_an_entry_and_every_calibrator_and_method_a_cost(tools):
    components, benchmark = tools
    page = components.PAGE.read_text()
    for kind in components.kinds():
        assert kind.classes, kind.title
        for name in kind.classes:
            assert f'<a id="{components.anchor(kind, name)}"></a>\n\n### {name}\n' in page
    costs = json.loads(components.COSTS.read_text())
    for kind in benchmark.KINDS:
        assert sorted(costs[kind]) == benchmark.names(kind), kind


class Example:
    """Weigh a_b by * and `x_`.

    Author et al., "A Title", Venue 2024, arXiv:2401.12345, Eq. 1.
    Losses: `loss_x`, in [0, 1].

    Args:
        width: of it,
            on two lines.
        rate: a share.

    Raises:
        ValueError: not so.
    """

    def __init__(self, dims: dict[str, int], width: int, rate: float = 0.5) -> None: ...


def test_a_docstring_becomes_an_entry(tools):
    components, _ = tools
    assert components.source(Example.__doc__) == (
        'Venue 2024, [arXiv:2401.12345](https://arxiv.org/abs/2401.12345)'
    )
    assert components.entry('Example', Example) == (
        '`Example(width, rate=0.5)`\n\n'
        'Weigh a_b by \\* and `x_`.\n\n'
        'Author et al., "A Title", Venue 2024, arXiv:2401.12345, Eq. 1.\n\n'
        '**Losses**: `loss_x`, in [0, 1].\n\n'
        '**Arguments**\n\n'
        '- `width`: of it, on two lines.\n'
        '- `rate`: a share.\n\n'
        '**Raises**\n\n'
        '- `ValueError`: not so.\n'
    )


def test_a_ratio_is_the_median_of_pairs_in_turns(tools, monkeypatch):
    _, benchmark = tools
    calls = []
    # A call takes 1 s for the plain one; 9 (warming up), 2, 5 and 3 s for the other.
    clock, slow = [0.0], iter([9.0, 2.0, 5.0, 3.0])

    def run(runner, given):
        calls.append(runner)
        clock[0] += 1.0 if runner == 'plain' else next(slow)

    monkeypatch.setattr(benchmark.time, 'perf_counter', lambda: clock[0])
    assert benchmark.ratios(run, 'plain', 'other', {}, pairs=3) == [3.0, 2.0, 5.0]
    assert calls == ['plain', 'other', 'other', 'plain'] * 2
