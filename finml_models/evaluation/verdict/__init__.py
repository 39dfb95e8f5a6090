"""What the statistics say of a model against its baselines, and whether it may be released."""

from .checks import Check, Part, contamination
from .gating import Decision, Evidence, GateResult, ablated, decide, gate
from .judgement import Judgement, Verdict, adjusted, best, judge, primary
from .waiver import Waiver, waiver_for

__all__ = [
    "Check",
    "Decision",
    "Evidence",
    "GateResult",
    "Judgement",
    "Part",
    "Verdict",
    "Waiver",
    "ablated",
    "adjusted",
    "best",
    "contamination",
    "decide",
    "gate",
    "judge",
    "primary",
    "waiver_for",
]
