"""CMU-MOSI in every layout that is around, whole and broken, of utterances that are known."""

import logging
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from sentiment_files import (
    BERT,
    GLOVE,
    LONG,
    MOSI_FILES,
    SCORES,
    STEPS,
    WORDS,
    assert_reads,
    mag_bert,
    mmsa,
    mult,
    real,
    save,
    utterances,
)

from mmcalib import config
from mmcalib.contract import Draw
from mmcalib.datasets.collate import collate
from mmcalib.datasets.mosi import MOSI
from mmcalib.media import MediaError
from mmcalib.registry import DATASETS, MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
SMALL = {'text': 4, 'audio': 3, 'vision': 2}
LAYOUTS = MOSI_FILES
FORMS = pytest.mark.parametrize('name', LAYOUTS)


def warnings(caplog) -> str:
    return '\n'.join(r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING)


def small(tmp_path, writer=mmsa, change=lambda data: None, **kwargs) -> Path:
    """A file of few features, after a change of what it holds."""
    data = writer(utterances(SMALL, **kwargs))
    change(data)
    return save(data, tmp_path / 'file.pkl')


@FORMS
@pytest.mark.parametrize('split', SCORES)
def test_every_layout_is_read_by_what_it_holds(tmp_path, caplog, name, split):
    layout, widths, aligned, writer = LAYOUTS[name]
    truth = utterances(widths, aligned)
    data = MOSI(save(writer(truth), tmp_path / 'renamed.bin'), split, target='regression')
    assert_reads(data, truth[split])
    assert [data[k]['target'].item() for k in range(len(data))] == pytest.approx(SCORES[split])
    meta = data.metainfo
    assert (meta['layout'], meta['aligned'], meta['file']) == (layout, aligned, 'renamed.bin')
    assert {m: shape[1] for m, shape in meta['shapes'].items()} == widths
    assert warnings(caplog) == ''


@FORMS
@pytest.mark.parametrize('folder', ['.', 'Processed', 'MOSI/Processed'])
def test_a_folder_is_searched_for_the_usual_names(tmp_path, name, folder):
    _, widths, aligned, writer = LAYOUTS[name]
    save(writer(utterances(widths, aligned)), tmp_path / folder / name)
    (tmp_path / 'README.md').write_text('not this')
    assert MOSI(tmp_path, 'test').metainfo['file'] == name


def test_a_folder_of_two_or_of_no_files_says_what_was_looked_for_and_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'aligned_50\.pkl.*mosi\.pkl.*does not exist'):
        MOSI(tmp_path / 'none', 'train')
    with pytest.raises(FileNotFoundError, match='it has nothing'):
        MOSI(tmp_path, 'train')
    (tmp_path / 'mosei.pkl').write_text('')
    with pytest.raises(FileNotFoundError, match=r"mosi_raw\.pkl.*it has \['mosei\.pkl'\]"):
        MOSI(tmp_path, 'train')
    for name in ('aligned_50.pkl', 'unaligned_50.pkl'):
        save({}, tmp_path / 'Processed' / name)
    with pytest.raises(ValueError, match=r'there are 2: .*/aligned_50\.pkl, .*unaligned_50\.pkl'):
        MOSI(tmp_path, 'train')


def test_ids_are_text_in_every_layout(tmp_path):
    truth = utterances(SMALL)
    by_bytes = MOSI(save(mult(truth), tmp_path / 'a'), 'test')
    by_text = MOSI(save(mult(truth, ids='text'), tmp_path / 'b'), 'test')
    assert by_bytes[1]['id'] == by_text[1]['id'] == 'test0$_$1.5$_$1'
    assert MOSI(save(mmsa(truth), tmp_path / 'c'), 'test')[1]['id'] == 'test0$_$1'
    assert MOSI(save(mag_bert(truth), tmp_path / 'd'), 'test')[1]['id'] == 'test0[1]'
    nameless = mult(truth)
    for part in nameless.values():
        del part['id']
    assert MOSI(save(nameless, tmp_path / 'e'), 'test')[1]['id'] == 'test_1'


