"""Registered datasets: ids, sources and the rules that their rows pass."""
