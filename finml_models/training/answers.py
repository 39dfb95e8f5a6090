"""From what a network says to what its objective asks: the target's scale, the loss, calibration, and the prediction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from finml_models.core.errors import DataError, NotExplained
from finml_models.core.estimator import Signature
from finml_models.core.predictions import Forecast, Prediction, Probabilities
from finml_models.core.replacement import forecast_name, odds_name
from finml_models.core.spec import Objective

from . import conformal
from .losses import ForecastLoss
from .rare import Rarity
from .scaling import Scale, expect
from .temperature import best_temperature, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch

Raw = tuple["NDArray[np.float32]", ...]
"""What a network said of some rows, as arrays whose first axis are the rows."""


def array_of(said: Tensor | NDArray[np.float32]) -> NDArray[np.float32]:
    """A tensor of a network, or what another runtime said in its place, as an array."""
    if isinstance(said, np.ndarray):
        return said
    array: NDArray[np.float32] = said.float().cpu().numpy()
    return array


class Answer(ABC):
    """From raw outputs to the prediction of an objective; what it learns of the rows is kept with the weights."""

    @abstractmethod
    def raw(self, output: Any) -> Raw:
        """What the network said of a minibatch, on the target's own scale."""

    @abstractmethod
    def nothing(self) -> Raw:
        """What would be said of no rows."""

    @abstractmethod
    def settle(self, read: Callable[[Batch], Raw], train: Batch, valid: Batch, *, calibrate: bool) -> None:
        """Learn what is left to learn once the network has its weights; `read` is what it says of a batch, `calibrate` the configuration's word."""

    @abstractmethod
    def prediction(self, raw: Raw) -> Prediction:
        """The calibrated prediction."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that was learned, by name."""

    def explained(self, output: Any) -> tuple[Tensor, str]:
        """The one number of a minibatch's outputs (b,) that an explanation is of, with its gradients, and its name."""
        raise NotExplained(f"{type(self).__name__}: no single number is chosen from {type(output).__name__}, so there is none to explain")

    def to(self, device: torch.device) -> None:  # noqa: B027 - most answers have nothing to move
        """Move what the loss needs."""


class SupervisedAnswer(Answer):
    """The answer of a network that learns from a target: learned from the training targets (`of`) and the validation rows (`calibrate`)."""

    @abstractmethod
    def encode(self, target: NDArray[np.float32]) -> NDArray[Any]:
        """The batch's target (n, ·) as the loss wants it."""

    @abstractmethod
    def loss(self, output: Any, target: Tensor) -> Tensor:
        """Mean loss of a minibatch."""

    @abstractmethod
    def calibrate(self, raw: Raw, target: NDArray[np.float32]) -> None:
        """Learn what raw answers lack in calibration, from rows that the network did not learn from."""

    def settle(self, read: Callable[[Batch], Raw], train: Batch, valid: Batch, *, calibrate: bool) -> None:
        del train
        if calibrate:
            assert valid.target is not None  # noqa: S101 - checked by `fit`
            self.calibrate(read(valid), valid.target)


