"""The vocabulary everything else speaks: cards, tasks, estimators, batches, artifacts."""
