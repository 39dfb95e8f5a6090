"""`python -m finml_cli` is `finml`."""

from .main import app

app()
