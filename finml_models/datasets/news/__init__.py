"""News: headlines and documents, each with the moment of its publication."""
