"""tools/publish.py and tools/infer.py, used as a newcomer uses them."""

import json
import runpy
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


@pytest.fixture
def tool(capsys):
    """(exit status, stdout, stderr) of a command line, run in this process: it is faster."""
    mains = {
        name: runpy.run_path(str(REPOSITORY / 'tools' / name))['main']
        for name in ('infer.py', 'publish.py')
    }

    def call(name, *arguments):
        try:
            code = mains[name]([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return (code, *capsys.readouterr())

    return call


def test_an_input_is_not_written_over(run, tmp_path, tool):
    picture = tmp_path / 'a.png'
    picture.write_bytes(b'mine')
    (tmp_path / '0.png').write_bytes(b'mine')
    table = tmp_path / 'table.csv'
    table.write_text('id,visual\n1,0.png\n')
    for flags, written in (
        ([f'visual={picture}', '--picture', tmp_path / '.' / 'a.png'], picture),
        ([f'visual={picture}', '--json', picture], picture),
        (['--table', table, '--picture', tmp_path], tmp_path / '0.png'),
        (['--table', table, '--json', table], table),
    ):
        before = written.read_bytes()
        code, _, err = tool('infer.py', run, *flags)
        assert code == 2 and f'{written} is an input, and would be overwritten' in err, err
        assert written.read_bytes() == before


def test_from_a_run_to_predictions_on_files(run, tmp_path, tool):
    root = run.parent / 'data'
    rows = ['id;audio;visual;text;start_s;end_s;note', 'a;4.wav;4.avi;4.npy;;;x']
    rows += ['b;5.wav;;0.5 0.5 0.5;0;0.1;', ';;none.avi;5.npy;;;']
    (root / 'items.csv').write_text('\n'.join(rows) + '\n')
    (root / 'last.csv').write_text('audio,visual\nnone.wav,\n,5.avi\n')
    (root / 'empty.csv').write_text('id,sound\na,4.wav\n')
    model = ['infer.py', run, '--device', 'cpu']
    sample = [f'audio={root / "4.wav"}', f'visual={root / "4.avi"}', f'text={root / "4.npy"}']
    table = ['--table', root / 'items.csv']
    many = ['--on-error', 'missing', '--json', tmp_path / 'all.json', '--batch-size', 2]
    drawn = ['--on-error', 'missing', '--picture', tmp_path / 'all']
    lines = [
        ['publish.py', run, '--out', tmp_path / 'bells.pth'],
        [*model, *sample, '--picture', tmp_path / 'one.png', '--json', tmp_path / 'one.json'],
        [*model, sample[0]],
        [*model, *table, *many],
        [*model, '--table', root / 'last.csv', *drawn],
        [*model, *table],
        [*model, '--table', root / 'empty.csv'],
        [*model, 'smell=x.wav'],
        ['infer.py', run / 'nothing.pth', 'audio=x.wav'],
        [*model],
        [*model, 'x.wav'],
        ['publish.py', run / 'nothing'],
        ['infer.py', '--help'],
    ]
    done = [tool(*line) for line in lines]
    codes = [code for code, _, _ in done]
    assert codes == [0, 0, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 0], done
    assert list(tmp_path.glob('bells-????????.pth')) == [Path(done[0][1].strip())]
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
    assert sorted(p.name for p in (tmp_path / 'all').iterdir()) == ['1.png']
    assert 'nothing to predict on' in done[4][1]
    wanted = [r'none.avi: no such file for visual', "['id', 'sound']; needed is one or more of"]
    wanted += [
        "no modality 'smell'",
        'no such checkpoint',
        'one of the two',
        'is not MODALITY=FILE',
    ]
    for (_, _, heard), words in zip(done[5:11], wanted, strict=True):
        assert words in heard and 'Traceback' not in heard
    assert 'no such checkpoint, and no folder of a run' in done[11][2]
    assert 'one that you leave out is missing' in done[12][1]
