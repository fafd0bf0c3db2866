"""The command line: it alone wires the stages."""
