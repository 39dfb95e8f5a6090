"""Variational autoencoder: its formulas against simulation, latent units in use, and scores of the newest row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from window_cases import changed, gathered, parts, signature, waves, windows, with_spikes

from finml_models.core.batches import Windows
from finml_models.core.estimator import TrainingConfig
from finml_models.representation.vae.card import VAEHyperparameters
from finml_models.representation.vae.model import VAE, Network, kl, normal_points, surprise
from finml_models.training.minibatch import WindowTensors

CONFIG = TrainingConfig(max_epochs=10, learning_rate=6e-3, batch_size=64, device="cpu")


def network(**hyperparameters: Any) -> Network:
    torch.manual_seed(0)
    return Network(VAEHyperparameters(**{"hidden": 16, "latent": 3, **hyperparameters}), signature())


def model(config: TrainingConfig = CONFIG, **hyperparameters: Any) -> VAE:
    return VAE(VAEHyperparameters(**{"hidden": 32, "latent": 4, **hyperparameters}), signature(), config)


def minibatch(rows: int = 32) -> WindowTensors:
    return WindowTensors(torch.randn(rows, 12, 4, generator=torch.Generator().manual_seed(1)))


@pytest.fixture(scope="module")
def spiked() -> tuple[Windows, Windows, Windows]:
    _, noisy = waves(steps=350)
    return parts(windows(*with_spikes(noisy)), 0.6, 0.15)


@pytest.fixture(scope="module")
def fitted(spiked: tuple[Windows, ...]) -> VAE:
    return model().fit(*spiked[:2])


def test_the_kl_term_is_what_simulation_says() -> None:
    mean, log_variance = torch.tensor([0.0, 1.5, -0.3]).double(), torch.tensor([0.0, -2.0, 0.7]).double()
    draws = mean + (0.5 * log_variance).exp() * torch.randn(400_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = (surprise(draws, torch.zeros(3), torch.zeros(3)) - surprise(draws, mean, log_variance)).mean(dim=0)
    np.testing.assert_allclose(kl(mean, log_variance).numpy(), found.numpy(), atol=0.01)


def test_the_loss_is_minus_the_elbo_a_number() -> None:
    own = model(half_life=10_000, free_bits=0, beta=2)
    own._module = network().eval()
    x = minibatch()
    with torch.inference_mode():
        out = own._module(x)
        normal = torch.distributions.Normal(out.window, (0.5 * out.spread).exp())
        posterior = torch.distributions.Normal(out.embedding, (0.5 * out.log_variance).exp())
        divergence = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0, 1)).sum(dim=1)
        elbo = normal.log_prob(x.past).sum(dim=(1, 2)) - own._module.beta * divergence
        assert float(own.loss(out, x)) == pytest.approx(float(-elbo.mean() / 48), rel=1e-3)


def test_training_draws_from_the_posterior_and_inference_draws_nothing() -> None:
    own, x = network(), minibatch(1)
    many = WindowTensors(x.past.expand(4_000, -1, -1))
    drawn: list[torch.Tensor] = []
    own.decoder.hidden.register_forward_pre_hook(lambda _, inputs: drawn.append(inputs[0]))
    with torch.no_grad():
        out = own.train()(many)
        np.testing.assert_allclose(drawn[0].mean(dim=0).numpy(), out.embedding[0].numpy(), atol=0.07)
        np.testing.assert_allclose(drawn[0].std(dim=0).numpy(), (0.5 * out.log_variance[0]).exp().numpy(), rtol=0.05)
        first, second = own.eval()(x), own.eval()(x)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_draw_lets_a_gradient_through_to_mean_and_variance() -> None:
    own, x = network().train(), minibatch()
    out = own(x)
    out.embedding.retain_grad()
    out.log_variance.retain_grad()
    surprise(x.past, out.window, out.spread).mean().backward()
    assert out.embedding.grad.abs().min() > 0
    assert out.log_variance.grad.abs().min() > 0


@pytest.mark.parametrize("variance", ["one", "latent"])
def test_beta_0_is_the_autoencoder(variance: str) -> None:
    own = model(beta=0, variance=variance, half_life=10_000)
    own._module = net = network(beta=0, variance=variance).train()
    x = minibatch()
    own.loss(net(x), x).backward()
    found = {name: None if p.grad is None else p.grad.clone() for name, p in net.named_parameters()}
    net.zero_grad(set_to_none=True)
    # The same layers as a plain autoencoder, with the normal likelihood of its reconstruction.
    hidden = net.decoder.hidden(net.posterior(net.encoder(x.past.flatten(1)))[:, :3])
    spread = net.decoder.spread(hidden)
    normal = nn.GaussianNLLLoss(full=True)
    spread = (spread[:, None] if variance == "latent" else spread).exp().expand_as(x.past)
    normal(net.decoder.mean(hidden).unflatten(1, (12, 4)), x.past, spread).backward()
    for name, p in net.named_parameters():
        torch.testing.assert_close(found[name], p.grad, rtol=2e-3, atol=1e-5, msg=name)
    assert not found["posterior.weight"][3:].any(), "the variance of a posterior that does not exist learned something"


def active(estimator: VAE, batch: Windows) -> int:
    """Units whose posterior mean varies over the data by more than 0.01 (Burda, Grosse & Salakhutdinov 2016)."""
    return int((estimator.embed(batch).var(axis=0) > 0.01).sum())


def test_more_than_one_latent_unit_is_in_use_and_a_strong_kl_term_empties_them(fitted: VAE, spiked: tuple[Windows, ...]) -> None:
    assert active(fitted, spiked[2]) > 1
    assert active(model(beta=10, free_bits=0, annealing_epochs=0).fit(*spiked[:2]), spiked[2]) < active(fitted, spiked[2])


def test_units_within_their_free_bits_feel_no_pull_to_the_prior() -> None:
    x = minibatch()
    for free, pulled in ((0.0, True), (2.0, False)):
        own = model(free_bits=free, half_life=10_000)
        own._module = net = network(free_bits=free).eval()
        out = net(x)
        whole = own.loss(out, x)
        reconstruction = surprise(x.past, out.window, out.spread).mean()
        (gradient,) = torch.autograd.grad(whole - reconstruction, out.log_variance, allow_unused=True)
        assert bool(gradient.abs().max() > 1e-6) == pulled


def test_the_kl_term_rises_to_beta_in_training_and_is_whole_in_validation() -> None:
    own = network(beta=2, annealing_epochs=4)
    weights = []
    for epoch in range(1, 7):
        own.train().begin(epoch)
        weights.append(own.weight)
        assert own.eval().weight == 2
    assert weights == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    at_once = network(annealing_epochs=0).train()
    at_once.begin(1)
    assert at_once.weight == 1.0


def test_every_epoch_of_a_fit_is_told_to_the_annealing(spiked: tuple[Windows, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(Network, "begin", lambda _, epoch: told.append(epoch))
    model(CONFIG.model_copy(update={"max_epochs": 3})).fit(*spiked[:2])
    assert told == [1, 2, 3]


@pytest.mark.parametrize("variance", ["latent", "feature"])
def test_the_decoder_states_how_noisy_each_feature_is(variance: str) -> None:
    clean, _ = waves(steps=350, noise=0)
    noise = np.array([0.1, 0.3, 0.6, 1.0])
    train, valid, test = parts(windows(clean + noise * np.random.default_rng(1).normal(size=clean.shape)), 0.6, 0.15)
    own = model(CONFIG.model_copy(update={"learning_rate": 1e-2}), variance=variance, half_life=10_000).fit(train, valid)
    spread = own.read(test, lambda network, rows: network(rows).spread.expand(len(rows.past), 1, 4), like=(1, 4))[:, 0]
    unit = np.stack([gathered(test)[..., i].std() for i in range(4)])
    wrong = np.square((own.reconstruct(test) - gathered(test)) / unit).mean(axis=1)
    assert (np.diff(np.exp(spread).mean(axis=0)) > 0).all()
    np.testing.assert_allclose((wrong / np.exp(spread)).mean(axis=0), 1, atol=0.3)


def test_the_score_is_the_expected_log_density_of_the_newest_row(fitted: VAE, spiked: tuple[Windows, ...]) -> None:
    rows = spiked[2].take(np.arange(40))
    net = fitted._module
    x = fitted._source(rows, torch.device("cpu")).gather(torch.arange(40))
    with torch.inference_mode():
        out = net(x)
        points = torch.randn(4_000, 1, 4, generator=torch.Generator().manual_seed(0))
        hidden = net.decoder.hidden(out.embedding + (0.5 * out.log_variance).exp() * points)
        mean = net.decoder.mean(hidden)[..., -4:]
        simulated = surprise(x.past[:, -1], mean, net.decoder.spread(hidden)).sum(dim=-1).mean(dim=0)
    found = fitted.predict(rows).score
    assert np.corrcoef(found, simulated.numpy())[0, 1] > 0.99
    np.testing.assert_allclose(found, simulated.numpy(), rtol=0.1, atol=0.3)


def test_latent_points_are_fixed_start_at_the_mean_and_are_normal() -> None:
    points = normal_points(128, 3)
    assert torch.equal(points, normal_points(128, 3))
    assert not points[0].any()
    np.testing.assert_allclose(points.mean(dim=0).numpy(), 0, atol=0.05)
    np.testing.assert_allclose(points.std(dim=0).numpy(), 1, atol=0.05)


def test_what_the_newest_day_lacks_in_probability_is_explained_by_its_features(fitted: VAE, spiked: tuple[Windows, ...]) -> None:
    test = spiked[2].take(np.arange(60))
    at = int(np.flatnonzero(test.target[:, 0] == 0)[0])
    row = test.take(np.array([at]))
    panel = test.panel.copy()
    panel[row.series[0], row.end[0], 2] += 6
    (part,) = fitted.explain(changed(row, panel)).parts
    assert part.names[int(part.weights[0].argmax())] == "x2"
    np.testing.assert_allclose(part.weights.sum(axis=1), fitted.predict(changed(row, panel)).score, rtol=1e-5)
