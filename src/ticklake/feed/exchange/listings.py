"""What the made-up market trades, and how: prices walk on their ticks, orders come when people are awake.

Takes      a listing, a seed, and about how many prints
Gives      its prints of one day, in no order that matters
Units      prices count in 1e-4, sizes in 1e-8: whole numbers, so that no digit passes through a binary float
Time       2025-11-18, 04:00 to 20:00 in New York
Guarantee  the same listing, seed and number give the same prints
"""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Final, NamedTuple

FIRST_MS: Final = int(datetime(2025, 11, 18, 9, tzinfo=UTC).timestamp()) * 1000
"""A Tuesday, 04:00 in New York: in winter the post market crosses midnight UTC."""

MINUTE_MS: Final = 60_000
MINUTES: Final = 16 * 60
OPEN_MINUTE: Final = 330
CLOSE_MINUTE: Final = 720
LATE_MS: Final = 2_000
MAX_LATE_MS: Final = 20 * MINUTE_MS
"""A late print is told between these after it was traded; all others within the second."""

PRICE_SCALE: Final = 4
SIZE_SCALE: Final = 8
ONE: Final = 10**SIZE_SCALE
SMALL: Final = 100
"""Below a millionth, writers of JSON change to exponents."""

SALES: Final = (
    (0.52, ()),
    (0.72, ("1",)),
    (0.86, ("8", "41")),
    (0.93, ("8",)),
    (0.97, ("41", "1", "41")),
    (0.99, ("3", "41")),
    (1.00, ("32", "41")),
)
"""Condition codes of a sale, and the share of sales up to which they are drawn; in no order, and some twice."""

NO_CODES: Final = ('"c":null,', '"c":[],', "")
ASIDE: Final = 0.25
TWIN: Final = 0.3
ODD: Final = 0.4
EMPTY: Final = 0.003
LATE: Final = 0.003
"""Shares of the prints: a tick beside their order's price, the same as the order's print before, odd lots, of size zero, told late."""

AUCTIONS: Final = {OPEN_MINUTE: ("19", "20"), CLOSE_MINUTE: ("36", "16")}
"""What opens and closes the day: the auction's print, and the market center's summary of it."""

PRINTS_AN_ORDER: Final = (1, 1, 1, 1, 2, 2, 3, 4, 6)
ROUND_LOTS: Final = (1, 1, 1, 1, 1, 2, 2, 3, 5, 10)
COIN_DIGITS: Final = (2, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9)
"""How many digits a size of a continuous listing has, in units, at most."""


class Listing(NamedTuple):
    """What is traded: its share of the prints in percent, its first price, its tick, and how far it steps."""

    symbol: str
    share: int
    price: int
    tick: int
    step_ticks: int

    @property
    def is_continuous(self) -> bool:
        """Whether it trades round the clock, in fractions."""
        return ":" in self.symbol


LISTINGS: Final = (
    Listing("AAPL", 22, 267_4500, 100, 4),
    Listing("MSFT", 16, 493_7900, 100, 8),
    Listing("NVDA", 24, 181_3600, 100, 3),
    Listing("SPY", 14, 660_0800, 100, 4),
    Listing("TSLA", 12, 401_2500, 100, 9),
    Listing("BINANCE:BTCUSDT", 12, 92_960_8300, 100, 1_800),
)


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


