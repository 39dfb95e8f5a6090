"""Tests and intervals that say what is a result and what is noise; each is validated by simulation in `docs/evaluation.md`.

Losses and returns are series ordered by date, one value a date (`by_date` averages entities first). Every public function
takes plain arrays, returns a frozen result, and raises `DataError` for what it cannot judge.
"""

from __future__ import annotations

from .block_length import BlockLength, block_length, inference_length
from .bootstrap import bootstrap_interval, bootstrap_intervals, bootstrap_means
from .classifiers import DeLongResult, McNemarResult, delong, mcnemar
from .diebold_mariano import DMResult, by_date, diebold_mariano, means_of
from .giacomini_white import GWResult, giacomini_white
from .model_confidence_set import MCSResult, model_confidence_set
from .multiple import holm
from .overfitting import OverfittingResult, overfitting_probability
from .paired import BootstrapResult, bootstrap_difference
from .sharpe import SharpeResult, deflated_sharpe, expected_maximum_sharpe, minimum_track_record, probabilistic_sharpe
from .value_at_risk import ExceedanceResult, christoffersen, kupiec

__all__ = [
    "BlockLength",
    "BootstrapResult",
    "DMResult",
    "DeLongResult",
    "ExceedanceResult",
    "GWResult",
    "MCSResult",
    "McNemarResult",
    "OverfittingResult",
    "SharpeResult",
    "block_length",
    "bootstrap_difference",
    "bootstrap_interval",
    "bootstrap_intervals",
    "bootstrap_means",
    "by_date",
    "christoffersen",
    "deflated_sharpe",
    "delong",
    "diebold_mariano",
    "expected_maximum_sharpe",
    "giacomini_white",
    "holm",
    "inference_length",
    "kupiec",
    "mcnemar",
    "means_of",
    "minimum_track_record",
    "model_confidence_set",
    "overfitting_probability",
    "probabilistic_sharpe",
]
