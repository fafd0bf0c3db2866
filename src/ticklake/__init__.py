"""ticklake: a real-time lakehouse for market data."""


def __getattr__(name: str) -> str:
    """Give `__version__` to who asks: reading it from the installed package takes time that `--help` need not spend."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 — see above

        return version("ticklake")
    raise AttributeError(name)
