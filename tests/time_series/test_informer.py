"""Informer: few pairs are scored, the encoder halves, the decoder writes all horizons at once, and the sample of keys is fixed."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
import torch
from forecaster_cases import signature, tensors, windows
from torch import Tensor

from finml_models.core.batches import Windows
from finml_models.core.errors import DataError
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.time_series.informer import model as informer
from finml_models.time_series.informer.card import CARD, InformerHyperparameters
from finml_models.time_series.informer.model import Informer, Network, ProbSparseAttention
from finml_models.training.minibatch import WindowTensors

SMALL = {"heads": 2, "head_width": 4, "start_length": 4, "dropout": 0.0}


def network(sign: Signature | None = None, **hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    return Network(InformerHyperparameters(**{**SMALL, **hyperparameters}), sign or signature()).eval()


def attention(length: int, *, masked: bool = False, factor: int = 5) -> ProbSparseAttention:
    torch.manual_seed(0)
    return ProbSparseAttention(InformerHyperparameters(**SMALL, sampling_factor=factor), length, masked=masked).eval()


def parts(length: int, rows: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    return tuple(torch.randn(rows, 2, length, 4, generator=generator) for _ in range(3))


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Query-key pairs scored for each row and head, by call."""
    counted: list[int] = []
    attend, scores = informer.attend, informer.scores

    def counted_attend(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None = None) -> Tensor:
        counted.append(q.shape[2] * k.shape[2])
        return attend(q, k, v, seen)

    def counted_scores(q: Tensor, k: Tensor) -> Tensor:
        counted.append(q.shape[2])
        return scores(q, k)

    monkeypatch.setattr(informer, "attend", counted_attend)
    monkeypatch.setattr(informer, "scores", counted_scores)
    return counted


def scored(pairs: list[int], length: int, **hyperparameters: Any) -> int:
    pairs.clear()
    network(signature(length=length), encoder_layers=1, sampling_factor=5, **hyperparameters).encode(tensors(1, length))
    return sum(pairs)


def test_scored_pairs_grow_like_l_log_l(pairs: list[int]) -> None:
    for length in (96, 192, 384, 768):
        u = 5 * math.ceil(math.log(length))
        # u sampled keys a query, and all keys for u queries.
        assert scored(pairs, length) == 2 * u * length
        assert scored(pairs, length, full_attention=True) == length**2
    growth = scored(pairs, 768) / scored(pairs, 96)
    assert growth == pytest.approx(8 * math.ceil(math.log(768)) / math.ceil(math.log(96)))


@pytest.mark.parametrize("masked", [False, True])
def test_time_stays_far_under_the_quadratic_ratio(masked: bool) -> None:
    def seconds(length: int) -> float:
        own, (q, k, v) = attention(length, masked=masked), parts(length, rows=8)
        found = []
        with torch.inference_mode():
            for _ in range(12):
                began = time.process_time()
                own.mix(q, k, v)
                found.append(time.process_time() - began)
        return min(found)

    assert seconds(720) / seconds(96) < 0.5 * (720 / 96) ** 2


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("length", [12, 45])
def test_the_encoder_length_halves_a_layer(length: int, layers: int) -> None:
    x = tensors(2, length)
    expected = length
    for _ in range(layers - 1):
        expected = math.ceil(expected / 2)
    assert network(signature(length=length), encoder_layers=layers).encode(x).shape == (2, expected, 8)
    assert network(signature(length=length), encoder_layers=layers, distilling=False).encode(x).shape == (2, length, 8)


def test_distilling_keeps_the_larger_of_neighbours() -> None:
    torch.manual_seed(0)
    distilling = informer.Distilling(4)
    x = torch.randn(3, 9, 4)
    convolved = torch.nn.functional.elu(distilling.convolution(x.mT)).mT
    expected = torch.stack([convolved[:, max(2 * i - 1, 0) : 2 * i + 2].amax(1) for i in range(5)], dim=1)
    assert torch.equal(distilling(x), expected)


