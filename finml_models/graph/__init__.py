"""Graph: networks that read assets together with the edges between them."""
