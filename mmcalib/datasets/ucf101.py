"""UCF101: pictures and optical flow of short videos, in the layouts in which people keep them."""

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils.data import Dataset

from mmcalib.contract import Draw
from mmcalib.media import MediaError
from mmcalib.media.cache import open_files
from mmcalib.media.choices import check_choices, check_modalities
from mmcalib.media.film import Film, Folder, Video
from mmcalib.media.flow import METHODS, PRESETS
from mmcalib.media.flow_film import FlowFolders, VideoFlow
from mmcalib.media.items import gather, report_absent, transformed
from mmcalib.media.splits import digest, stratified, warn_of_test
from mmcalib.media.video_lists import Listed, find_list, read_classes, read_list
from mmcalib.registry import DATASETS, TRANSFORMS

MODALITIES = ('rgb', 'flow')
SPLITS = ('train', 'val', 'test')
LAYOUTS: Mapping[str, tuple[str, ...]] = {  # where each modality lies, of a class and a video
    'balancebenchmark': ('jpegs_256/*', 'tvl1_flow/u/*'),
    'mmaction2': ('rawframes/*/*', 'rawframes/*/*'),
    'videos': ('*/*.avi', '*/*.avi'),
}
INSIDE = {'videos': ('.', 'UCF-101', 'videos')}  # folders that may hold what a layout needs
CHOICES = {
    'split': SPLITS,
    'layout': ('auto', *LAYOUTS),
    'validation': ('train', 'test'),
    'on_error': ('missing', 'raise'),
    'flow_method': METHODS,
    'flow_preset': tuple(PRESETS),
    'fold': (1, 2, 3),
}
NAME = re.compile(r'v_([A-Za-z]+)_g(\d+)_c(\d+)')  # class, group, clip
TIMES, SPACE = 0, 1  # streams of random numbers
GUIDE = 'docs/datasets/ucf101.md describes the layouts'


