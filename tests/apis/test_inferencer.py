"""What a checkpoint says to files and arrays is what its run said in the test."""

import pickle
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmcalib.apis import Inferencer, checkpoints, publish
from mmcalib.contract import Signal
from mmcalib.media import MediaError


@pytest.fixture(scope='module')
def root(run):
    return run.parent / 'data'


@pytest.fixture(scope='module')
def inferencer(run):
    return Inferencer(publish(run).path, 'cpu')


def files(root, k):
    return {'audio': root / f'{k}.wav', 'visual': str(root / f'{k}.avi'), 'text': root / f'{k}.npy'}


def waveform(path):
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16) / np.float32(32768)


def frames(path):
    """The second and the fourth of four: the middles of two halves."""
    with av.open(str(path)) as film:
        found = [frame.to_ndarray(format='rgb24') for frame in film.decode(video=0)]
    return np.stack([found[1], found[3]])


def save(path, held, **meta):
    """A checkpoint as a run writes it, with another meta."""
    whole = {'meta': {**held.meta, **meta}, 'state_dict': held.state}
    torch.save(whole, path)
    return path


def outputs(results):
    return np.stack([result.output for result in results])


def test_it_predicts_what_the_test_of_the_run_did(run, root, inferencer):
    told = np.load(run / 'predictions.npz')
    samples = []
    for name in told['id']:
        k = int(name[1:])
        # The table has no text for the last one.
        samples.append({'id': name, **files(root, k), **({'text': None} if k == 17 else {})})
    for given in (inferencer, Inferencer(run), Inferencer(run / 'best_accuracy_epoch_1.pth')):
        results = given(samples, batch_size=4)
        np.testing.assert_allclose(outputs(results), told['prediction'], rtol=0, atol=1e-6)
        assert [r.id for r in results] == told['id'].tolist()
        assert results[-1].missing == ('text',) and results[0].missing == ()
        best = told['prediction'].argmax(1)
        assert [r.prediction for r in results] == [('bell', 'drum', 'whistle')[k] for k in best]
    np.testing.assert_allclose(
        outputs(inferencer(samples, batch_size=9)), outputs(results), atol=1e-5
    )
    one = np.stack([inferencer(**sample).output for sample in samples])
    np.testing.assert_allclose(one, outputs(results), atol=1e-5)
    shares = np.exp(results[0].output - results[0].output.max())
    assert list(results[0].probability.values()) == pytest.approx(shares / shares.sum())


def test_arrays_and_tensors_say_what_their_files_do(root, inferencer):
    by_file = inferencer(files(root, 4))
    arrays = {
        'audio': waveform(root / '4.wav'),
        'visual': frames(root / '4.avi'),
        'text': np.load(root / '4.npy'),
    }
    by_array = inferencer(**arrays)
    np.testing.assert_allclose(by_array.output, by_file.output, atol=1e-5)
    by_tensor = inferencer(**{m: torch.from_numpy(x.copy()) for m, x in arrays.items()})
    assert np.array_equal(by_tensor.output, by_array.output)
    text = inferencer(text=arrays['text'][0].tolist())
    assert np.array_equal(text.output, inferencer(text=arrays['text'][:1]).output)
    one = inferencer(visual=arrays['visual'][0])
    assert np.array_equal(one.output, inferencer(visual=arrays['visual'][:1]).output)


def test_a_span_cuts_sound(root, inferencer):
    cut = waveform(root / '4.wav')[400:1600]
    by_file = inferencer(audio=root / '4.wav', start_s=0.05, end_s='0.2')
    np.testing.assert_allclose(by_file.output, inferencer(audio=cut).output, atol=1e-5)
    assert not np.allclose(by_file.output, inferencer(audio=root / '4.wav').output, atol=1e-3)


