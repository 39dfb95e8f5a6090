"""Expert references, through the same contract as the models: one file each, its card beside it."""
