"""The one training loop and what it is made of: gathering, scaling, heads, losses, checkpoints, and `TorchEstimator`."""
