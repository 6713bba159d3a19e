"""One published file: plain, complete, and silent about the machine it comes from."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from mmcalib import __version__
from mmcalib.apis import Inferencer, publish
from mmcalib.apis.publish import cleaned, with_files

PLAIN = (bool, int, float, str, type(None))


@pytest.fixture(scope='module')
def made(run):
    return publish(run)


@pytest.fixture(scope='module')
def held(made):
    return torch.load(made.path, weights_only=True)


def kinds(value):
    """The type of everything in dicts, lists and tuples."""
    if isinstance(value, dict):
        inside = [*value, *value.values()]
    elif isinstance(value, list | tuple):
        inside = value
    else:
        return {type(value)}
    return {type(value)}.union(*map(kinds, inside))


def texts(value):
    if isinstance(value, dict):
        return [part for pair in value.items() for v in pair for part in texts(v)]
    if isinstance(value, list | tuple):
        return [part for v in value for part in texts(v)]
    return [value] if isinstance(value, str) else []


def test_the_name_ends_in_the_sum_and_again_gives_the_same_file(run, made, tmp_path):
    digest = hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert made.path == run / f'tiny-{digest[:8]}.pth'
    assert publish(run, tmp_path / 'mine.pth').path.name == f'mine-{digest[:8]}.pth'
    assert publish(run, tmp_path).path == tmp_path / made.path.name
    with pytest.raises(ValueError, match=r"mine\.zip'\); a file \.pth or a folder"):
        publish(run, tmp_path / 'mine.zip')


def test_it_holds_weights_and_plain_python_only(run, held):
    assert held.keys() == {'meta', 'state_dict'}
    assert kinds(held) <= {*PLAIN, dict, list, tuple, torch.Tensor}
    trained = torch.load(run / 'best_accuracy_epoch_1.pth', weights_only=False)['state_dict']
    assert list(held['state_dict']) == list(trained)
    assert all(torch.equal(held['state_dict'][name], trained[name]) for name in trained)


def test_it_tells_what_the_run_knew(run, held, made):
    record = json.loads((run / 'test.json').read_text())
    meta, told = held['meta'], held['meta']['published']
    assert meta['classes'] == ['bell', 'drum', 'whistle'] and made.left_out == ()
    assert meta['modalities'] == ['audio', 'visual', 'text']
    for key in ('test', 'selection', 'seed', 'calibrator', 'balancing', 'sample_data'):
        assert told[key] == record[key]
    assert told['data'] == {**record['data'], 'root': ''}
    assert told['mmcalib'] == __version__ and told['provenance']['torch'] == torch.__version__
    assert told['provenance']['commit'] == record['commit']
    assert told['provenance']['checkpoint'] == 'best_accuracy_epoch_1.pth'
    config = {}
    exec(meta['cfg'], config)  # it is ours, and Python
    assert {key: config[key] for key in meta['config']} == meta['config']
    assert list(config['model']['encoders']) == meta['modalities']


def test_nothing_tells_of_the_machine(run, held):
    assert str(run.parent) in (run / 'test.json').read_text()
    leaks = [text for text in texts(held['meta']) if str(run.parent) in text or '/tmp' in text]
    assert leaks == []


CLEANED = {
    'folders': ({'root': '/home/jane/AVE', 'cache': 'D:\\cache'}, {'root': '', 'cache': ''}),
    'home': (
        {'work_dir': '~/runs', 'data': {'root': '~jane'}},
        {'work_dir': '', 'data': {'root': ''}},
    ),
    'option': ({'data.root': '/home/jane/AVE', 'a': 1.5}, {'data.root': '', 'a': 1.5}),
    'file': ({'vocab': '/home/jane/vocab.txt'}, {'vocab': 'vocab.txt'}),
    'words': (
        {'told': "'/home/jane' is not there, nor file:///home/jane/x, nor C:\\Users\\jane"},
        {'told': "'jane' is not there, nor x, nor jane"},
    ),
    'command': (
        {'command': "python /opt/train.py '/home/jane doe/a.py' --cfg-options a=/b/c d=e"},
        {'command': 'python train.py a.py --cfg-options a=c d=e'},
    ),
}
KEPT = [
    {'root': 'data/AVE', 'cache': 'cache/ave', 'config': 'configs/a.py'},
    {'classes': ['/m/09x0r', '/t/dd00'], 'x': (1, 'a/b')},
    {'page': 'https://example.org/a/b', 'rate': '1 / 2', 'path': '/', 'pattern': '\\d+'},
]


@pytest.mark.parametrize('case', CLEANED)
def test_absolute_paths_lose_their_folders(case):
    given, wanted = CLEANED[case]
    assert cleaned(given) == wanted


@pytest.mark.parametrize('given', KEPT)
def test_what_is_no_absolute_path_stays(given):
    assert cleaned(given) == given


def test_what_a_run_does_not_tell_is_left_out_and_said(run, tmp_path):
    for name in ('best_accuracy_epoch_1.pth', 'epoch_1.pth', 'last_checkpoint'):
        shutil.copy(run / name, tmp_path / name)
    record = {'checkpoint': 'last', 'test': {'accuracy': 0.5}, 'seed': 3}
    (tmp_path / 'test.json').write_text(json.dumps(record))
    path, left_out = publish(tmp_path)
    told = torch.load(path, weights_only=True)['meta']['published']
    assert told['test'] == {'accuracy': 0.5} and told['seed'] == 3
    assert told['provenance'] == {'checkpoint': 'epoch_1.pth'} and 'selection' not in told
    assert {'selection', 'data', 'commit', 'torch'} <= set(left_out) and 'test' not in left_out
    other, left_out = publish(tmp_path / 'best_accuracy_epoch_1.pth')
    told = torch.load(other, weights_only=True)['meta']['published']
    assert 'test' not in told and 'test' in left_out, 'these numbers are of another checkpoint'


def test_a_published_file_can_be_published_again(made, tmp_path):
    again = publish(made.path, tmp_path)
    one, two = (torch.load(p, weights_only=True)['meta'] for p in (made.path, again.path))
    assert one == two and again.left_out == ()


def test_averaged_weights_are_those_that_were_tested(run, tmp_path):
    """mmengine's EMAHook stores the average as state_dict, and what trains as ema_state_dict."""
    whole = torch.load(run / 'best_accuracy_epoch_1.pth', weights_only=False)
    whole['ema_state_dict'] = {f'module.{k}': v + 1 for k, v in whole['state_dict'].items()}
    whole['meta']['dataset_meta']['list'] = str(tmp_path / 'list.txt')
    torch.save(whole, tmp_path / 'ema.pth')
    held = torch.load(publish(tmp_path / 'ema.pth').path, weights_only=True)
    assert 'ema_state_dict' not in held
    assert held['meta']['dataset_meta']['list'] == 'list.txt'
    name = 'head.linear.weight'
    assert torch.equal(held['state_dict'][name], whole['state_dict'][name])


