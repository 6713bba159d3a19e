"""Words to the ids that an uncased BERT reads."""

import string
import unicodedata
from pathlib import Path

from mmcalib.media import MediaError

SPECIAL = ('[UNK]', '[CLS]', '[SEP]')
LONGEST = 100  # characters; BERT takes a longer word as unknown


class WordPieces:
    """WordPiece with a vocabulary of lower case, as of bert-base-uncased.

    Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
    Understanding", NAACL 2019, arXiv:1810.04805. A word loses its accents and is split at
    punctuation; each part becomes the longest pieces that are known, from its beginning on.

    Args:
        vocab: the model's vocab.txt, one piece per line.

    Raises:
        MediaError: no such file, or one without [UNK], [CLS] and [SEP].
    """

    def __init__(self, vocab: str | Path) -> None:
        try:
            pieces = Path(vocab).read_text(encoding='utf-8').splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise MediaError(f'{vocab}: asked for a vocabulary, but: {error}') from None
        self.known = {piece.rstrip(): index for index, piece in enumerate(pieces)}
        if absent := [piece for piece in SPECIAL if piece not in self.known]:
            raise MediaError(f'{vocab}: asked for a vocabulary, but it has no {", ".join(absent)}')
        self.unknown, self.first, self.last = (self.known[piece] for piece in SPECIAL)

    def ids(self, word: str) -> list[int]:
        """The pieces of one word; none of a word that is blank."""
        letters = unicodedata.normalize('NFD', word.lower())
        bare = ''.join(c for c in letters if unicodedata.category(c) != 'Mn')
        spaced = ''.join(f' {c} ' if _is_punctuation(c) else c for c in bare)
        return [piece for part in spaced.split() for piece in self._pieces(part)]

    def _pieces(self, part: str) -> list[int]:
        ids: list[int] = []
        begin = 0
        while begin < len(part) <= LONGEST:
            prefix = '##' if begin else ''
            ends = (e for e in range(len(part), begin, -1) if prefix + part[begin:e] in self.known)
            end = next(ends, None)
            if end is None:
                return [self.unknown]
            ids.append(self.known[prefix + part[begin:end]])
            begin = end
        return ids or [self.unknown]


def _is_punctuation(c: str) -> bool:
    return c in string.punctuation or unicodedata.category(c).startswith('P')