@pytest.mark.parametrize(
    ('target', 'expected', 'classes'),
    [
        ('has0', [0, 1, 1, 0, 1, 1], ('negative', 'non-negative')),
        ('positive', [0, 0, 1, 0, 1, 1], ('non-positive', 'positive')),
        ('non0', [0, 1, 0, 1, 1], ('negative', 'positive')),
        ('seven', [0, 3, 5, 3, 5, 6], ('-3', '-2', '-1', '0', '1', '2', '3')),  # halves to even
    ],
)
def test_a_score_becomes_the_class_that_is_asked_for(tmp_path, target, expected, classes):
    data = MOSI(small(tmp_path), 'train', target=target)
    targets = [data[k]['target'] for k in range(len(data))]
    assert [int(t) for t in targets] == expected and targets[0].dtype == torch.int64
    assert data.metainfo['classes'] == classes and data.metainfo['target'] == target
    assert data.metainfo['counts']['listed'] == 6 and data.metainfo['counts']['used'] == len(data)
    if target == 'non0':
        assert data[1]['id'] == 'train1$_$2', 'the one of 0 is left out, not shifted'


def test_the_default_target_is_has0_and_a_regression_has_no_classes(tmp_path):
    root = small(tmp_path)
    assert MOSI(root, 'val').metainfo['target'] == 'has0'
    data = MOSI(root, 'val', target='regression')
    assert 'classes' not in data.metainfo
    assert data[0]['target'].dtype == torch.float32 and data[0]['target'].ndim == 0


def test_utterances_without_a_score_are_left_out_and_counted(tmp_path, caplog):
    def forget(data):
        data['train']['regression_labels'][[1, 4]] = np.nan

    data = MOSI(small(tmp_path, change=forget), 'train', target='regression')
    assert [data[k]['id'][-1] for k in range(4)] == ['0', '2', '3', '5'] and len(data) == 4
    assert data.metainfo['counts']['no_score'] == 2
    assert '2 utterances have no score and are left out; 4 of 6 are used' in warnings(caplog)


def test_padding_is_found_on_either_side(tmp_path):
    truth = utterances(SMALL)
    for front in (True, False):
        data = MOSI(save(mult(truth, front=front), tmp_path / f'{front}'), 'train')
        assert_reads(data, truth['train'])


def test_lengths_of_a_file_hold_where_real_steps_are_zero(tmp_path):
    truth = utterances(SMALL, aligned=False)
    for u in truth['train']:
        u.x['audio'][-1] = 0
        u.x['vision'][0] = 0
    path = small(tmp_path, lambda _: mmsa(truth, aligned=False))
    assert_reads(MOSI(path, 'train'), truth['train'])


def test_lengths_of_a_file_that_pads_in_front_count_from_the_end(tmp_path):
    truth = utterances(SMALL, aligned=False)
    truth['train'][0].x['audio'][0] = 0

    def to_front(data):
        for split, items in truth.items():
            part = data['valid' if split == 'val' else split]
            for m in ('audio', 'vision'):
                for row, u in zip(part[m], items, strict=True):
                    row[:] = np.roll(row, LONG[m] - len(u.x[m]), axis=0)

    path = small(tmp_path, lambda _: mmsa(truth, aligned=False), to_front)
    assert_reads(MOSI(path, 'train'), truth['train'])


def test_steps_of_an_aligned_file_stay_the_same_moment(tmp_path):
    truth = utterances(SMALL)
    length = len(truth['train'][0].x['text'])

    def quiet_ends(data):
        data['train']['audio'][0, 0] = data['train']['vision'][0, length - 1] = 0

    item = MOSI(small(tmp_path, change=quiet_ends), 'train')[0]['inputs']
    assert {m: len(s.mask) for m, s in item.items()} == dict.fromkeys(SMALL, length)
    assert item['audio'].mask.tolist() == [False] + [True] * (length - 1)
    assert item['vision'].mask.tolist() == [True] * (length - 1) + [False]
    assert item['text'].mask.all()
    scaled = MOSI(tmp_path / 'file.pkl', 'train', standardise=('audio',))[0]['inputs']['audio']
    assert scaled.x[0].eq(0).all() and scaled.x[1:].ne(0).all(), 'also standardised, it is zero'


