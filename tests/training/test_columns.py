"""Layers over columns give what layers over rows give."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from finml_models.training.columns import AT_ONCE, FEW, attention, linear


@pytest.mark.parametrize("tokens", [1, 5, FEW, FEW + 1])
def test_attention_and_its_gradient_are_pytorchs(tokens: int) -> None:
    heads, width = 2, 3
    # More sequences than are worked on together, and not a multiple of them.
    sequences = AT_ONCE // (heads * tokens**2) + 70 if tokens > 1 else 9
    rows = torch.randn(sequences, tokens, 3 * heads * width, generator=torch.Generator().manual_seed(0), requires_grad=True)
    columns = rows.detach().permute(2, 1, 0).contiguous().requires_grad_()
    query, key, value = rows.unflatten(-1, (3, heads, width)).permute(2, 0, 3, 1, 4)
    expected = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    found = attention(columns.unflatten(0, (3, heads, width))).flatten(0, 1).permute(2, 1, 0)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    above = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    expected.backward(above)
    found.backward(above)
    torch.testing.assert_close(columns.grad.permute(2, 1, 0), rows.grad, rtol=1e-5, atol=1e-5)


def test_a_linear_layer_over_columns_is_that_over_rows() -> None:
    layer, x = torch.nn.Linear(4, 6), torch.randn(9, 4)
    torch.testing.assert_close(linear(layer, x.T).T, layer(x))
