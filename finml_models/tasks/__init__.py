"""The use cases: one file each; the id is the name of the file."""
