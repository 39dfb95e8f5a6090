"""What all networks share: learned preprocessing, the loop, devices, checkpoints, calibration, prediction in chunks, state as arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from finml_models.core.errors import DataError, NotFitted
from finml_models.core.estimator import Estimator, H, OnProgress, Signature, TrainingConfig, ignore
from finml_models.core.spec import Kind, Objective

from .answers import Answer, Raw, SupervisedAnswer, answer_of, restored_answer
from .checkpoint import Checkpoints, EpochLoss, training_key
from .encoder import Encoder, NumericEncoder, Shared
from .loop import Loop, chunks, pick_device, seeded
from .minibatch import CHUNK, Minibatch, Source
from .phases import Phases, by_date
from .plan import Plan
from .rare import Rarity

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from finml_models.core.batches import Batch
    from finml_models.core.explanations import Explanation
    from finml_models.core.predictions import Prediction
    from finml_models.core.runtime import Run

    from .exported import ExportedNetwork


class TorchEstimator(Estimator[H]):
    """An estimator around a network. A model overrides `network`, and what its paper has of its own among the hooks; nothing else.

    The hooks are `loss` (an ensemble's, an autoencoder's), `plan` (rates by layer, a schedule, unfreezing), `pretrain` (what is
    learned before the first label), `encoder` with `restored_encoder` (a tokenizer), `answer` with `restored_answer` (regimes,
    anomaly scores), and `explain` (weights inside the network). Set `resume_folder` before `fit` to make the fit resumable.

    Two fits with one seed, one batch and one number of threads give equal bits on the CPU. A row predicts the same alone and in a
    batch up to float32 rounding (1e-5): matrix kernels are chosen by the size of the batch and sum in different orders.
    """

    def __init__(self, hyperparameters: H, signature: Signature, config: TrainingConfig | None = None) -> None:
        super().__init__(hyperparameters, signature, config)
        self.history: list[EpochLoss] = []
        self._module: nn.Module | None = None
        self._encoder: Encoder | None = None
        self._answer: Answer | None = None
        self._exported: ExportedNetwork | None = None

    @abstractmethod
    def network(self) -> nn.Module:
        """The network for `self.hyperparameters` and `self.signature`; its `forward` takes a minibatch of tensors."""

    def loss(self, output: Any, batch: Minibatch) -> Tensor:
        """Mean loss of what the network answers for a minibatch; by default that of the objective (`answers`)."""
        if not isinstance(self._answer, SupervisedAnswer) or batch.target is None:
            raise NotFitted("loss: it needs a target and what `fit` learns of it: call `fit`")
        return self._answer.loss(output, batch.target)

    def plan(self, network: nn.Module) -> Plan:
        """How the parameters learn; by default all alike, with warm-up and cosine."""
        return Plan.plain(network.parameters())

    def encoder(self, train: Batch) -> Encoder:
        """What is learned of the training inputs before the first epoch; by default their moments."""
        return NumericEncoder.of(train, self.signature)

    def restored_encoder(self, state: Mapping[str, NDArray]) -> Encoder:
        """The encoder of a saved state; `KeyError` or `ValueError` where it does not fit."""
        return NumericEncoder.restore(state, self.signature)

    def pretrain(self, network: nn.Module, seen: Source, held: Source, on_progress: OnProgress = ignore) -> None:
        """What the new network learns of all training rows and of the validation rows, without a target; by default nothing.

        A fit that is resumed does it again.
        """

    def answer(self, train: Batch, rarity: Rarity | None) -> Answer:
        """How raw outputs become a prediction; by default that of the objective (`answers`). `rarity` says how common classes were thinned."""
        return answer_of(train, self.signature, rarity)

    def restored_answer(self, state: Mapping[str, NDArray]) -> Answer:
        """The answer of a saved state; `KeyError` or `ValueError` where it does not fit."""
        return restored_answer(state, self.signature, calibrated=self.config.calibrate)

    @property
    def parameters_count(self) -> int:
        """Trainable parameters of the network."""
        return sum(p.numel() for p in (self._module or self.network()).parameters())

    def fit(self, train: Batch, valid: Batch, on_progress: OnProgress = ignore) -> Self:
        """Learn from `train`; stop by the loss on `valid`, then calibrate on it.

        Of overlapping labels, and of windows to score, an epoch trains on every `config.stride`-th date, and beside a rare class on every such
        row of the common ones, the next epoch on the next ones (`phases`). As much of `valid` decides when to stop; all of it calibrates.

        Raises `DataError` for batches that do not fit the signature, `Diverged` when the loss leaves the numbers,
        `LeaseHeld` when another process trains in the checkpoints' folder.
        """
        for name, batch in (("train", train), ("valid", valid)):
            self._check(batch)
            if not len(batch) or (batch.target is None and self.signature.objective is not Objective.SCORE):
                raise DataError(
                    f"{name}: {len(batch)} rows, target {'absent' if batch.target is None else 'present'}: a fit needs rows with targets in both parts"
                )
        checkpoints = Checkpoints(self.resume_folder) if self.resume_folder else None
        key = training_key(self, train, valid) if checkpoints else ""
        rarity = Rarity.of(train, len(self.signature.classes), self.config.stride) if self.signature.objective is Objective.CLASSIFY else None
        by_dates = self.signature.objective in (Objective.FORECAST, Objective.SCORE) and self.config.stride > 1
        stopping = rarity.thin(valid) if rarity else thin(valid, self.config.stride) if by_dates else valid
        turns = rarity.turns(train) if rarity else by_date(train.time, self.config.stride) if by_dates else None
        device = pick_device(self.config.device)
        self._encoder, self._answer = self.encoder(train), self.answer(train, rarity)
        self._assemble(device)
        shared: Shared = {}
        seen, held = (self._source(batch, device, shared=shared) for batch in (train, stopping))
        if self.config.max_epochs:
            self.pretrain(self._module, self._source(train, device, labelled=False, shared=shared), held, on_progress)
        phases = Phases.of(seen, *turns) if turns else None
        loop = Loop(self._module, self.loss, seen, held, self.config, on_progress, self.plan(self._module), phases)
        loop.run(checkpoints, key)
        self._module.requires_grad_(True)
        self.history = loop.history
        self._answer.settle(self._raw, thin(train, self.config.stride) if by_dates else train, valid, calibrate=self.config.calibrate)
        return self

    def predict(self, batch: Batch) -> Prediction:
        """One prediction a row, in its order. Raises `NotFitted`, and `DataError` for rows that cannot be read."""
        _, _, answer = self._fitted()
        self._check(batch)
        raw = self._raw(batch)
        finite = np.isfinite(raw[0]).all(axis=tuple(range(1, raw[0].ndim)))
        if not finite.all():
            row = int(np.argmin(finite))
            raise DataError(f"row {row} ({batch.entity[row]}, {batch.time[row]}): its inputs hold NaN or infinity: fill or leave out the row")
        return answer.prediction(raw)

    def explain(self, batch: Batch) -> Explanation:
        """Integrated gradients from the encoder's neutral row (`gradients`); a model with weights of its own to show overrides it."""
        from .gradients import integrated_gradients

        module, encoder, answer = self._fitted()
        self.predict(batch)  # refuses what cannot be read
        device = next(module.parameters()).device

        def explained(rows: Any) -> tuple[Tensor, str]:
            return answer.explained(module(rows))

        return integrated_gradients(
            lambda row: self._source(row, device, labelled=False).gather(torch.zeros(1, dtype=torch.int64)), explained, batch, self.signature, encoder
        )

    def state(self) -> Mapping[str, NDArray]:
        """The network's tensors as `network.*`, and what encoder and answer learned under names of their own."""
        module, encoder, answer = self._fitted()
        arrays = {f"network.{name}": value.detach().cpu().numpy().copy() for name, value in module.state_dict().items()}
        return {**arrays, **encoder.state(), **answer.state()}

    def restore(self, state: Mapping[str, NDArray]) -> None:
        """Rebuild network, encoder and answer. Raises `KeyError` for a missing or unknown array, `ValueError` for a wrong shape."""
        self._encoder = self.restored_encoder(state)
        self._answer = self.restored_answer(state)
        self._assemble(pick_device(self.config.device))
        own = self._module.state_dict()
        given = {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}
        if own.keys() != given.keys():
            raise KeyError(f"network: arrays {sorted(own.keys() ^ given.keys())} are missing or unknown: take the state of the same model")
        for name, value in given.items():
            if value.shape != tuple(own[name].shape):
                raise ValueError(f"network.{name}: shape {value.shape} where {tuple(own[name].shape)} is needed: take the state of the same hyperparameters")
        self._module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in given.items()})

    def answer_by(self, run: Run | None, inputs: tuple[str, ...] = ()) -> None:
        """Let `run` predict for minibatches of the tensors `inputs` (`exported.tensors_of`) where the network lies on the CPU; explanations stay its own."""
        from .exported import ExportedNetwork

        module, _, _ = self._fitted()
        self._exported = None if run is None or next(module.parameters()).device.type != "cpu" else ExportedNetwork(run, inputs, module)

    def parts(self, batch: Batch) -> tuple[nn.Module, Any]:
        """The network, ready to predict, and all rows of a small batch as the one minibatch that it takes."""
        self._check(batch)
        module, _, _ = self._fitted()
        source = self._source(batch, next(module.parameters()).device, labelled=False)
        return module.eval(), source.gather(torch.arange(len(source)))

    def _assemble(self, device: torch.device) -> None:
        self._exported = None
        # Weights are drawn on the CPU, so that a seed means the same network on every device.
        with seeded(self.config.seed, 0, stream="weights", device=torch.device("cpu")):
            self._module = self.network().to(device).eval()
        self._answer.to(device)

    def _source(self, batch: Batch, device: torch.device, *, labelled: bool = True, shared: Shared | None = None) -> Source:
        _, encoder, answer = self._fitted()
        # A network without supervision never sees a target, so it cannot learn from one by mistake.
        wanted = labelled and batch.target is not None and isinstance(answer, SupervisedAnswer)
        target = torch.from_numpy(answer.encode(batch.target)).to(device) if wanted else None
        return encoder.source(batch, target, device, {} if shared is None else shared)

    def read(self, batch: Batch, what: Callable[[Any, Any], Tensor], *, like: tuple[int, ...]) -> NDArray[np.float32]:
        """`what(network, minibatch)` (b, *like) of all rows of a batch, in its order: embeddings, weights of attention."""
        self._check(batch)
        if not len(batch):
            return np.empty((0, *like), np.float32)
        (found,) = self._walk(batch, lambda network, rows: (what(network, rows).cpu().numpy(),))
        return found

    def _raw(self, batch: Batch) -> Raw:
        """What the network says of each row, before any calibration."""
        _, encoder, answer = self._fitted()
        if not len(batch):
            return answer.nothing()
        # Few rows need no minibatches, and what makes those takes longer than a small exported network does.
        if self._exported is not None and len(batch) <= CHUNK and (output := self._exported.of(encoder.arrays(batch))) is not None:
            return answer.raw(output)
        return self._walk(batch, lambda network, rows: answer.raw((self._exported or network)(rows)))

    @torch.inference_mode()
    def _walk(self, batch: Batch, what: Callable[[Any, Any], Raw]) -> Raw:
        module, _, _ = self._fitted()
        if module.training:
            module.eval()
        source = self._source(batch, next(module.parameters()).device, labelled=False)
        if len(source) == 1 == len(batch):
            return what(module, source.gather(torch.zeros(1, dtype=torch.int64)))
        parts = [(source.rows(units).numpy(), what(module, source.gather(units))) for units in chunks(len(source), source.chunk)]
        rows = np.concatenate([rows for rows, _ in parts])
        raw = tuple(np.concatenate(arrays) for arrays in zip(*(arrays for _, arrays in parts), strict=True))
        if (rows == np.arange(len(batch))).all():
            return raw
        place = np.empty(len(batch), np.int64)
        place[rows] = np.arange(len(batch))
        return tuple(array[place] for array in raw)

    def _fitted(self) -> tuple[nn.Module, Encoder, Answer]:
        if self._module is None or self._encoder is None or self._answer is None:
            raise NotFitted(f"{type(self).__name__} has learned nothing yet: call `fit` or `restore` first")
        return self._module, self._encoder, self._answer

    def _check(self, batch: Batch) -> None:
        inputs = next((held for name in ("panel", "values", "nodes") if (held := getattr(batch, name, None)) is not None), None)
        expected = {
            "kind": (self.signature.kind, batch.kind),
            "length": (self.signature.length, getattr(batch, "length", 0)),
            "static": (len(self.signature.static_names), _columns(getattr(batch, "static", None))),
            "known": (len(self.signature.known_names), _columns(getattr(batch, "known", None))),
            "categories": (len(self.signature.category_names), _columns(getattr(batch, "codes", None))),
        }
        if self.signature.kind is not Kind.TEXTS:
            expected["features"] = (self.signature.features, None if inputs is None else inputs.shape[-1])
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
