"""A print as an auditor sees it: its place, its digits to the last one, and what is wrong with it alone.

Numbers    price and size in units of 1e-8, as integers: sums are exact
Order      a print's key is (traded_ms, received_ns, session, seq, print_index), the order of trades within a symbol
"""

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from typing import Any, Final, NamedTuple

from ticklake.audit.calendar import BUCKET_MS
from ticklake.contracts.objects import ObjectKey

UNITS: Final = 100_000_000
"""Units of price and size in one."""

PLACES: Final = 8
PLACES_BEFORE: Final = 10
"""Places behind the point, and before it, of a decimal(18, 8)."""

TIME_DIGITS: Final = 18
TIME_UNIT: Final = Decimal("1e-8")
"""The places of a time in a message of the socket: a decimal(38, 8)."""

YEAR_1990_MS: Final = 631_152_000_000
FUTURE_MS: Final = 60_000

DUPLICATES: Final = ("resent_frame", "suspected_repeat", "other_collector")
"""Why a print that is sound by itself is no trade."""

UNINVITED: Final = "symbol_not_subscribed"
"""Why one is none whose session never named its symbol."""

CODE: Final = re.compile(r"[0-9A-Za-z]{1,8}")


def to_decimal(units: int) -> Decimal:
    """Give units of 1e-8 as a number."""
    return Decimal(units).scaleb(-PLACES)


class Digits(str):
    """A JSON number, as it was written."""

    __slots__ = ()


class Repeating(dict[str, Any]):
    """A JSON object that names a key twice."""


class Print(NamedTuple):
    """One print of a frame."""

    traded_ms: int
    received_ns: int
    session: str
    seq: int
    print_index: int
    feed: str
    symbol: str
    price: int
    size: int
    conditions: tuple[str, ...]
    reason: str
    """Why it is no trade; empty if it is one."""

    object_key: str
    line: int
    frame: str
    """The frame's text, where the feed's repeats are dropped; else empty."""

    @property
    def bucket(self) -> int:
        """Five minutes since 1970, see moment_ms."""
        return self.moment_ms // BUCKET_MS

    @property
    def moment_ms(self) -> int:
        """When it was traded, or where that is not to be trusted, when it arrived."""
        return self.traded_ms if self.reason in {"", *DUPLICATES, UNINVITED} else self.received_ns // 1_000_000

    @property
    def offset(self) -> int:
        """Its record's offset in the log."""
        return ObjectKey.parse(self.object_key).first_offset + self.line


class Message(NamedTuple):
    """A record of the log: where it lies, and when it arrived."""

    feed: str
    session: str
    seq: int
    received_ns: int
    object_key: str
    line: int


def make_print(message: Message, index: int, item: dict[str, Any], reason: str, frame: str) -> Print:
    """Give a print that is no trade, with no more of its values than can be told."""
    symbol = item.get("s")
    return Print(
        0, message.received_ns, message.session, message.seq, index, message.feed, str(symbol) if type(symbol) is str else "", 0, 0, (),
        reason, message.object_key, message.line, frame,
    )  # fmt: skip


def judge(price: int, size: int, traded_ms: int, received_ns: int) -> str:
    """Say why a print is no trade; nothing if it is one."""
    received_ms = received_ns // 1_000_000
    latest_ms = received_ms + FUTURE_MS
    if price <= 0:
        return "price_not_positive"
    if size < 0:
        return "size_negative"
    if YEAR_1990_MS <= traded_ms <= latest_ms:
        return ""
    if YEAR_1990_MS // 1000 <= traded_ms <= latest_ms // 1000:
        return "time_in_seconds"
    if YEAR_1990_MS <= traded_ms // 1000 <= latest_ms:
        return "time_in_microseconds"
    return "time_before_1990" if traded_ms < YEAR_1990_MS else "time_in_future"


def read_time(digits: str, *, has_places: bool) -> int | None:
    """Give whole milliseconds of less than nineteen digits; None for what is more, or has a fraction.

    Where a time is read with so many places as TIME_UNIT has (`has_places`), a fraction that does not reach them is none.
    """
    exact = _read_number(digits)
    if exact == 0:
        return 0  # however many zeros it is written with
    if exact is None or exact.adjusted() >= TIME_DIGITS:
        return None
    told = exact.quantize(TIME_UNIT, ROUND_HALF_UP) if has_places else exact
    return int(told) if told == told.to_integral_value() else None


def _read_number(digits: str) -> Decimal | None:
    """Give what the digits say; None where the exponent itself has too many."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def read_codes(codes: Any) -> tuple[str, ...] | None:
    """Give a print's condition codes as a sorted set; None for what is neither a list of codes nor null."""
    if codes is None:
        return ()
    if not isinstance(codes, list) or not all(type(code) is str for code in codes):
        return None
    return _sort_codes(tuple(codes))


@cache
def _sort_codes(codes: tuple[str, ...]) -> tuple[str, ...] | None:
    """Give the set of codes in the order of their numbers; a market repeats its sets."""
    if not all(CODE.fullmatch(code) for code in codes):
        return None
    return tuple(sorted(set(codes), key=lambda code: (len(code), code)))


class _UnitsOfDigits(dict[str, int | None]):
    """Digits to units of 1e-8, exact; None for what does not fit. A market repeats its prices."""

    def __missing__(self, digits: str) -> int | None:
        value = _read_number(digits)
        units = None
        if value is not None and (value == 0 or -PLACES <= value.adjusted() < PLACES_BEFORE):  # else the fraction's terms would be huge
            units = Fraction(value) * UNITS
        self[digits] = found = None if units is None or units.denominator != 1 else int(units)
        return found


UNITS_OF: Final = _UnitsOfDigits()
