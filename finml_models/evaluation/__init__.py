"""What is a result and what is noise: splits, metrics, statistics, verdicts and the gate, fingerprints, reports."""
