"""Finnhub's live trades."""
