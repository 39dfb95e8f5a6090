"""FinBERT."""