@DATASETS.register_module()
class UCF101(Dataset):
    """13320 videos of 101 actions: pictures and optical flow, one label each.

    Soomro et al., "UCF101: A Dataset of 101 Human Actions Classes From Videos in The Wild", 2012,
    arXiv:1212.0402. An item's modalities are one token per frame, x (frames, ...). Pictures and
    flow are of the same moments, and are cropped and mirrored alike. What cannot be read is zeros
    with a mask that is all False; `unreadable` says why.

    Args:
        root: folder of the data set, in one of `LAYOUTS`, with its lists.
        split: 'train', 'val' or 'test'.
        rgb: transform configs for pictures (T, H, W, 3) uint8.
        flow: transform configs for flow (T, H, W, 2) uint8, u and v, of which 128 is no motion.
        frames: of a sample, one from each of as many equal parts of the video.
        fold: which of the three official splits.
        modalities: which to read, in this order.
        layout: one of `LAYOUTS`, for a folder that holds several; 'auto' takes the only one.
        classes: their names in the order of the targets; None: that of classInd.txt, or of the
            numbers of the lists.
        validation: 'train' takes `val` from the training list; 'test' makes `val` the test list, as
            most published results select, and leaves all else to train.
        val_fraction: of the groups of each class to `val`; the clips of a group are parts of one
            video. 0 for no validation split.
        split_seed: of what is drawn.
        flow_method: 'dis' or 'farneback', where flow is computed from the videos.
        flow_preset: of DIS.
        on_error: 'missing' makes what cannot be read a missing modality, 'raise' raises MediaError.
        random_times: a random frame of each part instead of the middle one; None: in train only.
        media: `fps`, `side` and `cache`: which frames there are, how large, and where they lie
            decoded (docs/cache.md).

    Raises:
        FileNotFoundError: the root, a list, or more than half of the videos are not there.
        ValueError: no layout or several, an unknown choice, a line that is not understood, a label
            of no class, or a video that two lists name.
    """

    METAINFO: Mapping[str, Any] = {'name': 'UCF101', 'modalities': MODALITIES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        rgb: Sequence[Mapping[str, Any]],
        flow: Sequence[Mapping[str, Any]],
        frames: int = 3,
        fold: int = 1,
        modalities: Sequence[str] = MODALITIES,
        layout: str = 'auto',
        classes: Sequence[str] | None = None,
        validation: str = 'train',
        val_fraction: float = 0.1,
        split_seed: int = 0,
        flow_method: str = 'dis',
        flow_preset: str = 'medium',
        on_error: str = 'missing',
        random_times: bool | None = None,
        media: Mapping[str, Any] = {},
    ) -> None:
        given = {'split': split, 'layout': layout, 'validation': validation, 'on_error': on_error}
        given |= {'flow_method': flow_method, 'flow_preset': flow_preset}
        check_choices('UCF101', {**given, 'fold': fold}, CHOICES)
        check_modalities('UCF101', modalities, MODALITIES)
        if frames < 1 or not 0 <= val_fraction < 1:
            raise ValueError(
                f'UCF101(frames={frames}, val_fraction={val_fraction}); at least 1, within [0, 1)'
            )
        self.root = Path(root)
        given['layout'], self.folder = _recognise(self.root, layout, modalities)
        self.layout, self.computed = given['layout'], (flow_method, flow_preset)
        self.files = open_files(root, **media)
        self.frames, self.on_error = frames, on_error
        self.random_times = split == 'train' if random_times is None else random_times
        configs = {'rgb': rgb, 'flow': flow}
        self.transforms = {m: [TRANSFORMS.build(c) for c in configs[m]] for m in modalities}
        lists = _read_lists(self.root, fold)
        names = _class_names(self.root, classes, lists)
        splits = _splits(lists, validation, val_fraction, split_seed)
        if not splits[split]:
            raise ValueError(f'UCF101(split={split!r}, val_fraction={val_fraction}) has no video')
        self.videos = splits[split]
        self.ids = [video.name for video in self.videos]
        self.targets = [names.index(video.label) for video in self.videos]
        counts = {f'{part}_videos': len(videos) for part, videos in splits.items()}
        counts['groups_in_train_and_test'] = _shared_groups(splits)
        counts |= {f'{m}_absent': self._count_absent(m, split) for m in modalities}
        self.shapes = {m: self._shape(m) for m in modalities}
        self.metainfo = {**self.METAINFO, **given, 'modalities': tuple(modalities), 'fold': fold}
        self.metainfo.update(classes=names, val_fraction=val_fraction, split_seed=split_seed)
        self.metainfo['ids_sha256'] = digest(self.ids)
        self.metainfo.update(shapes=self.shapes, counts=counts)

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        draw = key if isinstance(key, Draw) else Draw(range(len(self))[key])
        video = self.videos[draw.sample]

        def load(modality: str) -> Tensor:
            film = self._film(modality, video)
            if not film.path.exists():
                raise MediaError(f'{film.path}: no such file')
            self._refuse_short(modality, film, video)
            times = draw.generator(TIMES) if self.random_times else None
            pictures = self.files.pictures(film, self.frames, times)
            # Equal generators, so that flow is cropped and mirrored as the picture is.
            return transformed(pictures, self.transforms[modality], draw.generator(SPACE))

        given = gather(self.shapes, load, self.on_error, video.name)
        target = torch.tensor(self.targets[draw.sample])
        return {**given._asdict(), 'target': target, 'id': video.name}

    def _film(self, modality: str, video: Listed) -> Film:
        if self.layout == 'videos':
            path, fps = self.folder / video.label / f'{video.name}.avi', self.files.fps
            if modality == 'rgb':
                return Video(path, fps=fps)
            method, preset = self.computed
            return VideoFlow(path, fps=fps, method=method, preset=preset)
        if self.layout == 'mmaction2':
            path = self.folder / 'rawframes' / video.label / video.name
            if modality == 'rgb':
                return Folder(path, 'img_')
            return FlowFolders(path, '.', 'flow_x_', 'flow_y_')
        if modality == 'rgb':
            return Folder(self.folder / 'jpegs_256' / video.name)
        return FlowFolders(self.folder / 'tvl1_flow' / 'u' / video.name, f'../../v/{video.name}')

    def _refuse_short(self, modality: str, film: Film, video: Listed) -> None:
        """Refuse a folder with fewer pictures than its list tells; the last may have no flow."""
        if self.layout != 'mmaction2' or video.frames is None:
            return
        has, needed = int(film.span()[1]), video.frames - (modality == 'flow')
        if has < needed:
            text = f'{film.path}: asked for {needed} pictures of {modality}, as {video.line} tells'
            raise MediaError(f'{text}, but it holds {has}')

    def _shape(self, modality: str) -> tuple[int, ...]:
        """The shape that the transforms make of a black clip."""
        black = np.zeros((self.frames, 256, 256, 3 if modality == 'rgb' else 2), 'u1')
        made = transformed(black, self.transforms[modality], np.random.default_rng(0))
        return tuple(made.shape)

    def _count_absent(self, modality: str, split: str) -> int:
        absent = [v.name for v in self.videos if not self._film(modality, v).path.exists()]
        where, what = f'UCF101 {split}', f'videos have no {modality}'
        return report_absent(where, what, absent, len(self), self.on_error, GUIDE)


