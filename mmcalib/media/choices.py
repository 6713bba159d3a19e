"""Arguments of which only some values are possible."""

from collections.abc import Mapping, Sequence
from typing import Any


def check_choices(
    owner: str, given: Mapping[str, Any], choices: Mapping[str, Sequence[Any]]
) -> None:
    """Refuse an argument that is none of its choices.

    Args:
        owner: whose arguments they are, for the message.
        given: by name.
        choices: of every name in `given`.

    Raises:
        ValueError: what was given, and what is possible.
    """
    for name, value in given.items():
        if value not in choices[name]:
            raise ValueError(f'{owner}({name}={value!r}); possible are {choices[name]}')


def check_modalities(owner: str, modalities: Sequence[str], possible: Sequence[str]) -> None:
    """Refuse none, an unknown one, or one twice.

    Raises:
        ValueError: what was given, and what is possible.
    """
    if not modalities or len(set(modalities) & set(possible)) != len(modalities):
        raise ValueError(f'{owner}(modalities={modalities}); possible are {possible}')
