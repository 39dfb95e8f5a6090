"""Daily market data: the rules for its defects, its sources, sessions and the own-clock panel.

`clean` and `Policy` are light enough for a serving process; sources, calendars and schemas load on demand.
"""

from .clean import COLUMNS, clean
from .panel import Panel
from .policy import Gap, Policy, Repairs, Split

__all__ = ["COLUMNS", "Gap", "Panel", "Policy", "Repairs", "Split", "clean"]
