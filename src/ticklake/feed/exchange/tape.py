"""What an exchange has to tell: a day's frames in the order of receipt, made up or recorded."""

import heapq
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from ticklake.errors import RecordingInvalid
from ticklake.feed.exchange.frames import cut_frames
from ticklake.feed.exchange.hours import A_TUESDAY, Hours
from ticklake.feed.exchange.listings import LISTINGS, Listing
from ticklake.feed.exchange.oddities import make_odd
from ticklake.feed.exchange.prints import Print, Trade, join_codes
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.truth import Halt
from ticklake.feed.exchange.walk import trade_market
from ticklake.feed.recording import Recording

LARGEST: Final = 10**10
FINEST: Final = -8
"""Digits before and behind the point that a number of a trade may have."""


class _Sale(msgspec.Struct):
    s: str
    t: int
    p: Decimal
    v: Decimal
    c: list[str]


_decode = msgspec.json.Decoder(_Sale).decode


class Tape(msgspec.Struct, frozen=True):
    """Frames, each of prints, in the order of receipt."""

    symbols: list[str]
    frames: list[list[Print]]
    first_ms: int
    """The first moment, before which nothing is told."""
    halts: Sequence[Halt] = ()
    rows: int = 0
    """How many rows of recordings it was made of."""


def make_tape(seed: int, *, prints: int, quirks: Quirks, listings: Sequence[Listing] = LISTINGS, hours: Hours = A_TUESDAY) -> Tape:
    """Make up a day. On a holiday only what is continuous trades, and has all the prints."""
    made, halts = trade_market(seed, prints=prints, listings=listings, hours=hours)
    return Tape([listing.symbol for listing in listings], _cut(made, quirks, seed), hours.first_ms, halts)


def read_tape(recordings: Sequence[Recording], *, quirks: Quirks, seed: int) -> Tape:
    """Take a day from recordings, side by side in the order of their time, digits untouched.

    Rows that are no trades are left out. Raises RecordingInvalid where there is none at all.
    """
    told = [
        Print(received_ms, serial, text, trade)
        for serial, (received_ms, text, trade) in enumerate(heapq.merge(*map(_read, recordings), key=lambda row: row[0]))
    ]
    if not told:
        names = ", ".join(str(recording.path) for recording in recordings)
        raise RecordingInvalid(f"there is no trade in {names}", hint="name a recording with rows of s,t,p,v,c")
    symbols = list(dict.fromkeys(each.trade.symbol for each in told))
    return Tape(symbols, _cut(told, quirks, seed), told[0].received_ms, rows=len(told))


def _read(recording: Recording) -> Iterator[tuple[int, str, Trade]]:
    """Give a recording's trades; each is received at the greatest time so far."""
    received_ms = 0
    for time_ms, text in recording.trades():
        sale = _decode(text)
        if sale.p > 0 <= sale.v and _fits(sale.p) and _fits(sale.v):
            received_ms = max(received_ms, time_ms)
            yield received_ms, text.decode(), Trade(sys.intern(sale.s), time_ms, sale.p, sale.v, join_codes(tuple(sale.c)))


def _fits(number: Decimal) -> bool:
    return number < LARGEST and number.normalize().as_tuple().exponent >= FINEST  # type: ignore[operator]


def _cut(prints: Iterable[Print], quirks: Quirks, seed: int) -> list[list[Print]]:
    return list(cut_frames(sorted(make_odd(prints, quirks, seed))))
