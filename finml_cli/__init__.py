"""The command line: the one package that may import all the others, and that nobody imports."""
