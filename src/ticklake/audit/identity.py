"""Which prints are the same trade: copies of a record, messages sent twice, collectors side by side.

Takes      prints in the order of the logs, each with what is wrong with it alone
Gives      every one of them with its verdict in `reason`, in no order; empty where it is a trade
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from ticklake.audit.prints import UNINVITED, Print
from ticklake.audit.seeds import Feed
from ticklake.audit.subscriptions import Subscriptions
from ticklake.contracts.objects import ObjectKey


def judge_prints(prints: Iterable[Print], feeds: dict[str, Feed], subscriptions: Subscriptions) -> Iterator[Print]:
    """Give each print with its verdict in `reason`, in no order: copies of records, repeats and other collectors' are told apart.

    The subscriptions are asked when all prints have come.

    They come in the order of the logs: of the copies of a record the first stays; of identical prints of several collectors the
    nth of each is one trade, and the first to arrive stays.
    """
    first_copies: dict[tuple[str, str, int], tuple[str, int]] = {}
    kept = []
    for each in prints:
        place = each.object_key, each.line
        if first_copies.setdefault((each.feed, each.session, each.seq), place) == place:
            kept.append(each)
        elif _offset(first_copies[each.feed, each.session, each.seq]) != _offset(place):
            yield each._replace(reason="resent_frame")
    judged = [
        each if each.reason or subscriptions.allow(each.feed, each.session, each.symbol) else each._replace(reason=UNINVITED)
        for each in kept
    ]
    genuine = defaultdict(list)
    for each in _mark_repeats(judged, feeds):
        if each.reason:
            yield each
        else:
            genuine[each.feed, each.symbol].append(each)
    for (feed, _), trades in genuine.items():
        yield from _merge_collectors(trades, replays_on_reconnect=feeds[feed].replays_on_reconnect)


def _offset(place: tuple[str, int]) -> tuple[str, int, int]:
    key = ObjectKey.parse(place[0])
    return key.log_id, key.partition, key.first_offset + place[1]


def _mark_repeats(prints: list[Print], feeds: dict[str, Feed]) -> Iterator[Print]:
    """Mark what a session sent again under another number, where the feed drops such."""
    if not any(feed.drops_repeats for feed in feeds.values()):
        yield from prints
        return
    first_seqs: dict[tuple[str, ...], int] = {}
    for each in sorted(prints):  # the copies of a message by its number
        if each.reason or not feeds[each.feed].drops_repeats:
            yield each
            continue
        first_seq = first_seqs.setdefault((each.feed, each.session, each.frame, each.symbol, str(each.bucket)), each.seq)
        yield each._replace(reason="suspected_repeat") if each.seq > first_seq else each


def _merge_collectors(trades: list[Print], *, replays_on_reconnect: bool) -> Iterator[Print]:
    collectors = {trade.session: trade.session if replays_on_reconnect else trade.session.partition("/")[0] for trade in trades}
    if len(set(collectors.values())) == 1:
        yield from trades
        return
    counts: Counter[tuple[Any, ...]] = Counter()
    arrived: set[tuple[Any, ...]] = set()
    for trade in sorted(trades):  # those of one content by arrival
        content = trade.traded_ms, trade.price, trade.size, trade.conditions
        counts[content, collectors[trade.session]] += 1
        nth = content, counts[content, collectors[trade.session]]
        yield trade._replace(reason="other_collector") if nth in arrived else trade
        arrived.add(nth)
