"""Landed objects to bronze, and dbt from there to gold."""
