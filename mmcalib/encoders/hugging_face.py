"""HuggingFace: any model of the transformers library, from a local folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from mmcalib.contract import Encoder, Signal
from mmcalib.engine.audio_backend import torchaudio
from mmcalib.entries import gather, scatter
from mmcalib.registry import ENCODERS

TOKENS = ('all', 'first', 'mean')


@ENCODERS.register_module()
class HuggingFace(Encoder):
    """A model of the `transformers` library as an encoder: BERT, AST, Wav2Vec2, ViT and others.

    Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", EMNLP 2020 (demos),
    arXiv:1910.03771. Token t of layer k is the model's hidden state h_k[t]; h_0 are embeddings, the
    last layer is `last_hidden_state`, its final norm included.

    Text: raw (B, L) are ids, whole numbers, and the mask is the attention mask; padding belongs
    behind, since positions are columns. Else each real entry of raw (B, L, ...) goes through the
    model by itself: a frame (C, H, W), a spectrogram (T, F), a waveform (samples,). Entries of one
    batch have one size, and padding inside an entry is read as it is.

    Nothing is downloaded, and no code of a model's folder is run. SpecAugment inside an audio model
    is off: its randomness is NumPy's, which no seed of ours reaches.

    Missing: absent samples and padded entries never enter the model.

    Args:
        path: a folder with config.json and weights, as `save_pretrained` writes it. The
            architecture is read at construction, weights by `init_weights`.
        config: instead of a folder, `model_type` and what differs from that type's defaults;
            weights are random.
        layer: what `encode` returns: -1 the last, 0 the embeddings, k the k-th, 'all' the levels
            behind each other on the token axis, 'b (k l) d'.
        level_layers: the layers of `levels`, shallow to deep; by default at each third of the
            depth: 4, 8, 12 of 12.
        tokens: 'all' keeps every token, of all entries in a row; 'first' and 'mean' give one token
            per entry, or per text: the first, which is [CLS] in BERT, ViT and AST, or the mean.
        frozen: weights stay as they are, and the model in evaluation mode.
    """

    def __init__(
        self,
        path: str | None = None,
        config: Mapping[str, Any] | None = None,
        layer: int | str = -1,
        level_layers: Sequence[int] | None = None,
        tokens: str = 'all',
        frozen: bool = False,
    ) -> None:
        super().__init__()
        torchaudio()  # transformers imports it, and fails with it where its library does not load
        try:
            from transformers import AutoModel
        except ImportError:
            raise ImportError("HuggingFace needs transformers: pip install 'mmcalib[hf]'") from None
        settings = configure(path, config)
        self.path, self.layer, self.tokens, self.frozen = path, layer, tokens, frozen
        depth = settings.num_hidden_layers
        thirds = [max(1, depth * k // 3) for k in (1, 2, 3)]
        self.level_layers = tuple(thirds if level_layers is None else level_layers)
        check(depth, layer, self.level_layers, tokens)
        self.out_dim = settings.hidden_size
        self.model = AutoModel.from_config(settings).float().requires_grad_(not frozen)
        install_hooks(self.model)
        self.reads_ids = self.model.main_input_name == 'input_ids'
        self.pad_id = getattr(settings, 'pad_token_id', None) or 0
        self.train()

    def train(self, mode: bool = True) -> 'HuggingFace':
        """As any module, but a frozen model stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    @property
    def level_dims(self) -> tuple[int, ...]:
        """Widths of `levels`, shallow to deep."""
        return (self.out_dim,) * len(self.level_layers)

    def encode(self, raw: Signal) -> Signal:
        if self.layer == 'all':
            levels = self.levels(raw)
            return Signal(
                rearrange([level.x for level in levels], 'k b l d -> b (k l) d'),
                rearrange([level.mask for level in levels], 'k b l -> b (k l)'),
            )
        return self.tokenise(self.states(raw)[int(self.layer)], raw.mask)

    def levels(self, raw: Signal) -> list[Signal]:
        """Raw (B', L, ...) -> the tokens of each of `level_layers`."""
        states = self.states(raw)
        return [self.tokenise(states[k], raw.mask) for k in self.level_layers]

    def states(self, raw: Signal) -> list[Tensor]:
        """Hidden states of every layer: (B', L, D) of text, (N, T, D) of the N real entries."""
        if self.reads_ids:
            if raw.x.ndim != 2 or raw.x.is_floating_point():
                raise ValueError(
                    f'HuggingFace({self.model.config.model_type}) reads ids (B, L), whole numbers, '
                    f'but was given {tuple(raw.x.shape)} of {raw.x.dtype}'
                )
            ids = raw.x.long().masked_fill(~raw.mask, self.pad_id)
            given = {'input_ids': ids, 'attention_mask': raw.mask.long()}
        else:
            given = {self.model.main_input_name: gather(raw.x, raw.mask, self.training)}
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            out = self.model(**given, output_hidden_states=True, return_dict=True)
            # Poolers, and layers above the chosen one, take no part: under DDP each still owes
            # its parameters a gradient.
            tie = sum(0.0 * p.sum() for p in self.model.parameters() if p.requires_grad)
            return [state + tie for state in (*out.hidden_states[:-1], out.last_hidden_state)]

    def tokenise(self, states: Tensor, real: Tensor) -> Signal:
        """States of one layer -> the tokens that are asked for, with zeros where none is real."""
        if self.reads_ids:
            signal = Signal(Signal(states, real).clean(), real)
            if self.tokens == 'all':
                return signal
            x = signal.x[:, 0] if self.tokens == 'first' else signal.mean()
            return Signal(x.unsqueeze(1), signal.present.unsqueeze(1))
        if self.tokens != 'all':
            states = states[:, :1] if self.tokens == 'first' else states.mean(1, keepdim=True)
        x = scatter(states, real)
        mask = real.unsqueeze(-1).expand(*x.shape[:3])
        return Signal(rearrange(x, 'b l t d -> b (l t) d'), rearrange(mask, 'b l t -> b (l t)'))

    def init_weights(self) -> None:
        """Read the weights in `path`, if there is one. mmengine calls this before training.

        Raises:
            ValueError: the folder's weights do not fill the model.
        """
        if self.path is None:
            return
        from transformers import AutoModel

        given, info = AutoModel.from_pretrained(
            self.path, local_files_only=True, output_loading_info=True
        )
        absent = sorted(k for k in info['missing_keys'] if not k.startswith('pooler.'))  # unused
        if absent:
            raise ValueError(
                f'{self.path} does not hold the weights of its model: {len(absent)} are missing, '
                f'among them {absent[:3]}'
            )
        self.model.load_state_dict(given.state_dict())