@pytest.mark.parametrize('front', [True, False])
def test_a_length_keeps_the_first_or_the_last_real_steps(tmp_path, front):
    truth = utterances(SMALL)
    path = save(mult(truth, front=front), tmp_path / 'file.pkl')
    first = MOSI(path, 'train', length=3)
    last = MOSI(path, 'train', length={'audio': 2}, keep='last')
    for k, u in enumerate(truth['train']):
        for m, x in real(first[k]).items():
            np.testing.assert_array_equal(x, u.x[m][:3])
        np.testing.assert_array_equal(real(last[k])['audio'], u.x['audio'][-2:])
        np.testing.assert_array_equal(real(last[k])['text'], u.x['text'])
    assert first.metainfo['shapes'] == {'text': (3, 4), 'audio': (3, 3), 'vision': (3, 2)}
    assert last.metainfo['length'] == {'audio': 2} and last.metainfo['keep'] == 'last'


def test_what_is_not_finite_is_counted_and_counts_as_nothing(tmp_path, caplog):
    truth = utterances(SMALL)

    def soil(data):
        data['train']['audio'][0, 1, 0] = -np.inf
        data['train']['audio'][2, 0] = np.nan
        data['test']['audio'][0] = np.nan

    path = small(tmp_path, change=soil)
    data = MOSI(path, 'train')
    expected = truth['train'][0].x['audio'].copy()
    expected[1, 0] = 0
    np.testing.assert_array_equal(real(data[0])['audio'], expected)
    np.testing.assert_array_equal(real(data[2])['audio'], truth['train'][2].x['audio'][1:])
    assert data.metainfo['counts']['not_finite_audio'] == 1 + 3
    assert data.metainfo['counts']['not_finite_text'] == 0
    assert '4 numbers of audio are not finite' in warnings(caplog)
    assert all(s.x.isfinite().all() for k in range(6) for s in data[k]['inputs'].values())


def test_a_modality_that_is_zero_is_missing_and_one_that_is_nan_says_why(tmp_path, caplog):
    def spoil(data):
        data['train']['vision'][1] = 0
        data['train']['audio'][3] = np.nan

    path = small(tmp_path, change=spoil)
    data = MOSI(path, 'train')
    zero, broken = data[1], data[3]
    assert not zero['inputs']['vision'].mask.any() and zero['unreadable'] == {}
    assert not broken['inputs']['audio'].mask.any() and broken['inputs']['audio'].x.eq(0).all()
    assert broken['unreadable'] == {'audio': 'it has no finite number but zero'}
    counts = data.metainfo['counts']
    assert [counts[f'missing_{m}'] for m in SMALL] == [0, 1, 1]
    assert [counts[f'unreadable_{m}'] for m in SMALL] == [0, 1, 0]
    assert 'audio of 1 utterances cannot be read and is missing, first train1$_$3' in warnings(
        caplog
    )
    with pytest.raises(MediaError, match=r'audio of 1 of 6 is not readable, first train1\$_\$3'):
        MOSI(path, 'train', on_error='raise')
    batch = collate([data[k] for k in range(6)])
    assert batch['inputs']['audio'].present.tolist() == [True, True, True, False, True, True]


def test_an_utterance_with_nothing_at_all_is_one_step_that_is_not_real(tmp_path):
    for aligned in (True, False):
        truth = utterances(SMALL, aligned)
        data = mult(truth)
        for m in SMALL:
            data['train'][m][2] = 0
        item = MOSI(save(data, tmp_path / 'file.pkl'), 'train')[2]['inputs']
        assert {m: s.x.shape for m, s in item.items()} == {m: (1, d) for m, d in SMALL.items()}
        assert not any(s.mask.any() for s in item.values())


