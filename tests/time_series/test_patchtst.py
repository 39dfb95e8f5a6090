"""PatchTST: channels that never meet before the readout, levels and scales that pass through, and what masked pre-training is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from finml_models.core.batches import Windows
from finml_models.core.estimator import Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.time_series.patchtst.card import CARD, PatchTSTHyperparameters
from finml_models.time_series.patchtst.model import ChannelForecast, Masked, Network, PatchTST, Readout, aligned, instance, patch_count, patches
from finml_models.training.minibatch import WindowTensors

LEVELS = (0.05, 0.5, 0.95)


def signature(*, features: int = 3, length: int = 40, horizons: tuple[int, ...] = (1, 5), levels: tuple[float, ...] = LEVELS) -> Signature:
    names = tuple(f"x{i}" for i in range(features))
    return Signature(kind=Kind.WINDOWS, objective=Objective.FORECAST, feature_names=names, horizons=horizons, levels=levels, length=length)


def stirred(module: nn.Module) -> nn.Module:
    """Away from the starting values, running moments of the batch norms included."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for name, buffer in module.named_buffers():
            buffer.copy_(0.5 + torch.rand_like(buffer) if name.endswith("variance") else 0.3 * torch.randn_like(buffer))
    return module.eval()


def channels(*, length: int = 40, horizons: int = 6, **hyperparameters: Any) -> ChannelForecast:
    return stirred(ChannelForecast(PatchTSTHyperparameters(**hyperparameters), length, horizons))


def walks(rows: int = 8, length: int = 40, features: int = 3) -> Tensor:
    return torch.randn(rows, length, features, generator=torch.Generator().manual_seed(1)).cumsum(1)


@pytest.mark.parametrize("reversible", [True, False])
def test_permuted_channels_give_permuted_forecasts(reversible: bool) -> None:
    core, x, order = channels(reversible_normalisation=reversible), walks(), [2, 0, 1]
    with torch.inference_mode():
        torch.testing.assert_close(core(x[..., order])[0], core(x)[0][:, order])


def test_a_channel_is_forecast_from_itself_alone() -> None:
    core, x = channels(), walks()
    changed = x.clone()
    changed[..., 1] = 99.0
    with torch.inference_mode():
        before, after = core(x)[0], core(changed)[0]
    torch.testing.assert_close(after[:, [0, 2]], before[:, [0, 2]])
    assert (after[:, 1] - before[:, 1]).abs().min() > 1


def test_a_shifted_and_scaled_channel_has_a_shifted_and_scaled_forecast() -> None:
    x = walks()
    scale, shift = torch.tensor([3.0, 0.5, 20.0]), torch.tensor([-7.0, 0.0, 100.0])
    with torch.inference_mode():
        for reversible in (True, False):
            core = channels(reversible_normalisation=reversible)
            expected = core(x)[0] * scale[:, None, None] + shift[:, None, None]
            off = (core(x * scale + shift)[0] - expected).abs().max() / expected.abs().max()
            # Without the normalisation it does not hold: the test can fail.
            assert off < 1e-4 if reversible else off > 1e-2


