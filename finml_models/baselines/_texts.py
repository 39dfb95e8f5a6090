"""What the baselines that read texts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from finml_models.core.texts import Texts

if TYPE_CHECKING:
    from finml_models.core.batches import Batch


def texts_of(batch: Batch, name: str) -> list[str]:
    """The texts of a batch; `TypeError` for a batch of another kind."""
    if not isinstance(batch, Texts):
        raise TypeError(f"batch: {name} reads texts, not {type(batch).__name__}")
    return batch.texts.tolist()