@pytest.mark.parametrize('writer', [mult, mmsa, mag_bert])
@pytest.mark.parametrize('split', ['train', 'test'])
def test_features_are_standardised_by_the_real_steps_of_train(tmp_path, writer, split):
    truth = utterances(SMALL)
    for items in truth.values():
        for u in items:
            u.x['audio'][:, 2] = 0.1  # constant, and not exact
            u.x['vision'][:] = 1e4 + u.x['vision']
    path = save(writer(truth), tmp_path / 'file.pkl')
    data = MOSI(path, split, standardise=['audio', 'vision'])
    for m in SMALL:
        tokens = np.concatenate([u.x[m] for u in truth['train']]).astype(np.float64)
        mean, std = tokens.mean(0), tokens.std(0)
        if m == 'audio':
            mean[2], std[2] = 0.1, 1
        for k, u in enumerate(truth[split]):
            expected = u.x[m] if m == 'text' else (u.x[m] - mean) / std
            np.testing.assert_allclose(real(data[k])[m], expected, rtol=1e-4, atol=1e-5)
    statistics = data.metainfo['statistics']
    assert list(statistics) == ['audio', 'vision'] and len(statistics['audio']['std']) == 3
    assert statistics['audio']['std'][2] == 1.0


def test_what_is_not_finite_takes_no_part_in_statistics_and_becomes_the_mean(tmp_path):
    truth = utterances(SMALL)

    def soil(data):
        data['train']['audio'][0, 1, 0] = -np.inf

    data = MOSI(small(tmp_path, change=soil), 'train', standardise=('audio',))
    column = np.concatenate([u.x['audio'][:, 0] for u in truth['train']])
    column = np.delete(column, 1).astype(np.float64)
    assert data.metainfo['statistics']['audio']['mean'][0] == pytest.approx(column.mean())
    assert data.metainfo['statistics']['audio']['std'][0] == pytest.approx(column.std())
    assert data[0]['inputs']['audio'].x[1, 0] == 0


def test_text_is_bert_or_glove_where_it_has_their_width(tmp_path):
    bert = save(mmsa(utterances(BERT)), tmp_path / 'bert')
    glove = save(mult(utterances(GLOVE)), tmp_path / 'glove')
    assert MOSI(bert, 'test', text='bert')[0]['inputs']['text'].x.shape[1] == 768
    assert MOSI(glove, 'test', text='glove')[0]['inputs']['text'].x.shape[1] == 300
    with pytest.raises(MediaError, match="text='glove' has width 300, but here it is 768"):
        MOSI(bert, 'test', text='glove')
    with pytest.raises(MediaError, match="text='bert' has width 768, but here it is 300"):
        MOSI(glove, 'test', text='bert')


@pytest.mark.parametrize('aligned', [True, False])
def test_ids_are_what_bert_reads(tmp_path, aligned):
    truth = utterances(SMALL, aligned)
    path = save(mmsa(truth, aligned), tmp_path / 'file.pkl')
    data = MOSI(path, 'train', text='ids')
    for k, u in enumerate(truth['train']):
        text = data[k]['inputs']['text']
        assert text.x.dtype == torch.int64 and text.mask.all()
        assert text.x.tolist() == list(range(101, 101 + len(u.x['text'])))
        np.testing.assert_array_equal(real(data[k])['audio'], u.x['audio'])
    batch = collate([data[k] for k in range(6)])['inputs']['text']
    assert batch.x.shape == batch.mask.shape == (6, max(len(u.x['text']) for u in truth['train']))
    pytest.importorskip('transformers')
    from mmcalib.encoders.hugging_face import HuggingFace

    sizes = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    encoder = HuggingFace(config=dict(model_type='bert', vocab_size=200, **sizes))
    assert encoder(batch).x.shape == (*batch.mask.shape, 8)


