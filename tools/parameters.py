"""Count the parameters of a calibrator or a fuser for given widths.

python tools/parameters.py VGMR --dims text=768 audio=74 vision=35
"""

import argparse

from mmengine.config import DictAction

from mmcalib.registry import CALIBRATORS, FUSERS


def main() -> None:
    """Print one line per part, and the total."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('name', help='of a calibrator or fuser')
    parser.add_argument('--dims', nargs='+', action=DictAction, required=True, help='text=768 ...')
    parser.add_argument('--args', nargs='+', action=DictAction, default={}, help='width=200 ...')
    args = parser.parse_args()
    CALIBRATORS.import_from_location()
    registry = CALIBRATORS if args.name in CALIBRATORS.module_dict else FUSERS
    component = registry.build({'type': args.name, **args.args}, dims=args.dims)
    parts: dict[str, int] = {}
    for name, parameter in component.named_parameters():
        part = '.'.join(name.split('.')[:3])
        parts[part] = parts.get(part, 0) + parameter.numel()
    for part, count in parts.items():
        print(f'{count:>10,}  {part}')
    print(f'{sum(parts.values()):>10,}  {args.name} on {args.dims}')


if __name__ == '__main__':
    main()
