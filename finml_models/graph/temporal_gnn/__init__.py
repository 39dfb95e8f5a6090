"""Temporal graph network: graph convolution inside a recurrent cell."""