PIECES = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', 'movie', 'act', '##or', '##s', 'like', "'", 't', 'do']
PIECES += ['the', 'i', 'but', 'th', '##is', 'g', '##re', '##at', '##e', 'cafe', '-', 'not', '##n']


@pytest.fixture
def vocab(tmp_path) -> Path:
    path = tmp_path / 'vocab.txt'
    path.write_text('\n'.join(PIECES) + '\n', encoding='utf-8')
    return path


def test_words_become_the_ids_of_the_published_tokeniser(vocab):
    transformers = pytest.importorskip('transformers')
    from mmcalib.media.word_pieces import WordPieces

    theirs = transformers.BertTokenizer(vocab=str(vocab), do_lower_case=True)
    if theirs.convert_tokens_to_ids('movie') != 4:  # before version 5 the argument has this name
        theirs = transformers.BertTokenizer(vocab_file=str(vocab), do_lower_case=True)
    ours = WordPieces(vocab)
    words = [
        *WORDS,
        "don't",
        'Caf\u00e9',
        'ACTORS',
        'greate-movie',
        'zzz',
        'actorx',
        '',
        'g' + 're' * 50,
    ]
    for word in words:
        assert ours.ids(word) == theirs.convert_tokens_to_ids(theirs.tokenize(word)), word


def test_sound_and_face_are_repeated_per_piece_of_a_word(tmp_path, vocab):
    truth = utterances(SMALL)
    u = truth['train'][0]
    u.words[:3] = ['actors', 'like', 'zzz']
    pieces = {'actors': [5, 6, 7], 'like': [8], 'zzz': [1]}
    path = save(mag_bert(truth, words=True), tmp_path / 'file.pkl')
    data = MOSI(path, 'train', text='ids', vocab=str(vocab), length=7)
    item = data[0]['inputs']
    told = [(k, i) for k in range(3) for i in pieces[u.words[k]]][:5]
    assert item['text'].x.tolist() == [2, *(i for _, i in told), 3], '[CLS], pieces, [SEP]'
    for m in ('audio', 'vision'):
        assert item[m].mask.tolist() == [False] + [True] * 5 + [False]
        np.testing.assert_array_equal(real(data[0])[m], u.x[m][[k for k, _ in told]])
    by_word = MOSI(path, 'train', modalities=('vision', 'audio'))
    assert list(by_word[0]['inputs']) == ['vision', 'audio']
    np.testing.assert_array_equal(real(by_word[0])['audio'], u.x['audio'])


def test_videos_of_two_splits_are_counted(tmp_path, caplog):
    def leak(data):
        data['test']['id'][0] = 'train1$_$99'

    data = MOSI(small(tmp_path, change=leak), 'test')
    assert data.metainfo['counts']['shared_videos'] == 1
    assert '1 videos are also in another split' in warnings(caplog)
    assert MOSI(small(tmp_path), 'test').metainfo['counts']['shared_videos'] == 0


def test_a_file_of_more_utterances_is_another_data_set_s(tmp_path):
    part = {'labels': np.zeros((2200, 1, 1), 'f4'), 'id': np.array(['a'] * 2200)}
    part |= {m: np.ones((2200, 1, 1), 'f4') for m in SMALL}
    path = save({'train': part}, tmp_path / 'file.pkl')
    with pytest.raises(MediaError, match='has 2200 utterances; MOSI has 2199 at most'):
        MOSI(path, 'train')


class Attack:
    def __init__(self, witness: Path) -> None:
        self.command = f'echo > {witness}'

    def __reduce__(self):
        return os.system, (self.command,)


