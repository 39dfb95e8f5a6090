"""Granted loans, one row an application: what was known at the decision, and what came of it in the twelve months after.

`vocabulary` is light; `schema` and `synthetic` import their libraries.
"""
