"""Write docs/components.md, the index of all components, from their docstrings.

python tools/components.py            # after a change of a docstring or a signature
python tools/components.py --measure  # also time every calibrator and balancing method anew
"""

import argparse
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import benchmark
from benchmark import held

from mmcalib import registry

DOCS = Path(__file__).parents[1] / 'docs'
PAGE, COSTS = DOCS / 'components.md', DOCS / 'component_costs.json'
OWNERS = ('dims', 'in_dim')  # arguments that the model gives
CITATION = re.compile(r'arXiv:\d{4}\.\d{4,5}')
VENUE = re.compile(r'"[^"]+",\s+([^.,:;()]+? (?:19|20)\d\d)')
LABEL = re.compile(
    '^(Differs from the paper|The paper leaves open, and we decide|Also ours|Missing|Losses|'
    'Evidence|Cost|Logs):'
)
HEADER = """# Components

Made by `python tools/components.py` from the docstrings; a test compares. A config names a
component by `type`; arguments are those of its signature. `dims` and `in_dim` come from the model.

{contents}
"""
COST = """
### What they cost: {title}

`python tools/components.py --measure --pairs {pairs} --batch {batch}` at commit {commit}, torch
{torch}, {machine}: `configs/base_conv_ave.py` on its sample data, {batch} samples a step. Time is a
ratio to the same model with `Identity` and `Concat`: the median of {pairs} pairs of steps run in
turns, and in brackets the smallest and the largest. Inference is the prediction of a batch. Two
ResNet-18 take most of both, so this is what a user of that config feels, not the cost of the part
alone. A range that holds 1 shows no difference.
"""


class Kind(NamedTuple):
    """A section of the page."""

    title: str
    says: str
    classes: dict[str, type]


def kinds() -> list[Kind]:
    """All sections, in the order of the pipeline."""
    return [
        Kind('Encoders', 'raw input -> tokens, one per modality', held(registry.ENCODERS)),
        Kind('Calibrators', 'tokens -> tokens, before fusion', held(registry.CALIBRATORS)),
        Kind('Fusers', 'tokens of all modalities -> one vector', held(registry.FUSERS)),
        Kind('Heads', 'vector -> prediction and loss', held(registry.HEADS)),
        Kind(
            'Balancing methods',
            '`tools/train.py --balancing NAME`',
            held(*benchmark.KINDS['Balancing methods']),
        ),
        Kind('Metrics', '`val_evaluator`, `test_evaluator`', held(registry.METRICS)),
        Kind('Data sets', '`data`', held(registry.DATASETS)),
        Kind('Transforms', 'of one modality of a data set', held(registry.TRANSFORMS)),
    ]


def render(costs: Mapping[str, Any]) -> str:
    """The whole page."""
    sections = kinds()
    contents = ' · '.join(f'[{k.title}](#{k.title.lower().replace(" ", "-")})' for k in sections)
    parts = [HEADER.format(contents=contents)]
    for kind in sections:
        parts.append(
            f'\n## {kind.title}\n\n{kind.says}\n\n| name | what | source |\n|---|---|---|\n'
        )
        for name, component in kind.classes.items():
            doc = inspect.getdoc(component) or ''
            first = escape(doc.splitlines()[0])
            parts.append(f'| [{name}](#{anchor(kind, name)}) | {first} | {source(doc)} |\n')
        parts.append(table(kind, costs))
        for name, component in kind.classes.items():
            parts.append(f'\n<a id="{anchor(kind, name)}"></a>\n\n### {name}\n\n')
            parts.append(entry(name, component))
    return ''.join(parts)


def anchor(kind: Kind, name: str) -> str:
    """FiLM is a calibrator and a fuser: names alone are not unique."""
    return f'{kind.title.split()[0].lower()}-{name.lower()}'


def source(doc: str) -> str:
    """Venue and number of the first citation, if there is one."""
    venue = VENUE.search(' '.join(doc.split()))
    number = CITATION.search(doc)
    found = [venue.group(1)] if venue else []
    if number:
        found.append(f'[{number.group()}](https://arxiv.org/abs/{number.group()[6:]})')
    return ', '.join(found)


def entry(name: str, component: type) -> str:
    """A component's signature and docstring as Markdown."""
    text, _, arguments = (inspect.getdoc(component) or '').partition('\nArgs:\n')
    arguments, _, raises = arguments.partition('\nRaises:\n')
    lines = [f'`{signature(name, component)}`\n']
    for block in re.split(r'\n\n|\n(?=[A-Z][a-z]+: )', text):
        paragraph = escape(' '.join(block.split()))
        lines.append('\n' + LABEL.sub(r'**\1**:', paragraph) + '\n')
    for title, listed in (('Arguments', arguments), ('Raises', raises)):
        if listed.strip():
            lines.append(f'\n**{title}**\n\n')
            lines += [f'- `{key}`: {escape(says)}\n' for key, says in items(listed)]
    return ''.join(lines)


def signature(name: str, component: type) -> str:
    """As it is called from a config: without types, and without what the model gives."""
    given = inspect.signature(component).parameters.values()
    free = [p.replace(annotation=p.empty) for p in given if p.name not in OWNERS]
    return f'{name}({", ".join(map(str, free))})'


def items(listed: str) -> Iterator[tuple[str, str]]:
    """The entries of an `Args:` or `Raises:` section."""
    for block in re.split(r'\n(?=    \S)', listed.rstrip()):
        key, _, says = ' '.join(block.split()).partition(': ')
        if key:
            yield key, says


def escape(text: str) -> str:
    """Plain text, with code in backticks, as Markdown that shows it unchanged."""
    parts = re.split(r'(`[^`]*`)', text)
    special = r'([\\*<|~]|(?<!\w)_|_(?!\w))'
    return ''.join(p if p.startswith('`') else re.sub(special, r'\\\1', p) for p in parts)


def table(kind: Kind, costs: Mapping[str, Any]) -> str:
    """The measured cost of a section's components, if it is measured."""
    rows = costs.get(kind.title)
    if not rows:
        return ''
    columns = list(next(iter(rows.values())))
    lines = [
        COST.format(title=kind.title.lower(), **costs['about']),
        '\n| name | ' + ' | '.join(columns) + ' |\n',
    ]
    lines.append('|---' * (1 + len(columns)) + '|\n')
    for name, row in rows.items():
        lines.append(f'| {name} | ' + ' | '.join(map(benchmark.cell, row.values())) + ' |\n')
    return ''.join(lines)


def main() -> None:
    """Measure if asked, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--measure', action='store_true', help='time all calibrators and methods')
    benchmark.add_options(parser)
    args = parser.parse_args()
    if args.measure:
        every = [name for kind in benchmark.KINDS for name in benchmark.names(kind)]
        costs = benchmark.measure(sorted(set(every)), args.pairs, args.batch, args.data_root)
        costs['about'] = benchmark.about(args.pairs, args.batch)
        COSTS.write_text(json.dumps(costs, indent=2) + '\n')
    PAGE.write_text(render(json.loads(COSTS.read_text()) if COSTS.exists() else {}))


if __name__ == '__main__':
    main()