def test_values_and_gates_are_means_of_the_evidence(root, inferencer):
    sample = {'audio': root / '4.wav', 'text': root / '4.npy'}
    found, model = inferencer(sample), inferencer.model
    readers = inferencer.readers.by_modality
    raw = {m: readers[m].signal(readers[m].read(path).array) for m, path in sample.items()}
    signals = {m: Signal(s.x[None], s.mask[None]) for m, s in raw.items()}
    signals['visual'] = Signal(torch.zeros(1, 1, 3, 16, 16), torch.zeros(1, 1, dtype=torch.bool))
    with torch.no_grad():
        given = model.calibrator({m: model.encoders[m](signals[m]) for m in model.encoders})
    for m in sample:
        value, gate = (given.evidence[name][m] for name in ('value', 'effective_gate'))
        assert found.value[m] == pytest.approx(value.item(), abs=1e-6)
        assert found.gate[m] == pytest.approx(gate.mean().item(), abs=1e-6)
    assert found.value['visual'] is None and found.gate['visual'] is None
    assert found.missing == ('visual',)


def test_what_cannot_be_read_is_an_error_or_missing(root, tmp_path, inferencer):
    (tmp_path / 'broken.avi').write_bytes(b'RIFF nothing')
    damaged = {'audio': root / '4.wav', 'visual': tmp_path / 'broken.avi', 'text': None}
    nothing = {'id': 'lost', 'audio': root / 'not there.wav'}
    spoiled = {'audio': root / '4.wav', 'text': np.full((2, 3), np.nan, np.float32)}
    with pytest.raises(MediaError, match=r'sample 1: .*broken\.avi'):
        inferencer([files(root, 4), damaged])
    with pytest.raises(MediaError, match=r'lost: .*not there\.wav: no such file for audio'):
        inferencer(**nothing)
    with pytest.raises(MediaError, match='text: 6 of its 6 values are NaN'):
        inferencer(spoiled)
    results = inferencer([damaged, nothing, files(root, 4), spoiled], on_error='missing')
    assert [r.missing for r in results] == [
        ('visual', 'text'),
        ('audio', 'visual', 'text'),
        (),
        ('visual', 'text'),
    ]
    assert 'broken.avi' in results[0].unreadable['visual'] and results[1].prediction is None
    assert 'NaN' in results[3].unreadable['text']
    alone = inferencer(audio=root / '4.wav')
    np.testing.assert_allclose(outputs([results[0], results[3]]), [alone.output] * 2, atol=1e-5)


WRONG = {
    'audoi': ({'audoi': 'x.wav'}, r"no modality 'audoi', did you mean 'audio'\?.*\['audio', 'vis"),
    'nothing': ({'audio': None}, r'all modalities are missing.*8000 per second.*\(L, D\)'),
    'bytes': ({'audio': np.zeros(9, np.int16)}, r'\(9,\) of int16; possible is a path of a file'),
    'stereo': ({'audio': np.zeros((2, 9), 'f4')}, r'audio is an array \(2, 9\)'),
    'loud': ({'audio': np.full(9, 300.0)}, 'reaches 300; possible is .*1, 1'),
    'float': ({'visual': np.zeros((2, 8, 8, 3))}, r'float64; possible is .*\(H, W, 3\) of bytes'),
    'grey': ({'visual': np.zeros((2, 8, 8), np.uint8)}, r'visual is an array \(2, 8, 8\)'),
    'object': ({'audio': 3}, 'audio is a int; possible are a path'),
    'late': ({'audio': 'x.wav', 'start_s': 2, 'end_s': 1}, 'from 2.0 s to 1.0 s'),
    'words': ({'audio': 'x.wav', 'start_s': 'soon'}, "'soon'.* are not seconds"),
    'uncut': ({'audio': np.zeros(2000, 'f4'), 'end_s': 1}, 'cut files of sound and video'),
    'suffix': ({'text': 'words.txt'}, r"text is 'words.txt'; possible is a path of \.npy"),
}


