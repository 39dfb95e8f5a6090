"""Cross-asset effects: what an asset's neighbours say of its own next day and week."""

from __future__ import annotations

from finml_models.core.spec import Kind, Objective
from finml_models.core.task import Gate, Task


class CrossAssetEffects(Task):
    """Stamped graphs of trailing correlation to the log realised variance of every asset."""

    name = "Cross-asset effects"
    description = (
        "A feature vector an asset and edges from trailing correlation, each stamped with its time, in; log realised variance of every "
        "asset over the next day and week out. Scored by QLIKE against the same encoder without edges and with random edges of the same "
        "degrees: only what the true edges add counts as an effect."
    )
    dataset = "market"
    objective = Objective.FORECAST
    kinds = (Kind.GRAPHS,)
    horizons = (1, 5)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    history = 66
    metrics = ("qlike", "log_variance_mse", "pinball", "coverage")
    baselines = ("no_edges", "random_edges", "har", "har_market_sector")
    gate = Gate(version="cross_asset_effects/1", naive=("no_edges",), margin=0.02)
