"""Reading what a run has left: all of it, or words about what is wrong."""

import json

import numpy as np
import pytest
from result_folders import write_classified

from mmcalib.comparison.result import read_result


def test_a_folder_is_read_back(tmp_path):
    options = {'model.fuser.type': 'Sum', 'a.b': 1}
    folder = write_classified(tmp_path / 'run', [1, 0, 1], seed=3, options=options, setting='x')
    found = read_result(folder)
    assert (found.folder, found.seed, found.setting) == (folder, 3, 'x')
    assert found.test['accuracy'] == pytest.approx(2 / 3)
    assert found.group == ('base_conv_ave', 'a.b=1 model.fuser.type=Sum')
    assert str(found.group) == 'base_conv_ave, a.b=1 model.fuser.type=Sum'
    assert found.id.tolist() == ['clip0000', 'clip0001', 'clip0002']
    assert found.target.tolist() == [0, 1, 2]
    assert found.prediction.argmax(1).tolist() == [0, 2, 2]


def test_a_method_is_a_calibrator_and_perhaps_a_balancing(tmp_path):
    calibrator = 'VGMR(order=norm_then_gate)'
    alone = read_result(write_classified(tmp_path / 'a', [1], calibrator=calibrator))
    both = read_result(
        write_classified(tmp_path / 'b', [1], calibrator=calibrator, balancing='OGMGE')
    )
    assert (alone.method, both.method) == (calibrator, f'{calibrator} + OGMGE')
    assert str(alone.group) == 'base_conv_ave'


def test_an_unfinished_run_is_named(tmp_path):
    folder = write_classified(tmp_path / 'run', [1])
    (folder / 'predictions.npz').unlink()
    with pytest.raises(FileNotFoundError, match=r'run has no predictions.npz; a finished run has'):
        read_result(folder)
    with pytest.raises(FileNotFoundError, match=r'other has no test.json'):
        read_result(tmp_path / 'other')


def test_a_damaged_record_is_named(tmp_path):
    folder = write_classified(tmp_path / 'run', [1])
    record = json.loads((folder / 'test.json').read_text())
    del record['commit']
    (folder / 'test.json').write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"test.json lacks \['commit'\]; it has \['balancing'"):
        read_result(folder)
    (folder / 'test.json').write_text('[1]')
    with pytest.raises(ValueError, match=r'it has list'):
        read_result(folder)
    (folder / 'test.json').write_text('{"seed": ')
    with pytest.raises(ValueError, match=r'test.json is no JSON'):
        read_result(folder)


def test_damaged_predictions_are_named(tmp_path):
    folder = write_classified(tmp_path / 'run', [1])
    path = folder / 'predictions.npz'
    np.savez(path, id=np.array(['a', 'b']), target=np.zeros(2), prediction=np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"'target': 2, 'prediction': 3"):
        read_result(folder)
    np.savez(path, id=np.array(['a']), target=np.zeros(1))
    with pytest.raises(ValueError, match=r"lacks \['prediction'\]; it has \['id', 'target'\]"):
        read_result(folder)
    for content in (b'PK\x03\x04 half', b'', b'text'):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'predictions.npz cannot be read'):
            read_result(folder)
