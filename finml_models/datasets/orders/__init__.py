"""Orders at work, one row an order and moment of decision, and one more at its end: what a trader knew at that moment.

`vocabulary` is light; `schema` and `synthetic` import their libraries.
"""