@FORMS
def test_a_broken_file_of_every_layout_is_named(tmp_path, name):
    _, widths, aligned, writer = LAYOUTS[name]
    data = writer(utterances(widths, aligned))
    path = save(data, tmp_path / name)
    raw = path.read_bytes()
    for share in (0.0, 0.3, 0.99):
        path.write_bytes(raw[: int(share * len(raw))])
        with pytest.raises(MediaError, match=rf'{name}: .*cut off or none'):
            MOSI(tmp_path, 'train')
    path.unlink()
    with pytest.raises(FileNotFoundError, match=name):
        MOSI(tmp_path, 'train')
    save({**data, 'note': Attack(tmp_path / 'it_ran')}, path)
    with pytest.raises(MediaError, match=rf'{name}: .*it names (posix|nt)\.system'):
        MOSI(tmp_path, 'train')
    assert not (tmp_path / 'it_ran').exists()
    save({'train': data['train']}, path)
    with pytest.raises(MediaError, match=r"test: asked for test; there is \['train'\]"):
        MOSI(tmp_path, 'test')
    with pytest.raises(MediaError, match='val: asked for valid or val or dev'):
        MOSI(tmp_path, 'val')
    assert len(MOSI(tmp_path, 'train')) == 6
    save({**data, 'train': 7}, path)
    with pytest.raises(MediaError, match='train: int is no layout'):
        MOSI(tmp_path, 'train')
    for content, why in (([data], 'it is a list'), ({'a': 1}, 'but it has a')):
        save(content, path)
        with pytest.raises(MediaError, match=rf'{name}: asked for .*train.*{why}'):
            MOSI(tmp_path, 'train')


def put(key, value):
    def change(part):
        part[key] = value(part[key])

    return change


BROKEN = {  # of the dictionaries: what is changed, and what is said
    'no labels': (lambda part, key: part.pop(key), r'asked for .*labels; has .*vision'),
    'labels (N, 7)': (lambda part, key: put(key, lambda y: np.ones((6, 7)))(part), r'has \(6, 7\)'),
    'fewer labels': (lambda part, key: put(key, lambda y: y[:5])(part), r"5 labels .*'text': 6"),
    'labels of text': (lambda part, key: put(key, lambda y: np.array(['a'] * 6))(part), r'<U1'),
    'labels of 0 to 100': (lambda part, key: put(key, lambda y: y * 30)(part), r'-78 to 90'),
    'no vision': (lambda part, key: part.pop('vision'), r'asked for vision, but has .*audio'),
    'fewer of vision': (lambda part, key: put('vision', lambda x: x[:4])(part), r"'vision': 4"),
    'vision (N, D)': (
        lambda part, key: put('vision', lambda x: x[:, 0])(part),
        r'\(6, (20|35)\)',
    ),
    'vision of text': (lambda part, key: put('vision', lambda x: x.astype('U'))(part), r'<U'),
    'vision none': (lambda part, key: put('vision', lambda x: None)(part), r'is a NoneType'),
    'fewer ids': (lambda part, key: put('id', lambda i: i[:3])(part), r"'ids': 3"),
}


@pytest.mark.parametrize('name', [n for n in LAYOUTS if n != 'mosi.pkl'])
@pytest.mark.parametrize('case', BROKEN)
def test_arrays_that_do_not_fit_are_named(tmp_path, name, case):
    layout, widths, aligned, writer = LAYOUTS[name]
    change, why = BROKEN[case]
    data = writer(utterances(widths, aligned))
    change(data['train'], 'regression_labels' if layout == 'MMSA' else 'labels')
    with pytest.raises(MediaError, match=rf'{name}, train.*{why}'):
        MOSI(save(data, tmp_path / name), 'train')


@pytest.mark.parametrize(
    ('entry', 'why'),
    [
        ((1, 2), r'entry 2: is not \(\(words, visual, acoustic\), label, segment\)'),
        (None, 'entry 2: is not'),
        (((np.ones((3, 4)), np.ones((3, 2)), np.ones((4, 3))), [[1.0]], 'v[2]'), "'audio': 4"),
        (((np.ones((3, 4)), np.ones((3, 2)), np.ones((3, 3))), [[1.0] * 7], 'v[2]'), r'\(1, 7\)'),
        (((np.ones((3, 4)), np.ones((3, 2)), np.ones((3, 3))), [['a']], 'v[2]'), 'label: needs'),
        (((np.ones((3, 4)), np.ones(3), np.ones((3, 3))), [[1.0]], 'v[2]'), r'visual: .*\(3,\)'),
        (
            ((np.ones((3, 4)), np.ones((3, 9)), np.ones((3, 3))), [[1.0]], 'v'),
            r'\[\(2,\), \(9',
        ),
        (
            ((['a', 'b', 'c'], np.ones((3, 2)), np.ones((3, 3))), [[1.0]], 'v'),
            'features of text',
        ),
    ],
)
def test_an_entry_that_does_not_fit_is_named(tmp_path, entry, why):
    def swap(data):
        data['train'][2] = entry

    with pytest.raises(MediaError, match=rf'file\.pkl, train.*{why}'):
        MOSI(small(tmp_path, mag_bert, swap), 'train')


