"""A day of trading: prices walk on their ticks, orders fill in parts, auctions open and close, a symbol is halted.

Takes      listings, a day's hours, a seed, and about how many prints
Gives      the prints of the day, and its halts
Guarantee  the same arguments give the same prints; a listing's do not depend on the others but by its share
"""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from ticklake.feed.exchange.arrivals import arrive
from ticklake.feed.exchange.hours import A_TUESDAY, MINUTE_MS, Hours
from ticklake.feed.exchange.listings import LISTINGS, Listing
from ticklake.feed.exchange.prints import ONE, PRICE_SCALE, SIZE_SCALE, Print, Trade, join_codes, read_number, write_codes, write_number
from ticklake.feed.exchange.truth import Halt

LATE_MS: Final = 2_000
MAX_LATE_MS: Final = 20 * MINUTE_MS
"""A late print is told between these after it was traded; all others within the second."""

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

OPENING: Final = ("19", "20")
CLOSING: Final = ("36", "16")
"""What opens and closes the day: the auction's print, and the market center's summary of it."""
AUCTION_MS: Final = 61
AUCTION_DELAY_MS: Final = 19
AUCTION_SHARES: Final = 40
"""An auction is so many times as large as a print."""

ROUND_LOTS: Final = (1, 1, 1, 1, 1, 2, 2, 3, 5, 10)
COIN_DIGITS: Final = (2, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 9)
"""How many digits a size of a continuous listing has, in units, at most."""

STOCKS_A_HALT: Final = 100
"""One symbol in so many is halted in a day, but at least one."""
QUIET_MINUTES: Final = 20
"""No halt begins in the first and last minutes of a session."""
HALT_MINUTES: Final = (5, 15)


def trade_market(
    seed: int, *, prints: int, listings: Sequence[Listing] = LISTINGS, hours: Hours = A_TUESDAY
) -> tuple[list[Print], list[Halt]]:
    """Trade all listings for a day; give the prints in the order of receipt, and the halts."""
    open_ones = [listing for listing in listings if listing.is_continuous or not hours.is_holiday]
    shares = sum(listing.share for listing in open_ones)
    halts = _halt(open_ones, hours, seed)
    by_symbol = {halt.symbol: range(halt.from_ms, halt.to_ms) for halt in halts}
    told: list[Print] = []
    for listing in open_ones:
        walk = _Walk(listing, hours, seed)
        told += walk.trade(round(prints * listing.share / shares), by_symbol.get(listing.symbol, range(0)))
    told.sort()
    return told, halts


def _halt(listings: Sequence[Listing], hours: Hours, seed: int) -> list[Halt]:
    """Draw who is halted, and when."""
    stocks = [listing.symbol for listing in listings if not listing.is_continuous]
    chance = random.Random(f"{seed}/halts")  # noqa: S311 — a market, not a secret
    halts = []
    for symbol in chance.sample(stocks, min(len(stocks), max(1, len(stocks) // STOCKS_A_HALT))):
        quiet_ms = QUIET_MINUTES * MINUTE_MS
        from_ms = hours.open_ms + quiet_ms + chance.randrange(hours.close_ms - hours.open_ms - 2 * quiet_ms)
        halts.append(Halt(symbol, from_ms, min(hours.close_ms - MINUTE_MS, from_ms + chance.randint(*HALT_MINUTES) * MINUTE_MS)))
    return halts


class _Walk:
    """One listing on its way through the day."""

    def __init__(self, listing: Listing, hours: Hours, seed: int) -> None:
        self._listing = listing
        self._hours = hours
        self._chance = random.Random(f"{seed}/{listing.symbol}")  # noqa: S311 — a market, not a secret
        self._draw = self._chance.random
        self._serial = 0

    def trade(self, prints: int, halt: range) -> Iterator[Print]:
        """Trade about so many prints: orders, each of several, and the auctions between them."""
        listing, hours, draw = self._listing, self._hours, self._draw
        orders = arrive(hours, self._chance, prints, is_continuous=listing.is_continuous, halt=halt)
        if orders and not listing.is_continuous:
            orders += [(hours.open_ms + AUCTION_MS, 0), (hours.close_ms + AUCTION_MS, 0)]
            orders.sort()
        step = listing.volatility * (12 / max(1, len(orders))) ** 0.5
        value = float(listing.price)
        for traded_ms, parts in orders:
            value *= 1 + step * (draw() - 0.5)
            price = max(1, round(value / listing.tick)) * listing.tick
            yield from self._fill(traded_ms, price, parts) if parts else self._cross(traded_ms, price, prints)

    def _cross(self, traded_ms: int, price: int, prints: int) -> Iterator[Print]:
        """Hold an auction."""
        for code in OPENING if traded_ms < self._hours.close_ms else CLOSING:
            size = 100 * ONE * (1 + int(prints * (0.5 + self._draw()) / AUCTION_SHARES))
            yield self._tell(traded_ms, price, size, (code,), AUCTION_DELAY_MS)

    def _fill(self, traded_ms: int, price: int, parts: int) -> Iterator[Print]:
        """Fill an order in parts: most are alike, some are a tick off, a few are told late."""
        draw = self._draw
        delay_ms = 4 + int(draw() * 36)
        part = self._sell(traded_ms, price, delay_ms)
        yield part
        for _ in range(parts - 1):
            if draw() < TWIN:
                self._serial += 1
                part = part._replace(serial=self._serial)
            else:
                part = self._sell(traded_ms, price, delay_ms)
            yield part

    def _sell(self, traded_ms: int, price: int, delay_ms: int) -> Print:
        draw, listing = self._draw, self._listing
        codes: tuple[str, ...] = ()
        if draw() < ASIDE:
            price = max(listing.tick, price + (listing.tick if draw() < 0.5 else -listing.tick))  # noqa: PLR2004 — a coin
        if listing.is_continuous:
            size = 0 if draw() < EMPTY else 1 + int(draw() * (10 ** COIN_DIGITS[int(draw() * len(COIN_DIGITS))] - 1))
        else:
            size, codes = self._condition(traded_ms)
        if draw() < LATE:
            delay_ms = LATE_MS + int(draw() * 10 ** (4 + int(draw() * 3))) % MAX_LATE_MS
            codes = codes if listing.is_continuous else (*codes, "30")
        return self._tell(traded_ms, price, size, codes, delay_ms)

    def _condition(self, traded_ms: int) -> tuple[int, tuple[str, ...]]:
        """Draw the size and the codes of a sale of shares."""
        draw = self._draw
        drawn = draw()
        codes = next(codes for share, codes in SALES if drawn <= share)
        if not self._hours.open_ms <= traded_ms < self._hours.close_ms:
            codes = ("24", *codes)
        if draw() < ODD:
            return ONE * (1 + int(draw() * 99)), (*codes, "12")
        return 100 * ONE * ROUND_LOTS[int(draw() * len(ROUND_LOTS))], codes

    def _tell(self, traded_ms: int, price: int, size: int, codes: tuple[str, ...], delay_ms: int) -> Print:
        self._serial += 1
        symbol = self._listing.symbol
        price_text, size_text = write_number(price, PRICE_SCALE), write_number(size, SIZE_SCALE)
        codes_text = write_codes(codes) if codes else NO_CODES[int(self._draw() * len(NO_CODES))]
        text = f'{{{codes_text}"p":{price_text},"s":"{symbol}","t":{traded_ms},"v":{size_text}}}'
        trade = Trade(symbol, traded_ms, read_number(price_text), read_number(size_text), join_codes(codes))
        return Print(traded_ms + delay_ms, self._serial, text, trade)
