"""Frames to the log and back."""