class _Walk:
    """One listing on its way through the day."""

    def __init__(self, listing: Listing, seed: int) -> None:
        self.listing = listing
        self.chance = random.Random(f"{seed}/{listing.symbol}")  # noqa: S311 — a market, not a secret
        self._price = listing.price
        self._drift = 0.0
        self._serial = 0

    def trade_minute(self, minute: int, orders: float) -> Iterator[Print]:
        """Trade about so many orders, each of several prints; an auction first, if it is time."""
        self._drift = 0.9 * self._drift + 0.01 * (self.chance.random() - 0.5)
        start_ms = FIRST_MS + minute * MINUTE_MS
        if not self.listing.is_continuous:
            for code in AUCTIONS.get(minute, ()):
                yield self._tell(start_ms + 61, self._price, 100 * ONE * self.chance.randrange(150, 600), (code,), delay_ms=19)
        for _ in range(int(orders + self.chance.random())):
            steps = int((self.chance.random() - 0.5 + self._drift) * 2 * self.listing.step_ticks)
            self._price += self.listing.tick * steps
            traded_ms = start_ms + self.chance.randrange(MINUTE_MS)
            delay_ms = self.chance.randrange(4, 40)
            part = self._print(minute, traded_ms, delay_ms)
            yield part
            for _ in range(self.chance.choice(PRINTS_AN_ORDER) - 1):
                self._serial += 1
                is_twin = self.chance.random() < TWIN
                part = part._replace(serial=self._serial) if is_twin else self._print(minute, traded_ms, delay_ms)
                yield part

    def _print(self, minute: int, traded_ms: int, delay_ms: int) -> Print:
        """Fill a part of an order: most parts are alike, some are a tick off, a few are told late."""
        chance, listing = self.chance, self.listing
        price = self._price
        codes: tuple[str, ...] = ()
        if chance.random() < ASIDE:
            price += listing.tick if chance.random() < 0.5 else -listing.tick  # noqa: PLR2004 — a coin
        if listing.is_continuous:
            size = 0 if chance.random() < EMPTY else chance.randrange(1, 10 ** chance.choice(COIN_DIGITS))
        else:
            size, codes = self._sell(minute)
        if chance.random() < LATE:
            delay_ms = LATE_MS + chance.randrange(10 ** chance.randrange(4, 7)) % MAX_LATE_MS
            codes = codes if listing.is_continuous else (*codes, "30")
        return self._tell(traded_ms, price, size, codes, delay_ms=delay_ms)

    def _sell(self, minute: int) -> tuple[int, tuple[str, ...]]:
        drawn = self.chance.random()
        codes = next(codes for share, codes in SALES if drawn <= share)
        if not OPEN_MINUTE <= minute < CLOSE_MINUTE:
            codes = ("24", *codes)
        if self.chance.random() < ODD:
            return ONE * self.chance.randrange(1, 100), (*codes, "12")
        return 100 * ONE * self.chance.choice(ROUND_LOTS), codes

    def _tell(self, traded_ms: int, price: int, size: int, codes: tuple[str, ...], *, delay_ms: int) -> Print:
        self._serial += 1
        price_text, size_text = write_number(price, PRICE_SCALE), write_number(size, SIZE_SCALE)
        symbol = self.listing.symbol
        codes_text = json.dumps(codes, separators=(",", ":"))
        codes_text = f'"c":{codes_text},' if codes else self.chance.choice(NO_CODES)
        text = f'{{{codes_text}"p":{price_text},"s":"{symbol}","t":{traded_ms},"v":{size_text}}}'
        trade = Trade(symbol, traded_ms, Decimal(price_text), Decimal(size_text), join_codes(codes))
        return Print(traded_ms + delay_ms, self._serial, text, trade)


def trade_day(listing: Listing, seed: int, prints: int) -> Iterator[Print]:
    """Trade one listing for a day."""
    walk = _Walk(listing, seed)
    weights = [_activity(minute, is_continuous=listing.is_continuous) for minute in range(MINUTES)]
    orders = prints * len(PRINTS_AN_ORDER) / sum(PRINTS_AN_ORDER)
    for minute, weight in enumerate(weights):
        yield from walk.trade_minute(minute, orders * weight / sum(weights))


@lru_cache(maxsize=1 << 16)
def write_number(number: int, scale: int) -> str:
    """Write a number of units of 1e-scale as writers of JSON do: no trailing zeros, exponents below a millionth."""
    if 0 < number < SMALL and scale == SIZE_SCALE:
        tens, ones = divmod(number, 10)
        return f"{ones}e-8" if not tens else f"{tens}.{ones}e-7" if ones else f"{tens}e-7"
    whole, part = divmod(number, 10**scale)
    return f"{whole}.{part:0{scale}d}".rstrip("0") if part else str(whole)


@lru_cache
def join_codes(codes: tuple[str, ...]) -> str:
    """Write condition codes as the warehouse keeps them: a set in the order of their numbers."""
    return ",".join(sorted(set(codes), key=lambda code: (len(code), code)))


@cache
def _activity(minute: int, *, is_continuous: bool) -> float:
    """How much a minute trades: a U over the regular session, little before and after it."""
    if OPEN_MINUTE <= minute < CLOSE_MINUTE:
        from_middle = abs(2 * (minute - OPEN_MINUTE) / (CLOSE_MINUTE - OPEN_MINUTE) - 1)
        weight = 1 + 2.5 * from_middle**4
    elif minute < OPEN_MINUTE:
        weight = 0.03 + 0.15 * (minute / OPEN_MINUTE) ** 3
    else:
        weight = 0.03 + 0.25 * (1 - (minute - CLOSE_MINUTE) / (MINUTES - CLOSE_MINUTE)) ** 3
    return 1 + weight if is_continuous else weight
