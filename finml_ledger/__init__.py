"""The ledger: everything that was tried, what was released of it, and what served when. SQLite by default, Postgres by URL."""

from .deployments import Deployment, Deployments, Role, Slot, State
from .ledger import Ledger, TrialStatistics
from .models import Release, Status, Trial

__all__ = ["Deployment", "Deployments", "Ledger", "Release", "Role", "Slot", "State", "Status", "Trial", "TrialStatistics"]
