"""Every test of `finml_models.evaluation.statistics` under a null and an alternative; `benchmarks.size_and_power` runs them."""

from __future__ import annotations

from . import decisions, intervals, losses, sets, strategies
from .experiment import Experiment, Group, Measured, Result, measure

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for room in (losses, sets, intervals, decisions, strategies) for experiment in room.EXPERIMENTS
}

__all__ = ["EXPERIMENTS", "Experiment", "Group", "Measured", "Result", "measure"]
