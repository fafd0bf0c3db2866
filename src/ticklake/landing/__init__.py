"""The log to immutable objects."""
