"""Files, one by one, become what the data set makes of them in its test split."""

from pathlib import Path

import ave_feature_files
import ave_files
import cremad_files
import kinetics_files
import numpy as np
import pytest
import torch
import ucf101_files
from footage import write
from sentiment_files import mmsa, mult, save, utterances

from mmcalib.apis.readers import readers
from mmcalib.datasets.mosi import MOSI
from mmcalib.registry import DATASETS

CUT = {'type': 'Resize', 'size': 16}
PICTURES = [CUT, {'type': 'Normalize'}]
SOUND = [{'type': 'LogSpectrogram', 'length_s': 0.5, 'nperseg': 64, 'noverlap': 0}]
STORED = [{'type': 'Rearrange', 'pattern': 'c w f -> c f w'}]


@pytest.fixture(scope='module')
def film(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('film')
    return write(folder / 'film.mp4', seconds=1.2, rate_hz=16_000)


def check(dataset, given, samples):
    """Both agree on every sample: dicts of what is read, by place in the data set."""
    made = DATASETS.build(given)
    found = readers(given, dataset.metainfo, list(dataset.metainfo['modalities']))
    for place, sample in samples.items():
        span = sample.pop('span', ())
        item = made[place]['inputs']
        raw = {m: found.by_modality[m].read(value, *span).array for m, value in sample.items()}
        signals, unreadable = found.signals(raw)
        assert not unreadable and signals.keys() == item.keys()
        for m, signal in signals.items():
            real = item[m].x[item[m].mask]
            assert torch.equal(signal.x[signal.mask], real), (place, m)


def parts(given):
    """The data set as it trains, and the config of its test split."""
    return DATASETS.build({**given, 'split': 'train'}), {**given, 'split': 'test'}


@pytest.mark.parametrize('layout', ['official', 'pmr'])
def test_ave(tmp_path, film, layout):
    root = tmp_path / layout
    ave_files.make_official(root, film) if layout == 'official' else ave_files.make_pmr(root)
    given = dict(type='AVE', root=str(root), visual=PICTURES, audio=SOUND, spectrogram=STORED)
    train, test = parts({**given, 'frames': 2, 'classes': 'auto'})
    samples = {}
    for place in (0, 3):
        name = ave_files.PARTS['test'][place]
        if layout == 'official':  # the event is its first 0.8 s
            path = root / f'AVE/{name}.mp4'
            samples[place] = {'audio': path, 'visual': path, 'span': (0.0, 0.8)}
        else:
            sound = root / f'Audio-1004-SE/{name}.pkl'
            samples[place] = {'audio': sound, 'visual': root / f'Image-01-FPS-SE/{name}'}
    check(train, test, samples)


@pytest.mark.parametrize('layout', ['raw', 'balancebenchmark'])
def test_cremad(tmp_path, film, layout):
    flv = write(tmp_path / 'film.flv', seconds=0.8, audio=False)
    root = cremad_files.make(tmp_path / layout, layout, flv)
    given = dict(type='CREMAD', root=str(root), visual=PICTURES, audio=SOUND, fbank=STORED)
    train, test = parts({**given, 'frames': 2})
    made = DATASETS.build(test)
    check(train, test, {0: {m: made.paths[m][made.ids[0]] for m in ('audio', 'visual')}})


@pytest.mark.parametrize('layout', ['ogm', 'bml', 'arl'])
def test_kinetics_sounds(tmp_path, film, layout):
    root = kinetics_files.make(tmp_path / layout, layout, film)
    given = dict(type='KineticsSounds', root=str(root), visual=PICTURES, audio=SOUND, fbank=STORED)
    train, test = parts({**given, 'classes': 'auto'})
    made = DATASETS.build(test)
    check(train, test, {1: {m: made.found[m][made.ids[1]] for m in ('audio', 'visual')}})


@pytest.mark.parametrize('layout', ['videos', 'mmaction2', 'balancebenchmark'])
def test_ucf101(tmp_path, layout):
    film = write(tmp_path / 'film.avi', seconds=0.8, audio=False)
    root = ucf101_files.make(tmp_path / layout, layout, film)
    given = dict(type='UCF101', root=str(root), rgb=PICTURES, flow=[CUT], flow_method='farneback')
    train, test = parts(given)
    made = DATASETS.build(test)
    paths = {m: made._film(m, made.videos[2]).path for m in ('rgb', 'flow')}
    check(train, test, {2: paths})


@pytest.mark.parametrize('pool', ['mean', 'none'])
def test_ave_features_are_arrays(tmp_path, pool):
    random = np.random.default_rng(0)
    visual = random.normal(size=(20, 10, 2, 2, 6)).astype('f4')
    audio = random.normal(size=(20, 10, 5)).astype('f4')
    root = ave_feature_files.make(tmp_path, visual, audio)
    given = dict(type='AVEFeatures', root=str(root), pool=pool)
    train, test = parts(given)
    row = ave_feature_files.ORDERS['test'][1]
    np.save(tmp_path / 'sound.npy', audio[row])
    check(train, test, {1: {'audio': tmp_path / 'sound.npy', 'visual': visual[row]}})
    by_modality = readers(test, train.metainfo, ['audio']).by_modality
    with pytest.raises(ValueError, match=r"audio is 'x\.h5'; possible is a path of \.npy"):
        by_modality['audio'].read('x.h5')


WIDTHS = {'text': 4, 'audio': 3, 'vision': 2}


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('writer', [mult, mmsa])
def test_utterances_are_arrays(tmp_path, writer, aligned):
    truth = utterances({**WIDTHS, 'text': 768 if writer is mmsa else 4}, aligned)
    # Real steps of nothing: told by a length, or by the other modalities.
    truth['test'][0].x['text'][0] = 0
    truth['test'][0].x['audio'][:2] = 0
    data = mmsa(truth, aligned) if writer is mmsa else mult(truth)
    given = dict(type='MOSI', root=str(save(data, tmp_path / 'mosi.pkl')), length=5)
    train, test = parts({**given, 'standardise': ['audio'], 'target': 'regression'})
    # As in the file: padded in front or behind, but for those whose length the file tells.
    told, padding = train.metainfo['told_lengths'], [(0, 3), (0, 0)]
    padding = [(3, 0), (0, 0)] if writer is mult else padding
    samples = {
        place: {m: x if m in told else np.pad(x, padding) for m, x in utterance.x.items()}
        for place, utterance in enumerate(truth['test'])
    }
    assert (told == ()) is (writer is mult)
    check(train, test, samples)


def test_words_are_ids(tmp_path):
    truth = utterances({**WIDTHS, 'text': 768})
    root = str(save(mmsa(truth), tmp_path / 'mosi.pkl'))
    train, test = parts(dict(type='MOSI', root=root, modalities=['text'], text='ids'))
    made = MOSI(root, 'test', modalities=['text'], text='ids')[0]['inputs']['text']
    check(train, test, {0: {'text': made.x[made.mask].numpy()}})
    reader = readers(test, train.metainfo, ['text']).by_modality['text']
    with pytest.raises(ValueError, match=r'possible is .* \(L,\) of whole numbers'):
        reader.read(np.full(3, 0.5))


def test_another_data_set_gives_what_the_encoder_sees():
    found = readers({'type': 'SomebodysOwn'}, {}, ['smell'])
    signals, _ = found.signals({'smell': found.by_modality['smell'].read(np.ones((2, 3))).array})
    assert signals['smell'].x.tolist() == [[1.0] * 3] * 2
    assert signals['smell'].x.dtype is torch.float32 and signals['smell'].mask.tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"smell is 'x\.wav'; possible is an array \(L, \.\.\.\)"):
        found.by_modality['smell'].read('x.wav')


def test_sound_where_spectrograms_were_read_is_refused(tmp_path, film):
    root = tmp_path / 'pmr'
    root.mkdir()
    ave_files.make_pmr(root)
    given = dict(type='AVE', root=str(root), visual=PICTURES, audio=SOUND, classes='auto')
    train, test = parts(given)
    reader = readers(test, train.metainfo, ['audio']).by_modality['audio']
    with pytest.raises(ValueError, match=r'audio is an array \(800,\).*as it was stored'):
        reader.read(np.zeros(800, np.float32))
    assert reader.read(ave_files.bank('-v_03')).array.shape == (1, *ave_files.BANK)


def test_a_model_of_other_modalities_is_refused():
    with pytest.raises(ValueError, match=r"encodes \['smell'\], but MOSI reads \['text'\]"):
        readers({'type': 'MOSI', 'root': ''}, {'modalities': ('text',)}, ['smell'])
