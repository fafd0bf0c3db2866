"""Finnhub's messages to prints, read anew: nothing here is shared with the warehouse's parsers.

    read_trades    messages of the socket, and recordings, which are written in its JSON

Takes      a record's place, its frame as JSON in which numbers are text still, and the frame's own text
Gives      every print of it, with what is wrong with it alone; identity.py tells which are the same
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from ticklake.audit.prints import UNITS_OF, Digits, Message, Print, Repeating, judge, make_print, read_codes, read_time

LONG_DIGITS: Final = ("0" * 11, "9" * 11, "e-", "E-")
"""Signs of digits that a double would blur; then each has to be found in its frame's text."""

NUMBER_TEXTS: Final = {key: re.compile(rf'"{key}"\s*:\s*(-?[0-9][-+0-9.eE]*)') for key in "pv"}


def read_trades(message: Message, frame: Any, text: str, kept: str) -> Iterator[Print]:
    """Read the prints of a message of the socket; `kept` is the text that they carry along."""
    if problem := _find_problem(frame):
        yield make_print(message, 0, {}, problem, "")
    elif frame["type"] == "trade":
        items = frame["data"]
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
        return make_print(message, index, {}, "malformed", frame)
    if isinstance(item, Repeating):
        return make_print(message, index, item, "duplicate_keys", frame)
    get = item.get
    symbol, traded, price, size = get("s"), get("t"), get("p"), get("v")
    if type(symbol) is not str or not symbol or not type(traded) is type(price) is type(size) is Digits:
        return make_print(message, index, item, "malformed", frame)
    traded_ms = read_time(traded)
    conditions = read_codes(get("c"))
    if traded_ms is None or conditions is None:
        return make_print(message, index, item, "malformed", frame)
    units = UNITS_OF[price], UNITS_OF[size]
    if is_doubtful or units[0] is None or units[1] is None:
        return make_print(message, index, item, "not_representable", frame)
    reason = judge(units[0], units[1], traded_ms, message.received_ns)
    return Print(
        traded_ms, message.received_ns, message.session, message.seq, index, message.feed, symbol, units[0], units[1], conditions,
        reason, message.object_key, message.line, frame,
    )  # fmt: skip