def _recognise(root: Path, layout: str, modalities: Sequence[str]) -> tuple[str, Path]:
    """The layout of a folder, and where in it that lies."""
    asked = f'UCF101(root={str(root)!r}, layout={layout!r})'
    if not root.is_dir():
        raise FileNotFoundError(f'{asked}: no such folder; {GUIDE}')
    found: dict[str, Path] = {}
    looked = []
    for name, patterns in LAYOUTS.items():
        needed = [p for m, p in zip(MODALITIES, patterns, strict=True) if m in modalities]
        for inside in INSIDE.get(name, ('.',)):
            folder = (root / inside) if inside != '.' else root
            there = {pattern: any(folder.glob(pattern)) for pattern in dict.fromkeys(needed)}
            looked += [f'{inside}/{p}: {"yes" if has else "no"}' for p, has in there.items()]
            if all(there.values()) and layout in ('auto', name):
                found.setdefault(name, folder)
    if len(found) > 1 and 'videos' in found:
        del found['videos']  # the pictures were made from the videos, which are still there
    if len(found) != 1:
        what = f'the folder has several layouts, {list(found)}' if found else 'no layout is there'
        has = sorted(path.name for path in root.iterdir())[:10]
        raise ValueError(
            f'{asked}: {what}. Looked for {tuple(modalities)}: {", ".join(looked)}. '
            f'The folder holds {has}; {GUIDE}'
        )
    return next(iter(found.items()))


def _read_lists(root: Path, fold: int) -> dict[str, list[Listed]]:
    """The training and the test videos of a fold, in order of their names."""
    names = {
        'train': (f'trainlist0{fold}.txt', f'ucf101_train_split_{fold}_rawframes.txt'),
        'test': (f'testlist0{fold}.txt', f'ucf101_val_split_{fold}_rawframes.txt'),
    }
    lists = {}
    for part, possible in names.items():
        path = next((p for name in possible if (p := find_list(root, [name]))), None)
        if path is None:
            text = f'UCF101(root={str(root)!r}, fold={fold}) needs {" or ".join(possible)}'
            raise FileNotFoundError(f'{text}, itself or in ucfTrainTestlist/; {GUIDE}')
        lists[part] = sorted(read_list(path), key=lambda video: video.name)
    test = {video.name: video for video in lists['test']}
    for video in lists['train']:
        if video.name in test:
            raise ValueError(f'{video.line}: {video.name} is also at {test[video.name].line}')
    return lists


def _class_names(
    root: Path, classes: Sequence[str] | None, lists: Mapping[str, list[Listed]]
) -> tuple[str, ...]:
    videos = [video for listed in lists.values() for video in listed]
    path = find_list(root, ['classInd.txt'])
    if classes is not None:
        names = tuple(classes)
    elif path is not None:
        names = read_classes(path)
    else:
        numbers = _numbers(videos)
        names = tuple(sorted(numbers, key=lambda label: numbers[label]))
    for video in videos:
        if video.label not in names:
            text = f'{video.line}: {video.label!r} is none of the {len(names)} classes'
            raise ValueError(f'{text}, such as {names[0]!r}')
        match = NAME.fullmatch(video.name)
        if match is None or match[1].lower() != video.label.lower():
            text = f'{video.line}: {video.name!r} in {video.label!r} is not v_<class>_g<n>_c<n>'
            raise ValueError(f'{text} of that class')
    for listed in lists.values():
        _numbers([video for video in listed if video.number is not None])
    return names


def _numbers(videos: Sequence[Listed]) -> dict[str, int]:
    """The number that lists give to each class, one to each."""
    numbers: dict[str, int] = {}
    for video in videos:
        if video.number is None or numbers.setdefault(video.label, video.number) != video.number:
            text = f'{video.line}: {video.label} has the number {video.number}'
            raise ValueError(f'{text}, before {numbers.get(video.label)}; classInd.txt would tell')
        if same := [k for k, n in numbers.items() if n == video.number and k != video.label]:
            text = f'{video.line}: {video.label} has the number {video.number}'
            raise ValueError(f'{text}, but so has {same[0]}; needed is one per class')
    return numbers


def _group(video: Listed) -> str:
    match = NAME.fullmatch(video.name)
    return f'{video.label}/{match[2] if match else video.name}'


def _splits(
    lists: Mapping[str, list[Listed]], validation: str, fraction: float, seed: int
) -> dict[str, list[Listed]]:
    train, test = lists['train'], lists['test']
    if validation == 'test':
        warn_of_test('UCF101')
        return {'train': train, 'val': test, 'test': test}
    groups = {_group(video): video.label for video in train}
    held = stratified(groups, fraction, seed, 'val')
    val = [video for video in train if _group(video) in held]
    return {'train': [v for v in train if _group(v) not in held], 'val': val, 'test': test}


def _shared_groups(splits: Mapping[str, Sequence[Listed]]) -> int:
    train, test = ({_group(video) for video in splits[part]} for part in ('train', 'test'))
    if shared := train & test:
        text = f'UCF101: {len(shared)} groups are in train and in test, such as {min(shared)}'
        print_log(text, logger='current', level=logging.WARNING)
    return len(shared)
