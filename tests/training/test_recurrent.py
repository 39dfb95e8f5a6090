"""LSTM and GRU: they remember, padding changes nothing, and their parameters are what the papers say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training_cases import Network, halves, make, panel_windows, signature

from finml_models.core.batches import Windows
from finml_models.core.errors import DataError
from finml_models.core.estimator import Signature
from finml_models.core.spec import Kind, Objective
from finml_models.time_series.gru.model import GRU
from finml_models.time_series.lstm.model import LSTM
from finml_models.training import recurrent
from finml_models.training.encoder import NumericEncoder
from finml_models.training.scaling import CLIP, Scale, Scaling, coverage

both = pytest.mark.parametrize("cls", [LSTM, GRU])
CPU = torch.device("cpu")


def signs(rows: int, length: int, rng: np.random.Generator) -> Windows:
    """Noise with a sign in the second feature of the first row; the target is that sign."""
    panel = np.zeros((rows, length, 2), np.float32)
    panel[:, :, 0] = rng.normal(size=(rows, length))
    sign = rng.choice([-1.0, 1.0], size=rows).astype(np.float32)
    panel[:, 0, 1] = sign
    times = np.broadcast_to(np.datetime64("2020-01-01", "us") + np.arange(length) * np.timedelta64(1, "D"), (rows, length))
    which = np.arange(rows)
    return Windows(panel, times, np.array([f"E{i}" for i in which]), which, np.full(rows, length - 1), length, target=sign[:, None])


@both
def test_a_sign_seen_20_steps_earlier_is_recalled(cls: type[Network]) -> None:
    rng = np.random.default_rng(0)
    train, test = signs(512, 21, rng), signs(256, 21, rng)
    sign = signature(length=21, features=2, horizons=(1,), levels=())
    estimator = make(cls, sign, hidden=16, max_epochs=25, batch_size=64, learning_rate=0.01).fit(train, test)
    recalled = np.sign(estimator.predict(test).point) == test.target
    assert recalled.mean() > 0.98


@both
def test_the_same_network_classifies_windows_of_any_length(cls: type[Network]) -> None:
    """The class is the sign of the first event, which lies 1 to 12 events back; everything else is noise."""
    rng = np.random.default_rng(0)
    long = signs(900, 12, rng)
    end = rng.integers(0, 12, 900)
    batch = Windows(long.panel, long.times, long.entities, long.series, end, 12, target=(long.target > 0).astype(np.float32), until=long.times[:, -1])
    sign = Signature(kind=Kind.WINDOWS, objective=Objective.CLASSIFY, feature_names=("noise", "sign"), length=12, classes=("down", "up"))
    train, test = batch.take(np.arange(600)), batch.take(np.arange(600, 900))
    estimator = make(cls, sign, hidden=16, max_epochs=12, batch_size=64, learning_rate=0.02).fit(train, test)
    said = estimator.predict(test)
    assert said.classes == ("down", "up")
    assert (said.values.argmax(axis=1) == test.target[:, 0]).mean() > 0.97
    short = np.flatnonzero(test.end == 2)
    changed = batch.panel.copy()
    changed[:, 3:] = 99.0
    again = Windows(changed, long.times, long.entities, test.series, test.end, 12)
    np.testing.assert_array_equal(estimator.predict(again.take(short)).values, estimator.predict(test.take(short)).values)


@both
def test_padding_changes_nothing(cls: type[Network]) -> None:
    batch = panel_windows(first_end=0, known=1, static=2)
    estimator = make(cls, signature(static=2, known=1), layers=2, max_epochs=1).fit(*halves(batch))
    network, scaling, target = estimator._module, estimator._encoder._scaling, estimator._answer._target
    short = np.flatnonzero((batch.end == 4) & (batch.series == 2))  # five rows where the window has twelve
    padded = estimator.predict(batch.take(short)).point[0]
    x = torch.from_numpy(scaling.inputs.clipped(batch.panel[2, :5]))[None]
    known = torch.from_numpy(scaling.known.clipped(batch.known[2, :5]))[None]
    static = torch.from_numpy(scaling.static.clipped(batch.static[2:3]))
    with torch.inference_mode():
        hidden = network.rnn(torch.cat([x, known], -1))[0][:, -1]  # the five rows alone, unpadded
        alone = network.head(torch.cat([hidden, static], -1)).point.numpy()[0]
    np.testing.assert_allclose(padded, alone * target.std + target.mean, atol=1e-5)


@both
def test_a_whole_window_predicts_the_same_beside_short_ones(cls: type[Network]) -> None:
    batch = panel_windows(first_end=0)
    estimator = make(cls, max_epochs=1).fit(*halves(batch))
    mixed = estimator.predict(batch)
    whole = np.flatnonzero(batch.end >= 11)
    np.testing.assert_allclose(estimator.predict(batch.take(whole)).point, mixed.point[whole], atol=1e-5)


@both
def test_other_series_change_nothing(cls: type[Network]) -> None:
    batch = panel_windows()
    estimator = make(cls, max_epochs=1).fit(*halves(batch))
    rows = np.flatnonzero(batch.series == 1)
    before = estimator.predict(batch.take(rows)).point
    batch.panel[[0, 2, 3]] = 99.0
    assert np.array_equal(before, estimator.predict(batch.take(rows)).point)


@both
def test_the_future_changes_nothing(cls: type[Network]) -> None:
    batch = panel_windows(first_end=0)
    estimator = make(cls, max_epochs=1).fit(*halves(batch))
    early = np.flatnonzero(batch.end <= 60)
    before = estimator.predict(batch.take(early)).point
    batch.panel[:, 61:] = 99.0
    assert np.array_equal(before, estimator.predict(batch.take(early)).point)


def test_a_gru_has_three_quarters_of_an_lstms_recurrent_parameters() -> None:
    counts = {cls: sum(p.numel() for p in make(cls, hidden=16, layers=2).network().rnn.parameters()) for cls in (LSTM, GRU)}
    assert counts[GRU] * 4 == counts[LSTM] * 3
    assert make(LSTM).parameters_count == sum(p.numel() for p in make(LSTM).network().parameters())


def test_the_forget_gate_starts_with_bias_1_and_the_others_with_0() -> None:
    rnn = make(LSTM, hidden=16, layers=2).network().rnn
    for layer in range(2):
        bias = getattr(rnn, f"bias_ih_l{layer}") + getattr(rnn, f"bias_hh_l{layer}")
        i, f, g, o = bias.detach().chunk(4)
        assert (f == 1).all()
        assert not torch.cat([i, g, o]).any()


@both
def test_recurrent_weights_start_orthogonal(cls: type[Network]) -> None:
    weight = make(cls, hidden=16).network().rnn.weight_hh_l0.detach()
    for gate in weight.split(16):
        assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5)


@both
def test_every_parameter_gets_a_gradient(cls: type[Network]) -> None:
    batch = panel_windows(first_end=0, known=1, static=2)
    estimator = make(cls, signature(static=2, known=1, loss="qlike"), layers=2, dropout=0.1, max_epochs=0).fit(*halves(batch))
    source = estimator._source(batch, CPU)
    tensors = source.gather(torch.arange(64))
    network = estimator._module.train()
    estimator.loss(network(tensors), tensors).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_gathered_windows_are_the_rows_of_the_panel() -> None:
    batch = panel_windows(first_end=0, known=2, static=2)
    sign = signature(static=2, known=2)
    scaling = Scaling.of(batch, sign)
    source = NumericEncoder(scaling).source(batch, torch.from_numpy(batch.target), CPU, {})
    rows = np.array([0, 3, 45, 200, len(batch) - 1])
    tensors = source.gather(torch.from_numpy(rows))
    panel, known = scaling.inputs.clipped(batch.panel), scaling.known.clipped(batch.known)
    for i, row in enumerate(rows):
        s, end = batch.series[row], batch.end[row]
        first = max(end - 11, 0)
        n = end - first + 1
        assert tensors.lengths[i] == n
        assert np.array_equal(tensors.past[i, :n].numpy(), panel[s, first : end + 1])
        assert not tensors.past[i, n:].any()
        assert np.array_equal(tensors.known[i, : n + 5].numpy(), known[s, first : end + 6])
        assert not tensors.known[i, n + 5 :].any()
        assert np.array_equal(tensors.static[i].numpy(), scaling.static.clipped(batch.static)[s])
        assert np.array_equal(tensors.target[i].numpy(), batch.target[row])


def test_whole_windows_carry_no_lengths() -> None:
    batch = panel_windows()
    assert NumericEncoder.of(batch, signature()).source(batch, None, CPU, {}).gather(torch.arange(8)).lengths is None


def test_a_window_outside_the_panel_is_refused() -> None:
    batch = panel_windows()
    encoder = NumericEncoder.of(batch, signature())
    batch.end[3] = 120
    with pytest.raises(DataError, match="row 3"):
        encoder.source(batch, None, CPU, {})


def test_scales_are_those_of_the_materialised_windows() -> None:
    batch = panel_windows(series=2, steps=40, first_end=0)
    rows = np.concatenate([batch.panel[s, max(e - 11, 0) : e + 1] for s, e in zip(batch.series, batch.end, strict=True)]).astype(np.float64)
    scaling = Scaling.of(batch, signature())
    assert coverage(batch).sum() == len(rows)
    np.testing.assert_allclose(scaling.inputs.mean, rows.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(scaling.inputs.std, rows.std(axis=0), rtol=1e-5)


def test_constant_columns_and_far_values_stay_finite() -> None:
    values = np.stack([np.full(100, 1e8), np.zeros(100), np.r_[np.zeros(99), 1e30]], axis=1).astype(np.float32)
    scale = Scale.of(values[:99], np.ones(99, np.int64), ("a", "b", "c"))
    scaled = scale.clipped(values)
    assert (np.abs(scaled[:99]) < 1e-6).all()
    assert scaled[99, 2] == CLIP


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("started", [False, True])
def test_a_gru_in_training_is_pytorchs_there_and_back(*, layers: int, started: bool) -> None:
    torch.manual_seed(0)
    ours, theirs = (cls(5, 16, layers, batch_first=True) for cls in (recurrent.GRU, torch.nn.GRU))
    theirs.load_state_dict(ours.state_dict())
    x, state = torch.randn(7, 9, 5), torch.randn(layers, 7, 16)
    weights = torch.randn(7, 9, 16), torch.randn(layers, 7, 16)
    found = []
    for rnn in (ours, theirs):
        given = [part.clone().requires_grad_() for part in ((x, state) if started else (x,))]
        outputs, last = rnn(*given)
        ((outputs * weights[0]).sum() + (last * weights[1]).sum()).backward()
        found.append([outputs, last, *(leaf.grad for leaf in (*given, *rnn.parameters()))])
    assert "GRULayer" in str(ours(x)[0].grad_fn.next_functions)
    for ours_, theirs_ in zip(*found, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=1e-5, atol=2e-5)
