"""How much effort a run spends: the fast profile for a first look, the full one for a verdict to act on."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import Field

from .estimator import TrainingConfig
from .spec import Frozen, ModelCard, Objective


class ProfileName(StrEnum):
    """The choices of `--profile`."""

    FAST = "fast"
    FULL = "full"


class Profile(Frozen):
    """Seeds of estimators that use them, and the defaults of training. Policies vary more between seeds than forecasts do, so they may have more."""

    seeds: tuple[int, ...] = Field(min_length=1)
    policy_seeds: tuple[int, ...] = Field(min_length=1)
    training: TrainingConfig

    def seeds_for(self, card: ModelCard) -> tuple[int, ...]:
        """The seeds of an entry with this card."""
        return self.policy_seeds if Objective.CONTROL in card.objectives else self.seeds

    def departures(self, config: object) -> dict[str, Any]:
        """What a training configuration, as a fingerprint holds it, changes of this profile's; what the configuration no longer has is left out."""
        usual = self.training.model_dump(mode="json")
        return {name: value for name, value in config.items() if name in usual and usual[name] != value} if isinstance(config, Mapping) else {}


PROFILES: dict[ProfileName, Profile] = {
    ProfileName.FAST: Profile(seeds=(0,), policy_seeds=(0,), training=TrainingConfig(learning_rate=2e-3, batch_size=128, max_epochs=6, patience=2, stride=15)),
    ProfileName.FULL: Profile(seeds=(0, 1, 2), policy_seeds=(0, 1, 2, 3, 4), training=TrainingConfig(max_epochs=20, patience=4, stride=2)),
}
