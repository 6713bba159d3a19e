"""Relearning: set back the encoders that have learned by heart."""

from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from sklearn.cluster import KMeans
from sklearn.preprocessing import MinMaxScaler
from torch.utils.data import DataLoader, Subset

from mmcalib.engine.balancing import Balancing, mean_over_ranks, unwrap
from mmcalib.engine.modulation import evaluating
from mmcalib.registry import HOOKS


@HOOKS.register_module()
class Relearning(Balancing):
    """Diagnosing and re-learning: move each encoder back to its start, the more it overfits.

    Wei et al., "Diagnosing and Re-learning for Balanced Multimodal Learning", ECCV 2024,
    arXiv:2407.09705: after every `every` epochs, `times` times, features of each modality are
    scaled to [-1, 1] and clustered by K-means with as many clusters as classes; the gap between the
    purity of the clusters in training and in validation is g_m; w_m = tanh(strength g_m);
    theta_m <- (1 - w_m) theta_m + w_m theta_m at the start.

    The paper leaves open, and we decide: a feature is the encoder's mean over real tokens, in
    evaluation mode, of the unaugmented order of the data set but with the training transforms of
    epoch 0; g_m is the absolute gap; running statistics and the optimiser's state stay. The start
    is what training began with, so pretrained weights where there are any.

    The validation set shapes training here: its scores are no longer those of unseen data.

    Missing: a sample without the modality is not clustered; a modality that fewer than two samples
    have is left alone.
    Cost: a pass over at most `samples` samples of each set, three times by default; the checkpoint
    holds a second copy of the encoders. Logs: `balance_<modality>` is w_m.

    Args:
        every: epochs between two diagnoses.
        times: how often at most.
        strength: lambda, 0 or more; 0 leaves the encoders as they are.
        samples: of each set that are looked at, evenly spaced; None for all.
        seed: of K-means.

    Raises:
        ValueError: no validation loader, or targets that are not one class per sample.
    """

    def __init__(
        self,
        every: int = 20,
        times: int = 3,
        strength: float = 3.0,
        samples: int | None = 4096,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if every < 1 or times < 1 or strength < 0:
            raise ValueError(
                f'Relearning(every={every}, times={times}, strength={strength}); every and times '
                'are 1 or more, strength is 0 or more'
            )
        if samples is not None and samples < 2:
            raise ValueError(f'Relearning(samples={samples}); at least 2, or None for all')
        self.every, self.times, self.strength = every, times, strength
        self.samples, self.seed = samples, seed
        self.done = 0  # epochs after which the last diagnosis was made
        self.start: dict[str, torch.Tensor] = {}

    def before_run(self, runner: Any) -> None:
        """Forget an earlier run."""
        super().before_run(runner)
        self.done, self.start = 0, {}

    def before_train(self, runner: Any) -> None:
        """Remember the weights that training begins with; a resumed run has them already."""
        super().before_train(runner)
        if getattr(runner, 'val_dataloader', None) is None:
            raise ValueError(
                'Relearning compares with validation, and this run has no val_dataloader'
            )
        target = torch.as_tensor(runner.train_dataloader.dataset[0]['target'])
        if target.ndim or target.is_floating_point():
            raise ValueError(
                'Relearning needs one class per sample; the target of sample 0 is '
                f'{target.dtype} of shape {tuple(target.shape)}'
            )
        if not self.start:
            own = unwrap(runner.model).encoders.named_parameters()
            self.start = {name: p.detach().cpu().clone() for name, p in own}

    def before_train_epoch(self, runner: Any) -> None:
        """Diagnose if it is time; not again where an interrupted epoch continues."""
        epoch = runner.epoch
        due = epoch and epoch % self.every == 0 and epoch <= self.every * self.times
        if not due or self.done >= epoch:
            return
        self.done = epoch
        model = unwrap(runner.model)
        gaps = mean_over_ranks(self.gaps(runner, model))
        for m, gap in zip(self.modalities, gaps.tolist(), strict=True):
            weight = float(np.tanh(self.strength * gap))
            self.set_back(model, m, weight)
            runner.message_hub.update_scalar(f'train/balance_{m}', weight)
            print_log(
                f'Relearning after epoch {epoch}: purity gap of {m} {gap:.3f}, set back by '
                f'{weight:.3f}',
                'current',
            )

    def gaps(self, runner: Any, model: Any) -> torch.Tensor:
        """|purity in training - purity in validation| (M,)."""
        loaders = (runner.train_dataloader, runner.val_dataloader)
        with evaluating(model):
            scores = [self.purities(model, loader) for loader in loaders]
        device = next(model.parameters()).device
        # A modality that one of the sets lacks has no gap.
        return torch.tensor(scores, device=device).diff(dim=0).abs().nan_to_num()[0]

    @torch.no_grad()
    def purities(self, model: Any, loader: DataLoader) -> list[float]:
        """Per modality, how pure its clusters are; NaN where fewer than two samples have it."""
        features: dict[str, list[np.ndarray]] = {m: [] for m in self.modalities}
        labels: dict[str, list[np.ndarray]] = {m: [] for m in self.modalities}
        for batch in self.batches(loader):
            given = model.data_preprocessor(batch, False)
            for m in self.modalities:
                signal = model.encoders[m](given['inputs'][m])
                features[m].append(signal.mean()[signal.present].float().cpu().numpy())
                labels[m].append(given['target'][signal.present].cpu().numpy())
        found = []
        for m in self.modalities:
            x, y = np.concatenate(features[m]), np.concatenate(labels[m])
            if len(y) < 2:
                found.append(float('nan'))
                continue
            x = MinMaxScaler((-1, 1)).fit_transform(x)
            count = min(len(np.unique(y)), len(np.unique(x, axis=0)))
            found.append(purity(KMeans(count, n_init=10, random_state=self.seed).fit_predict(x), y))
        return found

    def batches(self, loader: DataLoader) -> DataLoader:
        """Samples of a loader's data set, in an order of their own."""
        count = len(loader.dataset)  # type: ignore[arg-type]
        kept = np.linspace(0, count - 1, min(count, self.samples or count)).round().astype(int)
        return DataLoader(
            Subset(loader.dataset, kept.tolist()),
            loader.batch_size,
            collate_fn=loader.collate_fn,
            generator=torch.Generator(),  # or the loader draws from the generator of training
        )

    @torch.no_grad()
    def set_back(self, model: Any, modality: str, weight: float) -> None:
        """theta <- (1 - w) theta + w theta at the start."""
        for name, parameter in model.encoders.named_parameters():
            if name.startswith(f'{modality}.'):
                start = self.start[name].to(parameter.device, parameter.dtype)
                parameter.lerp_(start, weight)

    def state_dict(self) -> dict[str, Any]:
        """The weights at the start, and when the last diagnosis was."""
        return {'done': self.done, 'start': self.start}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.done, self.start = state['done'], dict(state['start'])


def purity(clusters: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose label is the most frequent one of their cluster."""
    right = sum(
        np.unique(labels[clusters == c], return_counts=True)[1].max() for c in np.unique(clusters)
    )
    return float(right / len(labels))
