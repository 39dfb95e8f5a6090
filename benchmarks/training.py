"""What a training step costs beside the bare network, and whether that depends on the size of the panel.

`bare` is forward, loss, backward and optimiser step on a batch that already lies in memory. `ours` is the loop that every
fit runs: shuffling, gathering windows from the panel, gradient clipping, learning-rate schedule, progress events, seeding.
Both run in one process on one thread, in alternating blocks, and are compared in processor time; a ratio is the median of
the ratios of neighbouring blocks. Validation and checkpoints happen once an epoch and are not part of a step.

    python -m benchmarks.training [--json] [--rounds 9]

Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from finml_models.core.batches import Windows
from finml_models.core.estimator import Progress, Signature, TrainingConfig
from finml_models.core.spec import Kind, Objective
from finml_models.time_series.gru.card import GRUHyperparameters
from finml_models.time_series.gru.model import GRU
from finml_models.time_series.lstm.card import LSTMHyperparameters
from finml_models.time_series.lstm.model import LSTM
from finml_models.training.loop import Loop
from finml_models.training.minibatch import Source
from finml_models.training.plan import Plan
from finml_models.training.torch_estimator import TorchEstimator

SERIES, FEATURES, HIDDEN = 20, 8, 64
BLOCK_SECONDS = 0.6
MODELS = {"lstm": (LSTM, LSTMHyperparameters(hidden=HIDDEN)), "gru": (GRU, GRUHyperparameters(hidden=HIDDEN))}


@dataclass(frozen=True)
class Row:
    """One comparison: milliseconds a step of both sides, their ratio with its quartiles, and the bar."""

    name: str
    reference_ms: float
    ours_ms: float
    ratio: float
    low: float
    high: float
    bar: float

    @property
    def holds(self) -> bool:
        """Whether the median ratio is within the bar."""
        return self.ratio <= self.bar


@dataclass(frozen=True)
class Case:
    """A model with windows of `length` rows in batches of `batch_size`."""

    model: str
    length: int
    batch_size: int

    def __str__(self) -> str:
        return f"{self.model}, hidden {HIDDEN}, {self.batch_size} windows of {self.length}"

    def estimator(self, epochs: int) -> TorchEstimator:
        """An untrained estimator of this case."""
        cls, hyperparameters = MODELS[self.model]
        signature = Signature(
            kind=Kind.WINDOWS,
            objective=Objective.FORECAST,
            feature_names=tuple(f"x{i}" for i in range(FEATURES)),
            horizons=(1, 5, 22),
            levels=(0.05, 0.25, 0.5, 0.75, 0.95),
            length=self.length,
            loss="qlike",
        )
        return cls(hyperparameters, signature, TrainingConfig(batch_size=self.batch_size, max_epochs=epochs, device="cpu"))

    def windows(self, count: int, panel_steps: int) -> Windows:
        """Random windows over a panel of noise of 20 series."""
        rng = np.random.default_rng(0)
        times = np.datetime64("1990-01-01", "us") + np.arange(panel_steps) * np.timedelta64(1, "D")
        return Windows(
            panel=rng.standard_normal((SERIES, panel_steps, FEATURES), dtype=np.float32),
            times=np.broadcast_to(times, (SERIES, panel_steps)),
            entities=np.array([f"E{i:02}" for i in range(SERIES)]),
            series=rng.integers(0, SERIES, count),
            end=rng.integers(self.length - 1, panel_steps, count),
            length=self.length,
            target=rng.standard_normal((count, 3), dtype=np.float32),
        )

    def parts(self, batch: Windows) -> tuple[TorchEstimator, nn.Module, Source]:
        """An estimator with its scales learned and nothing trained, its network, and the source of a batch."""
        estimator = self.estimator(epochs=0).fit(batch, batch.take(np.arange(1)))
        # The loop's own parts are what is measured.
        return estimator, estimator._fitted()[0], estimator._source(batch, torch.device("cpu"))  # noqa: SLF001


def our_loop(case: Case, steps: int, panel_steps: int = 1_000) -> Callable[[], None]:
    """A block of `steps` steps of the training loop; each call is one epoch."""
    estimator, module, source = case.parts(case.windows(case.batch_size * steps, panel_steps))
    events: list[Progress] = []
    loop = Loop(module, estimator.loss, source, source, case.estimator(epochs=1_000).config, events.append)
    epochs = itertools.count(1)
    return lambda: loop.run_epoch(next(epochs)) and None


def bare(case: Case, steps: int) -> Callable[[], None]:
    """A block of `steps` steps of the network on four batches that lie in memory."""
    estimator, network, source = case.parts(case.windows(4 * case.batch_size, 1_000))
    network.train()
    optimizer = Plan.plain(network.parameters()).optimiser(estimator.config.learning_rate, estimator.config.weight_decay)
    ready = [source.gather(rows) for rows in torch.arange(4 * case.batch_size).split(case.batch_size)]

    def block() -> None:
        for step in range(steps):
            tensors = ready[step % 4]
            loss = estimator.loss(network(tensors), tensors)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return block


def seconds(block: Callable[[], None]) -> float:
    """Processor time of a block."""
    began = time.process_time()
    block()
    return time.process_time() - began


def compare(name: str, reference: Callable[[], None], ours: Callable[[], None], *, steps: int, rounds: int, bar: float) -> Row:
    """Alternate the two blocks, each first every other round."""
    seconds(reference), seconds(ours)
    pairs = []
    for turn in range(rounds):
        order = (reference, ours) if turn % 2 == 0 else (ours, reference)
        spent = {block: seconds(block) for block in order}
        pairs.append((spent[reference] / steps * 1e3, spent[ours] / steps * 1e3))
    ratios = [b / a for a, b in pairs]
    low, _, high = statistics.quantiles(ratios, n=4)
    return Row(name, statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), statistics.median(ratios), low, high, bar)


def sized(case: Case, milliseconds: float) -> tuple[Case, int]:
    """The case with a batch whose bare step takes about so long, and the steps of a block of 0.6 s."""
    while True:
        block = bare(case, 4)
        block()
        took = min(seconds(block) for _ in range(3)) / 4 * 1e3
        if took >= milliseconds:
            return case, max(4, round(BLOCK_SECONDS * 1e3 / took))
        case = replace(case, batch_size=case.batch_size * 5 // 4)


def measure(rounds: int) -> list[Row]:
    """Every comparison with its bar: steps of 35 ms and more, short ones of about 5 ms, and two sizes of panel."""
    rows = []
    for model in MODELS:
        for start, milliseconds, bar in ((Case(model, 44, 160), 35.0, 1.05), (Case(model, 16, 16), 4.0, 1.15)):
            case, steps = sized(start, milliseconds)
            rows.append(compare(f"{case}: loop / bare network", bare(case, steps), our_loop(case, steps), steps=steps, rounds=rounds, bar=bar))
    case, steps = sized(Case("lstm", 44, 16), 4.0)
    small, large = (our_loop(case, steps, length) for length in (1_000, 20_000))
    rows.append(compare(f"{case}: panel 20 × 20,000 / 20 × 1,000", small, large, steps=steps, rounds=rounds, bar=1.10))
    return rows


def one_epoch() -> None:
    """Train one epoch over 40,000 windows of 20 × 20,000, for the peak memory of a process that trains."""
    case = Case("lstm", 44, 256)
    batch = case.windows(40_000, 20_000)
    case.estimator(epochs=1).fit(batch, batch.take(np.arange(1_000)))


def peak_memory() -> dict[str, float]:
    """Peak resident MB of a process that imports only, and of one that trains; and what its windows would take as copies."""
    code = "from benchmarks.training import one_epoch, peak; {}; print(peak())"
    idle, training = (
        float(subprocess.run([sys.executable, "-c", code.format(work)], check=True, capture_output=True, text=True).stdout) for work in ("0", "one_epoch()")
    )
    return {"import_mb": idle, "training_mb": training, "windows_as_copies_mb": 40_000 * 44 * FEATURES * 4 / 2**20}


def peak() -> float:
    """Peak resident MB of this process. Not ru_maxrss, which a child inherits from the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def main() -> int:
    """Print the table, or JSON; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of blocks a comparison")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, memory = measure(arguments.rounds), peak_memory()
    if arguments.json:
        print(json.dumps({"rows": [{**asdict(row), "holds": row.holds} for row in rows], "memory": memory, "torch": torch.__version__}, indent=1))
    else:
        print(f"{'ratio of processor time a step':72}{'reference':>12}{'ours':>12}{'ratio':>8}{'quartiles':>16}{'bar':>7}")
        for row in rows:
            spread = f"{row.low:.3f}-{row.high:.3f}"
            verdict = "" if row.holds else "  missed"
            print(f"{row.name:72}{row.reference_ms:>9.2f} ms{row.ours_ms:>9.2f} ms{row.ratio:>8.3f}{spread:>16}{row.bar:>7.2f}{verdict}")
        print(
            f"peak memory: {memory['training_mb']:.0f} MB for one LSTM epoch over 40,000 windows of 20 × 20,000 rows "
            f"({memory['import_mb']:.0f} MB of it imports; the windows alone would be {memory['windows_as_copies_mb']:.0f} MB as copies)"
        )
    return int(not all(row.holds for row in rows))


if __name__ == "__main__":
    sys.exit(main())
