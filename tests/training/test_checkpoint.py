"""Killed, damaged, foreign or contended: a training resumes to equal bits or starts again, and has one writer."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_cases import fit, halves, make, panel_windows

from finml_models.core.batches import Windows
from finml_models.core.errors import LeaseHeld
from finml_models.core.estimator import OnProgress, Progress
from finml_models.core.texts import Texts
from finml_models.training.checkpoint import Checkpoints, EpochLoss, Snapshot, training_key

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("training_cases.py")
STEPS_AN_EPOCH = 11  # 327 training rows in batches of at most 32


def test_a_training_killed_mid_epoch_resumes_to_the_bits_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, steps = fit(tmp_path / "whole")
    assert steps == 5 * STEPS_AN_EPOCH
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SCRIPT), str(tmp_path / "killed"), str(2 * STEPS_AN_EPOCH + 5)]
    killed = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (tmp_path / "killed" / "checkpoint.safetensors").exists()
    resumed, steps = fit(tmp_path / "killed")
    assert steps == 3 * STEPS_AN_EPOCH  # two epochs were not trained again
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)
    assert not (tmp_path / "killed" / "checkpoint.safetensors").exists()


class Stopped(Exception):
    """Raised by a listener to end a fit after an epoch."""


def stop_after(epoch: int) -> OnProgress:
    def listen(progress: Progress) -> None:
        if progress.metric is not None and progress.epoch == epoch:
            raise Stopped

    return listen


def interrupted(folder: Path, epoch: int, **settings: Any) -> tuple[Windows, Windows]:
    """A training that ended after an epoch, with its batches."""
    train, valid = halves(panel_windows())
    estimator = make(**settings)
    estimator.resume_folder = folder
    with pytest.raises(Stopped):
        estimator.fit(train, valid, stop_after(epoch))
    return train, valid


def test_early_stopping_goes_on_counting_after_a_resume(tmp_path: Path) -> None:
    settings = {"max_epochs": 30, "patience": 2, "learning_rate": 0.3}
    train, valid = interrupted(tmp_path, 2, **settings)
    resumed, whole = make(**settings), make(**settings).fit(train, valid)
    resumed.resume_folder = tmp_path
    resumed.fit(train, valid)
    assert resumed.history == whole.history
    assert len(whole.history) < 30
    assert all(np.array_equal(a, resumed.state()[name]) for name, a in whole.state().items())


def test_a_training_that_was_over_is_not_trained_further(tmp_path: Path) -> None:
    train, valid = interrupted(tmp_path, 3, max_epochs=3)
    resumed = make(max_epochs=3)
    resumed.resume_folder = tmp_path
    events = []
    resumed.fit(train, valid, events.append)
    assert events == []
    assert len(resumed.history) == 3


@pytest.mark.parametrize("change", [{"seed": 1}, {"hidden": 16}, {"learning_rate": 0.5}])
def test_a_checkpoint_of_another_configuration_is_ignored_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, change: dict[str, Any]) -> None:
    train, valid = interrupted(tmp_path, 1)
    other = make(**change)
    other.resume_folder = tmp_path
    with caplog.at_level(logging.WARNING):
        other.fit(train, valid)
    assert "another configuration" in caplog.text
    assert len(other.history) == 3


def test_the_key_follows_the_data() -> None:
    train, valid = halves(panel_windows())
    key = training_key(make(), train, valid)
    assert key == training_key(make(), *halves(panel_windows()))
    assert key != training_key(make(), train.take(np.arange(len(train) - 1)), valid)
    train.panel[0, 0, 0] += 1
    assert key != training_key(make(), train, valid)


def test_other_texts_with_the_same_labels_are_another_training() -> None:
    def batch(*texts: str) -> Texts:
        n = len(texts)
        moments = np.arange(n).astype("datetime64[D]").astype("datetime64[us]")
        return Texts(np.array(texts, object), moments, np.array([f"N{i}" for i in range(n)]), np.zeros((n, 1), np.float32), moments)

    one, again, parted = batch("profits rose", "costs fell"), batch("profits rose", "costs fell"), batch("profits rosec", "osts fell")
    assert training_key(make(), one, one) == training_key(make(), again, again)
    assert len({training_key(make(), texts, texts) for texts in (one, parted, batch("profits rose", "costs rose"))}) == 3


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "text"])
def test_a_damaged_checkpoint_is_ignored_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    train, valid = interrupted(tmp_path, 1)
    path = tmp_path / "checkpoint.safetensors"
    data = bytearray(path.read_bytes())
    data[-9] ^= 0x40
    path.write_bytes({"flip": bytes(data), "cut": bytes(data[:-20]), "empty": b"", "text": b"not a checkpoint"}[damage])
    again = make()
    again.resume_folder = tmp_path
    with caplog.at_level(logging.WARNING):
        again.fit(train, valid)
    assert "damaged" in caplog.text
    assert len(again.history) == 3


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    train, valid = halves(panel_windows())
    estimator = make()
    estimator.resume_folder = tmp_path
    with Checkpoints(tmp_path).lease(), pytest.raises(LeaseHeld, match="another process"):
        estimator.fit(train, valid)
    estimator.fit(train, valid)  # free again


def test_the_lease_of_a_killed_process_is_free(tmp_path: Path) -> None:
    code = f"""
import os
from pathlib import Path
from finml_models.training.checkpoint import Checkpoints
with Checkpoints(Path({str(tmp_path)!r})).lease():
    os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60, cwd=ROOT).returncode == -signal.SIGKILL
    with Checkpoints(tmp_path).lease():
        pass


def test_nothing_is_written_without_the_lease(tmp_path: Path) -> None:
    checkpoints, snapshot = Checkpoints(tmp_path), Snapshot([EpochLoss(1, 0.5, 0.6)], {"network.w": np.ones(3)})
    with pytest.raises(LeaseHeld, match="does not hold"):
        checkpoints.save("key", snapshot)
    with checkpoints.lease():
        checkpoints.save("key", snapshot)
        (tmp_path / "lease").unlink()  # someone cleared the folder and began anew
        with pytest.raises(LeaseHeld, match="taken over"):
            checkpoints.save("key", snapshot)


def test_a_snapshot_comes_back_as_it_was_written(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    history = [EpochLoss(1, 0.1 + 0.2, 1 / 3)]
    with checkpoints.lease():
        checkpoints.save("key", Snapshot(history, {"network.w": np.arange(6, dtype=np.float32).reshape(2, 3)}))
    read = checkpoints.load("key")
    assert read.history == history
    assert np.array_equal(read.arrays["network.w"], np.arange(6, dtype=np.float32).reshape(2, 3))
    checkpoints.clear()
    assert checkpoints.load("key") is None
