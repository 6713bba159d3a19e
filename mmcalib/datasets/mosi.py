"""CMU-MOSI, from any of the feature files that are around."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from mmcalib.contract import Draw
from mmcalib.media.utterances import Utterances
from mmcalib.registry import DATASETS

MODALITIES = ('text', 'audio', 'vision')
FILES = (
    'aligned_50.pkl',
    'unaligned_50.pkl',
    'mosi_data.pkl',
    'mosi_data_noalign.pkl',
    'mosi_raw.pkl',
    'mosi.pkl',
)
SIZES = {'train': 1284, 'val': 229, 'test': 686}


@DATASETS.register_module()
class MOSI(Dataset):
    """2199 utterances of 93 videos, each with a sentiment in [-3, 3], as features of a pickle.

    Zadeh et al., "MOSI: Multimodal Corpus of Sentiment Intensity and Subjectivity Analysis in
    Online Opinion Videos", 2016, arXiv:1606.06259. The layout of the file is seen from what it
    holds; docs/datasets/mosi.md tells the four. An item's modalities are x (L, D), without their
    padding; one that has no number but zero is missing: its mask is all False.

    Args:
        root: the file, or a folder that has one of the usual names, itself or in `Processed/`.
        split: 'train', 'val' or 'test'.
        modalities: which to read, in this order.
        target: 'has0' is score >= 0, of all, as in published calibration results; 'positive' is
            score > 0, of all; 'non0' is score > 0, and leaves out those of 0; 'seven' is the score
            rounded, -3 to 3, as 0 to 6; 'regression' is the score itself, a number.
        text: 'features' takes what the file has, 'bert' insists on width 768, 'glove' on 300;
            'ids' gives what BERT reads, whole numbers (L,), from MMSA's `text_bert` or from words.
        vocab: a vocab.txt, for 'ids' of words; sound and face are then repeated per piece.
        length: at most so many steps, of each modality or by name; all if None.
        keep: which steps `length` keeps, the 'first' or the 'last'.
        standardise: modalities of which each feature loses the mean, and is divided by the
            standard deviation, of the real steps of train. A constant one becomes 0.
        on_error: 'missing' makes a modality that has a wrong length, or nothing finite, a missing
            one; 'raise' raises MediaError.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unknown choice, or several files in the folder.
        MediaError: the file is in none of the layouts, lacks a part or would run code.
    """

    METAINFO: Mapping[str, Any] = {'name': 'MOSI', 'modalities': MODALITIES, 'sizes': SIZES}

    def __init__(
        self,
        root: str | Path,
        split: str,
        modalities: Sequence[str] = MODALITIES,
        target: str = 'has0',
        text: str = 'features',
        vocab: str | None = None,
        length: int | Mapping[str, int] | None = None,
        keep: str = 'first',
        standardise: Sequence[str] = (),
        on_error: str = 'missing',
    ) -> None:
        self.utterances = Utterances(
            name='MOSI',
            files=FILES,
            most=sum(SIZES.values()),
            root=root,
            split=split,
            modalities=modalities,
            target=target,
            text=text,
            vocab=vocab,
            length=length,
            keep=keep,
            standardise=standardise,
            on_error=on_error,
        )
        self.metainfo = {**self.METAINFO, **self.utterances.metainfo}

    def __len__(self) -> int:
        return len(self.utterances)

    def __getitem__(self, key: int | Draw) -> dict[str, Any]:
        return self.utterances[key.sample if isinstance(key, Draw) else range(len(self))[key]]
