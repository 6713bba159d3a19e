"""CMU-MOSEI, from any of the feature files that are around."""

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
    'mosei_senti_data.pkl',
    'mosei_senti_data_noalign.pkl',
    'mosei_raw.pkl',
    'mosei.pkl',
)
SIZES = {'train': 16326, 'val': 1871, 'test': 4659}
ALL = 23453  # also those that published splits leave out


@DATASETS.register_module()
class MOSEI(Dataset):
    """22856 utterances, each with a sentiment in [-3, 3], as features of a pickle.

    Zadeh et al., "Multimodal Language Analysis in the Wild: CMU-MOSEI Dataset and Interpretable
    Dynamic Fusion Graph", ACL 2018. Its six emotions are not read. Layouts, items, arguments and
    errors are those of `MOSI`; docs/datasets/mosi.md describes both.

    Args:
        root: the file, or a folder that has one of the usual names, itself or in `Processed/`.
        split: 'train', 'val' or 'test'.
        modalities: which to read, in this order.
        target: 'has0', score >= 0; 'positive', score > 0; 'non0', the same without those of 0;
            'seven', the score rounded; 'regression', the score.
        text: 'features', or 'bert' or 'glove' to insist on their width, or 'ids' for BERT itself.
        vocab: a vocab.txt, for 'ids' of words.
        length: at most so many steps, of each modality or by name; all if None.
        keep: which steps `length` keeps, the 'first' or the 'last'.
        standardise: modalities to standardise by the real steps of train.
        on_error: a modality that cannot be read is 'missing', or 'raise' raises MediaError.
    """

    METAINFO: Mapping[str, Any] = {'name': 'MOSEI', 'modalities': MODALITIES, 'sizes': SIZES}

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
            name='MOSEI',
            files=FILES,
            most=ALL,
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
