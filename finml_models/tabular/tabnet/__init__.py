"""TabNet."""
