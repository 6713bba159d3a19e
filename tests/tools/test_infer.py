"""tools/publish.py and tools/infer.py, used as a newcomer uses them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_run import make_run

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        return make_run(tmp_path_factory.mktemp('infer'), patch.setattr)


# All command lines in one process, which takes seconds to import what they need.
RUN = """
import json, runpy, sys
done = []
for line in json.loads(sys.argv[1]):
    sys.argv = line
    try:
        runpy.run_path(line[0], run_name='__main__')
    except SystemExit as end:
        print('exit', end.code, flush=True)
        print('exit', end.code, file=sys.stderr, flush=True)
"""


def tool(*lines):
    """(exit status, stdout, stderr) of each command line."""
    commands = [[str(REPOSITORY / 'tools' / name), *map(str, rest)] for name, *rest in lines]
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(
        [sys.executable, '-c', RUN, json.dumps(commands)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    both = [text.split('exit ')[:-1] for text in (done.stdout, done.stderr)]
    assert len(both[0]) == len(both[1]) == len(lines), done.stdout + done.stderr
    codes = [part.split('\n', 1)[0] for part in done.stdout.split('exit ')[1:]]
    parts = [[p.split('\n', 1)[-1] if k else p for k, p in enumerate(side)] for side in both]
    return [(int(c), *texts) for c, *texts in zip(codes, *parts, strict=True)]


def test_from_a_run_to_predictions_on_files(run, tmp_path):
    root = run.parent / 'data'
    rows = ['id;audio;visual;text;start_s;end_s;note', 'a;4.wav;4.avi;4.npy;;;x']
    rows += ['b;5.wav;;0.5 0.5 0.5;0;0.1;', ';;none.avi;5.npy;;;']
    (root / 'items.csv').write_text('\n'.join(rows) + '\n')
    (root / 'empty.csv').write_text('id,sound\na,4.wav\n')
    model = ['infer.py', run, '--device', 'cpu']
    sample = [f'audio={root / "4.wav"}', f'visual={root / "4.avi"}', f'text={root / "4.npy"}']
    table = ['--table', root / 'items.csv']
    many = ['--on-error', 'missing', '--picture', tmp_path / 'all']
    many += ['--json', tmp_path / 'all.json', '--batch-size', 2]
    done = tool(
        ['publish.py', run, '--out', tmp_path / 'bells.pth'],
        [*model, *sample, '--picture', tmp_path / 'one.png', '--json', tmp_path / 'one.json'],
        [*model, sample[0]],
        [*model, *table, *many],
        [*model, *table],
        [*model, '--table', root / 'empty.csv'],
        [*model, 'smell=x.wav'],
        ['infer.py', run / 'nothing.pth', 'audio=x.wav'],
        [*model],
        [*model, 'x.wav'],
        ['publish.py', run / 'nothing'],
        ['infer.py', '--help'],
    )
    codes = [code for code, _, _ in done]
    assert codes == [0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 0], done
    assert list(tmp_path.glob('bells-????????.pth')) == [Path(done[0][1].strip())]
    told = np.load(run / 'predictions.npz')
    one = json.loads((tmp_path / 'one.json').read_text())
    best = max(one['probability'], key=one['probability'].get)
    assert one['prediction'] == best and done[1][1].startswith(f'{best} (')
    assert 'audio: value 0.' in done[1][1] and ', gate ' in done[1][1]
    assert np.asarray(Image.open(tmp_path / 'one.png').convert('RGB')).std() > 20
    assert 'visual: missing' in done[2][1] and 'text: missing' in done[2][1]
    whole = json.loads((tmp_path / 'all.json').read_text())
    assert [row['id'][:1] for row in whole] == ['a', 'b', str(root)[0]]
    assert whole[0]['output'] == pytest.approx(one['output'], abs=1e-5)
    assert whole[1]['missing'] == ['visual'] and whole[2]['missing'] == ['audio', 'visual']
    assert 'none.avi: no such file' in whole[2]['unreadable']['visual']
    assert sorted(p.name for p in (tmp_path / 'all').iterdir()) == ['0.png', '1.png', '2.png']
    assert told['prediction'].shape[1] == len(one['output'])
    wanted = [r'none.avi: no such file for visual', "['id', 'sound']; needed is one or more of"]
    wanted += [
        "no modality 'smell'",
        'no such checkpoint',
        'one of the two',
        'is not MODALITY=FILE',
    ]
    for (_, _, heard), words in zip(done[4:10], wanted, strict=True):
        assert words in heard and 'Traceback' not in heard
    assert 'no such checkpoint, and no folder of a run' in done[10][2]
    assert 'one that you leave out is missing' in done[11][1]
