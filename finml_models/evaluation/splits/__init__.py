"""Which rows train, validate and are scored: walk-forward, combinatorial, and by account.

A label that ends inside a test block, or an input window that reaches back into it, tells a model what it is about to
be asked. Every splitter here ends in the same two rules: `purge_and_embargo` removes such rows, and `check_disjoint`
refuses a split that still has them, whoever made it.
"""

from .accounts import by_account
from .combinatorial import Combinatorial, combinatorial, combinatorial_of_task, number_of_paths
from .rules import Fold, Rows, Times, check_disjoint, check_no_overlap, purge_and_embargo
from .walk import latest, of_task, walk_forward

__all__ = [
    "Combinatorial",
    "Fold",
    "Rows",
    "Times",
    "by_account",
    "check_disjoint",
    "check_no_overlap",
    "combinatorial",
    "combinatorial_of_task",
    "latest",
    "number_of_paths",
    "of_task",
    "purge_and_embargo",
    "walk_forward",
]
