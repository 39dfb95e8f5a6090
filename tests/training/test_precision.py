"""Full precision needs no Lightning; mixed precision computes in bfloat16, and every kind of network can be trained in it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from training_cases import halves, make, panel_windows

from finml_models.training.precision import precision_of


def test_mixed_precision_computes_in_bfloat16_and_keeps_its_weights_in_full() -> None:
    train, valid = halves(panel_windows())
    full, mixed = (make(max_epochs=2, precision=precision).fit(train, valid).state() for precision in ("32-true", "bf16-mixed"))
    weights = [name for name in full if name.startswith("network.")]
    assert any(not np.array_equal(full[name], mixed[name]) for name in weights)
    for name in weights:
        assert mixed[name].dtype == full[name].dtype == np.float32
        np.testing.assert_allclose(mixed[name], full[name], atol=0.05, err_msg=name)


def test_an_answer_in_mixed_precision_is_in_float32_again() -> None:
    network, x = torch.nn.Linear(64, 4), torch.randn(8, 64)
    mixed, full = (precision_of(torch.device("cpu"), name).forward(network, x) for name in ("bf16-mixed", "32-true"))
    assert mixed.dtype == torch.float32
    assert not torch.equal(mixed, full)
    torch.testing.assert_close(mixed, full, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("name", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_to_a_norm(name: str) -> None:
    network = torch.nn.Linear(3, 1, bias=False)
    precision = precision_of(torch.device("cpu"), name)
    optimiser = precision.optimiser(torch.optim.SGD(network.parameters()))
    precision.backward(100 * precision.forward(network, torch.ones(1, 3)).sum())
    precision.clip(network, optimiser, 0.5)
    assert network.weight.grad is not None
    assert float(network.weight.grad.norm()) == pytest.approx(0.5, rel=1e-4)


def test_a_training_in_full_precision_imports_no_lightning() -> None:
    asked = "precision_of(torch.device('cpu'), '32-true'); print('lightning' in sys.modules)"
    code = f"import sys, torch; from finml_models.training.precision import precision_of; {asked}"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
