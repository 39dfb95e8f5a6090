"""The Dagster pipeline: assets made from the catalogue, the steps behind them, and what launches them."""
