"""OrderedConfig: a config whose text keeps the order of its keys."""

from collections.abc import Mapping
from keyword import iskeyword
from math import isfinite
from typing import Any

from mmengine.config import Config

ORDERED = '# Keys are in the order of the config.'  # first line of such a text


class OrderedConfig(Config):
    """mmengine's Config, but for its text, which mmengine sorts.

    The order of `model.encoders` is the order of modalities everywhere. A model that is built from
    a sorted text takes the weights of the trained one, and predicts something else.
    """

    @property
    def pretty_text(self) -> str:
        """Lines of Python that make the same config."""
        lines = [f'{key} = {written(value)}' for key, value in self.to_dict().items()]
        return '\n'.join([ORDERED, *lines]) + '\n'


def written(value: Any, indent: str = '') -> str:
    """A value as Python, one line per entry of what is not empty."""
    inner = indent + '    '
    if isinstance(value, Mapping) and value:
        names = all(isinstance(k, str) and k.isidentifier() and not iskeyword(k) for k in value)
        spelled = {k: f'{k}=' if names else f'{k!r}: ' for k in value}
        lines = [f'{inner}{spelled[k]}{written(v, inner)},\n' for k, v in value.items()]
        opened, closed = ('dict(', ')') if names else ('{', '}')
        return f'{opened}\n{"".join(lines)}{indent}{closed}'
    if isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        lines = [f'{inner}{written(v, inner)},\n' for v in value]
        opened, closed = '[]' if isinstance(value, list) else '()'
        return f'{opened}\n{"".join(lines)}{indent}{closed}'
    if isinstance(value, list | tuple):
        parts = ', '.join(written(v, inner) for v in value)
        if isinstance(value, list):
            return f'[{parts}]'
        return f'({parts},)' if len(value) == 1 else f'({parts})'
    if isinstance(value, float) and not isfinite(value):
        return f'float({str(value)!r})'
    return repr(value)
