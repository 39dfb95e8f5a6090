"""Graph convolutional network."""