def configure(path: str | None, config: Mapping[str, Any] | None) -> Any:
    """The settings of a model, from a folder or from a dict."""
    from transformers import AutoConfig

    if (path is None) == (config is None):
        raise ValueError(
            f'HuggingFace(path={path!r}, config={config!r}); exactly one of the two is needed'
        )
    if path is not None:
        if not (Path(path) / 'config.json').is_file():
            raise ValueError(
                f'HuggingFace(path={path!r}); a local folder with config.json is needed'
            )
        settings = AutoConfig.from_pretrained(path, local_files_only=True)
    else:
        given = dict(config or {})
        if 'model_type' not in given:
            raise ValueError(
                f"HuggingFace(config=...) needs the key 'model_type', but has {sorted(given)}"
            )
        settings = AutoConfig.for_model(**given)
    sizes = [getattr(settings, name, None) for name in ('hidden_size', 'num_hidden_layers')]
    if None in sizes or getattr(settings, 'is_encoder_decoder', False):
        raise ValueError(
            f'HuggingFace: a {settings.model_type} model is not one stack of layers of one width; '
            'such as bert, vit, audio-spectrogram-transformer and wav2vec2 are'
        )
    if hasattr(settings, 'apply_spec_augment'):
        settings.apply_spec_augment = False
    return settings


def install_hooks(model: Any) -> None:
    """Let a model that collects hidden states by hooks install them now, not in its first call."""
    if not getattr(model, '_can_record_outputs', None):
        return
    try:
        from transformers.utils.output_capturing import maybe_install_capturing_hooks
    except ImportError:  # before version 5 models collect them in their own loops
        return
    maybe_install_capturing_hooks(model)


def check(depth: int, layer: int | str, levels: Sequence[int], tokens: str) -> None:
    """Refuse what the model does not have."""
    if layer != 'all' and layer not in range(-1, depth + 1):
        raise ValueError(f"HuggingFace(layer={layer!r}); possible are 'all' and -1 to {depth}")
    if not levels or any(k not in range(depth + 1) for k in levels):
        raise ValueError(
            f'HuggingFace(level_layers={tuple(levels)}); layers are among 0 to {depth}'
        )
    if tokens not in TOKENS:
        raise ValueError(f'HuggingFace(tokens={tokens!r}); possible are {", ".join(TOKENS)}')
