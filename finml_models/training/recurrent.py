"""A GRU whose training step on a CPU is a few operations a row of the window, all in memory that the cache holds."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence

aten = torch.ops.aten


class GRU(nn.GRU):
    """`nn.GRU` with batches first, the same weights under the same names. `GRULayer` trains it where rows are float32 on a CPU and none is missing.

    PyTorch has a fused LSTM for that, which is faster than one written like this would be, and none of a GRU.
    """

    def forward(self, x: Tensor | PackedSequence, state: Tensor | None = None) -> tuple[Any, Tensor]:
        """Outputs (b, length, hidden) and the last states (layers, b, hidden)."""
        fits = self.training and self.batch_first and self.bias and isinstance(x, Tensor) and x.dtype == torch.float32 and x.device.type == "cpu"
        if not fits or torch.is_autocast_enabled("cpu"):
            return super().forward(x, state)
        rows, last = x.permute(1, 2, 0), []
        for i, weights in enumerate(self.all_weights):
            if i and self.dropout:
                rows = dropout(rows, self.dropout)
            rows, final = GRULayer.apply(rows, x.new_zeros(self.hidden_size, len(x)) if state is None else state[i].T, *weights)
            last.append(final.T)
        return rows.permute(2, 0, 1), torch.stack(last)


class GRULayer(Function):
    """One layer over a whole window, batches last: every gate is a contiguous block, which elementwise kernels read at full speed.

    Shapes: rows (length, inputs, b), state (hidden, b) -> outputs (length, hidden, b), the last of them. Autograd makes of a row of the
    window some sixty operations there and back; these are twenty, in place.

    The hidden rows of a block stand in the order new (from the state), reset, update, new (from the inputs): the first three are what
    the state goes into. The biases are weights of a further input that is 1.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, state: Tensor, w_in: Tensor, w_state: Tensor, b_in: Tensor, b_state: Tensor) -> tuple[Tensor, Tensor]:
        hidden, batch = state.shape
        rows = torch.cat([rows, rows.new_ones(len(rows), 1, batch)], dim=1)
        w = torch.cat([w_state[2 * hidden :], w_state[: 2 * hidden]])
        gates, new = b_in.split([2 * hidden, hidden])
        biases = torch.cat([b_state[2 * hidden :], gates + b_state[: 2 * hidden], new])
        w_in = torch.cat([torch.cat([w_in.new_zeros(hidden, w_in.shape[1]), w_in]), biases[:, None]], dim=1)
        blocks = rows.new_empty(len(rows), 4 * hidden, batch)
        states = rows.new_empty(len(rows) + 1, hidden, batch)
        states[0] = state
        before, *after = states.unbind()
        for row, block, hears, (from_state, reset, update, new), here in zip(rows, blocks, blocks[:, : 3 * hidden], _parts(blocks), after, strict=True):
            torch.mm(w_in, row, out=block)
            hears.addmm_(w, before)
            hears[hidden:].sigmoid_()
            new.addcmul_(from_state, reset).tanh_()
            before = torch.lerp(new, before, update, out=here)
        ctx.save_for_backward(rows, w_in, w, blocks, states)
        ctx.set_materialize_grads(False)
        return states[1:], before.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        rows, w_in, w, blocks, states = ctx.saved_tensors
        each, last = gradients
        length, hidden, batch = len(rows), *states.shape[1:]
        w_error, w_in_error, back = torch.zeros_like(w), torch.zeros_like(w_in), w.T.contiguous()
        rows_error, w_rows = (rows.new_empty(length, rows.shape[1] - 1, batch), w_in[:, :-1].T.contiguous()) if ctx.needs_input_grad[0] else (None, None)
        error = states.new_zeros(hidden, batch) if last is None else last.clone(memory_format=torch.contiguous_format)
        kept, wanted = torch.empty_like(error), blocks.new_empty(4 * hidden, batch)
        hears, bent, (to_state, to_reset, to_update, to_new) = wanted[: 3 * hidden], wanted[hidden : 3 * hidden], wanted.chunk(4)
        parts, gates = _parts(blocks), blocks[:, hidden : 3 * hidden]
        for t in reversed(range(length)):
            from_state, reset, update, new = parts[t]
            before = states[t]
            if each is not None:
                error += each[t]
            torch.mul(error, update, out=kept)
            torch.sub(before, new, out=to_update).mul_(error)
            aten.tanh_backward.grad_input(error.sub_(kept), new, grad_input=to_new)
            torch.mul(to_new, from_state, out=to_reset)
            torch.mul(to_new, reset, out=to_state)
            aten.sigmoid_backward.grad_input(bent, gates[t], grad_input=bent)
            w_error.addmm_(hears, before.T)
            w_in_error.addmm_(wanted, rows[t].T)
            if rows_error is not None:
                torch.mm(w_rows, wanted, out=rows_error[t])
            error, kept = kept.addmm_(back, hears), error
        sums = w_in_error[:, -1]
        to_weights = torch.cat([w_error[hidden:], w_error[:hidden]])
        return rows_error, error, w_in_error[hidden:, :-1], to_weights, sums[hidden:], torch.cat([sums[hidden : 3 * hidden], sums[:hidden]])


def _parts(blocks: Tensor) -> list[tuple[Tensor, ...]]:
    """The four parts (hidden, b) of each block (length, 4 hidden, b)."""
    return list(zip(*(part.unbind() for part in blocks.chunk(4, dim=1)), strict=True))
