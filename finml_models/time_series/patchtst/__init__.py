"""PatchTST."""