@pytest.mark.parametrize('case', WRONG)
def test_errors_say_what_was_given_and_what_is_possible(inferencer, case):
    sample, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        inferencer(sample)


def test_calls_that_make_no_sense_are_refused(inferencer):
    with pytest.raises(ValueError, match='one is possible'):
        inferencer([{}], audio='x.wav')
    with pytest.raises(ValueError, match=r"on_error='no'.*'raise' and 'missing'"):
        inferencer([], on_error='no')
    with pytest.raises(ValueError, match=r'sample 0 is a str; possible is a dict of'):
        inferencer(['x.wav'])
    assert inferencer([]) == []


def test_a_width_of_another_model_is_refused(inferencer):
    with pytest.raises(MediaError, match=r'shape \(4,\), but in training \(3,\)'):
        inferencer(text=np.zeros((2, 4)))


def test_it_draws_what_it_saw(root, tmp_path, inferencer):
    (quiet,) = inferencer([files(root, 4)])
    with pytest.raises(ValueError, match='pictures=True'):
        quiet.draw(tmp_path / 'no.png')
    (less,) = inferencer([{'audio': root / '4.wav', 'id': 'a'}], pictures=True)
    path = less.draw(tmp_path / 'less.png')
    picture = np.asarray(Image.open(path).convert('RGB'))
    assert picture.shape[0] > 600 and picture.std() > 20
    assert less.page.inputs['audio'].kind == 'spectrogram'
    assert less.page.inputs['visual'] == 'missing' and np.isnan(less.page.gates['visual']).all()


def test_it_leaves_the_callers_randomness_alone(root, run):
    torch.manual_seed(3)
    state = torch.get_rng_state()
    Inferencer(run)(audio=root / '4.wav')
    assert torch.equal(torch.get_rng_state(), state)


def test_a_sorted_config_of_an_older_version_keeps_the_order_of_modalities(run, root, tmp_path):
    held = checkpoints.read(run)
    text = Config(held.config).pretty_text  # as mmengine has it: visual last
    assert text.index('text=dict') < text.index('visual=dict')
    old = Inferencer(save(tmp_path / 'old.pth', held, cfg=text))
    assert old.modalities == ('audio', 'visual', 'text')
    new = Inferencer(run)(files(root, 4))
    assert np.array_equal(old(files(root, 4)).output, new.output)


def test_a_checkpoint_that_does_not_fit_is_refused(run, tmp_path):
    held = checkpoints.read(run)
    with pytest.raises(ValueError, match=r'num_classes=3, but the checkpoint names 2 classes'):
        Inferencer(save(tmp_path / 'a', held, dataset_meta={**held.data, 'classes': ('a', 'b')}))
    other = {**held.config, 'model': {**held.config['model'], 'fuser': {'type': 'Sum'}}}
    with pytest.raises(ValueError, match='its weights are not those of the model'):
        Inferencer(save(tmp_path / 'b', held, config=other))
    with pytest.raises(ValueError, match='of an older version and does not tell how audio'):
        meta = {k: v for k, v in held.data.items() if k != 'reads'}
        Inferencer(save(tmp_path / 'c', held, dataset_meta=meta))
    torch.save({'weight': torch.zeros(2)}, tmp_path / 'd')
    with pytest.raises(ValueError, match=r"needs state_dict and meta, but holds \['weight'\]"):
        Inferencer(tmp_path / 'd')
    (tmp_path / 'e').write_bytes(b'')
    with pytest.raises(ValueError, match='cannot be read as a checkpoint'):
        Inferencer(tmp_path / 'e')
    with pytest.raises(FileNotFoundError, match='no such checkpoint'):
        Inferencer(tmp_path / 'f')
    with pytest.raises(ValueError, match=r"device='toaster'; possible are 'cpu'"):
        Inferencer(run, 'toaster')


