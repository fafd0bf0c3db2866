"""Landed bytes to prints, with a JSON decoder that the warehouse does not know of.

Gives      every print of the landed objects, by the parser that its feed's seed names
Raises     ObjectCorrupt
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from ticklake.audit.finnhub import read_ticks, read_trades
from ticklake.audit.prints import Digits, Message, Print, Repeating, make_print
from ticklake.audit.seeds import Feed
from ticklake.audit.subscriptions import Subscriptions
from ticklake.contracts.codec import corrupt, decode_object
from ticklake.contracts.ports import ObjectStore

Parser = Callable[[Message, Any, str, str], Iterator[Print]]
PARSERS: Final[dict[str, Parser]] = {
    "finnhub": read_trades,
    "finnhub_tick": read_ticks,
    "vendor_history": lambda *_: iter(()),
}
"""By the names that the seed `feeds` has for them. A frame of any other is one print that nobody can read."""


def read_prints(
    store: ObjectStore,
    object_keys: Iterable[str],
    feeds: dict[str, Feed],
    *,
    subscriptions: Subscriptions,
    wants: Callable[[bytes], bool] = lambda _: True,
) -> Iterator[Print]:
    """Read the prints of objects, in the order of the keys; records that `wants` refuses, by their bytes, are passed over.

    What the records say about subscriptions goes into `subscriptions`.
    """
    for object_key in object_keys:
        try:
            lines = decode_object(object_key, store.read(object_key)).splitlines()
        except KeyError as error:
            raise corrupt(object_key, "it is gone") from error
        for line, record in enumerate(lines):
            if wants(record):
                yield from _read_record(object_key, line, record, feeds, subscriptions)


def _read_record(object_key: str, line: int, record: bytes, feeds: dict[str, Feed], subscriptions: Subscriptions) -> Iterator[Print]:
    try:
        envelope = _DECODER.decode(record.decode())
        message = Message(envelope["feed"], envelope["session"], int(envelope["seq"]), int(envelope["received_ns"]), object_key, line)
    except (ValueError, KeyError, TypeError) as error:
        raise corrupt(object_key, f"line {line} is no record: {error}") from error
    if "control" in envelope:
        subscriptions.learn(message.feed, message.session, envelope["control"])
        return
    feed = feeds.get(message.feed)
    parse = PARSERS.get(feed.parser) if feed else None
    if parse is None:
        yield make_print(message, 0, {}, "unknown_feed", "")
        return
    text = record[record.index(b'"frame":') + 8 : -1].decode()
    yield from parse(message, envelope["frame"], text, text if feed and feed.drops_repeats else "")


def _take_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Repeating(found)


def _refuse(constant: str) -> Any:
    msg = f"{constant} is no JSON"
    raise ValueError(msg)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_take_pairs, parse_float=Digits, parse_int=Digits, parse_constant=_refuse)
