"""Card transactions, one row each: what was known at the authorisation, and whether a fraud was reported within the maturity window.

`vocabulary` is light; `schema`, `terminals` and `synthetic` import their libraries.
"""
