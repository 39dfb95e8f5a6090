"""What all networks share: scaling, the loop, devices, checkpoints, prediction in chunks, and state as arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from finml_models.core.batches import Forecast
from finml_models.core.errors import DataError, NotFitted
from finml_models.core.estimator import Estimator, H, OnProgress, Signature, TrainingConfig, ignore

from . import conformal
from .checkpoint import Checkpoints, EpochLoss, training_key
from .loop import Loop, chunks, pick_device, seeded
from .losses import ForecastLoss
from .minibatch import Minibatch, Sources
from .scaling import Scaling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

OFFSETS = "conformal.offsets"


class TorchEstimator(Estimator[H]):
    """An estimator around a network. A model overrides `network`, and `loss` where its paper has its own; nothing else.

    Set `resume_folder` before `fit` to make the fit resumable. Two fits with one seed, one batch and one number of threads
    give equal bits on the CPU. A row predicts the same alone and in a batch up to float32 rounding (1e-5): matrix kernels
    are chosen by the size of the batch and sum in different orders.
    """

    def __init__(self, hyperparameters: H, signature: Signature, config: TrainingConfig | None = None) -> None:
        super().__init__(hyperparameters, signature, config)
        self.history: list[EpochLoss] = []
        self._module: nn.Module | None = None
        self._scaling: Scaling | None = None
        self._forecast_loss: ForecastLoss | None = None
        self._offsets: NDArray[np.float32] | None = None

    @abstractmethod
    def network(self) -> nn.Module:
        """The network for `self.hyperparameters` and `self.signature`; its `forward` takes a minibatch of tensors."""

    def loss(self, output: Any, batch: Minibatch) -> Tensor:
        """Mean loss of what the network answers for a minibatch: the signature's point loss plus pinball."""
        if self._forecast_loss is None or batch.target is None:
            raise NotFitted("loss: it needs a target and the scale that `fit` learns: call `fit`")
        return self._forecast_loss(output, batch.target)

    @property
    def parameters_count(self) -> int:
        """Trainable parameters of the network."""
        return sum(p.numel() for p in (self._module or self.network()).parameters() if p.requires_grad)

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from every `config.stride`-th date of `train`; stop by the loss on `valid`, keep its best weights, calibrate on it.

        Raises `DataError` for batches that do not fit the signature, `Diverged` when the loss leaves the numbers,
        `LeaseHeld` when another process trains in the checkpoints' folder.
        """
        for name, batch in (("train", train), ("valid", valid)):
            self._check(batch)
            if not len(batch) or batch.target is None:
                raise DataError(
                    f"{name}: {len(batch)} rows, target {'absent' if batch.target is None else 'present'}: a fit needs rows with targets in both parts"
                )
        checkpoints = Checkpoints(self.resume_folder) if self.resume_folder else None
        key = training_key(self, train, valid) if checkpoints else ""
        train = thin(train, self.config.stride)
        device = pick_device(self.config.device)
        self._assemble(Scaling.of(train, self.signature), device)
        sources = Sources(self._scaling, device)
        loop = Loop(self._module, self.loss, sources.of(train), sources.of(valid), self.config, on_progress)
        loop.run(checkpoints, key)
        self.history = loop.history
        if self.config.calibrate and self.signature.levels:
            self._offsets = conformal.offsets(self.predict(valid).quantiles, valid.target, self.signature.levels)
        return self

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Forecast:
        """One forecast a row on the target's own scale. Raises `NotFitted`, and `DataError` for rows that cannot be read."""
        module, scaling = self._fitted()
        self._check(batch)
        source = Sources(scaling, next(module.parameters()).device).of(batch)
        horizons, levels = len(self.signature.horizons), self.signature.levels
        point = np.empty((len(batch), horizons), np.float32)
        quantiles = np.empty((len(batch), horizons, len(levels)), np.float32)
        for rows in chunks(len(batch)):
            output = module(source.gather(rows))
            at = slice(int(rows[0]), int(rows[-1]) + 1)
            point[at], quantiles[at] = output.point.cpu().numpy(), output.quantiles.cpu().numpy()
        mean, std = scaling.target.mean, scaling.target.std
        point = point * std + mean
        if not np.isfinite(point).all():
            row = int(np.argmin(np.isfinite(point).all(axis=1)))
            raise DataError(f"row {row} ({batch.entity[row]}, {batch.time[row]}): its inputs hold NaN or infinity: fill or leave out the row")
        quantiles = quantiles * std[:, None] + mean[:, None]
        return Forecast(point, quantiles if self._offsets is None else conformal.moved(quantiles, self._offsets), levels)

    def state(self) -> Mapping[str, NDArray]:
        """The network's tensors as `network.*`, the moments as `inputs.mean`, `target.std` and so on, the calibration as `conformal.offsets`."""
        module, scaling = self._fitted()
        arrays = {f"network.{name}": value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}
        calibration = {} if self._offsets is None else {OFFSETS: self._offsets}
        return {**arrays, **scaling.state(), **calibration}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Rebuild network and scales. Raises `KeyError` for a missing or unknown array, `ValueError` for a wrong shape."""
        self._assemble(Scaling.restore(state, self.signature), pick_device(self.config.device))
        own = self._module.state_dict()
        given = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
        if own.keys() != given.keys():
            raise KeyError(f"network: arrays {sorted(own.keys() ^ given.keys())} are missing or unknown: take the state of the same model")
        for name, value in given.items():
            if value.shape != tuple(own[name].shape):
                raise ValueError(f"network.{name}: shape {value.shape} where {tuple(own[name].shape)} is needed: take the state of the same hyperparameters")
        self._module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in given.items()})
        self._offsets = self._calibration(state)

    def _assemble(self, scaling: Scaling, device: torch.device) -> None:
        # Weights are drawn on the CPU, so that a seed means the same network on every device.
        with seeded(self.config.seed, 0, stream="weights", device=torch.device("cpu")):
            self._module = self.network().to(device).eval()
        self._scaling, self._offsets = scaling, None
        self._forecast_loss = ForecastLoss(self.signature, torch.from_numpy(scaling.target.std)).to(device)

    def _calibration(self, state: Mapping[str, NDArray]) -> NDArray[np.float32] | None:
        if not (self.config.calibrate and self.signature.levels):
            return None
        found, shape = state[OFFSETS], (len(self.signature.horizons), len(self.signature.levels))
        if found.shape != shape:
            raise ValueError(f"{OFFSETS}: shape {found.shape} where {shape} is needed: take the state of the same signature")
        return np.array(found, np.float32)

    def _fitted(self) -> tuple[nn.Module, Scaling]:
        if self._module is None or self._scaling is None:
            raise NotFitted(f"{type(self).__name__} has learned nothing yet: call `fit` or `restore` first")
        return self._module, self._scaling

    def _check(self, batch: Batch) -> None:
        inputs = getattr(batch, "panel", getattr(batch, "values", None))
        expected = {
            "kind": (self.signature.kind, batch.kind),
            "features": (self.signature.features, None if inputs is None else inputs.shape[-1]),
            "length": (self.signature.length, getattr(batch, "length", 0)),
            "static": (len(self.signature.static_names), _columns(getattr(batch, "static", None))),
            "known": (len(self.signature.known_names), _columns(getattr(batch, "known", None))),
        }
        for name, (wanted, found) in expected.items():
            if wanted != found:
                raise DataError(f"{name}: the batch has {found}, the signature says {wanted}: build the batch with the same task view")


def thin(batch: Batch, stride: int) -> Batch:
    """Every `stride`-th date, counted back from the newest: the labels of neighbouring dates overlap, so little is lost."""
    if stride == 1:
        return batch
    kept = np.unique(batch.time)[::-1][::stride]
    return batch.take(np.flatnonzero(np.isin(batch.time, kept)))


def _columns(array: NDArray | None) -> int:
    return 0 if array is None else array.shape[-1]
