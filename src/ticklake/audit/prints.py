"""Landed bytes to prints, read anew: a JSON parser and rules for digits that the warehouse does not know of.

Gives      every print of the landed objects, with what is wrong with it alone; identity.py tells which are the same
Numbers    price and size in units of 1e-8, as integers: sums are exact
Order      a print's key is (traded_ms, received_ns, session, seq, print_index), the order of trades within a symbol
Raises     ObjectCorrupt
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from fractions import Fraction
from functools import cache
from typing import Any, Final, NamedTuple

from ticklake.audit.calendar import BUCKET_MS
from ticklake.audit.seeds import Feed
from ticklake.contracts.codec import corrupt, decode_object
from ticklake.contracts.objects import ObjectKey
from ticklake.contracts.ports import ObjectStore

UNITS: Final = 100_000_000
"""Units of price and size in one."""

PLACES: Final = 8
PLACES_BEFORE: Final = 10
"""Places behind the point, and before it, of a decimal(18, 8)."""

TIME_DIGITS: Final = 18
TIME_UNIT: Final = Decimal("1e-8")
"""Below half of it, a fraction of a millisecond is none."""

YEAR_1990_MS: Final = 631_152_000_000
FUTURE_MS: Final = 60_000
FINNHUB_FEEDS: Final = ("finnhub", "recording", "demo")

DUPLICATES: Final = ("resent_frame", "suspected_repeat", "other_collector")
"""Why a print that is sound by itself is no trade."""

LONG_DIGITS: Final = ("0" * 11, "9" * 11, "e-", "E-")
"""Signs of digits that a double would blur; then each has to be found in its frame's text."""

NUMBER_TEXTS: Final = {key: re.compile(rf'"{key}"\s*:\s*(-?[0-9][-+0-9.eE]*)') for key in "pv"}
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
        return self.traded_ms if self.reason in {"", *DUPLICATES} else self.received_ns // 1_000_000

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


def read_prints(
    store: ObjectStore,
    object_keys: Iterable[str],
    feeds: dict[str, Feed],
    *,
    wants: Callable[[bytes], bool] = lambda _: True,
) -> Iterator[Print]:
    """Read the prints of objects, in the order of the keys; records that `wants` refuses, by their bytes, are passed over."""
    for object_key in object_keys:
        try:
            lines = decode_object(object_key, store.read(object_key)).splitlines()
        except KeyError as error:
            raise corrupt(object_key, "it is gone") from error
        for line, record in enumerate(lines):
            if wants(record):
                yield from _read_record(object_key, line, record, feeds)


def _read_record(object_key: str, line: int, record: bytes, feeds: dict[str, Feed]) -> Iterator[Print]:
    try:
        envelope = _DECODER.decode(record.decode())
        message = Message(envelope["feed"], envelope["session"], int(envelope["seq"]), int(envelope["received_ns"]), object_key, line)
    except (ValueError, KeyError, TypeError) as error:
        raise corrupt(object_key, f"line {line} is no record: {error}") from error
    if "control" in envelope or message.feed not in FINNHUB_FEEDS:
        return
    frame = envelope["frame"]
    text = record[record.index(b'"frame":') + 8 : -1].decode()
    if problem := _find_problem(frame):
        yield _make_print(message, 0, {}, problem, "")
    elif frame["type"] == "trade":
        items = frame["data"]
        kept = text if message.feed in feeds and feeds[message.feed].drops_repeats else ""
        is_doubtful = any(sign in text for sign in LONG_DIGITS) and any(
            len(each.findall(text)) != len(items) for each in NUMBER_TEXTS.values()
        )
        for index, item in enumerate(items):
            yield _read_item(message, index, item, kept, is_doubtful=is_doubtful)


def _find_problem(frame: Any) -> str:
    """Say what is wrong with a whole message; nothing if its prints can be read, or if it holds none."""
    if not isinstance(frame, dict):
        return "malformed"
    if isinstance(frame, Repeating):
        return "duplicate_keys"
    kind = frame.get("type")
    if type(kind) is not str or (kind == "trade" and not isinstance(frame.get("data"), list)):
        return "malformed"
    return ""


def _read_item(message: Message, index: int, item: Any, frame: str, *, is_doubtful: bool) -> Print:
    if not isinstance(item, dict):
        return _make_print(message, index, {}, "malformed", frame)
    if isinstance(item, Repeating):
        return _make_print(message, index, item, "duplicate_keys", frame)
    get = item.get
    symbol, traded, price, size = get("s"), get("t"), get("p"), get("v")
    if type(symbol) is not str or not symbol or not type(traded) is type(price) is type(size) is Digits:
        return _make_print(message, index, item, "malformed", frame)
    traded_ms = _read_time(traded)
    conditions = _read_codes(get("c"))
    if traded_ms is None or conditions is None:
        return _make_print(message, index, item, "malformed", frame)
    units = _UNITS_OF[price], _UNITS_OF[size]
    if is_doubtful or units[0] is None or units[1] is None:
        return _make_print(message, index, item, "not_representable", frame)
    reason = _judge(units[0], units[1], traded_ms, message.received_ns)
    return Print(
        traded_ms, message.received_ns, message.session, message.seq, index, message.feed, symbol, units[0], units[1], conditions,
        reason, message.object_key, message.line, frame,
    )  # fmt: skip


def _make_print(message: Message, index: int, item: dict[str, Any], reason: str, frame: str) -> Print:
    """Give a print that is no trade, with no more of its values than can be told."""
    symbol = item.get("s")
    return Print(
        0, message.received_ns, message.session, message.seq, index, message.feed, str(symbol) if type(symbol) is str else "", 0, 0, (),
        reason, message.object_key, message.line, frame,
    )  # fmt: skip


def _judge(price: int, size: int, traded_ms: int, received_ns: int) -> str:
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


def _read_time(digits: str) -> int | None:
    """Give whole milliseconds of less than nineteen digits; None for what is more, or has a fraction that counts."""
    exact = _read_number(digits)
    if exact is None or exact.adjusted() >= TIME_DIGITS:
        return None
    rounded = exact.quantize(TIME_UNIT, ROUND_HALF_UP)
    return int(rounded) if rounded == rounded.to_integral_value() else None


def _read_number(digits: str) -> Decimal | None:
    """Give what the digits say; None where the exponent itself has too many."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


def _read_codes(codes: Any) -> tuple[str, ...] | None:
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


_UNITS_OF: Final = _UnitsOfDigits()


def _take_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeating(found)


def _refuse(constant: str) -> Any:
    msg = f"{constant} is no JSON"
    raise ValueError(msg)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_take_pairs, parse_float=Digits, parse_int=Digits, parse_constant=_refuse)
