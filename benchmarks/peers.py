"""One training of one forecaster, ours or a peer's, in a process of its own: windows a second of processor time, and peak memory.

`benchmarks.training --peers PYTHON` runs it in turn with this interpreter and with one that has the peer, so that neither library's
requirements bind the other's. Both sides train on 20 random walks of 1,000 steps, windows of 44 rows, 22 horizons, five quantiles, 256
windows a step, one thread. The first steps warm up and are not counted.

    python benchmarks/peers.py (ours | neuralforecast | pytorch_forecasting) MODEL
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

SERIES, STEPS, LENGTH, AHEAD, WINDOWS = 20, 1_000, 44, 22, 256
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
WARM_UP, MEASURED = 5, 25

OURS: dict[str, dict[str, Any]] = {
    "lstm": {"hidden": 64, "layers": 1, "dropout": 0.0},
    "gru": {"hidden": 64, "layers": 1, "dropout": 0.0},
    "patchtst": {"heads": 4, "head_width": 16, "layers": 3, "feedforward": 2, "dropout": 0.2},
    "informer": {"heads": 4, "head_width": 16, "encoder_layers": 2, "decoder_layers": 1, "feedforward": 4, "dropout": 0.1},
    "tft": {"heads": 4, "head_width": 16, "lstm_layers": 1, "dropout": 0.1},
}
_RECURRENT = {"encoder_n_layers": 1, "encoder_hidden_size": 64, "decoder_layers": 1, "decoder_hidden_size": 64}
NEURALFORECAST: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("LSTM", _RECURRENT),
    "gru": ("GRU", _RECURRENT),
    "patchtst": (
        "PatchTST",
        {
            "encoder_layers": 3,
            "n_heads": 4,
            "hidden_size": 64,
            "linear_hidden_size": 128,
            "dropout": 0.2,
            "fc_dropout": 0.2,
            "patch_len": 16,
            "stride": 8,
            "revin_subtract_last": False,
            "batch_normalization": True,
        },
    ),
    "informer": ("Informer", {"hidden_size": 64, "n_head": 4, "conv_hidden_size": 256, "encoder_layers": 2, "decoder_layers": 1, "factor": 5, "dropout": 0.1}),
    "tft": ("TFT", {"hidden_size": 64, "n_head": 4, "n_rnn_layers": 1, "dropout": 0.1}),
}
"""The same widths, layers and dropout by the peer's names; its recurrent networks have a decoder of one layer where ours have a linear head."""


PYTORCH_FORECASTING: dict[str, tuple[str, dict[str, Any]]] = {
    "tft": (
        "TemporalFusionTransformer",
        {"hidden_size": 64, "hidden_continuous_size": 64, "attention_head_size": 4, "lstm_layers": 1, "dropout": 0.1},
    ),
}
PEERS = {"neuralforecast": NEURALFORECAST, "pytorch_forecasting": PYTORCH_FORECASTING}


def walks() -> Any:
    """(series, steps) random walks."""
    import numpy as np

    return np.random.default_rng(0).standard_normal((SERIES, STEPS)).cumsum(axis=1).astype(np.float32)


