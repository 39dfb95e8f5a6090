"""The training loop: the same bits again, resumed or not; early stopping, progress, stride, errors."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from training_cases import Network, halves, make, panel_windows, signature

from finml_models.core.errors import DataError, Diverged, FinmlError, NotFitted
from finml_models.time_series.gru.model import GRU
from finml_models.time_series.lstm.model import LSTM
from finml_models.training.heads import ForecastOutput
from finml_models.training.loop import Loop
from finml_models.training.minibatch import Minibatch
from finml_models.training.plan import Plan, warm_up_and_cosine
from finml_models.training.torch_estimator import thin

both = pytest.mark.parametrize("cls", [LSTM, GRU])


def same_state(a: Mapping[str, NDArray], b: Mapping[str, NDArray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@both
def test_two_fits_with_one_seed_give_equal_bits_and_another_seed_does_not(cls: type[Network]) -> None:
    train, valid = halves(panel_windows())
    states = [make(cls, layers=2, dropout=0.3, seed=seed).fit(train, valid).state() for seed in (1, 1, 2)]
    assert same_state(states[0], states[1])
    assert not same_state(states[0], states[2])


def test_a_fit_leaves_the_global_generators_as_they_were() -> None:
    train, valid = halves(panel_windows())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    make(dropout=0.5, max_epochs=1).fit(train, valid)
    assert torch.equal(before, torch.get_rng_state())


@both
def test_a_restored_fresh_instance_predicts_equal_bits(cls: type[Network]) -> None:
    train, valid = halves(panel_windows())
    fitted = make(cls).fit(train, valid)
    fresh = make(cls, seed=9)
    fresh.restore(fitted.state())
    a, b = fitted.predict(valid), fresh.predict(valid)
    assert np.array_equal(a.point, b.point)
    assert np.array_equal(a.quantiles, b.quantiles)


def test_a_state_that_does_not_fit_is_refused() -> None:
    train, valid = halves(panel_windows())
    state = dict(make().fit(train, valid).state())
    with pytest.raises(ValueError, match=r"network\..*shape"):
        make(hidden=16).restore(state)
    with pytest.raises(ValueError, match=r"inputs\.mean"):
        make(sign=signature(features=4)).restore(state)
    with pytest.raises(KeyError, match="network"):
        make(layers=2).restore(state)
    del state["target.std"]
    with pytest.raises(KeyError, match=r"target\.std"):
        make().restore(state)


@both
def test_32_samples_can_be_overfitted(cls: type[Network]) -> None:
    rng = np.random.default_rng(0)
    rows = panel_windows().take(np.arange(32))
    noise = np.asarray(rng.normal(size=rows.target.shape), np.float32)
    object.__setattr__(rows, "target", noise)
    estimator = make(cls, sign=signature(levels=()), hidden=32, max_epochs=300, patience=300, learning_rate=0.02, weight_decay=0.0).fit(rows, rows)
    assert np.mean((estimator.predict(rows).point - noise) ** 2) < 0.02 * noise.var()


def test_an_untrained_network_predicts_finite_values_around_the_mean_of_the_target() -> None:
    train, valid = halves(panel_windows())
    estimator = make(max_epochs=0).fit(train, valid)
    forecast = estimator.predict(valid)
    assert estimator.history == []
    assert np.isfinite(forecast.point).all()
    assert np.isfinite(forecast.quantiles).all()
    assert np.abs(forecast.point.mean(axis=0) - train.target.mean(axis=0)).max() < train.target.std()


def test_an_estimator_that_learned_nothing_says_so() -> None:
    with pytest.raises(NotFitted, match="fit"):
        make().predict(panel_windows())


def test_early_stopping_restores_the_best_epoch() -> None:
    train, valid = halves(panel_windows())
    noise = valid.take(np.arange(len(valid)))
    # Validation on targets that contradict the training: every epoch of learning makes it worse.
    object.__setattr__(noise, "target", 6 - valid.target)
    stopped = make(max_epochs=40, patience=3, learning_rate=0.02).fit(train, noise)
    losses = [row.valid for row in stopped.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 40
    # The weights that were kept have the loss that was best.
    seen, held = (stopped._source(batch, torch.device("cpu")) for batch in (train, noise))
    loop = Loop(stopped._module, stopped.loss, seen, held, stopped.config)
    assert loop._validate(1) == pytest.approx(losses[best], rel=1e-6)
    assert losses[-1] > losses[best]


def test_progress_moves_on_and_says_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finml_models.training.loop._EVENT_SECONDS", 0.0)
    train, valid = halves(panel_windows())
    events = []
    estimator = make(max_epochs=3).fit(train, valid, events.append)
    steps = [event.step for event in events]
    per_epoch = math.ceil(len(train) / 32)
    assert steps == sorted(steps)
    assert set(steps) == set(range(1, 3 * per_epoch + 1))
    assert all(event.steps == 3 * per_epoch and event.epochs == 3 for event in events)
    assert all(event.seconds_left >= 0 and math.isfinite(event.loss) for event in events)
    assert events[-1].seconds_left == 0
    assert [event.metric for event in events if event.metric is not None] == [row.valid for row in estimator.history]


def test_events_are_rare_between_epochs() -> None:
    train, valid = halves(panel_windows())
    events = []
    make(batch_size=4, max_epochs=2).fit(train, valid, events.append)
    assert len(events) < 40  # 164 steps; one event a fifth of a second and one an epoch


def test_stride_keeps_every_nth_date_back_from_the_newest() -> None:
    batch = panel_windows()
    thinned = thin(batch, 5)
    dates = np.unique(batch.time)
    assert np.array_equal(np.unique(thinned.time), dates[::-1][::5][::-1])
    assert dates[-1] in thinned.time
    # A date is kept for all series or for none.
    assert (np.unique(thinned.time, return_counts=True)[1] == 4).all()


def test_stride_thins_what_is_trained_on() -> None:
    train, valid = halves(panel_windows())
    events = []
    make(stride=4, max_epochs=1).fit(train, valid, events.append)
    assert events[-1].steps == math.ceil(len(thin(train, 4)) / 32)


def test_a_loss_that_is_not_a_number_names_the_epoch_and_the_remedy() -> None:
    train, valid = halves(panel_windows())
    estimator = make()
    plain, calls = estimator.loss, []

    def poisoned(output: ForecastOutput, batch: Minibatch) -> Tensor:
        calls.append(estimator._module.training)
        return plain(output, batch) * (float("nan") if sum(calls) > math.ceil(len(train) / 32) else 1.0)

    estimator.loss = poisoned
    with pytest.raises(Diverged, match=r"epoch 2.*lower learning_rate"):
        estimator.fit(train, valid)


def test_nan_in_the_training_rows_names_the_feature() -> None:
    train, valid = halves(panel_windows())
    train.panel[1, 30, 2] = np.nan
    with pytest.raises(DataError, match="x2"):
        make().fit(train, valid)


def test_nan_in_a_row_to_predict_names_the_row() -> None:
    train, valid = halves(panel_windows())
    estimator = make(max_epochs=0).fit(train, valid)
    valid.panel[1, -1] = np.nan
    with pytest.raises(DataError, match="E1"):
        estimator.predict(valid)


@pytest.mark.parametrize(("changed", "field"), [({"length": 10}, "length"), ({"features": 2}, "features"), ({"static": 2}, "static"), ({"known": 1}, "known")])
def test_a_batch_of_another_shape_is_refused_by_name(changed: dict[str, int], field: str) -> None:
    with pytest.raises(DataError, match=field):
        make().fit(*halves(panel_windows(**changed)))


def test_empty_or_unlabelled_parts_are_refused() -> None:
    train, valid = halves(panel_windows())
    with pytest.raises(DataError, match="valid: 0 rows"):
        make().fit(train, valid.take(np.arange(0)))
    object.__setattr__(valid, "target", None)
    with pytest.raises(DataError, match="target absent"):
        make().fit(train, valid)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is present")
def test_cuda_without_a_device_is_refused() -> None:
    train, valid = halves(panel_windows())
    estimator = make()
    estimator.config = estimator.config.model_copy(update={"device": "cuda"})
    with pytest.raises(FinmlError, match="no CUDA device"):
        estimator.fit(train, valid)


def test_no_rows_predict_to_no_rows() -> None:
    train, valid = halves(panel_windows())
    forecast = make(max_epochs=0).fit(train, valid).predict(valid.take(np.arange(0)))
    assert forecast.point.shape == (0, 2)
    assert forecast.quantiles.shape == (0, 2, 5)


@both
def test_a_row_predicts_the_same_alone_and_in_a_batch(cls: type[Network]) -> None:
    batch = panel_windows(first_end=0)
    train, valid = halves(batch)
    estimator = make(cls).fit(train, valid)
    together = estimator.predict(batch)
    for row in (0, 7, 200, len(batch) - 1):
        alone = estimator.predict(batch.take(np.array([row])))
        np.testing.assert_allclose(alone.point[0], together.point[row], atol=1e-5)
        np.testing.assert_allclose(alone.quantiles[0], together.quantiles[row], atol=1e-5)


def test_biases_are_not_decayed() -> None:
    network = make(hidden=8).network()
    decayed, free = Plan.plain(network.parameters()).optimiser(1e-3, 0.1).param_groups
    assert decayed["weight_decay"] == 0.1
    assert free["weight_decay"] == 0.0
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in free["params"]} == {1}


def test_the_rate_warms_up_then_falls_to_nothing() -> None:
    rates = [warm_up_and_cosine(step, 1000) for step in range(1000)]
    assert 0 < rates[0] < 0.02
    assert max(rates) == rates[100] == 1.0
    assert all(a >= b for a, b in pairwise(rates[100:]))
    assert 0 <= rates[-1] < 1e-5
    assert warm_up_and_cosine(0, 1) == 1.0


class Largest(TorchDispatchMode):
    """Records the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(tensor, torch.Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def test_windows_are_never_materialised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finml_models.training.loop.CHUNK", 16)
    batch = panel_windows(series=2, steps=1500, features=24, length=40)
    train, valid = halves(batch)
    estimator = make(sign=signature(features=24, length=40), max_epochs=1, batch_size=16)
    tracemalloc.start()
    with Largest() as largest:
        estimator.fit(train, valid)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    materialised = len(train) * 40 * 24
    # The largest tensor is what the recurrent kernel keeps of one batch for its backward pass.
    assert largest.elements < materialised / 2
    assert peak < materialised * 4 / 2