def test_a_method_that_replaces_predictions_is_published_with_the_model(run, tmp_path):
    root = run.parent / 'data'
    whole = torch.load(run / 'best_accuracy_epoch_1.pth', weights_only=False)
    whole['meta']['cfg'] += "custom_hooks = [dict(type='MLA')]\n"
    torch.save(whole, tmp_path / 'mla.pth')
    inferencer = Inferencer(publish(tmp_path / 'mla.pth').path)
    plain = Inferencer(run)
    parts = {'audio': root / '4.wav', 'text': root / '4.npy'}
    # Each modality alone, weighted by e to the power of its lack of entropy. With one, that one.
    found = inferencer(parts).output
    assert np.allclose(inferencer(audio=parts['audio']).output, plain(audio=parts['audio']).output)
    assert not np.allclose(found, plain(parts).output, atol=1e-3)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        ((), r'has no test\.json.*no checkpoint'),
        (('test.json',), "names the checkpoint 'best.pth', but there are"),
        (('broken',), r'test\.json is not JSON'),
    ],
)
def test_a_folder_without_its_checkpoint_says_what_is_there(tmp_path, names, message):
    if names:
        text = '{"checkpoint": "best.pth"}' if names == ('test.json',) else '{'
        (tmp_path / 'test.json').write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        publish(tmp_path)


def test_what_small_local_files_tell_is_published(tmp_path):
    settings = {'model_type': 'bert', 'hidden_size': 8, '_name_or_path': '/home/jane/bert'}
    (tmp_path / 'config.json').write_text(json.dumps({**settings, 'auto_map': {'A': 'b'}}))
    np.savez(tmp_path / 'scale.npz', mean=np.array([1.5, 2.0]), std=np.array([1.0, 4.0]))
    given = {
        'encoders': {'text': {'type': 'HuggingFace', 'path': str(tmp_path), 'layer': 1}},
        'transforms': [{'type': 'Standardise', 'path': str(tmp_path / 'scale.npz')}],
        'other': {'type': 'Own', 'path': 'x'},
    }
    assert with_files(given) == {
        'encoders': {
            'text': {
                'type': 'HuggingFace',
                'layer': 1,
                'config': {'model_type': 'bert', 'hidden_size': 8},
            }
        },
        'transforms': [{'type': 'Standardise', 'mean': [1.5, 2.0], 'std': [1.0, 4.0]}],
        'other': {'type': 'Own', 'path': 'x'},
    }
    with pytest.raises(ValueError, match=r'has to be told .*gone/config\.json'):
        with_files({'type': 'HuggingFace', 'path': str(tmp_path / 'gone')})