def test_the_target_moves_with_a_channel_by_the_channels_weight() -> None:
    net = stirred(Network(PatchTSTHyperparameters(), signature()))
    x = walks()
    moved = x.clone()
    moved[..., 1] += 4.0
    with torch.inference_mode():
        before, after = net(WindowTensors(x)), net(WindowTensors(moved))
    by = 4 * net.readout.weight[:, 1].detach()
    torch.testing.assert_close(after.point - before.point, by.expand_as(before.point), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(after.quantiles - before.quantiles, by[:, None].expand_as(before.quantiles), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("length", "patch", "stride"), [(336, 16, 8), (512, 16, 8), (40, 16, 8), (47, 16, 8), (40, 5, 7), (9, 16, 8), (44, 2, 64)])
def test_tokens_are_counted_as_in_the_paper(length: int, patch: int, stride: int) -> None:
    series = torch.arange(float(length))[None, None]
    cut = patches(series, patch, stride)
    assert cut.shape == (1, 1, patch_count(length, patch, stride), patch)
    if length >= patch:
        assert cut.shape[2] == (length - patch) // stride + 2
        assert cut[0, 0, 0].tolist() == list(range(patch))
    if stride <= patch:
        # The end is padded with the newest value, so that no row is left out.
        assert set(cut.flatten().tolist()) == set(range(length))
        assert cut[0, 0, -1, -1] == length - 1


def test_42_and_64_words() -> None:
    assert (patch_count(336, 16, 8), patch_count(512, 16, 8)) == (42, 64)


def test_the_normalised_window_has_mean_0_and_deviation_1_over_the_rows_that_exist() -> None:
    x = walks(rows=2)
    x[1, 12:] = 0.0
    past, there = aligned(WindowTensors(x, lengths=torch.tensor([40, 12])))
    assert torch.equal(past[1, 28:], x[1, :12])
    assert torch.equal(past[1, :28], x[1, :1].expand(28, -1))
    moments = instance(past, there)
    for row, length in enumerate((40, 12)):
        torch.testing.assert_close(moments.mean[row, 0], x[row, :length].mean(0))
        torch.testing.assert_close(moments.std[row, 0], x[row, :length].std(0, correction=0), rtol=1e-3, atol=1e-4)


def test_a_constant_channel_is_forecast_as_its_level() -> None:
    core = channels(length=40)
    with torch.inference_mode():
        out, _ = core(torch.full((1, 40, 1), 5.0))
    torch.testing.assert_close(out, torch.full_like(out, 5.0), atol=0.05, rtol=0)


def test_a_prediction_does_not_feel_its_batch_and_training_does() -> None:
    core, x = channels(), walks(rows=32)
    with torch.inference_mode():
        torch.testing.assert_close(core(x)[0][:4], core(x[:4])[0])
        core.train()
        assert not torch.allclose(core(x)[0][:4], core(x[:4])[0], atol=1e-2)


def test_quantiles_never_cross_and_start_at_a_standard_normals() -> None:
    readout, x = Readout(3, signature()), torch.zeros(4, 3, 2, 4)
    start = readout(x, instance(walks(4), None)).quantiles
    torch.testing.assert_close(start, torch.tensor([-1.6449, 0.0, 1.6449]).expand_as(start), atol=1e-3, rtol=0)
    wild = stirred(readout)(20 * torch.randn(4, 3, 2, 4), instance(walks(4), None)).quantiles
    assert (wild.diff(dim=-1) >= 0).all()


def test_every_parameter_gets_a_gradient() -> None:
    net = Network(PatchTSTHyperparameters(), signature()).train()
    out = net(WindowTensors(walks()))
    (out.point.square().mean() + out.quantiles.square().mean()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_hidden_rows_shine_through_no_overlapping_patch() -> None:
    h = PatchTSTHyperparameters(pretraining_epochs=1, dropout=0.0)
    masked = stirred(Masked(h, ChannelForecast(h, 40, 1)))
    x = walks(rows=4)
    hidden = masked._hidden(x.transpose(1, 2)).transpose(1, 2)
    assert 0.2 < hidden.float().mean() < 0.6
    # Other values of the same mean and scale in the hidden rows: the network reads the same, and only the error changes.
    read: list[Tensor] = []
    masked.channels.backbone.register_forward_hook(lambda module, given, out: read.append(given[0]))
    _, series = masked.channels.normalised(x, None)
    with torch.inference_mode():
        loss = masked(WindowTensors(x))
        assert not read[0][hidden.transpose(1, 2)].any()
        assert torch.equal(read[0][~hidden.transpose(1, 2)], series[~hidden.transpose(1, 2)])
    assert loss > 0


def cycles(rows: int, seed: int, length: int = 40, ahead: int = 5) -> Windows:
    """A noisy cycle a row, of any period, phase and level; the target is its clean value `ahead` rows after the window."""
    rng = np.random.default_rng(seed)
    period, phase, level = rng.uniform(6, 20, (rows, 1)), rng.uniform(0, 2 * np.pi, (rows, 1)), rng.normal(0, 2, (rows, 1))
    clean = level + np.sin(2 * np.pi * np.arange(length + ahead) / period + phase)
    panel = (clean[:, :length] + 0.2 * rng.normal(size=(rows, length))).astype(np.float32)[..., None]
    times = np.broadcast_to(np.datetime64("2020-01-01", "us") + np.arange(length) * np.timedelta64(1, "D"), (rows, length))
    which = np.arange(rows)
    names = np.array([f"E{i}" for i in which])
    return Windows(panel, times, names, which, np.full(rows, length - 1), length, target=clean[:, -1:].astype(np.float32))


def untrained(train: Windows, **hyperparameters: Any) -> PatchTST:
    h = PatchTSTHyperparameters(dropout=0.0, **hyperparameters)
    config = TrainingConfig(device="cpu", batch_size=64, max_epochs=0, patience=20, learning_rate=3e-3)
    return PatchTST(h, signature(features=1, horizons=(5,), levels=()), config).fit(train, train)


def probe(model: PatchTST, train: Windows, test: Windows) -> float:
    """Mean squared error of a ridge regression on the frozen backbone, in the unit of each normalised window."""

    def read(batch: Windows) -> tuple[np.ndarray, np.ndarray]:
        tensors = model._source(batch, torch.device("cpu")).gather(torch.arange(len(batch)))
        channels = model._module.eval().channels
        with torch.inference_mode():
            moments, series = channels.normalised(*aligned(tensors))
            wanted = (tensors.target * model._answer._target.std.item() + model._answer._target.mean.item()) - model._encoder._scaling.inputs.mean.item()
            wanted = (wanted / model._encoder._scaling.inputs.std.item() - moments.mean[:, 0]) / moments.std[:, 0]
            return channels.backbone(series).flatten(1).double().numpy(), wanted.double().numpy()

    (x, y), (x_test, y_test) = read(train), read(test)
    mean, centre = x.mean(axis=0), y.mean(axis=0)
    errors = []
    for ridge in (0.01, 0.1, 1.0):
        weight = np.linalg.solve((x - mean).T @ (x - mean) + ridge * len(x) * np.eye(x.shape[1]), (x - mean).T @ (y - centre))
        errors.append(float((((x_test - mean) @ weight + centre - y_test) ** 2).mean()))
    return min(errors)


def test_masked_pretraining_helps_a_probe_with_few_labels() -> None:
    unlabelled, few, test = cycles(1_500, seed=0), cycles(100, seed=1), cycles(400, seed=2)
    model = untrained(unlabelled, pretraining_epochs=8)
    before = probe(model, few, test)
    model.config = model.config.model_copy(update={"max_epochs": 1})
    model.pretrain(model._module, *(model._source(part, torch.device("cpu"), labelled=False) for part in (unlabelled, few)))
    after = probe(model, few, test)
    # Measured: 0.41 without, 0.21 with it.
    assert after < 0.7 * before


def test_pretraining_leaves_head_and_readout_as_they_were_drawn_and_is_off_by_default() -> None:
    assert PatchTSTHyperparameters().pretraining_epochs == 0
    batch = cycles(100, seed=0)
    model = untrained(batch, pretraining_epochs=1)
    before = {name: value.clone() for name, value in model._module.state_dict().items()}
    model.pretrain(model._module, *(model._source(batch, torch.device("cpu"), labelled=False) for _ in range(2)))
    changed = {name.removeprefix("channels.") for name, value in model._module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(name.startswith("backbone.") for name in changed)
    assert all(p.requires_grad for p in model._module.parameters())


def test_the_card_names_what_it_is_compared_with() -> None:
    assert CARD.ablations == {"no_revin": {"reversible_normalisation": False}}
