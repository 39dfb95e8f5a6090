"""Daily market data: `clean` (the rules for its defects), `panel` (the own-clock arrays), sources, sessions, schema and snapshot.

`clean`, `policy` and `panel` are light enough for a serving process; the other modules import their libraries on demand.
"""
