"""AVE in every layout, made of files whose every frame and sample is known."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from footage import numbers, tone, write

from mmcalib.contract import Draw
from mmcalib.datasets.ave import AVE
from mmcalib.datasets.collate import collate
from mmcalib.media import MediaError
from mmcalib.media.event_list import AVE_CLASSES
from mmcalib.registry import DATASETS

GRID = Path(__file__).parents[3] / 'shared' / 'data' / 'grid_digits'
HEADER = 'Category&VideoID&Quality&StartTime&EndTime'
PUBLISHED = {
    'visual': [{'type': 'Resize'}, {'type': 'Normalize'}],
    'audio': [{'type': 'LogSpectrogram'}],
}


class Seen:
    """Frames as they are, channels first; a waveform cut or repeated to a length."""

    def __init__(self, length: int | None = None) -> None:
        self.length = length

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        if self.length is None:
            return array.transpose(0, 3, 1, 2)
        return np.resize(array, self.length)


RAW = {'visual': [{'type': Seen}], 'audio': [{'type': Seen, 'length': 8000}]}


@pytest.fixture(scope='module')
def clips(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('clips')
    for name in ('whole.mp4', 'whole.mpg', 'whole.mkv'):
        write(folder / name)
    write(folder / 'silent.mp4', audio=False)
    write(folder / 'blind.mp4', video=False)
    (folder / 'broken.mp4').write_text('no video')
    return folder


@pytest.fixture
def lay_out(tmp_path, clips):
    """Write lists and link videos: `lay_out(train=[lines], videos={id: clip})`."""

    def write_lists(videos=None, header=False, end='\n', bom=False, **lists) -> Path:
        root = tmp_path / 'root'
        (root / 'AVE').mkdir(parents=True, exist_ok=True)
        for name, lines in lists.items():
            rows = [HEADER, *lines] if header else lines
            data = end.join([*rows, '', ' ']).encode('utf-8-sig' if bom else 'utf-8')
            (root / f'{name}Set.txt').write_bytes(data)
        named = {line.split('&')[1] for lines in lists.values() for line in lines}
        for name, clip in (videos or dict.fromkeys(named, 'whole.mp4')).items():
            shutil.copy(clips / clip, root / 'AVE' / f'{name}{Path(clip).suffix}')
        return root

    return write_lists


def warnings(caplog) -> str:
    return '\n'.join(r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING)


@pytest.mark.parametrize('header', [False, True])
@pytest.mark.parametrize('end', ['\n', '\r\n'])
@pytest.mark.parametrize('bom', [False, True])
def test_lists_are_read_in_every_form_that_is_around(lay_out, header, end, bom):
    rows = ['Bark&-a_1&good&0&2', '', 'Frying (food)&_b&good&0.25&1.5', 'Flute&c.d&good&1&2 ']
    rows.append('Fixed-wing\u00a0aircraft, airplane&e&good&0&1')
    root = lay_out(train=[r for r in rows if r], header=header, end=end, bom=bom)
    data = AVE(root, 'train', **RAW)
    assert len(data) == 4
    assert [data[i]['id'] for i in range(4)] == ['-a_1', '_b', 'c.d', 'e']
    assert [int(data[i]['target']) for i in range(4)] == [2, 10, 8, 3]
    assert (data.events[1].start_s, data.events[1].end_s) == (0.25, 1.5)
    assert not data[1]['unreadable']


def test_the_28_classes_are_the_official_ones_in_their_order():
    assert len(AVE_CLASSES) == len(set(AVE_CLASSES)) == 28
    assert AVE_CLASSES[0] == 'Church bell' and AVE_CLASSES[3] == 'Fixed-wing aircraft, airplane'
    assert AVE_CLASSES[13] == 'Motorcycle' and AVE_CLASSES[27] == 'Mandolin'


def test_an_item_is_the_published_input(lay_out):
    data = DATASETS.build(
        {'type': 'AVE', 'root': lay_out(test=['Bark&a&good&0&2']), 'split': 'test', **PUBLISHED}
    )
    item = data[0]
    audio, visual = item['inputs']['audio'], item['inputs']['visual']
    assert list(item['inputs']) == ['audio', 'visual']
    assert audio.x.shape == (1, 1, 257, 1004) and audio.x.dtype == torch.float32
    assert visual.x.shape == (1, 3, 224, 224) and visual.x.dtype == torch.float32
    assert audio.mask.tolist() == visual.mask.tolist() == [True]
    assert item['target'].dtype == torch.int64 and item['target'].ndim == 0
    assert item['id'] == 'a' and item['unreadable'] == {}


def test_the_event_is_read_with_its_context(lay_out):
    root = lay_out(test=['Bark&a&good&0.5&1.0'])
    event = AVE(root, 'test', **RAW, frames=2)[0]['inputs']
    np.testing.assert_allclose(event['audio'].x[0], tone(0.5, 8000, 16_000), atol=0.03)
    assert numbers(event['visual'].x.permute(0, 2, 3, 1).numpy()) == [15, 21]  # 0.625 s, 0.875 s
    wide = AVE(root, 'test', **RAW, frames=2, context_s=0.75)[0]['inputs']
    # From 0 (not -0.25 s) to 1.75 s.
    assert numbers(wide['visual'].x.permute(0, 2, 3, 1).numpy()) == [10, 32]
    np.testing.assert_allclose(wide['audio'].x[0, 4000:], tone(0.25, 4000, 16_000), atol=0.03)
    clip = AVE(root, 'test', **RAW, frames=2, span='clip')[0]['inputs']
    assert numbers(clip['visual'].x.permute(0, 2, 3, 1).numpy()) == [12, 37]


def test_an_event_without_duration_is_a_tenth_of_a_second(lay_out):
    short = [{'type': Seen, 'length': 1600}]
    data = AVE(lay_out(test=['Bark&a&good&1&1']), 'test', visual=RAW['visual'], audio=short)
    item = data[0]['inputs']
    np.testing.assert_allclose(item['audio'].x[0], tone(0.95, 1600, 16_000), atol=0.03)
    assert numbers(item['visual'].x.permute(0, 2, 3, 1).numpy()) == [25]


def test_an_event_that_outlasts_its_video_is_cut(lay_out):
    item = AVE(lay_out(test=['Bark&a&good&1&10']), 'test', **RAW, frames=2)[0]
    assert not item['unreadable']
    assert numbers(item['inputs']['visual'].x.permute(0, 2, 3, 1).numpy()) == [31, 43]


def test_frames_are_drawn_in_training_and_fixed_elsewhere(lay_out):
    rows = ['Bark&a&good&0&2']
    root = lay_out(train=rows, test=rows)

    def shown(data, draw) -> list[int]:
        return numbers(data[draw]['inputs']['visual'].x.permute(0, 2, 3, 1).numpy())

    train, test = (AVE(root, split, **RAW, frames=4) for split in ('train', 'test'))
    drawn = [shown(train, Draw(0, epoch, 5)) for epoch in range(6)]
    assert len({tuple(d) for d in drawn}) > 1
    assert all(12 * k <= d[k] <= 12 * (k + 1) + 1 for d in drawn for k in range(4))
    assert shown(train, Draw(0, 3, 5)) == drawn[3], 'a function of sample, epoch and seed'
    assert shown(test, Draw(0, 1, 5)) == shown(test, Draw(0, 2, 6)) == [6, 18, 31, 43]
    assert shown(AVE(root, 'train', **RAW, frames=4, random_times=False), 0) == [6, 18, 31, 43]
    alone = AVE(root, 'train', **RAW, frames=4, modalities=('visual',))
    assert shown(alone, Draw(0, 3, 5)) == drawn[3], 'whatever else is read'


@pytest.mark.parametrize('suffix', ['.mpg', '.mkv'])
def test_other_containers_are_found_by_their_id(lay_out, suffix):
    root = lay_out(test=['Bark&a&good&0.5&1.0'], videos={'a': f'whole{suffix}'})
    item = AVE(root, 'test', **RAW)[0]
    assert not item['unreadable'] and item['inputs']['visual'].mask.all()


def test_modalities_can_be_left_out_or_reordered(lay_out):
    root = lay_out(test=['Bark&a&good&0&2'])
    for modalities in (('audio',), ('visual', 'audio')):
        data = AVE(root, 'test', **RAW, modalities=modalities)
        assert tuple(data[0]['inputs']) == data.metainfo['modalities'] == modalities


def test_what_cannot_be_read_is_missing_and_says_why(lay_out):
    videos = {'s': 'silent.mp4', 'b': 'blind.mp4', 'x': 'broken.mp4', 'w': 'whole.mp4'}
    rows = [f'Bark&{name}&good&0&2' for name in videos]
    root = lay_out(test=rows, videos=videos)
    data = AVE(root, 'test', **PUBLISHED, frames=3)
    batch = collate([data[i] for i in range(4)])
    audio, visual = batch['inputs']['audio'], batch['inputs']['visual']
    assert audio.x.shape == (4, 1, 1, 257, 1004) and visual.x.shape == (4, 3, 3, 224, 224)
    assert audio.present.tolist() == [False, True, False, True]
    assert visual.mask.tolist() == [[True] * 3, [False] * 3, [False] * 3, [True] * 3]
    assert audio.x[0].eq(0).all() and visual.x[1].eq(0).all()
    assert [sorted(why) for why in batch['unreadable']] == [
        ['audio'],
        ['visual'],
        ['audio', 'visual'],
        [],
    ]
    assert 'no audio' in batch['unreadable'][0]['audio']
    strict = AVE(root, 'test', **PUBLISHED, on_error='raise')
    with pytest.raises(MediaError, match=r'^x: .*x\.mp4: asked for'):
        strict[2]


def test_videos_that_are_not_on_disk_are_counted_once_and_then_missing(lay_out, caplog):
    rows = [f'Bark&v{k}&good&0&1' for k in range(17)]
    root = lay_out(test=rows, videos={f'v{k}': 'whole.mp4' for k in range(10)})
    data = AVE(root, 'test', **RAW)
    assert warnings(caplog).count('7 of 17 videos are not on disk') == 1
    assert 'first five: v10, v11, v12, v13, v14' in warnings(caplog)
    assert data.metainfo['counts']['absent'] == 7
    item = data[12]
    assert sorted(item['unreadable']) == ['audio', 'visual']
    assert 'v12' in item['unreadable']['audio'] and 'no such file' in item['unreadable']['audio']
    with pytest.raises(FileNotFoundError, match=r'7 of 17 videos.*docs/datasets/ave\.md'):
        AVE(root, 'test', **RAW, on_error='raise')


def test_more_than_half_absent_is_an_error(lay_out):
    rows = [f'Bark&v{k}&good&0&1' for k in range(5)]
    root = lay_out(test=rows, videos={'v0': 'whole.mp4', 'v1': 'whole.mp4'})
    with pytest.raises(FileNotFoundError, match=r'3 of 5 videos are not on disk'):
        AVE(root, 'test', **RAW)


def test_a_folder_of_no_layout_lists_what_was_looked_for_and_found(tmp_path, lay_out):
    with pytest.raises(FileNotFoundError, match=r"layout='auto'\): no layout.*is not there; do"):
        AVE(tmp_path / 'none', 'val', **RAW)
    (tmp_path / 'Audio-1004-SE').mkdir()
    (tmp_path / 'Audio-1004-SE' / 'a.pkl').touch()
    with pytest.raises(FileNotFoundError) as caught:
        AVE(tmp_path, 'val', **RAW)
    for part in ('official audio AVE/*.mp4: 0', 'pmr audio Audio-1004-SE/*.pkl: 1', '-SE/*: 0'):
        assert part in str(caught.value)
    assert "ogm visual AVE/visual/*: 0. The folder holds ['Audio-1004-SE']" in str(caught.value)
    root = lay_out(test=['Bark&a&good&0&1'])
    with pytest.raises(FileNotFoundError, match=r"split='val'\) needs .*root/valSet\.txt"):
        AVE(root, 'val', **RAW)
    with pytest.raises(FileNotFoundError, match=r"layout='pmr'\): no layout is there"):
        AVE(root, 'test', **RAW, layout='pmr')


LEAKY = {
    'train': ['Bark&a&good&0&1', 'Cat&b&good&0&1', 'Cat&a&good&0&1', 'Cat&t&good&0&1'],
    'val': ['Cat&b&good&0&1', 'Bark&v&good&0&1', 'Bark&w&good&0&1'],
    'test': ['Cat&a&good&0&1', 'Cat&w&good&0&1', 'Cat&z&good&0&1'],
}


def test_the_first_label_of_a_video_is_kept_or_all(lay_out, caplog):
    root = lay_out(**LEAKY)
    first = AVE(root, 'train', **RAW)
    assert [(e.id, e.label) for e in first.events] == [('a', 'Bark'), ('b', 'Cat'), ('t', 'Cat')]
    assert first.metainfo['counts']['again'] == 1
    assert "1 lines name a video again (duplicates='first')" in warnings(caplog)
    keep = AVE(root, 'train', **RAW, duplicates='keep')
    assert [e.id for e in keep.events] == ['a', 'b', 'a', 't']


def test_videos_of_two_splits_are_counted_and_dropped_from_the_earlier_on_request(lay_out, caplog):
    root = lay_out(**LEAKY)
    AVE(root, 'train', **RAW)
    assert '1 videos are also in val' in warnings(caplog)
    assert '1 videos are also in test (drop_leaks=False)' in warnings(caplog)
    kept = {s: AVE(root, s, **RAW, drop_leaks=True) for s in ('train', 'val', 'test')}
    ids = {split: [event.id for event in data.events] for split, data in kept.items()}
    assert ids == {'train': ['t'], 'val': ['b', 'v'], 'test': ['a', 'w', 'z']}
    assert [kept[s].metainfo['counts']['dropped'] for s in kept] == [2, 1, 0]
    assert [kept[s].metainfo['counts']['shared'] for s in kept] == [2, 2, 2]


def test_clean_lists_say_nothing(lay_out, caplog):
    AVE(lay_out(train=['Bark&a&good&0&1'], test=['Bark&b&good&0&1']), 'train', **RAW)
    assert warnings(caplog) == ''


def test_a_label_of_no_class_names_file_line_and_the_closest(lay_out):
    root = lay_out(train=['Bark&a&good&0&1', 'Hellicopter&b&good&0&1'])
    expected = r"trainSet\.txt, line 2: 'Hellicopter' is none of the 28.*\['Helicopter'\].*auto"
    with pytest.raises(ValueError, match=expected):
        AVE(root, 'train', **RAW)


@pytest.mark.parametrize(
    ('row', 'why'),
    [
        ('Bark a good 0 1', 'is not Category&VideoID'),
        ('Bark&a&good&zero&1', 'is not Category&VideoID'),
        ('Bark&a&good&2&1', 'from 2 s to 1 s'),
        ('Bark&a&good&-1&1', 'from -1 s to 1 s'),
        ('Bark&a&good&0&nan', 'from 0 s to nan s'),
    ],
)
def test_a_line_that_is_not_understood_is_named(lay_out, row, why):
    root = lay_out(train=['Bark&a&good&0&1'])
    (root / 'trainSet.txt').write_text(f'Bark&a&good&0&1\n{row}\n')
    with pytest.raises(ValueError, match=rf'trainSet\.txt, line 2: .*{why}'):
        AVE(root, 'train', **RAW)


def test_a_list_without_a_video_is_refused(lay_out):
    root = lay_out(train=['Bark&a&good&0&1'])
    (root / 'testSet.txt').write_text(f'{HEADER}\n\n')
    assert len(AVE(root, 'train', **RAW)) == 1
    with pytest.raises(ValueError, match=r'testSet\.txt names no video; a line is Category'):
        AVE(root, 'test', **RAW)


def test_own_classes_come_from_the_annotations_or_the_lists_or_the_config(lay_out):
    rows = {'train': ['zebra&a&good&0&1'], 'test': ['ant&b&good&0&1', 'zebra&c&good&0&1']}
    root = lay_out(**rows)
    from_lists = AVE(root, 'train', **RAW, classes='auto')
    assert from_lists.metainfo['classes'] == ('ant', 'zebra') and int(from_lists[0]['target']) == 1
    named = AVE(root, 'train', **RAW, classes=['zebra', 'yak', 'ant'])
    assert int(named[0]['target']) == 0
    (root / 'Annotations.txt').write_text(f'{HEADER}\nbee&q&good&0&1\nzebra&a&good&0&1\n')
    assert AVE(root, 'train', **RAW, classes='auto').metainfo['classes'] == ('bee', 'zebra')
    with pytest.raises(ValueError, match=r"classes='official'"):
        AVE(root, 'train', **RAW, classes='official')


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'span': 'all'}, "span='all'"),
        ({'duplicates': 'last'}, "'first', 'keep'"),
        ({'on_error': 'ignore'}, "'missing', 'raise'"),
        ({'modalities': ('audio', 'text')}, "possible are \\('audio', 'visual'\\)"),
        ({'frames': 0}, 'frames=0'),
        ({'context_s': -1.0}, 'context_s=-1.0'),
    ],
)
def test_an_unknown_choice_lists_the_possible_ones(lay_out, wrong, why):
    with pytest.raises(ValueError, match=why):
        AVE(lay_out(train=['Bark&a&good&0&1']), 'train', **RAW, **wrong)
    with pytest.raises(ValueError, match=r"split='dev'.*'train', 'val', 'test'"):
        AVE('nowhere', 'dev', **RAW)


def test_the_metainfo_survives_a_checkpoint_that_holds_weights_only(lay_out, tmp_path):
    root = lay_out(**LEAKY)
    data = AVE(root, 'train', **PUBLISHED, frames=2, classes=['Bark', 'Cat'])
    torch.save(data.metainfo, tmp_path / 'meta.pth')
    assert torch.load(tmp_path / 'meta.pth', weights_only=True) == data.metainfo
    assert data.metainfo['shapes'] == {'audio': (1, 1, 257, 1004), 'visual': (2, 3, 224, 224)}
    assert data.metainfo['name'] == 'AVE' and data.metainfo['split'] == 'train'


def test_workers_give_the_items_of_the_main_process(lay_out):
    data = AVE(lay_out(train=[f'Bark&v{k}&good&0&2' for k in range(4)]), 'train', **RAW, frames=2)
    context = torch.utils.data.DataLoader(data, 2, collate_fn=collate, num_workers=1)
    for number, batch in enumerate(context):
        expected = collate([data[2 * number], data[2 * number + 1]])
        for modality, signal in batch['inputs'].items():
            assert torch.equal(signal.x, expected['inputs'][modality].x)
    assert data[-1]['id'] == 'v3'
    with pytest.raises(IndexError):
        data[4]


@pytest.mark.skipif(not GRID.exists(), reason='no shared data on this machine')
def test_real_speech_is_read_whole_and_its_digit_is_not_silent():
    data = AVE(GRID, 'val', **RAW, classes='auto', context_s=0.3, frames=2)
    assert len(data) == 80 and len(data.metainfo['classes']) == 10
    for index in (0, 20, 79):
        item = data[index]
        assert not item['unreadable']
        assert item['inputs']['visual'].x.shape == (2, 3, 288, 360)
        assert item['inputs']['audio'].x.abs().max() > 0.05
