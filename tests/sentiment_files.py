"""Feature files of CMU-MOSI and CMU-MOSEI in every layout, of utterances that are known."""

import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np

SCORES = {'train': [-2.6, 0.0, 1.5, -0.4, 2.5, 3.0], 'val': [0.2, -1.0, 0.0], 'test': [-3.0, 1.0]}
WORDS = ['i', 'do', 'not', 'like', 'this', 'movie', 'but', 'the', 'actors', 'are', 'great']
STEPS = 12  # of a padded file that is aligned
LONG = {'text': STEPS, 'audio': 20, 'vision': 25}  # and of one that is not


class Utterance(NamedTuple):
    id: str
    score: float
    words: list[str]
    x: dict[str, np.ndarray]  # the real steps of each modality


def utterances(widths, aligned=True, seed=0) -> dict[str, list[Utterance]]:
    random = np.random.default_rng(seed)
    result = {}
    for split, scores in SCORES.items():
        result[split] = []
        for k, score in enumerate(scores):
            length = int(random.integers(3, STEPS - 1))
            lengths = {m: length if aligned else int(random.integers(3, LONG[m])) for m in widths}
            x = {m: random.normal(1, 2, (lengths[m], d)).astype('f4') for m, d in widths.items()}
            words = [str(w) for w in random.choice(WORDS, length)]
            result[split].append(Utterance(f'{split}{k // 2}$_${k}', score, words, x))
    return result


def stack(arrays, steps, front):
    out = np.zeros((len(arrays), steps, arrays[0].shape[1]), np.float32)
    for row, x in zip(out, arrays, strict=True):
        row[slice(steps - len(x), None) if front else slice(len(x))] = x
    return out


def mult(truth, ids='bytes', front=True) -> dict:
    """MulT and MultiBench: padded in front, ids of three parts."""
    data = {}
    for split, items in truth.items():
        aligned = all(len({len(x) for x in u.x.values()}) == 1 for u in items)
        part = {
            m: stack([u.x[m] for u in items], STEPS if aligned else LONG[m], front)
            for m in items[0].x
        }
        part['labels'] = np.array([u.score for u in items], np.float32).reshape(-1, 1, 1)
        rows = [(u.id.split('$_$')[0], '1.5', f'{k}') for k, u in enumerate(items)]
        part['id'] = np.array(rows, dtype='S' if ids == 'bytes' else 'U')
        data['valid' if split == 'val' else split] = part
    return data


def mmsa(truth, aligned=True) -> dict:
    """MMSA: padded behind, with BERT's input, and lengths where the file is not aligned."""
    data = {}
    for split, items in truth.items():
        part = {
            m: stack([u.x[m] for u in items], STEPS if aligned else LONG[m], front=False)
            for m in items[0].x
        }
        part['regression_labels'] = np.array([u.score for u in items])
        part['classification_labels'] = np.sign(part['regression_labels']) + 1
        part['annotations'] = np.array(['Positive'] * len(items), dtype=object)
        part['raw_text'] = np.array([' '.join(u.words) for u in items], dtype=object)
        part['id'] = [u.id for u in items]
        part['text_bert'] = np.zeros((len(items), 3, STEPS))
        for row, u in zip(part['text_bert'], items, strict=True):
            length = len(u.x['text'])
            row[0, :length] = np.arange(length) + 101
            row[1, :length] = 1
        if not aligned:
            for m in ('audio', 'vision'):
                part[f'{m}_lengths'] = [len(u.x[m]) for u in items]
        data['valid' if split == 'val' else split] = part
    return data


def mag_bert(truth, words=False) -> dict:
    """MAG-BERT and MIM: one entry per utterance, of words or of their features."""
    return {
        'dev' if split == 'val' else split: [
            (
                (u.words if words else u.x['text'], u.x['vision'], u.x['audio']),
                np.array([[u.score]], np.float32),
                u.id.replace('$_$', '[') + ']',
            )
            for u in items
        ]
        for split, items in truth.items()
    }


def save(data, path: Path, protocol: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(data, protocol))
    return path


def real(item) -> dict[str, np.ndarray]:
    """The real steps of each modality of an item."""
    return {m: s.x[s.mask].numpy() for m, s in item['inputs'].items()}


def assert_reads(data, items) -> None:
    """Every utterance, and no other, with its numbers and nothing of its padding."""
    assert len(data) == len(items)
    for k, u in enumerate(items):
        item = data[k]
        assert item['unreadable'] == {}
        for m, x in real(item).items():
            np.testing.assert_array_equal(x, u.x[m], err_msg=f'{u.id} {m}')
            assert item['inputs'][m].mask.all(), 'padding is cut away'


GLOVE = {'text': 300, 'audio': 5, 'vision': 20}
BERT = {'text': 768, 'audio': 5, 'vision': 20}
RAW = {'text': 300, 'audio': 74, 'vision': 35}
MIM = {'text': 768, 'audio': 74, 'vision': 47}
WIDE = {'text': 768, 'audio': 74, 'vision': 35}
MOSI_FILES = {  # usual name of the file, layout, widths, aligned, writer
    'mosi_data.pkl': ('MulT', GLOVE, True, mult),
    'mosi_data_noalign.pkl': ('MulT', GLOVE, False, mult),
    'mosi_raw.pkl': ('MulT', RAW, True, lambda t: mult(t, ids='text')),
    'aligned_50.pkl': ('MMSA', BERT, True, mmsa),
    'unaligned_50.pkl': ('MMSA', BERT, False, lambda t: mmsa(t, aligned=False)),
    'mosi.pkl': ('MAG-BERT', MIM, True, mag_bert),
}
MOSEI_FILES = {  # the same; ids are text here
    'mosei_senti_data.pkl': ('MulT', RAW, True, lambda t: mult(t, ids='text')),
    'mosei_senti_data_noalign.pkl': ('MulT', RAW, False, lambda t: mult(t, ids='text')),
    'mosei_raw.pkl': ('MulT', RAW, True, lambda t: mult(t, ids='text')),
    'aligned_50.pkl': ('MMSA', WIDE, True, mmsa),
    'unaligned_50.pkl': ('MMSA', WIDE, False, lambda t: mmsa(t, aligned=False)),
    'mosei.pkl': ('MAG-BERT', WIDE, True, mag_bert),
}
