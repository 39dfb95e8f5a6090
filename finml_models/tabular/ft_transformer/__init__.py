"""FT-Transformer."""
