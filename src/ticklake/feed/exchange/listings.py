"""What the made-up market trades: six names that everybody knows, and as many more as are asked for.

Guarantee  the nth listing is the same however many there are; its share falls off as 1/n (Zipf)
"""

import random
from collections.abc import Iterator
from itertools import islice
from string import ascii_uppercase
from typing import Final, NamedTuple


class Listing(NamedTuple):
    """What is traded: its share of the prints, its first price and its tick in 1e-4, and a day's volatility."""

    symbol: str
    share: float
    price: int
    tick: int
    volatility: float

    @property
    def is_continuous(self) -> bool:
        """Whether it trades round the clock, in fractions."""
        return ":" in self.symbol


LISTINGS: Final = (
    Listing("AAPL", 22, 267_4500, 100, 0.012),
    Listing("MSFT", 16, 493_7900, 100, 0.011),
    Listing("NVDA", 24, 181_3600, 100, 0.022),
    Listing("SPY", 14, 660_0800, 100, 0.008),
    Listing("TSLA", 12, 401_2500, 100, 0.025),
    Listing("BINANCE:BTCUSDT", 12, 92_960_8300, 100, 0.020),
)

COIN_EVERY: Final = 10
"""Of the further listings, one in so many is a coin."""
DEAREST: Final = 600
PENNY: Final = 100


def list_symbols(number: int) -> list[Listing]:
    """Give the first so many listings."""
    return [*LISTINGS, *islice(_further(), max(0, number - len(LISTINGS)))][:number]


def _further() -> Iterator[Listing]:
    chance = random.Random("listings")  # noqa: S311 — names, not secrets
    taken = {listing.symbol for listing in LISTINGS}
    head = LISTINGS[-1].share * len(LISTINGS)
    place = len(LISTINGS)
    while True:
        name = "".join(chance.choices(ascii_uppercase, k=chance.choice((3, 4, 4))))
        price = int(5 * PENNY * (DEAREST / 5) ** chance.random()) * PENNY
        volatility = chance.uniform(0.008, 0.04)
        if name in taken:
            continue
        taken.add(name)
        place += 1
        symbol = f"BINANCE:{name}USDT" if place % COIN_EVERY == 0 else name
        yield Listing(symbol, head / place, price, PENNY, volatility)