class Malice:
    """Pickles into a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def harm(tmp_path):
    """A file that only foreign code makes."""
    path = tmp_path / 'harm'
    yield path
    assert not path.exists()


def test_a_pickle_that_holds_code_is_refused(tmp_path, harm):
    torch.save({'state_dict': {}, 'meta': Malice(harm)}, tmp_path / 'trap.pth')
    for use in (Inferencer, publish):
        with pytest.raises(pickle.UnpicklingError, match=r'trap\.pth is not loaded'):
            use(tmp_path / 'trap.pth')


CODE = {
    'import': 'import pathlib\nmodel = pathlib.Path({harm!r}).touch()',
    'call': "model = dict(type=__import__('pathlib').Path({harm!r}).touch())",
    'dict': 'model = dict(**[open({harm!r}, "w")])',
    'comprehension': 'model = [open({harm!r}, "w") for _ in range(1)]',
    'format': 'model = f"{{open({harm!r}, chr(119))}}"',
    'name': 'model = open',
    'statement': 'open({harm!r}, "w")',
    'deep': 'model = ' + '-' * 100_000 + '1',
}


@pytest.mark.parametrize('case', CODE)
def test_a_config_that_holds_code_is_refused(run, tmp_path, harm, case):
    text = CODE[case].format(harm=str(harm))
    with pytest.raises(ValueError, match=r'is code or an object|is not what a run dumps'):
        Inferencer(save(tmp_path / 'trap.pth', checkpoints.read(run), cfg=text))


PARTS = {
    'type': {'type': 'pathlib.Path.touch'},
    'module': {'type': 'antigravity'},
    'scope': {'type': 'Concat', '_scope_': 'antigravity'},
    'remote': {'type': 'HuggingFace', 'config': {'model_type': 'bert', 'auto_map': {'A': 'x'}}},
}


@pytest.mark.parametrize('case', PARTS)
@pytest.mark.parametrize('place', ['encoder', 'fuser', 'preprocessor', 'transform'])
def test_a_config_that_imports_is_refused(inferencer, tmp_path, case, place):
    held, part = checkpoints.read(inferencer.checkpoint), PARTS[case]
    model, loader = held.config['model'], held.config['test_dataloader']
    if place == 'encoder':
        model['encoders']['text'] = part
    elif place == 'fuser':
        model['fuser'] = part
    elif place == 'preprocessor':
        model['data_preprocessor'] = part
    else:
        loader['dataset']['modalities']['audio']['transforms'] = [part]
    with pytest.raises(ValueError, match=r'no registered component|may run code'):
        Inferencer(save(tmp_path / 'trap.pth', held, config=held.config))
    assert 'antigravity' not in sys.modules


def test_modules_of_the_user_are_imported_if_they_are_trusted(run, root, tmp_path, monkeypatch):
    (tmp_path / 'our_parts.py').write_text(
        'from mmcalib.calibrators.vgmr import VGMR\n'
        'from mmcalib.registry import CALIBRATORS\n'
        "CALIBRATORS.register_module(name='OurParts', module=type('OurParts', (VGMR,), {}))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    held = checkpoints.read(run)
    config = {**held.config, 'custom_imports': {'imports': ['our_parts']}}
    config['model'] = {**config['model'], 'calibrator': {'type': 'OurParts', 'width': 8}}
    path = save(tmp_path / 'ours.pth', held, config=config)
    with pytest.raises(ValueError, match=r"needs the modules \['our_parts'\].*trust_imports=True"):
        Inferencer(path)
    assert 'our_parts' not in sys.modules
    ours = Inferencer(path, trust_imports=True)
    expected = Inferencer(run)(audio=root / '4.wav').output
    assert np.array_equal(ours(audio=root / '4.wav').output, expected)
    gone = {**config, 'custom_imports': {'imports': ['not_there_at_all']}}
    with pytest.raises(ImportError, match="needs the module 'not_there_at_all'"):
        Inferencer(save(tmp_path / 'gone.pth', held, config=gone), trust_imports=True)
