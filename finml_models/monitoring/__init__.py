"""What is watched while a version serves: drift of its inputs, decay of its quality, an A/B test that may be read at any time, and a challenge."""
