"""What a training step costs beside the bare network, and whether that depends on the size of the panel.

`bare` is forward, loss, backward and optimiser step on a batch that already lies in memory. `ours` is the loop that every
fit runs: shuffling, gathering windows from the panel, gradient clipping, learning-rate schedule, progress events, seeding.
Both run in one process on one thread, in alternating blocks, and are compared in processor time; a ratio is the median of
the ratios of neighbouring blocks. Validation and checkpoints happen once an epoch and are not part of a step.

The forecasters are those of the catalogue that have code. With `--peers` each is also trained beside neuralforecast, and TFT beside
pytorch-forecasting, at matched hyperparameters, in processes that take turns (`benchmarks/peers.py`): windows a second, and peak memory.

    python -m benchmarks.training [--json] [--rounds 9] [--models patchtst,...] [--peers PYTHON]

PYTHON is an interpreter that has neuralforecast and pytorch-forecasting; it need not have finml. Exits with 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.peers import PEERS
from finml_models.core import catalog
from finml_models.core.batches import Windows
from finml_models.core.estimator import Progress, Signature, TrainingConfig
from finml_models.core.spec import Category, Kind, Objective
from finml_models.training.loop import Loop
from finml_models.training.minibatch import Source
from finml_models.training.plan import Plan
from finml_models.training.torch_estimator import TorchEstimator

SERIES, FEATURES, HIDDEN = 20, 8, 64
BLOCK_SECONDS = 0.6
RECURRENT = ("lstm", "gru")
SPEED_BARS = {"patchtst": 3.0, "lstm": 1.8, "gru": 1.8, "informer": 1.2, "tft": 1.25}
"""Least ratio of windows a second to a peer's."""
MEMORY_BAR = 0.7
"""Largest ratio of peak memory to neuralforecast's."""


def forecasters() -> tuple[str, ...]:
    """The forecasters of the catalogue that have code, recurrent ones first."""
    built = [name for name, entry in catalog.models().items() if entry.category is Category.TIME_SERIES and entry.gap is None]
    return tuple(sorted(built, key=lambda name: (name not in RECURRENT, name)))


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
        return f"{self.model}{f', hidden {HIDDEN}' if self.model in RECURRENT else ''}, {self.batch_size} windows of {self.length}"

    def estimator(self, epochs: int) -> TorchEstimator:
        """An untrained estimator of this case."""
        entry = catalog.model(self.model)
        cls, hyperparameters = entry.estimator(), entry.card.hyperparameters(**({"hidden": HIDDEN} if self.model in RECURRENT else {}))
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
        case = replace(case, batch_size=case.batch_size + max(1, case.batch_size // 4))


def measure(rounds: int, models: tuple[str, ...]) -> list[Row]:
    """Every comparison with its bar: steps of 35 ms and more, short ones of about 5 ms, and two sizes of panel."""
    rows = []
    for model in models:
        # Transformers take longer a window: from a small batch on, so that a short step is one.
        large, small = (160, 16) if model in RECURRENT else (32, 2)
        for start, milliseconds, bar in ((Case(model, 44, large), 35.0, 1.05), (Case(model, 16, small), 4.0, 1.15)):
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
    code = "from benchmarks.peers import peak; from benchmarks.training import one_epoch; {}; print(peak())"
    idle, training = (
        float(subprocess.run([sys.executable, "-c", code.format(work)], check=True, capture_output=True, text=True).stdout) for work in ("0", "one_epoch()")
    )
    return {"import_mb": idle, "training_mb": training, "windows_as_copies_mb": 40_000 * 44 * FEATURES * 4 / 2**20}


@dataclass(frozen=True)
class PeerRow:
    """A model beside a peer's: windows a second and peak MB of both (theirs first), medians; `absent` says why there are none."""

    model: str
    peer: str
    theirs: float = 0.0
    ours: float = 0.0
    their_mb: float = 0.0
    our_mb: float = 0.0
    absent: str = ""

    @property
    def memory_bar(self) -> float | None:
        """Memory has a bar beside neuralforecast alone."""
        return MEMORY_BAR if self.peer.startswith("neuralforecast") else None

    @property
    def holds(self) -> bool:
        """Whether both ratios are within their bars, or nothing could be compared."""
        fast = self.ours >= SPEED_BARS[self.model] * self.theirs
        return bool(self.absent) or (fast and (self.memory_bar is None or self.our_mb <= self.memory_bar * self.their_mb))

    def __str__(self) -> str:
        if self.absent:
            return f"{self.model:12}{self.peer:28}{self.absent}"
        speed, memory = self.ours / self.theirs, self.our_mb / self.their_mb
        bar = "" if self.memory_bar is None else f"{self.memory_bar:.2f}"
        return (
            f"{self.model:12}{self.peer:28}{self.theirs:>10,.0f}{self.ours:>10,.0f}{speed:>8.2f}{SPEED_BARS[self.model]:>6.2f}"
            f"{self.their_mb:>10.0f}{self.our_mb:>9.0f}{memory:>8.2f}{bar:>6}{'' if self.holds else '  missed'}"
        )


def beside_peers(interpreter: str, models: tuple[str, ...], turns: int = 3) -> Iterator[PeerRow]:
    """Train each model on both sides, in turn, each time in a fresh process."""
    script = Path(__file__).with_name("peers.py")

    def once(side: str, model: str) -> dict[str, Any]:
        command = [sys.executable if side == "ours" else interpreter, str(script), side, model]
        found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        return found

    for peer, known in PEERS.items():
        for model in (name for name in models if name in known):
            found: dict[str, list[dict[str, Any]]] = {peer: [], "ours": []}
            for _ in range(turns):
                for side, results in found.items():
                    results.append(once(side, model))
                if absent := found[peer][0].get("absent"):
                    yield PeerRow(model, peer, absent=absent)
                    break
            else:
                speeds, memory = ([statistics.median(r[key] for r in results) for results in found.values()] for key in ("windows_per_second", "peak_mb"))
                yield PeerRow(model, f"{peer} {found[peer][0]['version']}", *speeds, *memory)


def main() -> int:
    """Print the table, or JSON; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--rounds", type=int, default=9, help="pairs of blocks a comparison")
    parser.add_argument("--models", default=",".join(forecasters()), help="forecasters to measure, with commas between")
    parser.add_argument("--peers", default=sys.executable, help="interpreter that has neuralforecast and pytorch-forecasting")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    models = tuple(arguments.models.split(","))
    rows, memory = measure(arguments.rounds, models), peak_memory()
    if arguments.json:
        peers = list(beside_peers(arguments.peers, models))
        tables = {"rows": rows, "peers": peers}
        shown = {name: [{**asdict(row), "holds": row.holds} for row in table] for name, table in tables.items()}
        print(json.dumps({**shown, "memory": memory, "torch": torch.__version__}, indent=1))
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
        print(f"{'beside a peer':40}{'windows/s':>10}{'ours':>10}{'ratio':>8}{'bar':>6}{'peak MB':>10}{'ours':>9}{'ratio':>8}{'bar':>6}", flush=True)
        peers = []
        for peer in beside_peers(arguments.peers, models):
            peers.append(peer)
            print(peer, flush=True)
    return int(not all(row.holds for row in [*rows, *peers]))


if __name__ == "__main__":
    sys.exit(main())
