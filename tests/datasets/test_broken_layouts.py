"""Every layout, damaged in five ways: an error says where, or a missing modality says why."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from re import escape, search
from typing import Any, NamedTuple

import ave_feature_files
import ave_files
import cremad_files
import h5py
import kinetics_files
import numpy as np
import pytest
import torch
import ucf101_files
from footage import write
from sentiment_files import MOSEI_FILES, MOSI_FILES, save, utterances

from mmcalib.datasets.ave import AVE
from mmcalib.datasets.ave_features import AVEFeatures
from mmcalib.datasets.cremad import CREMAD
from mmcalib.datasets.kinetics_sounds import KineticsSounds
from mmcalib.datasets.mosei import MOSEI
from mmcalib.datasets.mosi import MOSI
from mmcalib.datasets.ucf101 import UCF101
from mmcalib.media import MediaError

DAMAGES = ('missing_file', 'bad_header', 'wrong_label', 'wrong_length', 'truncated')
ERRORS = (ValueError, FileNotFoundError, MediaError)
WEB = b'<!DOCTYPE html>\n'  # what a failed download begins with


class Seen:
    """A corner of frames, channels first; a waveform cut or repeated; a filter bank as it is."""

    def __call__(self, array: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        if array.ndim == 4:
            return array[:, :8, :8].transpose(0, 3, 1, 2)
        return np.resize(array[-800:], 800) if array.ndim == 1 else array


SEEN = [{'type': Seen}]
AUDIOVISUAL = {'visual': SEEN, 'audio': SEEN, 'frames': 3}


class Case(NamedTuple):
    """One damage.

    Args:
        hurt: damages a root, and tells what.
        says: of the error, or of why a modality is missing; {name} and {stem} are of what was
            damaged.
        lost: the modalities that one item then lacks; without any, the data set is refused.
        counts: of them that are counted as absent before an item is read.
    """

    hurt: Callable[[Path], Path]
    says: str
    lost: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()


def at(root: Path, pattern: str) -> Path:
    """The first of these; a file becomes the root's own, no longer a link."""
    path = min(root.glob(pattern))
    if path.is_file():
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
    return path


def gone(pattern: str) -> Callable[[Path], Path]:
    """A file or a folder is not there."""

    def hurt(root: Path) -> Path:
        path = at(root, pattern)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        return path

    return hurt


