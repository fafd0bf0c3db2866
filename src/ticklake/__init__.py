"""ticklake: a real-time lakehouse for market data."""

from importlib.metadata import version

__version__ = version("ticklake")
