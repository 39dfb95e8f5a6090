"""How much effort a run spends: the fast profile for a first look, the full one for a verdict to act on."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from .estimator import TrainingConfig
from .spec import Frozen


class ProfileName(StrEnum):
    """The choices of `--profile`."""

    FAST = "fast"
    FULL = "full"


class Profile(Frozen):
    """Seeds of estimators that use them, and the defaults of training."""

    seeds: tuple[int, ...] = Field(min_length=1)
    training: TrainingConfig


PROFILES: dict[ProfileName, Profile] = {
    ProfileName.FAST: Profile(seeds=(0,), training=TrainingConfig(learning_rate=2e-3, max_epochs=6, patience=2, stride=5)),
    ProfileName.FULL: Profile(seeds=(0, 1, 2), training=TrainingConfig(max_epochs=20, patience=4, stride=2)),
}
