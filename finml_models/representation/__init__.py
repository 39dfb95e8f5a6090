"""Representation: networks that learn what a window is like, without labels."""
