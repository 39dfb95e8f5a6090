"""Temporal Fusion Transformer."""
