"""Models, tasks and honest evaluation for deep learning in finance; knows no orchestrator, server or database."""

__version__ = "0.1.0"
