"""Finnhub's messages to prints, read anew: nothing here is shared with the warehouse's parsers.

    read_trades    messages of the socket, and recordings, which are written in its JSON
    read_ticks     answers to /stock/tick: arrays side by side

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

TICK_ARRAYS: Final = ("p", "v", "t")
TICK_KEYS: Final = [re.compile(rf'"{key}"\s*:') for key in TICK_ARRAYS]
"""An answer's digits can be told only if each key is there once as it is, and nothing is spelled otherwise."""


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
            yield _read_item(message, index, item, kept, is_doubtful=is_doubtful, has_places=True)


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


def _read_item(message: Message, index: int, item: Any, frame: str, *, is_doubtful: bool = False, has_places: bool = False) -> Print:
    if not isinstance(item, dict):
        return make_print(message, index, {}, "malformed", frame)
    if isinstance(item, Repeating):
        return make_print(message, index, item, "duplicate_keys", frame)
    get = item.get
    symbol, traded, price, size = get("s"), get("t"), get("p"), get("v")
    if type(symbol) is not str or not symbol or not type(traded) is type(price) is type(size) is Digits:
        return make_print(message, index, item, "malformed", frame)
    traded_ms = read_time(traded, has_places=has_places)
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


def read_ticks(message: Message, frame: Any, text: str, kept: str) -> Iterator[Print]:
    """Read the prints of an answer to /stock/tick, one a place in its arrays; `kept` is the text that they carry along."""
    if problem := _find_answer_problem(frame, text):
        yield make_print(message, 0, {}, problem, "")
        return
    prices, sizes, times = (frame[key] or [] for key in TICK_ARRAYS)
    codes = frame.get("c") or [None] * len(prices)
    for index, (price, size, traded, code) in enumerate(zip(prices, sizes, times, codes, strict=True)):
        yield _read_item(message, index, {"s": frame["s"], "p": price, "v": size, "t": traded, "c": code}, kept)


def _find_answer_problem(frame: Any, text: str) -> str:
    """Say what is wrong with a whole answer; nothing if its prints can be told apart, or if it holds none."""
    if isinstance(frame, Repeating):
        return "duplicate_keys"
    if not isinstance(frame, dict) or type(frame.get("s")) is not str or not frame["s"] or set(TICK_ARRAYS) - frame.keys():
        return "malformed"
    arrays, codes = [frame[key] for key in TICK_ARRAYS], frame.get("c")
    if all(array is None for array in arrays):
        return ""
    if not all(isinstance(array, list) for array in arrays) or not isinstance(codes, list | None):
        return "malformed"
    if "\\" in text or any(len(each.findall(text)) != 1 for each in TICK_KEYS):
        return "not_representable"
    is_even = len({len(array) for array in (*arrays, codes) if array is not None}) == 1
    return "" if is_even and all(_is_single(each) for array in arrays for each in array) else "malformed"


def _is_single(value: Any) -> bool:
    """Whether an element of an array of numbers is one, or at least nothing that holds commas."""
    return type(value) is Digits or not isinstance(value, str | list | dict)
