"""Daily market data: rules for its defects, sources, sessions and the own-clock panel."""
