"""From artifact to HTTP: one generic service, its packaging as a bento, and a helper that serves one on the loopback."""
