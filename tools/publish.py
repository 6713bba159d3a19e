"""Make one file of a trained model that others can use and load safely.

python tools/publish.py work_dirs/RUN
python tools/publish.py work_dirs/RUN/epoch_4.pth --out bells.pth

Of a run's folder, the checkpoint is taken that its test.json names: the best one, which was tested.
The file holds weights, config, class names, metrics and where they come from; neither optimiser nor
paths of this machine. Its name ends in the first letters of its sha256: bells-1a2b3c4d.pth.
tools/infer.py and mmcalib.apis.Inferencer predict with it.
"""

import argparse
import pickle
import sys

from mmcalib.apis.publish import publish


def main(arguments: list[str] | None = None) -> int:
    """Run; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='RUN_OR_CHECKPOINT', help='work dir, or a .pth file')
    parser.add_argument(
        '--out', metavar='FILE', help='file .pth or folder (the name of the run, beside it)'
    )
    args = parser.parse_args(arguments)
    try:
        made = publish(args.source, args.out)
    except (ValueError, OSError, pickle.UnpicklingError) as error:
        print(error, file=sys.stderr)
        return 2
    print(made.path)
    if made.left_out:
        print(f'The run does not tell, so the file does not: {", ".join(made.left_out)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
