"""Informer."""
