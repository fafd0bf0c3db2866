"""A genuine trade, and how the vendor's JSON tells it.

Units      prices count in 1e-4, sizes in 1e-8: whole numbers, so that no digit passes through a binary float
"""

from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

PRICE_SCALE: Final = 4
SIZE_SCALE: Final = 8
ONE: Final = 10**SIZE_SCALE
SMALL: Final = 100
"""Below a millionth, writers of JSON change to exponents."""


class Trade(NamedTuple):
    """A genuine trade, as it must be known in the end; conditions are a set, joined in the order of their numbers."""

    symbol: str
    traded_ms: int
    price: Decimal
    size: Decimal
    conditions: str


class Print(NamedTuple):
    """A trade and how a feed tells it. Sorts in the order of arrival."""

    received_ms: int
    serial: int
    text: str
    trade: Trade
    oddities: tuple[str, ...] = ()
    """Quirks that made it odd."""


@lru_cache(maxsize=1 << 16)
def write_number(number: int, scale: int) -> str:
    """Write a number of units of 1e-scale as writers of JSON do: no trailing zeros, exponents below a millionth."""
    if 0 < number < SMALL and scale == SIZE_SCALE:
        tens, ones = divmod(number, 10)
        return f"{ones}e-8" if not tens else f"{tens}.{ones}e-7" if ones else f"{tens}e-7"
    whole, part = divmod(number, 10**scale)
    return f"{whole}.{part:0{scale}d}".rstrip("0") if part else str(whole)


read_number = lru_cache(maxsize=1 << 16)(Decimal)
"""Read a number from its digits; the same digits give the same object."""


@lru_cache(maxsize=1 << 12)
def join_codes(codes: tuple[str, ...]) -> str:
    """Write condition codes as the warehouse keeps them: a set in the order of their numbers."""
    return ",".join(sorted(set(codes), key=lambda code: (len(code), code)))


@lru_cache(maxsize=1 << 12)
def write_codes(codes: tuple[str, ...]) -> str:
    """Write condition codes as the vendor does."""
    return '"c":["' + '","'.join(codes) + '"],'
