"""Immutable objects, in a folder or in any S3."""
