"""MultimodalModel: the only file that knows the order of the stages."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from mmcalib.contract import Losses, Signals, Supervision, merge
from mmcalib.registry import CALIBRATORS, ENCODERS, FUSERS, HEADS, MODELS


@MODELS.register_module()
class MultimodalModel(BaseModel):
    """encoders -> calibrator -> fuser -> head.

    Hooks reach the stages by their public names: `encoders.<modality>`, `calibrator`, `fuser` and
    `head`.

    Args:
        encoders: one encoder config per modality; its order is the order of modalities everywhere.
        fuser: a fuser config.
        head: a head config.
        calibrator: a calibrator config; the default leaves the signals as they are, and is the
            baseline of every comparison.
        data_preprocessor: mmengine's; the default moves tensors to the device.
    """

    def __init__(
        self,
        encoders: Mapping[str, Mapping[str, Any]],
        fuser: Mapping[str, Any],
        head: Mapping[str, Any],
        calibrator: Mapping[str, Any] = {'type': 'Identity'},
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.encoders = nn.ModuleDict({m: ENCODERS.build(cfg) for m, cfg in encoders.items()})
        dims = {m: encoder.out_dim for m, encoder in self.encoders.items()}
        self.fuser = FUSERS.build(fuser, dims=dims)
        self.head = HEADS.build(head, in_dim=self.fuser.out_dim)
        # Last, so that with one seed all else begins with the same weights under any calibrator.
        self.calibrator = CALIBRATORS.build(calibrator, dims=dims)

    def init_weights(self) -> None:
        """Let encoders read their checkpoints; mmengine calls this before training, not to test."""
        for encoder in self.encoders.values():
            initialise = getattr(encoder, 'init_weights', None)
            if callable(initialise):
                initialise()

    def forward(
        self,
        inputs: Signals,
        target: Tensor | None = None,
        id: Sequence[str] | None = None,
        unreadable: Sequence[Mapping[str, str]] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | Losses | list[dict[str, Any]]:
        """Run one batch, as collated from a data set.

        Args:
            inputs: raw signals, one per modality.
            target: (B, ...) labels; needed by mode 'loss'.
            id: B names of samples.
            unreadable: per sample, why a modality could not be read; hooks count it.
            mode: 'tensor' returns the prediction (B, ...); 'loss' the losses by name; 'predict' one
                dict per sample with `prediction`, and `target` and `id` where they were given.

        Raises:
            ValueError: a modality of the model is not among the inputs, mode 'loss' without target,
                or an unknown mode.
        """
        if absent := [m for m in self.encoders if m not in inputs]:
            raise ValueError(
                f'The model encodes {list(self.encoders)}, but the data set gives {list(inputs)}: '
                f'{absent} is not there'
            )
        signals: Signals = {m: encoder(inputs[m]) for m, encoder in self.encoders.items()}
        if mode == 'loss':
            if target is None:
                raise ValueError("mode='loss' needs a target, but the batch has none")
            return self._losses(signals, target)
        prediction = self.head(self.fuser(self.calibrator(signals).signals).vector)
        if mode == 'tensor':
            return prediction
        if mode == 'predict':
            named = {'prediction': prediction, 'target': target, 'id': id}
            given = {name: values for name, values in named.items() if values is not None}
            return [dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)]
        raise ValueError(f"mode is {mode!r}; it must be 'tensor', 'loss' or 'predict'")

    def _losses(self, signals: Signals, target: Tensor) -> Losses:
        supervision = Supervision(target, partial(self._task_loss, target=target))
        calibration = self.calibrator(signals, supervision)
        fusion = self.fuser(calibration.signals)
        task = self.head.loss(self.head(fusion.vector), target).mean()
        return merge({'loss_task': task}, calibration.losses, fusion.losses)

    def _task_loss(self, signals: Signals, target: Tensor) -> Tensor:
        return self.head.loss(self.head(self.fuser(signals).vector), target)
