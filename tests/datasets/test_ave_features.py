"""AVE's features, written here as the authors' files are, in small."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from ave_feature_files import (
    BACKGROUND,
    CLASSES,
    EVENT,
    ORDERS,
    SEGMENTS,
    N,
    annotate,
    make,
    one_hot,
    put,
)
from torch.utils.data import DataLoader

from mmcalib import config
from mmcalib.datasets.ave_features import AVEFeatures
from mmcalib.datasets.collate import collate
from mmcalib.media import MediaError
from mmcalib.media.event_list import AVE_CLASSES
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
RNG = np.random.default_rng(0)
VISUAL = RNG.standard_normal((N, SEGMENTS, 7, 7, 512)).astype(np.float32)
AUDIO = RNG.standard_normal((N, SEGMENTS, 128)).astype(np.float32)


@pytest.fixture(scope='module')
def made(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp('features'), VISUAL, AUDIO)


@pytest.fixture
def copy(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / 'features'))


@pytest.mark.parametrize('split', ORDERS)
def test_rows_labels_and_order_are_those_of_the_files(made, split):
    data = DATASETS.build({'type': 'AVEFeatures', 'root': made, 'split': split})
    assert len(data) == len(ORDERS[split])
    for k, row in enumerate(ORDERS[split]):
        item = data[k]
        assert item['id'] == f'row {row}' and item['unreadable'] == {}
        assert item['target'].dtype == torch.int64 and item['target'].item() == EVENT[row]
        sound, sight = item['inputs']['audio'], item['inputs']['visual']
        assert np.array_equal(sound.x, AUDIO[row]) and sound.mask.tolist() == [True] * 10
        np.testing.assert_allclose(sight.x, VISUAL[row].mean((1, 2)), atol=1e-6)
        assert sight.x.shape == (10, 512) and sight.x.dtype == torch.float32
    assert data.metainfo['classes'] == AVE_CLASSES and data.metainfo['labels'] == 'right_labels.h5'


def test_places_can_be_kept_as_tokens_segment_by_segment(made):
    data = AVEFeatures(made, 'test', pool='none')
    assert data.metainfo['shapes'] == {'audio': (10, 128), 'visual': (490, 512)}
    x = data[1]['inputs']['visual'].x
    assert np.array_equal(x[49 * 3 + 7 * 2 + 5], VISUAL[ORDERS['test'][1], 3, 2, 5])


def test_segments_are_what_localize_and_its_metric_read(made):
    data = AVEFeatures(made, 'val', target='segments')
    assert data.metainfo['classes'] == (*AVE_CLASSES, 'background')
    target = collate([data[k] for k in range(4)])['target']
    assert target.dtype == torch.int64 and np.array_equal(target, CLASSES[ORDERS['val']])


def test_a_video_without_an_event_has_no_clip_label_but_segments(copy, caplog):
    classes = CLASSES.copy()
    classes[19] = BACKGROUND
    put(copy / 'right_labels.h5', one_hot(classes))
    clip = AVEFeatures(copy, 'val')
    assert clip.ids == ['row 1', 'row 2', 'row 4'] and clip.metainfo['counts']['without_event'] == 1
    assert 'val: 1 videos without an event are out' in caplog.text
    assert clip[1]['target'] == EVENT[2]
    assert AVEFeatures(copy, 'val', target='segments')[1]['target'].tolist() == [BACKGROUND] * 10
    annotate(copy)
    assert AVEFeatures(copy, 'val').metainfo['counts']['relabelled'] == 0


def test_the_other_labels_are_read_where_these_are_not_there(copy):
    (copy / 'right_labels.h5').rename(copy / 'labels.h5')
    data = AVEFeatures(copy, 'val')
    assert data.metainfo['labels'] == 'labels.h5' and data[0]['target'] == EVENT[1]


def test_modalities_and_transforms_are_choices(copy):
    (copy / 'visual_feature.h5').unlink()

    class Half:
        def __call__(self, x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
            return x[:5] / 2

    data = AVEFeatures(copy, 'test', modalities=['audio'], audio=[{'type': Half}])
    assert list(data[0]['inputs']) == ['audio'] and data.shapes == {'audio': (5, 128)}
    assert np.array_equal(data[0]['inputs']['audio'].x, AUDIO[5, :5] / 2)


def test_leaks_are_known_from_the_annotations_and_dropped_on_request(copy, caplog):
    assert AVEFeatures(copy, 'train').metainfo['counts']['shared'] == 0
    with pytest.raises(FileNotFoundError, match=r'drop_leaks=True\) needs .*Annotations\.txt'):
        AVEFeatures(copy, 'train', drop_leaks=True)
    annotate(copy, {7: 'twice', 9: 'twice', 3: 'thrice', 19: 'thrice', 11: 'again', 12: 'again'})
    kept = AVEFeatures(copy, 'train')
    assert kept.ids[:3] == ['twice', 'thrice', 'v0'] and len(kept) == 8
    counts = {'again': 1, 'shared': 2, 'dropped': 0, 'relabelled': 0}
    assert counts.items() <= kept.metainfo['counts'].items()
    assert '1 videos are also in val' in caplog.text and '1 videos are also in test' in caplog.text
    dropped = AVEFeatures(copy, 'train', drop_leaks=True)
    assert dropped.rows == ORDERS['train'][2:] and dropped.metainfo['counts']['dropped'] == 2
    assert np.array_equal(dropped[0]['inputs']['audio'].x, AUDIO[0])
    assert dropped[1]['target'] == EVENT[11]
    assert len(AVEFeatures(copy, 'test', drop_leaks=True)) == 5


def test_labels_are_compared_with_the_annotations(copy, caplog):
    annotate(copy)
    text = (copy / 'Annotations.txt').read_text()
    (copy / 'Annotations.txt').write_text(text.replace(f'{AVE_CLASSES[5]}&v4&', 'Cat&v4&'))
    counts = AVEFeatures(copy, 'val').metainfo['counts']
    assert counts['relabelled'] == 1
    assert '1 of 20 labels are not those of Annotations.txt' in caplog.text
    assert 'Annotations.txt, line 5' in caplog.text
    annotate(copy, first=1)
    with pytest.raises(ValueError, match=r'20 of 20 labels are not .* in another order'):
        AVEFeatures(copy, 'val')
    (copy / 'Annotations.txt').write_text(text.splitlines()[0])
    with pytest.raises(ValueError, match='has 1 events, but the features are of 20 videos'):
        AVEFeatures(copy, 'val')
    (copy / 'Annotations.txt').write_text('Cat v4 good\n')
    with pytest.raises(ValueError, match=r'Annotations\.txt, line 1: .*is not Category&VideoID'):
        AVEFeatures(copy, 'val')


def test_what_is_not_there_is_named(tmp_path, copy):
    with pytest.raises(FileNotFoundError) as caught:
        AVEFeatures(tmp_path / 'none', 'train')
    for part in ('none/audio_feature.h5', '/visual_feature.h5', '/labels.h5', '/test_order.h5'):
        assert part in str(caught.value)
    (copy / 'val_order.h5').unlink()
    with pytest.raises(FileNotFoundError, match=r'needs [^,]*val_order\.h5; docs/datasets/ave\.md'):
        AVEFeatures(copy, 'train')


def cut(root: Path) -> None:
    path = root / 'audio_feature.h5'
    path.write_bytes(path.read_bytes()[:5000])


def replace_text(root: Path) -> None:
    (root / 'right_labels.h5').write_text('<html>not found</html>')


def link_elsewhere(root: Path) -> None:
    (root / 'audio_feature.h5').rename(root / 'other.h5')
    with h5py.File(root / 'audio_feature.h5', 'w') as file:
        file['avadataset'] = h5py.ExternalLink('other.h5', 'avadataset')


def store_text(root: Path) -> None:
    put(root / 'audio_feature.h5', np.array([b'a'] * N))


@pytest.mark.parametrize(
    ('damage', 'why'),
    [
        (cut, r'audio_feature\.h5: asked for HDF5, but: .*truncated'),
        (replace_text, r'right_labels\.h5: asked for HDF5, but'),
        (link_elsewhere, r"audio_feature\.h5: .*'avadataset', but it is .*ExternalLink"),
        (store_text, r"audio_feature\.h5: asked for an array of numbers 'avadataset', but it is"),
        (
            lambda root: put(root / 'val_order.h5', np.arange(3), 'avadataset'),
            r"val_order\.h5: .*'order', but the file holds \['avadataset'\]",
        ),
    ],
)
def test_a_file_that_is_not_one_of_these_is_an_error(copy, damage: Callable, why):
    damage(copy)
    with pytest.raises(MediaError, match=why):
        AVEFeatures(copy, 'train')


def several(root: Path) -> None:
    classes = CLASSES.copy()
    classes[4, 8] = 3
    put(root / 'right_labels.h5', one_hot(classes))


@pytest.mark.parametrize(
    ('name', 'array', 'why'),
    [
        ('audio_feature', AUDIO[1:], r'holds \(19, 10, 128\), needed.*N, segments = \(20, 10\)'),
        ('audio_feature', AUDIO[:, 1:], r'holds \(20, 9, 128\)'),
        ('audio_feature', VISUAL[..., 0], r'needed is \(N, segments, D\)'),
        ('visual_feature', VISUAL[:, :, 0, 0], r'needed is \(N, segments, H, W, D\)'),
        ('right_labels', one_hot(CLASSES)[..., 1:], r'holds \(20, 10, 28\), needed.*, 29\)'),
        ('right_labels', 0.5 * one_hot(CLASSES), 'row 0 is not one class per segment'),
        ('right_labels', 0 * one_hot(CLASSES), 'row 0 is not one class per segment'),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(copy, name, array, why):
    put(copy / f'{name}.h5', array)
    with pytest.raises(ValueError, match=rf'{name}\.h5:? .*{why}|{name}\.h5 {why}'):
        AVEFeatures(copy, 'train')


def test_two_events_in_a_video_are_no_clip_label(copy):
    several(copy)
    with pytest.raises(ValueError, match=r"row 4 has several events, \[3, 5, 28\]; target='clip'"):
        AVEFeatures(copy, 'train')
    assert AVEFeatures(copy, 'val', target='segments')[3]['target'][8] == 3


@pytest.mark.parametrize(
    ('order', 'why'),
    [
        ([0, 0], 'not different ones of 0 to 19'),
        ([20], 'not different ones of 0 to 19'),
        ([-1], 'not different ones of 0 to 19'),
        ([0.5], r'float64, needed are row numbers'),
        ([[1], [2]], r'holds \(2, 1\) int64'),
    ],
)
def test_an_order_that_is_not_of_rows_is_refused(copy, order, why):
    put(copy / 'test_order.h5', np.array(order), 'order')
    with pytest.raises(ValueError, match=rf'test_order\.h5.*{why}'):
        AVEFeatures(copy, 'train')


def test_a_damaged_row_is_a_missing_modality_and_says_why(copy, caplog):
    path = copy / 'visual_feature.h5'
    with h5py.File(path) as file:
        place = file['avadataset'].id.get_chunk_info(5)
    raw = bytearray(path.read_bytes())
    raw[place.byte_offset + 2 : place.byte_offset + place.size] = bytes(place.size - 2)
    path.write_bytes(raw)
    sound = AUDIO.copy()
    sound[6, 3, 5] = np.nan
    put(copy / 'audio_feature.h5', sound)
    data = AVEFeatures(copy, 'test')
    batch = collate([data[k] for k in range(5)])
    assert [list(why) for why in batch['unreadable']] == [['visual'], ['audio'], [], [], []]
    assert 'visual_feature.h5: row 5 cannot be read' in batch['unreadable'][0]['visual']
    assert 'audio_feature.h5: row 6 holds NaN' in batch['unreadable'][1]['audio']
    assert batch['inputs']['visual'].present.tolist() == [False, True, True, True, True]
    assert batch['inputs']['visual'].x[0].eq(0).all()
    strict = AVEFeatures(copy, 'test', on_error='raise')
    with pytest.raises(MediaError, match=r'^row 5: .*cannot be read'):
        strict[0]


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'target': 'event'}, "target='event'.*'clip', 'segments'"),
        ({'pool': 'max'}, "pool='max'.*'mean', 'none'"),
        ({'on_error': 'ignore'}, "'missing', 'raise'"),
        ({'modalities': ()}, r"possible are \('audio', 'visual'\)"),
    ],
)
def test_an_unknown_choice_lists_the_possible_ones(made, wrong, why):
    with pytest.raises(ValueError, match=why):
        AVEFeatures(made, 'train', **wrong)
    with pytest.raises(ValueError, match=r"split='dev'"):
        AVEFeatures('nowhere', 'dev')


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_workers_open_the_files_for_themselves(made, start):
    data = AVEFeatures(made, 'train')
    first = data[0]['inputs']['visual'].x  # opened here before
    context = {'num_workers': 1, 'multiprocessing_context': start}
    batches = list(DataLoader(data, 4, collate_fn=collate, **context))
    assert [len(batch['id']) for batch in batches] == [4, 4]
    for number, batch in enumerate(batches):
        again = collate([data[4 * number + k] for k in range(4)])
        for modality, signal in batch['inputs'].items():
            assert torch.equal(signal.x, again['inputs'][modality].x) and signal.mask.all()
    assert torch.equal(first, data[0]['inputs']['visual'].x)


def test_the_metainfo_survives_a_checkpoint_that_holds_weights_only(made, tmp_path):
    data = AVEFeatures(made, 'train', target='segments')
    torch.save(data.metainfo, tmp_path / 'meta.pth')
    assert torch.load(tmp_path / 'meta.pth', weights_only=True) == data.metainfo


def test_clean_files_say_nothing(copy, caplog):
    annotate(copy)
    AVEFeatures(copy, 'train')
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


LOCALIZE = {
    'data.target': 'segments',
    'model.head.type': 'Localize',
    'model.head.num_classes': 29,
}


@pytest.mark.parametrize('name', ['base_seq', 'calib_seq'])
@pytest.mark.parametrize('options', [{}, LOCALIZE], ids=['clip', 'segments'])
def test_a_config_takes_a_step_on_files(made, name, options):
    torch.manual_seed(0)
    cfg = config.load(str(CONFIGS / f'{name}_ave_features.py'), options, root=str(made))
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate([data[index] for index in range(4)])
    model = MODELS.build(cfg.model).train()
    before = [p.detach().clone() for p in model.parameters()]
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    loss = sum(model(batch['inputs'], batch['target'], mode='loss').values())
    loss.backward()
    optimiser.step()
    assert loss.isfinite()
    moved = [not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True)]
    assert sum(moved) > 0.9 * len(moved)
