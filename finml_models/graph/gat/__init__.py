"""Graph attention network."""