@pytest.mark.parametrize("known", [0, 2])
def test_the_decoder_is_called_once_for_all_horizons(known: int) -> None:
    own, lengths = network(signature(known=known)), []
    own.decoder[0].register_forward_hook(lambda _, inputs, __: lengths.append(inputs[0].shape[1]))
    output = own(tensors(3, known=known))
    assert output.point.shape == (3, 2)
    # A start token of four rows, then a placeholder a horizon, or a step where the steps have inputs.
    assert lengths == [4 + (5 if known else 2)]


def test_the_placeholders_tell_horizons_apart_by_their_place_alone() -> None:
    own = network(signature(horizons=(1, 5)))
    output = own(tensors(3))
    assert (output.point[:, 0] != output.point[:, 1]).all()
    own.ahead.steps[1] = 2
    assert not torch.equal(own(tensors(3)).point[:, 1], output.point[:, 1])


def test_only_the_top_queries_attend_and_the_others_take_the_mean() -> None:
    own, (q, k, v) = attention(40), parts(40)
    mixed, full = own.mix(q, k, v), informer.attend(q, k, v)
    sampled = torch.einsum("bhqd,bhqud->bhqu", q, k[:, :, own.sample])
    top = (sampled.amax(-1) - sampled.mean(-1)).topk(own.count).indices
    attending = torch.zeros(2, 2, 40, dtype=torch.bool).scatter(2, top, value=True)
    assert own.count == 20
    torch.testing.assert_close(mixed[attending], full[attending])
    torch.testing.assert_close(mixed[~attending], v.mean(2, keepdim=True).expand_as(v)[~attending])


def test_masked_lazy_queries_take_the_sum_so_far_and_active_ones_see_no_later_key() -> None:
    own, (q, k, v) = attention(40, masked=True), parts(40)
    mixed = own.mix(q, k, v)
    full = informer.attend(q, k, v, torch.ones(40, 40).tril().bool())
    lazy = torch.isclose(mixed, v.cumsum(2), atol=1e-5).all(-1)
    assert lazy.sum() == 2 * 2 * 20
    torch.testing.assert_close(mixed[~lazy], full[~lazy])
    assert (own.sample <= torch.arange(40)[:, None]).all()


def test_when_every_query_attends_it_is_full_attention() -> None:
    for masked in (False, True):
        own, (q, k, v) = attention(12, masked=masked, factor=10), parts(12)
        expected = informer.attend(q, k, v, torch.ones(12, 12).tril().bool() if masked else None)
        torch.testing.assert_close(own.mix(q, k, v), expected)


def test_each_query_has_a_sample_of_its_own_drawn_from_all_keys() -> None:
    sample = attention(96).sample
    assert sample.shape == (96, 25)
    assert len({tuple(row) for row in sample.tolist()}) == 96
    assert sample.unique().tolist() == list(range(96))


def estimator(sign: Signature | None = None, **hyperparameters: Any) -> Informer:
    config = TrainingConfig(device="cpu", batch_size=64, max_epochs=1, learning_rate=5e-3)
    return Informer(InformerHyperparameters(**{**SMALL, **hyperparameters}), sign or signature(length=24), config)


@pytest.fixture(scope="module")
def fitted() -> tuple[Informer, Windows]:
    batch = windows(length=24)
    return estimator(sampling_factor=2).fit(batch, batch.take(np.arange(60))), batch


def test_inference_repeats_and_the_sample_comes_back_with_the_weights(fitted: tuple[Informer, Windows]) -> None:
    model, batch = fitted
    first = model.predict(batch).quantiles
    torch.manual_seed(99)
    again = estimator(sampling_factor=2)
    again.config = again.config.model_copy(update={"seed": 5})
    again.restore(model.state())
    assert np.array_equal(model.predict(batch).quantiles, first)
    assert np.array_equal(again.predict(batch).quantiles, first)
    assert model._module.encoder[0].attention.count < 24


