"""Networks that learn without a target: embeddings of rows, and from them regimes or anomaly scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from finml_models.core.errors import NotExplained
from finml_models.core.estimator import H
from finml_models.core.explanations import Attribution, Explanation
from finml_models.core.predictions import AnomalyScores, Regimes
from finml_models.core.spec import Objective

from .alarms import alarm_threshold
from .answers import Answer, Raw, array_of
from .encoder import NumericEncoder
from .regimes import RegimeMixture
from .scaling import expect
from .torch_estimator import TorchEstimator

if TYPE_CHECKING:
    from finml_models.core.batches import Batch
    from finml_models.core.estimator import Signature

    from .minibatch import WindowTensors
    from .rare import Rarity

Float = NDArray[np.float32]


class Embedded(Protocol):
    """What such a network answers when it does not train. Shape: embedding (b, d)."""

    @property
    def embedding(self) -> Tensor: ...


class Reconstructed(Embedded, Protocol):
    """What an autoencoder answers. Shapes: window (b, length, f), oldest row first; surprise (b, f) of the newest row, higher is stranger."""

    @property
    def window(self) -> Tensor: ...
    @property
    def surprise(self) -> Tensor: ...


class RegimesAnswer(Answer):
    """Clusters of the embedding: a mixture fitted on the training rows, whose next returns say what to expect in each regime."""

    def __init__(self, width: int, most: int, seed: int, mixture: RegimeMixture | None = None) -> None:
        self._width, self._most, self._seed, self._mixture = width, most, seed, mixture

    def raw(self, output: Embedded) -> Raw:
        return (array_of(output.embedding),)

    def explained(self, output: Embedded) -> tuple[Tensor, str]:
        """The log odds of the regime with the widest law, the last one."""
        odds = log_posterior(self._known(), output.embedding)
        return odds[:, -1] - odds[:, :-1].logsumexp(dim=1), "log odds of the most turbulent regime"

    def nothing(self) -> Raw:
        return (np.empty((0, self._width), np.float32),)

    def settle(self, read: Callable[[Batch], Raw], train: Batch, valid: Batch, *, calibrate: bool) -> None:
        del valid, calibrate
        assert train.target is not None  # noqa: S101 - checked by `fit`
        self._mixture = RegimeMixture.of(read(train)[0], train.target[:, 0], most=self._most, seed=self._seed)

    def prediction(self, raw: Raw) -> Regimes:
        return self._known().predict(raw[0])

    def state(self) -> dict[str, NDArray[Any]]:
        return self._known().state()

    def _known(self) -> RegimeMixture:
        assert self._mixture is not None  # noqa: S101 - set by `settle` or `restored_answer`
        return self._mixture


def log_posterior(mixture: RegimeMixture, embedding: Tensor) -> Tensor:
    """(b, d) -> (b, k) logarithms of what `RegimeMixture.probabilities` gives, with their gradients, in float64."""
    centre, scale, weights, means, precision = (
        torch.from_numpy(held).to(embedding.device) for held in (mixture.centre, mixture.scale, mixture.weights, mixture.means, mixture.precision)
    )
    x = (embedding.double() - centre) / scale
    turned = torch.einsum("nkd,kde->nke", x[:, None, :] - means, precision)
    size = precision.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    return (weights.log() + size - 0.5 * turned.square().sum(dim=2)).log_softmax(dim=1)


class ScoreAnswer(Answer):
    """The newest row's surprise, summed over features, and the threshold that a share `signature.alarm_rate` of known rows exceeds.

    `relative` scores are squared errors, each feature's in units of its mean on the training rows, so that what is always
    hard to reconstruct does not drown what hardly ever goes wrong; scores of a likelihood are comparable as they are.
    """

    THRESHOLD, UNIT = "alarm.threshold", "alarm.unit"

    def __init__(self, signature: Signature, width: int, *, relative: bool) -> None:
        self._features, self._rate, self._width, self._relative = signature.features, signature.alarm_rate, width, relative
        self._unit, self._threshold = np.ones(signature.features, np.float32), np.ones(1, np.float32)

    def restore(self, state: Mapping[str, NDArray[Any]]) -> ScoreAnswer:
        """Take what `state()` held; `KeyError` or `ValueError` where it does not fit."""
        self._unit, self._threshold = expect(state, self.UNIT, (self._features,)), expect(state, self.THRESHOLD, (1,))
        return self

    def raw(self, output: Reconstructed) -> Raw:
        return array_of(output.surprise), array_of(output.embedding)

    def nothing(self) -> Raw:
        return np.empty((0, self._features), np.float32), np.empty((0, self._width), np.float32)

    def settle(self, read: Callable[[Batch], Raw], train: Batch, valid: Batch, *, calibrate: bool) -> None:
        del calibrate
        seen, held = read(train)[0], read(valid)[0]
        if self._relative:
            # A feature that is always given back exactly has no unit of error; its first error then counts as it is.
            mean = seen.mean(axis=0, dtype=np.float64)
            self._unit = np.where(mean > 1e-6, mean, 1.0).astype(np.float32)
        # Both parts: the validation rows alone are few and of one season, the training rows alone were learned by heart.
        scores = np.concatenate([self.parts(seen), self.parts(held)]).sum(axis=1)
        self._threshold = np.array([alarm_threshold(scores, self._rate)], np.float32)

    def parts(self, surprise: Float) -> Float:
        """(n, f) what each feature adds to the score."""
        return surprise / self._unit

    def prediction(self, raw: Raw) -> AnomalyScores:
        score = self.parts(raw[0]).sum(axis=1)
        return AnomalyScores(score, np.broadcast_to(self._threshold, score.shape).copy())

    def state(self) -> dict[str, NDArray[Any]]:
        return {self.UNIT: self._unit, self.THRESHOLD: self._threshold}


class Representation(TorchEstimator[H]):
    """A network trained without a target. A model overrides `network`, `loss` and `width`.

    Its output when not training is `Embedded`, and `Reconstructed` where it scores anomalies. A target is read for regimes
    alone, once the network has its weights, to say what returns followed each of them.
    """

    relative: ClassVar[bool] = False
    """Whether surprises are squared errors, to be put in units of their mean on the training rows."""

    @property
    @abstractmethod
    def width(self) -> int:
        """Dimensions of the embedding."""

    def answer(self, train: Batch, rarity: Rarity | None) -> Answer:
        del train, rarity
        if self.signature.objective is Objective.SCORE:
            return ScoreAnswer(self.signature, self.width, relative=self.relative)
        return RegimesAnswer(self.width, self._most, self.config.seed)

    def restored_answer(self, state: Mapping[str, NDArray[Any]]) -> Answer:
        if self.signature.objective is Objective.SCORE:
            return ScoreAnswer(self.signature, self.width, relative=self.relative).restore(state)
        return RegimesAnswer(self.width, self._most, self.config.seed, RegimeMixture.restore(state))

    def embed(self, batch: Batch) -> Float:
        """(n, width) the embedding of each row, for search, probes and pictures; no unit and no probability."""
        return self.read(batch, lambda network, rows: network(rows).embedding.float(), like=(self.width,))

    @property
    def _most(self) -> int:
        most: int = getattr(self.hyperparameters, "max_regimes")  # noqa: B009 - a hyperparameter of every model that finds regimes
        return most


class Autoencoder(Representation[H]):
    """A representation that can be turned back into the window that it is of."""

    def reconstruct(self, batch: Batch) -> Float:
        """(n, length, f) each window as the network gives it back, newest row last, in the units of the inputs."""
        _, encoder, _ = self._fitted()
        assert isinstance(encoder, NumericEncoder)  # noqa: S101 - no autoencoder overrides the hook
        windows = self.read(batch, lambda network, rows: network(rows).window.float(), like=(self.signature.length, self.signature.features))
        return encoder.original(windows)

    def explain(self, batch: Batch) -> Explanation:
        """What each feature of the newest row adds to the score; integrated gradients where the model finds regimes."""
        _, _, answer = self._fitted()
        if not isinstance(answer, ScoreAnswer):
            return super().explain(batch)
        self._check(batch)
        if not len(batch):
            raise NotExplained("batch: it has no rows to explain")
        raw = self._raw(batch)
        parts = answer.parts(raw[0])
        return Explanation(
            method="the newest row's reconstruction, feature by feature",
            caveat="A feature that stands out may be the one that kept to its course while the others left theirs.",
            parts=(Attribution("features", self.signature.feature_names, parts, "what the feature adds to the score", adds=True),),
            output="anomaly score",
            value=answer.prediction(raw).score.astype(np.float64),
            start=np.zeros(len(batch)),
        )


def newest_last(x: WindowTensors) -> tuple[Tensor, Tensor | None]:
    """The windows with their newest row at the end, and which rows are there (b, length); None where all are.

    A batch has the rows that exist first and the padding, 0, behind them.
    """
    if x.lengths is None:
        return x.past, None
    length = x.past.shape[1]
    steps = torch.arange(length, device=x.past.device)
    padding = length - x.lengths.to(x.past.device)[:, None]
    rows = (steps - padding) % length  # the padding from the end comes to the front
    return x.past.gather(1, rows[:, :, None].expand_as(x.past)), steps >= padding


def recency(there: Tensor | None, length: int, half_life: float) -> Tensor:
    """(length,) or (b, length) weights of a window's rows: 1 for the newest, half of it `half_life` rows back, 0 for padding."""
    weights = 0.5 ** (torch.arange(length - 1, -1, -1, device=None if there is None else there.device) / half_life)
    return weights if there is None else weights * there


def mean_over(values: Tensor, weights: Tensor) -> Tensor:
    """The mean of (b, length, f) over windows, rows by their weights, and features."""
    rows = values.mean(dim=2)
    return ((rows * weights).sum(dim=1) / weights.sum(dim=-1)).mean()
