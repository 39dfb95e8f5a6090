"""What three ways to write a training loop cost a step, beside the bare network: plain PyTorch, Lightning Fabric, Lightning's Trainer.

The measurement behind docs/decisions/0001-training-loop.md. It needs `pip install lightning`, which finml itself does not use.

    python -m benchmarks.loop_candidates
"""

from __future__ import annotations

import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

IMPORTS = """
import time
import {module}
import torch
torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2, 2))])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time(), int(peak.split()[1]) / 1024)
"""
Shape = tuple[int, int, int, int]
"""batch, window, features, hidden"""
Block = Callable[[], None]


class Small(nn.Module):
    """A GRU with a linear head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.rnn = nn.GRU(shape[2], shape[3], batch_first=True)
        self.head = nn.Linear(shape[3], 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


def candidates(shape: Shape, steps: int) -> dict[str, Block]:
    """A block of `steps` steps a candidate; all clip gradients but the bare network."""
    import lightning

    # After the import, which sets the levels of its own loggers.
    for name in ("lightning.pytorch", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    batch, window, features, _ = shape
    data = [(torch.randn(batch, window, features), torch.randn(batch, 3)) for _ in range(4)]
    rows = [data[i % 4] for i in range(steps)]

    def plain(*, clip: bool) -> Block:
        network = Small(shape)
        optimizer = torch.optim.AdamW(network.parameters(), 1e-3)

        def block() -> None:
            for x, y in rows:
                loss = (network(x) - y).square().mean()
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if clip:
                    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()

        return block

    def fabric() -> Block:
        runner = lightning.Fabric(accelerator="cpu", devices=1)
        bare = Small(shape)
        network, optimizer = runner.setup(bare, torch.optim.AdamW(bare.parameters(), 1e-3))

        def block() -> None:
            for x, y in rows:
                loss = (network(x) - y).square().mean()
                optimizer.zero_grad(set_to_none=True)
                runner.backward(loss)
                runner.clip_gradients(network, optimizer, max_norm=1.0)
                optimizer.step()

        return block

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = Small(shape)

        def training_step(self, pair: tuple[Tensor, Tensor], _: int) -> Tensor:
            return (self.network(pair[0]) - pair[1]).square().mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), 1e-3)

    def trainer() -> Block:
        module, loader = Module(), torch.utils.data.DataLoader(rows, batch_size=None)
        off = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        runner = lightning.Trainer(max_epochs=0, accelerator="cpu", devices=1, gradient_clip_val=1.0, **off)

        def block() -> None:
            runner.fit_loop.max_epochs += 1
            runner.fit(module, loader)

        return block

    return {"bare network": plain(clip=False), "plain PyTorch": plain(clip=True), "Fabric": fabric(), "Trainer": trainer()}


def main() -> None:
    """Print milliseconds a step (median, minimum, maximum of sixteen blocks), then what importing costs."""
    warnings.filterwarnings("ignore", module="lightning")
    torch.set_num_threads(1)
    for shape, steps in (((4, 4, 4, 8), 300), ((32, 44, 8, 64), 40)):
        blocks = candidates(shape, steps)
        spent: dict[str, list[float]] = {name: [] for name in blocks}
        for turn in range(17):
            for name, block in blocks.items():
                began = time.process_time()
                block()
                if turn:  # the first one warms up
                    spent[name].append((time.process_time() - began) / steps * 1e3)
        print(f"GRU, batch {shape[0]}, window {shape[1]}, hidden {shape[3]}")
        for name, values in spent.items():
            print(f"  {name:16}{statistics.median(values):7.3f} ms a step  ({min(values):.3f}-{max(values):.3f})")
    for module in ("torch", "lightning.fabric", "lightning"):
        runs = [
            [float(v) for v in subprocess.run([sys.executable, "-c", IMPORTS.format(module=module)], check=True, capture_output=True, text=True).stdout.split()]
            for _ in range(3)
        ]
        print(f"import {module} and make an optimiser: {min(r[0] for r in runs):.1f} s of processor time, {max(r[1] for r in runs):.0f} MB peak")


if __name__ == "__main__":
    main()