def test_a_row_alone_and_beside_others_reads_the_same_keys(fitted: tuple[Informer, Windows]) -> None:
    model, batch = fitted
    together = model.predict(batch).point
    for row in (0, 57, len(batch) - 1):
        np.testing.assert_allclose(model.predict(batch.take(np.array([row]))).point[0], together[row], atol=1e-5)


def test_a_short_window_repeats_its_oldest_row_and_disturbs_no_other() -> None:
    x, own = tensors(3, known=1, static=2), network(signature(known=1, static=2))
    lengths = torch.tensor([12, 5, 12])
    short = torch.where(torch.arange(12)[None, :, None] < lengths[:, None, None], x.past, 0.0)
    known = torch.where(torch.arange(17)[None, :, None] < lengths[:, None, None] + 5, x.known, 0.0)
    found = own(WindowTensors(short, lengths, x.static, known))
    rows = torch.tensor([0] * 7 + [0, 1, 2, 3, 4])
    whole = WindowTensors(x.past[1:2, rows], None, x.static[1:2], torch.cat([x.known[1:2, rows], x.known[1:2, 5:10]], dim=1))
    torch.testing.assert_close(found.point[1:2], own(whole).point)
    torch.testing.assert_close(found.point[::2], own(x).point[::2])


@pytest.mark.parametrize("hyperparameters", [{}, {"full_attention": True}, {"distilling": False}, {"encoder_layers": 3, "decoder_layers": 2}])
def test_every_parameter_gets_a_gradient(hyperparameters: dict[str, Any]) -> None:
    sign = signature(length=24, known=2, static=2)
    own = network(sign, **hyperparameters).train()
    output = own(tensors(16, 24, known=2, static=2))
    (output.point.square().mean() + output.quantiles.square().mean()).backward()
    assert {name for name, p in own.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0} == set()


def test_quantiles_do_not_cross(fitted: tuple[Informer, Windows]) -> None:
    model, batch = fitted
    assert (np.diff(model.predict(batch).quantiles, axis=-1) >= 0).all()


def test_known_inputs_that_end_before_the_largest_horizon_are_refused() -> None:
    x = tensors(2, known=1)
    with pytest.raises(DataError, match="4 steps ahead"):
        network(signature(known=1))(WindowTensors(x.past, known=x.known[:, :-1]))


def test_it_learns_a_planted_cycle_that_only_the_whole_window_shows() -> None:
    def cycles(rows: int, seed: int) -> Windows:
        rng = np.random.default_rng(seed)
        phase = rng.uniform(0, 2 * np.pi, (rows, 1))
        wave = np.sin(phase + 2 * np.pi * np.arange(26) / 12)
        panel = (wave[:, :24] + 0.5 * rng.normal(size=(rows, 24)))[..., None].astype(np.float32)
        times = np.broadcast_to(np.datetime64("2020-01-01", "us") + np.arange(24) * np.timedelta64(1, "D"), (rows, 24))
        which = np.arange(rows)
        return Windows(panel, times, which.astype(str), which, np.full(rows, 23), 24, target=wave[:, 24:].astype(np.float32))

    train, test = cycles(1_000, 0), cycles(300, 1)
    sign = signature(length=24, features=1, horizons=(1, 2), levels=())
    config = TrainingConfig(device="cpu", batch_size=64, max_epochs=12, patience=12, learning_rate=5e-3)
    model = Informer(InformerHyperparameters(**SMALL, sampling_factor=2), sign, config).fit(train, test)
    assert ((model.predict(test).point - test.target) ** 2).mean() < 0.15 * test.target.var()


def test_the_card_names_what_it_is_compared_with() -> None:
    assert CARD.ablations == {"full_attention": {"full_attention": True}, "no_distilling": {"distilling": False}}
