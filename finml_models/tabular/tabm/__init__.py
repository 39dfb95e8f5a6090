"""TabM."""
