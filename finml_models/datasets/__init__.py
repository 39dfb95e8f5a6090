"""Registered datasets: ids, sources and the rules that their rows pass."""

from .registry import DEFAULTS, Dataset, datasets, default_of, fetch, fetched, load, settings_file
from .spec import DatasetSpec

__all__ = ["DEFAULTS", "Dataset", "DatasetSpec", "datasets", "default_of", "fetch", "fetched", "load", "settings_file"]
