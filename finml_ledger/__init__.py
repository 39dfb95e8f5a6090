"""The ledger: everything that was tried, and what was released of it. SQLite by default, Postgres by URL."""

from .ledger import Ledger, TrialStatistics
from .models import Release, Status, Trial

__all__ = ["Ledger", "Release", "Status", "Trial", "TrialStatistics"]
