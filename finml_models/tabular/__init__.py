"""Tabular: networks that read rows and columns."""
