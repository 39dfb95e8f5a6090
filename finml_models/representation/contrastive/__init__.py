"""Contrastive representations of windows."""
