"""The arithmetic of a training: full precision by PyTorch alone, mixed precision carried by Lightning Fabric."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class FullPrecision:
    """Everything in float32."""

    def optimiser(self, optimiser: Optimizer) -> Optimizer:
        """The optimiser to step with."""
        return optimiser

    def forward(self, network: nn.Module, batch: Any) -> Any:
        """What the network answers, in float32."""
        return network(batch)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""
        loss.backward()

    def clip(self, network: nn.Module, optimiser: Optimizer, norm: float) -> None:
        """Scale all gradients down to a common norm."""
        del optimiser
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        if not gradients:
            return
        # PyTorch's own function takes one parameter after the other on a CPU.
        total = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))  # noqa: SLF001 - what PyTorch's own function calls elsewhere
        torch._foreach_mul_(gradients, (norm / (total + 1e-6)).clamp(max=1.0))


class MixedPrecision:
    """Matrix products in bfloat16; weights, answers and losses in float32."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric

    def optimiser(self, optimiser: Optimizer) -> Optimizer:
        """The optimiser to step with."""
        wrapped: Optimizer = self.fabric.setup_optimizers(optimiser)
        return wrapped

    def forward(self, network: nn.Module, batch: Any) -> Any:
        """What the network answers, in float32."""
        # Not through a module that Fabric has set up: it converts batches and answers field by field, and refuses frozen ones.
        with self.fabric.autocast():
            return _full(network(batch))

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""
        self.fabric.backward(loss)

    def clip(self, network: nn.Module, optimiser: Optimizer, norm: float) -> None:
        """Scale all gradients down to a common norm."""
        self.fabric.clip_gradients(network, optimiser, max_norm=norm, error_if_nonfinite=False)


def precision_of(device: torch.device, name: str) -> FullPrecision | MixedPrecision:
    """The arithmetic that `TrainingConfig.precision` names; several devices are a matter of Fabric's `devices` and `strategy`."""
    if name == "32-true":
        return FullPrecision()
    # Its import brings 200 MB and takes seconds.
    from lightning.fabric import Fabric

    return MixedPrecision(Fabric(accelerator=device.type, devices=1, precision=name))


def _full(answer: Any) -> Any:
    """A tensor, a dataclass or a tuple of them, in float32."""
    if isinstance(answer, Tensor):
        return answer.float() if answer.is_floating_point() else answer
    if is_dataclass(answer) and not isinstance(answer, type):
        return replace(answer, **{field.name: _full(getattr(answer, field.name)) for field in fields(answer)})
    if isinstance(answer, tuple):
        parts = map(_full, answer)
        return type(answer)._make(parts) if hasattr(answer, "_make") else tuple(parts)
    return answer