def ours(model: str) -> float:
    """Windows a second of our loop."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import numpy as np
    import torch

    from finml_models.core import catalog
    from finml_models.core.batches import Windows
    from finml_models.core.estimator import Signature, TrainingConfig
    from finml_models.core.spec import Kind, Objective
    from finml_models.training.loop import Loop

    torch.set_num_threads(1)
    panel, rng = walks()[..., None], np.random.default_rng(0)
    times = np.broadcast_to(np.datetime64("2000-01-01", "us") + np.arange(STEPS) * np.timedelta64(1, "D"), (SERIES, STEPS))

    def block(steps: int) -> Callable[[], float]:
        series, end = rng.integers(0, SERIES, WINDOWS * steps), rng.integers(LENGTH - 1, STEPS - AHEAD, WINDOWS * steps)
        target = panel[series[:, None], end[:, None] + np.arange(1, AHEAD + 1), 0]
        batch = Windows(panel, times, np.array([f"E{i}" for i in range(SERIES)]), series, end, LENGTH, target=target)
        sign = Signature(
            kind=Kind.WINDOWS, objective=Objective.FORECAST, feature_names=("x",), horizons=tuple(range(1, AHEAD + 1)), levels=LEVELS, length=LENGTH
        )
        entry, config = catalog.model(model), TrainingConfig(batch_size=WINDOWS, max_epochs=0, device="cpu")
        estimator = entry.estimator()(entry.card.hyperparameters(**OURS[model]), sign, config).fit(batch, batch.take(np.arange(1)))
        source = estimator._source(batch, torch.device("cpu"))  # noqa: SLF001 - the loop's own parts are what is measured
        network = estimator._fitted()[0]  # noqa: SLF001
        loop = Loop(network, estimator.loss, source, source, config.model_copy(update={"max_epochs": 9}), plan=estimator.plan(network))
        return lambda: loop.run_epoch(1)

    block(WARM_UP)()
    measured = block(MEASURED)
    began = time.process_time()
    measured()
    return WINDOWS * MEASURED / (time.process_time() - began)


def neuralforecast(model: str) -> float:
    """Windows a second of the peer's `fit`, by the time between its steps."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import neuralforecast.models as peer
    import numpy as np
    import pandas as pd
    import torch
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from pytorch_lightning import Callback

    torch.set_num_threads(1)
    moments: list[float] = []

    class Clock(Callback):
        def on_train_batch_end(self, *_: object) -> None:
            moments.append(time.process_time())

    name, hyperparameters = NEURALFORECAST[model]
    quiet = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    network = getattr(peer, name)(
        h=AHEAD,
        input_size=LENGTH,
        loss=MQLoss(quantiles=list(LEVELS)),
        max_steps=WARM_UP + MEASURED + 1,
        batch_size=SERIES,
        windows_batch_size=WINDOWS,
        scaler_type="identity",
        callbacks=[Clock()],
        **quiet,
        **hyperparameters,
    )
    frame = pd.DataFrame(
        {"unique_id": np.repeat([f"E{i}" for i in range(SERIES)], STEPS), "ds": np.tile(np.arange(STEPS), SERIES), "y": walks().ravel().astype(np.float64)}
    )
    NeuralForecast(models=[network], freq=1).fit(frame)
    return WINDOWS * MEASURED / (moments[WARM_UP + MEASURED] - moments[WARM_UP])


def pytorch_forecasting(model: str) -> float:
    """Windows a second of the peer's own dataset, loader and network under Lightning's trainer, by the time between its steps."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    import lightning.pytorch as lightning
    import numpy as np
    import pandas as pd
    import pytorch_forecasting as peer
    import torch

    torch.set_num_threads(1)
    moments: list[float] = []

    class Clock(lightning.Callback):
        def on_train_batch_end(self, *_: object) -> None:
            moments.append(time.process_time())

    names = np.repeat([f"E{i}" for i in range(SERIES)], STEPS)
    frame = pd.DataFrame({"series": names, "step": np.tile(np.arange(STEPS), SERIES), "y": walks().ravel()})
    windows = peer.TimeSeriesDataSet(
        frame,
        time_idx="step",
        target="y",
        group_ids=["series"],
        min_encoder_length=LENGTH,
        max_encoder_length=LENGTH,
        min_prediction_length=AHEAD,
        max_prediction_length=AHEAD,
        time_varying_unknown_reals=["y"],
        target_normalizer=peer.data.TorchNormalizer(method="identity"),
    )
    name, hyperparameters = PYTORCH_FORECASTING[model]
    loss = peer.metrics.QuantileLoss(list(LEVELS))
    network = getattr(peer, name).from_dataset(windows, loss=loss, output_size=len(LEVELS), log_interval=-1, **hyperparameters)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=WARM_UP + MEASURED + 1,
        callbacks=[Clock()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(network, windows.to_dataloader(train=True, batch_size=WINDOWS, num_workers=0))
    return WINDOWS * MEASURED / (moments[WARM_UP + MEASURED] - moments[WARM_UP])


def peak() -> float:
    """Peak resident MB of this process. Not ru_maxrss, which a child inherits from the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Measure, and print one JSON line last."""
    from importlib.metadata import version

    side, model = sys.argv[1:]
    if side != "ours" and find_spec(side) is None:
        print(json.dumps({"absent": f"not installed: pip install {side.replace('_', '-')}"}))
        return
    speed = {"ours": ours, "neuralforecast": neuralforecast, "pytorch_forecasting": pytorch_forecasting}[side](model)
    print(json.dumps({"windows_per_second": speed, "peak_mb": peak(), "version": None if side == "ours" else version(side)}))


if __name__ == "__main__":
    main()
