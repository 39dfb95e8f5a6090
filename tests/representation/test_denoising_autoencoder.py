"""Denoising autoencoder: the input is corrupted, the target is not; noise goes down, and PCA is beaten where the data is curved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from window_cases import gathered, parts, signature, waves, windows

from finml_models.core.batches import Windows
from finml_models.core.estimator import TrainingConfig
from finml_models.representation.denoising_autoencoder.card import DenoisingAutoencoderHyperparameters
from finml_models.representation.denoising_autoencoder.model import DenoisingAutoencoder, Network, corrupted
from finml_models.training.minibatch import WindowTensors

BOTTLENECK = 3
CONFIG = TrainingConfig(max_epochs=20, patience=20, learning_rate=1e-2, batch_size=64, device="cpu")
KINDS = ("gaussian", "masking", "block")


def hyperparameters(**given: Any) -> DenoisingAutoencoderHyperparameters:
    return DenoisingAutoencoderHyperparameters(**{"bottleneck": BOTTLENECK, "half_life": 10_000, **given})


def minibatch(rows: int = 32) -> WindowTensors:
    return WindowTensors(torch.randn(rows, 12, 4, generator=torch.Generator().manual_seed(1)))


def test_noise_is_added_at_its_level() -> None:
    x = torch.randn(500, 12, 4)
    noise = corrupted(x, "gaussian", 0.5) - x
    assert abs(float(noise.std()) - 0.5) < 0.01
    assert abs(float(noise.mean())) < 0.01


def test_masking_hides_single_values_and_leaves_the_others() -> None:
    x = torch.randn(500, 12, 4)
    seen = corrupted(x, "masking", 0.3)
    hidden = seen == 0
    assert abs(float(hidden.float().mean()) - 0.3) < 0.01
    assert torch.equal(seen[~hidden], x[~hidden])
    assert 0 < float(hidden.all(dim=2).float().mean()) < 0.05


@pytest.mark.parametrize("level", [0.1, 0.3, 0.9])
def test_a_block_hides_one_run_of_rows_and_each_row_as_often(level: float) -> None:
    x = torch.rand(6_000, 12, 4) + 1
    seen = corrupted(x, "block", level)
    hidden = (seen == 0).all(dim=2)
    assert torch.equal(seen[~hidden], x[~hidden])
    np.testing.assert_allclose(hidden.float().mean(dim=0).numpy(), level, atol=0.03)
    begins = hidden & ~hidden.roll(1, dims=1)
    assert int(begins.sum(dim=1).max()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_input_is_corrupted_in_training_and_the_loss_is_against_the_clean_window(kind: str) -> None:
    torch.manual_seed(0)
    own = DenoisingAutoencoder(hyperparameters(corruption=kind, corruption_level=0.5), signature())
    net, x = Network(own.hyperparameters, signature()), minibatch()
    before, seen = x.past.clone(), []
    net.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].unflatten(1, (12, 4))))
    out = net.train()(x)
    assert torch.equal(x.past, before)
    assert not torch.equal(seen[0], before)
    against_clean, against_seen = ((out.window - target).square().mean().item() for target in (before, seen[0]))
    assert own.loss(out, x).item() == pytest.approx(against_clean, rel=1e-5)
    assert against_clean != pytest.approx(against_seen, rel=1e-2)
    net.eval()(x)
    assert torch.equal(seen[1], before)


@pytest.mark.parametrize("kind", KINDS)
def test_without_corruption_it_is_the_plain_autoencoder(kind: str) -> None:
    torch.manual_seed(0)
    net, x = Network(hyperparameters(corruption=kind, corruption_level=0), signature()), minibatch()
    assert torch.equal(net.train()(x).window, net.eval()(x).window)


@pytest.fixture(scope="module")
def curved() -> tuple[np.ndarray, tuple[Windows, ...], tuple[Windows, ...]]:
    """Waves of random phase and speed: two numbers a window, on a surface that no three directions hold. Noisy, and clean."""
    clean, noisy = waves(steps=450, noise=0.5)
    return noisy, parts(windows(noisy), 0.6, 0.15), parts(windows(clean), 0.6, 0.15)


def error(found: np.ndarray, clean: Windows) -> float:
    return float(np.square(found - gathered(clean)).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_the_signal_to_noise_ratio_improves_on_planted_noise(curved: Any, kind: str) -> None:
    _, (train, valid, test), (*_, truth) = curved
    own = DenoisingAutoencoder(hyperparameters(corruption=kind), signature(), CONFIG).fit(train, valid)
    signal = float(gathered(truth).var())
    given, cleaned = (10 * np.log10(signal / error(found, truth)) for found in (gathered(test), own.reconstruct(test)))
    assert cleaned > given + 3, "decibels"
    # At the same bottleneck the best three directions cut off what is curved.
    flat = gathered(train).reshape(len(train), -1)
    pca = PCA(BOTTLENECK).fit(flat)
    linear = pca.inverse_transform(pca.transform(gathered(test).reshape(len(test), -1))).reshape(-1, 12, 4)
    assert error(own.reconstruct(test), truth) < error(linear, truth)
