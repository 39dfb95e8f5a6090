"""The routes. Every module of this package has a `router`, and is found by scanning: there is no table to keep."""