class ForecastAnswer(SupervisedAnswer):
    """A point and quantiles on a standardised target: `losses.ForecastLoss`, and conformal offsets of the quantiles."""

    OFFSETS = "conformal.offsets"

    def __init__(self, signature: Signature, target: Scale, offsets: NDArray[np.float32] | None = None) -> None:
        self._signature, self._levels, self._target, self._offsets = signature, signature.levels, target, offsets
        self._loss = ForecastLoss(signature, torch.from_numpy(target.std))

    @classmethod
    def of(cls, train: Batch, signature: Signature) -> ForecastAnswer:
        """With the mean and deviation of each horizon's target."""
        assert train.target is not None  # noqa: S101 - checked by `fit`
        ones = np.ones(len(train), np.int64)
        return cls(signature, Scale.of(train.target, ones, [f"target h{h}" for h in signature.horizons]))

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], signature: Signature, *, calibrated: bool) -> ForecastAnswer:
        """The answer of `state()`; `KeyError` for a missing array, `ValueError` for one of another shape."""
        horizons = len(signature.horizons)
        target = Scale(*(expect(state, f"target.{part}", (horizons,)) for part in ("mean", "std")))
        wanted = calibrated and signature.levels
        return cls(signature, target, expect(state, cls.OFFSETS, (horizons, len(signature.levels))) if wanted else None)

    def encode(self, target: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._target.standardise(target)

    def loss(self, output: Any, target: Tensor) -> Tensor:
        found: Tensor = self._loss(output, target)
        return found

    def raw(self, output: Any) -> Raw:
        mean, std = self._target.mean, self._target.std
        return array_of(output.point) * std + mean, array_of(output.quantiles) * std[:, None] + mean[:, None]

    def explained(self, output: Any) -> tuple[Tensor, str]:
        """The point forecast of the shortest horizon, on the target's scale."""
        return output.point[:, 0].double() * float(self._target.std[0]) + float(self._target.mean[0]), forecast_name(self._signature)

    def nothing(self) -> Raw:
        horizons = len(self._target.mean)
        return np.empty((0, horizons), np.float32), np.empty((0, horizons, len(self._levels)), np.float32)

    def calibrate(self, raw: Raw, target: NDArray[np.float32]) -> None:
        self._offsets = conformal.offsets(raw[1], target, self._levels) if self._levels else None

    def prediction(self, raw: Raw) -> Forecast:
        point, quantiles = raw
        return Forecast(point, quantiles if self._offsets is None else conformal.moved(quantiles, self._offsets), self._levels)

    def state(self) -> dict[str, NDArray[Any]]:
        learned = {"target.mean": self._target.mean, "target.std": self._target.std}
        return learned if self._offsets is None else {**learned, self.OFFSETS: self._offsets}

    def to(self, device: torch.device) -> None:
        self._loss.to(device)


class ClassAnswer(SupervisedAnswer):
    """Logits (b, classes), or (b, members, classes) for an ensemble: cross-entropy, and a temperature.

    An ensemble learns by the mean of its members' losses, never by the loss of their mean, and answers with the mean of
    their probabilities. Where a class is rare (`rare.Rarity`) the log shares of the classes stand beside the logits.
    """

    TEMPERATURE, SHARES = "temperature", "log_shares"

    def __init__(self, signature: Signature, temperature: float = 1.0, shares: NDArray[np.float32] | None = None) -> None:
        self._signature, self._classes, self._temperature, self._shares = signature, signature.classes, temperature, shares
        self._seen: Tensor | None = None

    @classmethod
    def of(cls, signature: Signature, rarity: Rarity | None) -> ClassAnswer:
        """With the shares of the classes where one of them is rare."""
        answer = cls(signature, shares=None if rarity is None else rarity.true)
        answer._seen = None if rarity is None else torch.from_numpy(rarity.seen)
        return answer

    @classmethod
    def restore(cls, state: Mapping[str, NDArray[Any]], signature: Signature) -> ClassAnswer:
        """The answer of `state()`; `KeyError` or `ValueError` where it does not fit."""
        shares = expect(state, cls.SHARES, (len(signature.classes),)) if cls.SHARES in state else None
        return cls(signature, float(expect(state, cls.TEMPERATURE, (1,))[0]), shares)

    def encode(self, target: NDArray[np.float32]) -> NDArray[np.int64]:
        numbers = target[:, 0].astype(np.int64)
        if len(numbers) and not (0 <= numbers.min() <= numbers.max() < len(self._classes)):
            raise DataError(f"target: class numbers from {numbers.min()} to {numbers.max()} for the classes {self._classes}; number them from 0")
        return numbers

    def loss(self, output: Any, target: Tensor) -> Tensor:
        members = output.shape[1] if output.ndim == 3 else 1
        output = output if self._seen is None else output + self._seen
        return cross_entropy(output.flatten(0, -2), target.repeat_interleave(members))

    def raw(self, output: Any) -> Raw:
        logits = array_of(output)
        return (logits if self._shares is None else logits + self._shares,)

    def explained(self, output: Any) -> tuple[Tensor, str]:
        """The log odds of the last class, as they are predicted."""
        logits = output.double() if self._shares is None else output.double() + torch.from_numpy(self._shares).to(output.device)
        p = (logits / self._temperature).log_softmax(dim=-1)
        # Of an ensemble the mean of the members' probabilities.
        p = p if p.ndim == 2 else p.logsumexp(dim=1) - np.log(p.shape[1])
        return p[:, -1] - p[:, :-1].logsumexp(dim=1), odds_name(self._signature)

    def nothing(self) -> Raw:
        return (np.empty((0, len(self._classes)), np.float32),)

    def calibrate(self, raw: Raw, target: NDArray[np.float32]) -> None:
        # As it is saved, so that a restored classifier gives the same bits.
        self._temperature = float(np.float32(best_temperature(raw[0], self.encode(target))))

    def prediction(self, raw: Raw) -> Probabilities:
        return Probabilities(softmax(raw[0], self._temperature), self._classes)

    def state(self) -> dict[str, NDArray[Any]]:
        learned = {self.TEMPERATURE: np.array([self._temperature], np.float32)}
        return learned if self._shares is None else {**learned, self.SHARES: self._shares}

    def to(self, device: torch.device) -> None:
        self._seen = None if self._seen is None else self._seen.to(device)


def answer_of(train: Batch, signature: Signature, rarity: Rarity | None = None) -> Answer:
    """The answer that a signature's objective needs, before anything is calibrated."""
    if signature.objective is Objective.FORECAST:
        return ForecastAnswer.of(train, signature)
    if signature.objective is Objective.CLASSIFY:
        return ClassAnswer.of(signature, rarity)
    raise NotImplementedError(
        f"objective {signature.objective.value}: a network of `TorchEstimator` forecasts or classifies, one of `Representation` scores or finds regimes"
    )


def restored_answer(state: Mapping[str, NDArray[Any]], signature: Signature, *, calibrated: bool) -> Answer:
    """The answer of a saved state; `KeyError` or `ValueError` where the state does not fit."""
    if signature.objective is Objective.FORECAST:
        return ForecastAnswer.restore(state, signature, calibrated=calibrated)
    return ClassAnswer.restore(state, signature)