@pytest.mark.parametrize('wrong', [-1, 21, 9999])
def test_a_wrong_length_makes_a_modality_missing_and_many_are_an_error(tmp_path, caplog, wrong):
    def spoil(data, count=1):
        data['train']['audio_lengths'][:count] = [wrong] * count

    def write(data):
        return mmsa(data, aligned=False)

    item = MOSI(small(tmp_path, write, spoil, aligned=False), 'train')[0]
    assert item['unreadable'] == {'audio': f'its length is {wrong} of 20 steps'}
    assert not item['inputs']['audio'].mask.any() and item['inputs']['vision'].mask.all()
    assert f'first train0$_$0: its length is {wrong} of 20 steps' in warnings(caplog)
    path = small(tmp_path, write, lambda data: spoil(data, 4), aligned=False)
    with pytest.raises(MediaError, match='audio of 4 of 6 is not readable'):
        MOSI(path, 'train')


@pytest.mark.parametrize(
    ('key', 'value', 'why'),
    [
        ('audio_lengths', [3, 4], r"'audio_lengths': 2"),
        ('audio_lengths', ['a'] * 6, r'audio_lengths: needs whole numbers'),
        ('text_bert', np.zeros((6, STEPS)), r'text_bert: needs numbers \(N, 3, T\)'),
        ('text_bert', np.tile([0.0, 1.0], (6, 3, 6)), r'text_bert: .*a mask has a gap'),
    ],
)
def test_what_mmsa_adds_must_fit_too(tmp_path, key, value, why):
    def spoil(data):
        data['train'][key] = value

    path = small(tmp_path, lambda t: mmsa(t, aligned=False), spoil, aligned=False)
    with pytest.raises(MediaError, match=why):
        MOSI(path, 'train')


def test_ids_need_what_they_are_made_of(tmp_path, vocab):
    truth = utterances(SMALL)
    with pytest.raises(MediaError, match=r'asked for text_bert, but has audio'):
        MOSI(save(mult(truth), tmp_path / 'a'), 'train', text='ids')
    words = save(mag_bert(truth, words=True), tmp_path / 'b')
    with pytest.raises(MediaError, match=r"text='ids' needs vocab"):
        MOSI(words, 'train', text='ids')
    with pytest.raises(MediaError, match="has words and no features of text; text='ids'"):
        MOSI(words, 'train')
    with pytest.raises(MediaError, match=r'nowhere\.txt: asked for a vocabulary'):
        MOSI(words, 'train', text='ids', vocab='nowhere.txt')
    vocab.write_text('a\nb\n')
    with pytest.raises(MediaError, match=r'vocab\.txt: .*no \[UNK\], \[CLS\], \[SEP\]'):
        MOSI(words, 'train', text='ids', vocab=str(vocab))
    features = save(mag_bert(truth), tmp_path / 'c')
    vocab.write_text('\n'.join(PIECES))
    with pytest.raises(MediaError, match="text='ids' needs words"):
        MOSI(features, 'train', text='ids', vocab=str(vocab))