def changed(pattern: str, change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def hurt(root: Path) -> Path:
        path = at(root, pattern)
        path.write_bytes(change(path.read_bytes()))
        return path

    return hurt


def cut(pattern: str) -> Callable[[Path], Path]:
    return changed(pattern, lambda data: data[: len(data) // 2])


def web(pattern: str) -> Callable[[Path], Path]:
    return changed(pattern, lambda data: WEB + data[len(WEB) :])


def row(name: str, number: int, new: Callable[[str], str]) -> Callable[[Path], Path]:
    """Another line of that number in a list."""

    def change(data: bytes) -> bytes:
        rows = data.decode('utf-8-sig').splitlines()
        rows[number - 1] = new(rows[number - 1])
        return '\n'.join(rows).encode()

    return changed(name, change)


def headed(name: str, header: str) -> Callable[[Path], Path]:
    return row(name, 1, lambda first: f'{header}\n{first}')


def made(pattern: str, make: Callable[[Path], object]) -> Callable[[Path], Path]:
    """Another file in its place."""

    def hurt(root: Path) -> Path:
        path = at(root, pattern)
        make(path)
        return path

    return hurt


def odd(path: Path) -> None:
    """A filter bank of seven windows, where the others have eight."""
    bank = np.zeros((7, 4), np.float32)
    if path.suffix == '.npy':
        np.save(path, bank)
    elif path.suffix == '.pt':
        torch.save(torch.from_numpy(bank), path)
    else:
        path.write_bytes(pickle.dumps(bank))


def half_a_film(path: Path) -> None:
    """Its index comes first, so that a player shows what is there."""
    write(path, seconds=0.8, rate_hz=16_000, options={'movflags': 'faststart'})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def told(name: str, change: Callable[[Any], object]) -> Callable[[Path], Path]:
    """A change of what a JSON file holds."""

    def hurt(root: Path) -> Path:
        path = at(root, name)
        held = json.loads(path.read_text())
        change(held)
        path.write_text(json.dumps(held))
        return path

    return hurt


def array(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], Path]:
    """A change of the array of an HDF5 file."""

    def hurt(root: Path) -> Path:
        path = at(root, name)
        with h5py.File(path) as file:
            held = file['avadataset'][()]
        ave_feature_files.put(path, change(held))
        return path

    return hurt


def cremad(audio: str, visual: str, lists: str, fields: str) -> dict[str, list[Case]]:
    """Cases of what its layouts have in common: the patterns of files, a list, a line of it."""
    picture = f'{visual}/*2.*'
    banks = not audio.endswith('.wav')
    return {
        'missing_file': [
            Case(gone(audio), '{stem}: no such file for audio', ('audio',), ('audio',)),
            Case(gone(visual), '{name}: no such file for visual', ('visual',), ('visual',)),
            Case(gone(lists), 'but for test none of .*{name}'),
        ],
        'bad_header': [
            Case(web(audio), '{name}: asked for .*, but', ('audio',)),
            Case(web(picture), '{name}: asked for a picture, but', ('visual',)),
            Case(headed(lists, 'label;clip'), '{name}, line 1: .label;clip. is not <actor>'),
        ],
        'wrong_label': [
            Case(row(lists, 3, lambda old: old[:-3] + 'JOY'), '{name}, line 3: .*JOY. is none of')
        ],
        'wrong_length': [
            Case(row(lists, 3, lambda old: f'{old}{fields}1'), '{name}, line 3: .* is not <actor>'),
            *([Case(made(audio, odd), r'{name}: .*it is \(7, 4\)', ('audio',))] if banks else []),
        ],
        'truncated': [
            Case(cut(audio), '{name}: asked for .*, but', ('audio',)),
            Case(cut(picture), '{name}: asked for a picture, but', ('visual',)),
        ],
    }


def moved(root: Path) -> Path:
    """The pictures of a clip are in another class than its sound."""
    folder = at(root, 'visual/val_img/*/playing_drums/*')
    shutil.move(folder, folder.parents[1] / 'typing' / folder.name)
    return folder


def new_class(root: Path) -> Path:
    """Of folders, which class.txt does not name."""
    for pattern in ('visual/val_img/*/typing', 'audio/test/typing'):
        folder = at(root, pattern)
        folder.rename(folder.with_name('ice_skating'))
    return folder


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def waveform(path: Path) -> None:
    path.write_bytes(pickle.dumps(np.zeros(16_000, np.float32)))


BOTH = ('audio', 'visual')
AUDIO, VISUAL = ('audio',), ('visual',)
CLIPS = 'test_video/*.mp4'
WAVES, FOLDERS = 'audio/test/*/*.wav', 'visual/val_img/*/*/*'
JSON = 'KS_train_val.json'


def relabelled(held: dict[str, Any]) -> None:
    held['database']['test-10_x_1_000500_000510']['label'] = 'ice_skating'


KINETICS = {
    'ogm': {
        'missing_file': [
            Case(gone(CLIPS), '{stem}.*: no such file for', BOTH, BOTH),
            Case(gone('my_test.txt'), 'nothing for test; needs .*{name}'),
        ],
        'bad_header': [
            Case(web(CLIPS), '{name}: asked for .*, but', BOTH),
            Case(headed('my_test.txt', 'class,name'), '{name}, line 2: .*first line 2'),
            Case(headed('my_test.txt', 'name,seconds,label'), "{name}, line 2: .*line 'label'"),
        ],
        'wrong_label': [
            Case(row('my_test.txt', 3, lambda old: old[:-1] + '77'), "label '77' of test-10_x"),
            Case(row('my_test.txt', 3, lambda old: old[:-1] + 'ice'), "{name}, line 3: .*'ice'"),
        ],
        'wrong_length': [
            Case(row('my_test.txt', 3, lambda old: old[:-2]), '{name}, line 3: .* 2 fields'),
            Case(row('my_test.txt', 3, lambda old: f'{old},0,0'), '{name}, line 3: .* is not <cl'),
        ],
        'truncated': [
            Case(cut(CLIPS), '{name}: asked for .*, but', BOTH),
            Case(made(CLIPS, half_a_film), '{name}: asked for .*truncated', BOTH),
            Case(row('my_test.txt', 6, lambda old: old[:-2]), '{name}, line 6: .* 2 fields'),
        ],
    },
    'balancebenchmark': {
        'missing_file': [
            Case(gone('audio/test*.npy'), '{stem}: no such file for audio', AUDIO, AUDIO),
            Case(gone('visual/test*'), '{name}: no such file for visual', VISUAL, VISUAL),
        ],
        'bad_header': [
            Case(web('audio/test*.npy'), '{name}: asked for features, but', AUDIO),
            Case(headed('my_test.txt', 'name seconds label'), "{name}, line 2: .*line 'label'"),
        ],
        'wrong_label': [
            Case(row('my_test.txt', 3, lambda old: old[:-1] + '77'), "label '77' of test-10_x"),
        ],
        'wrong_length': [
            Case(made('audio/test*.npy', odd), r'{name}: .*it is \(7, 4\)', AUDIO),
            Case(row('my_test.txt', 3, lambda old: old[:-2]), '{name}, line 3: .* 2 fields'),
        ],
        'truncated': [
            Case(cut('audio/test*.npy'), '{name}: asked for features, but', AUDIO),
            Case(cut('visual/test*/*2.jpg'), '{name}: asked for a picture, but', VISUAL),
        ],
    },
    'bml': {
        'missing_file': [
            Case(gone('test*.hdf5'), '{stem}: no such file for visual', VISUAL, VISUAL),
            Case(gone('test*.pkl'), '{stem}: no such file for audio', AUDIO, AUDIO),
            Case(gone(JSON), 'has none of .*{name}'),
        ],
        'bad_header': [
            Case(web('test*.hdf5'), '{name}: asked for HDF5, but', VISUAL),
            Case(web('test*.pkl'), '{name}: asked for a pickle, but', AUDIO),
            Case(told(JSON, lambda held: held.pop('labels')), "{name} is not .*'labels'"),
        ],
        'wrong_label': [Case(told(JSON, relabelled), "label 'ice_skating' of test-10_x")],
        'wrong_length': [
            Case(made('test*.pkl', odd), r'{name}: .*it is \(7, 4\)', AUDIO),
            Case(made('test*.pkl', waveform), r'{name}: .*is \(16000,\), a waveform', AUDIO),
        ],
        'truncated': [
            Case(cut('test*.hdf5'), '{name}: asked for HDF5, but', VISUAL),
            Case(cut('test*.pkl'), '{name}: asked for a pickle, but it is cut off', AUDIO),
            Case(cut(JSON), '{name} is not .*JSONDecodeError'),
        ],
    },
    'arl': {
        'missing_file': [
            Case(gone(WAVES), '{stem}: no such file for audio', AUDIO, AUDIO),
            Case(gone(FOLDERS), '{name}: no such file for visual', VISUAL, VISUAL),
        ],
        'bad_header': [
            Case(web(WAVES), '{name}: asked for audio .*, but', AUDIO),
            Case(web(f'{FOLDERS}/*2.jpg'), '{name}: asked for a picture', VISUAL),
            Case(changed('class.txt', lambda data: b'\xff\xfe' + data), '{name} is not UTF-8'),
        ],
        'wrong_label': [
            Case(moved, '{name} is in typing, but also in playing_drums'),
            Case(new_class, "label 'ice_skating' of test-20_x.* none of the 4 classes"),
        ],
        'wrong_length': [
            Case(row('class.txt', 1, lambda old: old[:28]), "label 'typing' of test-20.* the 2"),
            Case(made(WAVES, lambda path: odd(path.with_suffix('.npy'))), '1 filter .*{stem}.npy'),
            Case(made(FOLDERS, emptied), '{name}: asked for pictures, but it holds no', VISUAL),
        ],
        'truncated': [
            Case(cut(WAVES), '{name}: .*truncated: .* bytes of', AUDIO),
            Case(cut(f'{FOLDERS}/*2.jpg'), '{name}: asked for a picture', VISUAL),
            Case(changed('class.txt', lambda data: b''), '{name} names no class'),
        ],
    },
}


def ave(audio: str, visual: str, lists: str, short: Callable[[str], str]) -> dict[str, list[Case]]:
    """Cases of the layouts of stored spectrograms and pictures, of which `short` makes a line."""
    picture = f'{visual}/*2.jpg'
    return {
        'missing_file': [
            Case(gone(audio), '{stem}: no such file for audio', AUDIO, AUDIO),
            Case(gone(visual), '{name}: no such file for visual', VISUAL, VISUAL),
            Case(gone(lists), 'needs .*{name}'),
        ],
        'bad_header': [
            Case(web(audio), '{name}: asked for a pickle, but', AUDIO),
            Case(web(picture), '{name}: asked for a picture, but', VISUAL),
            Case(headed(lists, 'class,id'), '{name}, line 1: '),
        ],
        'wrong_label': [
            Case(
                row(lists, 3, lambda old: old.replace('Bark', 'Barck')),
                "{name}, line 3: 'Barck' is none of the 28",
            )
        ],
        'wrong_length': [
            Case(made(audio, odd), r'{name}: .*it is \(7, 4\)', AUDIO),
            Case(made(audio, waveform), r'{name}: .*it is \(16000,\), a waveform', AUDIO),
            Case(row(lists, 3, short), '{name}, line 3: .* is not'),
        ],
        'truncated': [
            Case(cut(audio), '{name}: asked for a pickle, but it is cut off', AUDIO),
            Case(cut(picture), '{name}: asked for a picture, but', VISUAL),
            Case(changed(lists, lambda data: b''), '{name} names no video'),
        ],
    }


VIDEOS, SET = 'AVE/-v_18.mp4', 'testSet.txt'
OFFICIAL = {
    'missing_file': [
        Case(gone(VIDEOS), '{stem}: no such file for', BOTH, ('',)),
        Case(gone(SET), 'needs .*{name}'),
    ],
    'bad_header': [
        Case(web(VIDEOS), '{name}: asked for .*, but', BOTH),
        Case(headed(SET, 'Category,VideoID,Quality,StartTime,EndTime'), '{name}, line 1: .* is no'),
    ],
    'wrong_label': [
        Case(row(SET, 3, lambda old: f'S{old}'), "{name}, line 3: 'SBark' is none of the 28"),
    ],
    'wrong_length': [
        Case(row(SET, 3, lambda old: old[:-4]), '{name}, line 3: .* is not Category&VideoID'),
        Case(row(SET, 3, lambda old: old[:-5] + '2&1'), '{name}, line 3: .* from 2 s to 1 s'),
    ],
    'truncated': [
        Case(cut(VIDEOS), '{name}: asked for .*, but', BOTH),
        Case(made(VIDEOS, half_a_film), '{name}: asked for .*truncated', BOTH),
        Case(cut(SET), '{name}, line 4: .* is not Category&VideoID'),
        Case(changed(SET, lambda data: b''), '{name} names no video'),
    ],
}


def no_class(labels: np.ndarray) -> np.ndarray:
    labels[4, 8] = 0
    return labels


def not_a_number(rows: np.ndarray) -> np.ndarray:
    rows[6] = np.nan
    return rows


FEATURES = {
    'missing_file': [
        Case(gone('visual_feature.h5'), 'needs .*{name}'),
        Case(gone('test_order.h5'), 'needs .*{name}'),
    ],
    'bad_header': [
        Case(web('audio_feature.h5'), '{name}: asked for HDF5, but'),
        Case(web('right_labels.h5'), '{name}: asked for HDF5, but'),
    ],
    'wrong_label': [Case(array('right_labels.h5', no_class), '{name}: row 4 is not one class')],
    'wrong_length': [
        Case(array('audio_feature.h5', lambda x: x[1:]), r'{name} holds \(19, 10, 128\), needed'),
        Case(array('visual_feature.h5', lambda x: x[:, 1:]), r'{name} holds \(20, 9, '),
        Case(array('right_labels.h5', lambda y: y[..., 1:]), r'{name} holds \(20, 10, 28\)'),
    ],
    'truncated': [
        Case(cut('audio_feature.h5'), '{name}: asked for HDF5, but: .*truncated'),
        Case(array('audio_feature.h5', not_a_number), '{name}: row 6 holds NaN', AUDIO),
    ],
}
RGB, FLOW = ('rgb',), ('flow',)
RGB_FOLDER, U, V = 'jpegs_256/*g01_c01', 'tvl1_flow/u/*g01_c01', 'tvl1_flow/v/*g01_c01'
TEST_LIST, INDEX = 'ucfTrainTestlist/testlist01.txt', 'ucfTrainTestlist/classInd.txt'
TRAIN_LIST = 'ucfTrainTestlist/trainlist01.txt'
RAW, RAW_LIST = 'rawframes/Archery/*g01_c01', 'ucf101_val_split_1_rawframes.txt'
UCF101_CASES = {
    'balancebenchmark': {
        'missing_file': [
            Case(gone(RGB_FOLDER), '{name}: no such file', RGB, RGB),
            Case(gone(U), '{name}: no such file', FLOW, FLOW),
            Case(gone(f'{U}/*3.jpg'), '_g01_c01: .* there are 5 of u and 6 of v', FLOW),
            Case(gone(TEST_LIST), 'needs {name}'),
        ],
        'bad_header': [
            Case(web(f'{RGB_FOLDER}/*4.jpg'), '{name}: asked for a picture', RGB),
            Case(web(f'{V}/*4.jpg'), '{name}: asked for a picture', FLOW),
            Case(headed(INDEX, 'number,class'), '{name}, line 1: .number,class. is not <number>'),
            Case(changed(INDEX, lambda data: b'\xff\xfe' + data), '{name}, line 1: .* is not'),
        ],
        'wrong_label': [
            Case(row(TEST_LIST, 3, lambda old: f'S{old}'), "{name}, line 3: 'SArchery' is none of"),
            Case(row(TRAIN_LIST, 3, lambda old: old[:-1] + '2'), '{name}, line 3: .*number 2, bef'),
        ],
        'wrong_length': [
            Case(gone(f'{V}/*6.jpg'), '_g01_c01: .* there are 6 of u and 5 of v', FLOW),
            Case(
                row(TEST_LIST, 3, lambda old: f'{old} 1 2 3'), '{name}, line 3: .* is not <class>'
            ),
        ],
        'truncated': [
            Case(cut(f'{RGB_FOLDER}/*4.jpg'), '{name}: asked for a picture', RGB),
            Case(cut(f'{U}/*4.jpg'), '{name}: asked for a picture', FLOW),
            Case(cut(INDEX), "line .*: '.*' is none of the 2 classes"),
        ],
    },
    'mmaction2': {
        'missing_file': [
            Case(gone(RAW), '{name}: no such file', ('rgb', 'flow'), ('rgb', 'flow')),
            Case(
                gone(f'{RAW}/img*3.jpg'),
                'rgb, as .*_rawframes.txt, line 1 tells, but it holds 5',
                RGB,
            ),
            Case(gone(RAW_LIST), 'needs .*{name}'),
        ],
        'bad_header': [
            Case(web(f'{RAW}/img*4.jpg'), '{name}: asked for a picture', RGB),
            Case(headed(RAW_LIST, 'path n_frames label'), '{name}, line 1: .* is not <class>/<vid'),
        ],
        'wrong_label': [
            Case(
                row(RAW_LIST, 3, lambda old: old[:-1] + '2'), '{name}, line 3: .*number 2, before'
            ),
        ],
        'wrong_length': [
            Case(
                row(RAW_LIST, 3, lambda old: old[:-3] + '8 0'),
                '{name}, line 3 tells',
                ('rgb', 'flow'),
            ),
            Case(gone(f'{RAW}/flow_y*6.jpg'), '_g01_c01: .* there are 6 of u and 5 of v', FLOW),
            Case(
                row(RAW_LIST, 3, lambda old: f'{old} 9'), '{name}, line 3: .* is not <class>/<vid'
            ),
        ],
        'truncated': [
            Case(cut(f'{RAW}/img*4.jpg'), '{name}: asked for a picture', RGB),
            Case(cut(f'{RAW}/flow_x*4.jpg'), '{name}: asked for a picture', FLOW),
            Case(cut(RAW_LIST), '{name}, line 7: BabyCrawling has the number None'),
        ],
    },
}


def held(file: str, change: Callable[[Any], object]) -> Callable[[Path], Path]:
    """A change of what a pickle holds of its test part."""

    def hurt(root: Path) -> Path:
        path = at(root, file)
        data = pickle.loads(path.read_bytes())
        change(data['test'])
        return save(data, path)

    return hurt


def too_much(part: Any) -> None:
    if isinstance(part, list):
        (x, score, name) = part[1]
        part[1] = (x, score * 30, name)
    else:
        key = 'labels' if 'labels' in part else 'regression_labels'
        part[key] = part[key] * 30


def fewer_sounds(part: Any) -> None:
    if isinstance(part, list):
        (words, vision, audio), score, name = part[1]
        part[1] = ((words, vision, audio[1:]), score, name)
    else:
        part['audio'] = part['audio'][1:]


def beyond_its_steps(part: Any) -> None:
    part['audio_lengths'][0] = 21


def sentiment(file: str, layout: str, aligned: bool) -> dict[str, list[Case]]:
    entry = 'entry 1.*' if layout == 'MAG-BERT' else ''
    lengths = Case(held(file, beyond_its_steps), 'its length is 21 of 20 steps', AUDIO)
    return {
        'missing_file': [Case(gone(file), 'needs a file, or .*{name}.*it has nothing')],
        'bad_header': [Case(web(file), r"{name}: asked for a pickle, .* begins with b'<!DOC")],
        'wrong_label': [Case(held(file, too_much), f'{{name}}, test, {entry}.*lies in .-3, 3')],
        'wrong_length': [
            Case(held(file, fewer_sounds), f"{{name}}, test.*{entry}'audio': "),
            *([lengths] if layout == 'MMSA' and not aligned else []),
        ],
        'truncated': [Case(cut(file), '{name}: asked for a pickle, but it is cut off')],
    }


class Layout(NamedTuple):
    make: Callable[[Path], object]  # a root that does not exist yet
    read: Callable[..., Any]  # of a root; its test split
    cases: dict[str, list[Case]]  # by damage


def sentiment_layout(reader: Callable[..., Any], files: dict[str, Any], file: str) -> Layout:
    layout, widths, aligned, writer = files[file]
    return Layout(
        lambda root: save(writer(utterances(widths, aligned)), root / file),
        partial(reader, split='test'),
        sentiment(file, layout, aligned),
    )


FILM = {'seconds': 0.8, 'rate_hz': 16_000}


def with_film(make: Callable[[Path, Path], object]) -> Callable[[Path], object]:
    return lambda root: make(root, write(root.with_suffix('.mp4'), **FILM))


def cremad_layout(layout: str, *patterns: str) -> Layout:
    return Layout(
        lambda root: cremad_files.make(root, layout, Path(), cremad_files.TEST),
        partial(CREMAD, split='test', **AUDIOVISUAL, rate_hz=4000),
        cremad(*patterns),
    )


def kinetics_layout(layout: str) -> Layout:
    named = {'classes': 'auto' if layout == 'arl' else kinetics_files.CLASSES}
    return Layout(
        with_film(lambda root, film: kinetics_files.make(root, layout, film)),
        partial(KineticsSounds, split='test', **AUDIOVISUAL, **named),
        KINETICS[layout],
    )


def features(root: Path) -> None:
    root.mkdir()
    rows = np.random.default_rng(0).standard_normal((ave_feature_files.N, 10, 128))
    ave_feature_files.make(root, rows[..., np.newaxis, np.newaxis, :], rows)


SECONDS, NOTES = 'Image-01-FPS/1003*', 'annotations'
AVE_TEST = partial(AVE, split='test', **AUDIOVISUAL)
UCF101_TEST = partial(UCF101, split='test', rgb=SEEN, flow=SEEN, frames=3)
LAYOUTS = {
    'cremad-ogm': cremad_layout('ogm', 'AudioWAV/1003*.wav', SECONDS, 'test.csv', ','),
    'cremad-agm': cremad_layout('agm', 'Audio/1003*.wav', SECONDS, 'test.csv', ','),
    'cremad-lfm': cremad_layout('lfm', 'AudioWAV/1003*.wav', SECONDS, f'{NOTES}/test.csv', ','),
    'cremad-balancebenchmark': cremad_layout(
        'balancebenchmark', 'audio/1003*.pt', 'visual/1003*', 'test.csv', ','
    ),
    'cremad-mla': cremad_layout(
        'mla', 'audio/test_fbank/1003*.npy', f'visual/test_imgs/{SECONDS}', 'my_test_cre.txt', ' '
    ),
    **{f'kinetics_sounds-{layout}': kinetics_layout(layout) for layout in KINETICS},
    'ave-official': Layout(with_film(ave_files.make_official), AVE_TEST, OFFICIAL),
    'ave-pmr': Layout(
        ave_files.make_pmr,
        AVE_TEST,
        ave('Audio-1004-SE/-v_18.pkl', 'Image-01-FPS-SE/-v_18', SET, lambda old: old[:-2]),
    ),
    'ave-ogm': Layout(
        ave_files.make_ogm,
        AVE_TEST,
        ave('AVE/audio_spec/-v_18.pkl', 'AVE/visual/-v_18', 'my_test.txt', lambda old: 'Bark'),
    ),
    'ave-features': Layout(features, partial(AVEFeatures, split='test'), FEATURES),
    **{
        f'ucf101-{layout}': Layout(
            partial(ucf101_files.make, layout=layout, film=Path(), parts=['test']),
            UCF101_TEST,
            cases,
        )
        for layout, cases in UCF101_CASES.items()
    },
    'mosi-mult': sentiment_layout(MOSI, MOSI_FILES, 'mosi_data.pkl'),
    'mosi-mmsa': sentiment_layout(MOSI, MOSI_FILES, 'unaligned_50.pkl'),
    'mosi-multibench': sentiment_layout(MOSI, MOSI_FILES, 'mosi_raw.pkl'),
    'mosi-mag_bert': sentiment_layout(MOSI, MOSI_FILES, 'mosi.pkl'),
    'mosei-mult': sentiment_layout(MOSEI, MOSEI_FILES, 'mosei_senti_data_noalign.pkl'),
    'mosei-mmsa': sentiment_layout(MOSEI, MOSEI_FILES, 'aligned_50.pkl'),
    'mosei-multibench': sentiment_layout(MOSEI, MOSEI_FILES, 'mosei_raw.pkl'),
    'mosei-mag_bert': sentiment_layout(MOSEI, MOSEI_FILES, 'mosei.pkl'),
}


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Callable[[str], Path]:
    """A root of a layout that nothing is wrong with, made once."""
    base = tmp_path_factory.mktemp('whole')

    def of(layout: str) -> Path:
        root = base / layout
        if not root.exists():
            LAYOUTS[layout].make(root)
        return root

    return of


@pytest.mark.parametrize('layout', LAYOUTS)
def test_before_the_damage_nothing_is_wrong(whole, layout):
    data = LAYOUTS[layout].read(whole(layout), on_error='raise')
    for item in map(data.__getitem__, range(len(data))):
        assert not item['unreadable']
        assert all(signal.mask.all() for signal in item['inputs'].values())


def test_every_layout_is_damaged_in_every_way():
    for layout, (_, _, cases) in LAYOUTS.items():
        assert sorted(cases) == sorted(DAMAGES) and all(cases.values()), layout


PARAMETERS = [
    pytest.param(layout, case, id=f'{layout}-{damage}' + (f'-{k}' if k > 1 else ''))
    for layout, (_, _, cases) in LAYOUTS.items()
    for damage in DAMAGES
    for k, case in enumerate(cases[damage], start=1)
]


@pytest.mark.parametrize(('layout', 'case'), PARAMETERS)
def test_damage_is_an_error_or_a_modality_that_is_missing_and_counted(
    whole, tmp_path, layout, case
):
    read = LAYOUTS[layout].read
    root = Path(shutil.copytree(whole(layout), tmp_path / 'root', copy_function=os.link))
    path = case.hurt(root)
    says = case.says.format(name=escape(path.name), stem=escape(path.stem))
    if not case.lost:
        with pytest.raises(ERRORS, match=says):
            read(root)
        return
    data = read(root)
    items = [data[k] for k in range(len(data))]
    hurt = [item for item in items if item['unreadable']]
    assert [sorted(item['unreadable']) for item in hurt] == [sorted(case.lost)]
    for modality, signal in hurt[0]['inputs'].items():
        assert signal.mask.all() if modality not in case.lost else not signal.mask.any()
        assert signal.x.any() == (modality not in case.lost)
    for why in hurt[0]['unreadable'].values():
        assert search(says, why)
    counts = data.metainfo['counts']
    absent = {f'{m}_absent'.removeprefix('_'): 1 for m in case.counts}
    assert {name: n for name, n in counts.items() if 'absent' in name and n} == absent
    with pytest.raises(ERRORS, match='on disk, first five: ' if case.counts else says):
        strict = read(root, on_error='raise')
        [strict[k] for k in range(len(strict))]