@pytest.mark.parametrize(
    ('wrong', 'why'),
    [
        ({'split': 'dev'}, r"split='dev'.*'train', 'val', 'test'"),
        ({'target': 'binary'}, r"target='binary'.*'regression', 'has0', 'non0'"),
        ({'text': 'words'}, r"text='words'.*'features', 'bert', 'glove', 'ids'"),
        ({'keep': 'middle'}, r"keep='middle'.*'first', 'last'"),
        ({'on_error': 'ignore'}, r"on_error='ignore'.*'missing', 'raise'"),
        ({'modalities': ('visual',)}, r"modalities=.*'text', 'audio', 'vision'"),
        ({'modalities': ()}, r'modalities=\(\)'),
        ({'modalities': ('text', 'text')}, r'modalities='),
        ({'length': 0}, r'length=0.*at least 1'),
        ({'length': {'visual': 3}}, r'length=.*visual.*at least 1, of'),
        ({'standardise': ('visual',)}, r"standardise=.*possible are \['text', 'audio', 'vision'\]"),
        ({'standardise': ('text',), 'text': 'ids'}, r"possible are \['audio', 'vision'\]"),
    ],
)
def test_an_unknown_choice_lists_the_possible_ones(wrong, why):
    with pytest.raises(ValueError, match=why):
        MOSI(**{'root': 'nowhere', 'split': 'train', **wrong})


def test_old_protocols_are_read(tmp_path):
    truth = utterances(SMALL)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for writer in (mult, mmsa, mag_bert):
            path = save(writer(truth), tmp_path / 'file.pkl', protocol)
            assert_reads(MOSI(path, 'test'), truth['test'])


def test_a_sample_is_the_same_for_every_draw_and_worker(tmp_path):
    data = MOSI(small(tmp_path), 'train')
    assert torch.equal(data[Draw(2, 5, 9)]['inputs']['text'].x, data[2]['inputs']['text'].x)
    assert data[-1]['id'] == data[5]['id']
    with pytest.raises(IndexError):
        data[6]
    loader = torch.utils.data.DataLoader(data, 3, collate_fn=collate, num_workers=1)
    for number, batch in enumerate(loader):
        expected = collate([data[3 * number + k] for k in range(3)])
        for m, signal in batch['inputs'].items():
            assert torch.equal(signal.x, expected['inputs'][m].x)
            assert torch.equal(signal.mask, expected['inputs'][m].mask)


def test_a_sample_may_be_changed_without_changing_the_file_in_memory(tmp_path):
    data = MOSI(small(tmp_path), 'train')
    before = data[0]['inputs']['text'].x.clone()
    data[0]['inputs']['text'].x.fill_(7)
    assert torch.equal(data[0]['inputs']['text'].x, before)


def test_the_metainfo_survives_a_checkpoint_that_holds_weights_only(tmp_path):
    data = MOSI(small(tmp_path), 'train', standardise=('audio',), length=4)
    torch.save(data.metainfo, tmp_path / 'meta.pth')
    assert torch.load(tmp_path / 'meta.pth', weights_only=True) == data.metainfo
    assert data.metainfo['name'] == 'MOSI' and data.metainfo['split'] == 'train'
    assert data.metainfo['sizes'] == {'train': 1284, 'val': 229, 'test': 686}


@pytest.mark.parametrize(
    ('name', 'file', 'options'),
    [
        ('mim_mosi', 'mosi.pkl', {}),
        ('clcr_mosi', 'mosi.pkl', {}),
        (
            'mim_mosi',
            'aligned_50.pkl',
            {'model.encoders.audio.in_dim': 5, 'model.encoders.vision.in_dim': 20},
        ),
    ],
)
def test_a_config_takes_a_step_on_a_file(tmp_path, name, file, options):
    _, widths, aligned, writer = LAYOUTS[file]
    path = save(writer(utterances(widths, aligned)), tmp_path / file)
    cfg = config.load(str(CONFIGS / f'{name}.py'), options=options, root=str(path))
    data = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate([data[k] for k in range(6)])
    model = MODELS.build(cfg.model).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses = model(**batch, mode='loss')
    sum(losses.values()).backward()
    optimizer.step()
    assert all(loss.isfinite() for loss in losses.values())
