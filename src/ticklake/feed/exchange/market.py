"""A made-up market as a feed: a day of trading out of a seed, told in Finnhub's JSON with mischief, and its own truth.

    tell      what was received within `FRAME_SPAN_MS` shares a frame
    spoil     a broken print joins genuine ones in a frame, frames that nobody can read come between
    connect   two sessions: the connection is lost at midday; what is traded while it is away, nobody is told
    re-send   runs of records come a second time, the last one before the loss after the reconnect

Takes      a seed, and about how many prints
Gives      the records, a session at a time; every genuine trade once, in the order of arrival; what was done to them
Time       `received_ns` follows the trades by milliseconds, or by minutes if they are late
Guarantee  the same seed and number give the same bytes
"""

import hashlib
import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from ticklake.contracts.frame import Stamp, envelope_head, format_control, frame_body
from ticklake.feed.exchange.frames import BROKEN_FRAMES, cut_frames, write_frame
from ticklake.feed.exchange.hours import A_TUESDAY, MINUTE_MS
from ticklake.feed.exchange.listings import LISTINGS
from ticklake.feed.exchange.prints import Print, Trade
from ticklake.feed.exchange.walk import LATE_MS, trade_market
from ticklake.feed.ports import TimedRecord

FEED: Final = "demo"

NS_PER_MS: Final = 1_000_000
LOST_MS: Final = A_TUESDAY.first_ms + 521 * MINUTE_MS
AWAY_MS: Final = 3_700

BROKEN_PRINTS: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    ("price_not_positive", {"p": "0"}),
    ("price_not_positive", {"p": "-{p}"}),
    ("size_negative", {"v": "-100"}),
    ("not_representable", {"p": "{p}123456789"}),
    ("malformed", {"t": '"noon"'}),
    ("malformed", {"s": "null"}),
    ("time_in_seconds", {"t": "{seconds}"}),
)
"""Fields of a print that are wrong, and the reason for which it must be quarantined."""


class Mischief(msgspec.Struct):
    """What was done to the truth on its way, counted."""

    resent_records: int = 0
    resent_prints: int = 0
    twins: int = 0
    """Trades that equal an earlier one in everything: genuine, and to be kept."""
    late: int = 0
    garbage: dict[str, int] = {}
    """Prints by the reason for which they must be quarantined."""


class MarketSession(msgspec.Struct, frozen=True):
    """What reaches the log while one connection stands; a source by itself."""

    name: str
    told: Sequence[TimedRecord]

    def records(self) -> Iterator[TimedRecord]:
        """Give the records in the order in which they reach the log; re-sent ones keep their time."""
        return iter(self.told)


class Market:
    """A day of trading out of a seed."""

    def __init__(self, seed: int, *, prints: int) -> None:
        self.symbols = [listing.symbol for listing in LISTINGS]
        self._id = f"{seed}/{prints}"
        self._chance = random.Random(self._id)  # noqa: S311 — a market, not a secret
        self._rounds = 1 + prints // 12_000
        told, _ = trade_market(seed, prints=prints)
        halves = [
            [each for each in told if each.received_ms < LOST_MS],
            [each for each in told if each.received_ms >= LOST_MS + AWAY_MS],
        ]
        prints_received = halves[0] + halves[1]
        self.trades: list[Trade] = [each.trade for each in prints_received]
        self.mischief = Mischief(
            twins=len(self.trades) - len(set(self.trades)),
            late=sum(each.received_ms - each.trade.traded_ms >= LATE_MS for each in prints_received),
        )
        self.sessions = self._connect(halves)

    def records(self) -> Iterator[TimedRecord]:
        """Give every record of the day."""
        for session in self.sessions:
            yield from session.records()

    def _connect(self, halves: list[list[Print]]) -> list[MarketSession]:
        names = [f"demo/{uuid.UUID(bytes=hashlib.sha256(f'{self._id}/{number}'.encode()).digest()[:16], version=5)}" for number in (0, 1)]
        causes = ("connection_lost", "end_of_day")
        records = [list(_number(name, self._spoil(half), cause)) for name, half, cause in zip(names, halves, causes, strict=True)]
        unanswered = records[0][-max(3, len(records[0]) // 100) :]
        sent = [self._resend(of_session) for of_session in records]
        sent[1] = self._count_resent(unanswered) + sent[1]
        return [MarketSession(name, of_session) for name, of_session in zip(names, sent, strict=True)]

    def _spoil(self, prints: list[Print]) -> list["_Message"]:
        """Give one connection's messages, the genuine ones among broken ones, in the order of receipt."""
        frames = list(cut_frames(prints))
        broken = BROKEN_PRINTS * self._rounds
        texts = [[each.text for each in frame] for frame in frames]
        for place, (reason, fields) in zip(self._chance.sample(range(len(frames)), len(broken)), broken, strict=True):
            texts[place].insert(self._chance.randrange(len(texts[place]) + 1), _break_print(frames[place][0].trade, fields))
            self._count_garbage(reason)
        messages = [
            _Message(frame[-1].received_ms * NS_PER_MS, write_frame(text), len(text)) for frame, text in zip(frames, texts, strict=True)
        ]
        for reason, break_frame in BROKEN_FRAMES * self._rounds:
            genuine = self._chance.choice(messages[: len(frames)])
            messages.append(_Message(genuine.received_ns + 1, break_frame(genuine.raw), 1))
            self._count_garbage(reason)
        for minute_ns in range(messages[0].received_ns, messages[len(frames) - 1].received_ns, MINUTE_MS * NS_PER_MS):
            messages.append(_Message(minute_ns + 2, b'{"type":"ping"}', 0))
            messages.append(_Message(minute_ns + 3, b"", 0, control={"type": "heartbeat"}))
        return sorted(messages, key=lambda message: message.received_ns)  # stable: frames of one millisecond keep their order

    def _resend(self, records: list[TimedRecord]) -> list[TimedRecord]:
        """Let runs of records come again, a little after the first time."""
        sent = list(records)
        for start in sorted(self._chance.sample(range(len(records)), 1 + self._rounds // 3), reverse=True):
            run = records[start : start + self._chance.randrange(2, 60)]
            after = start + len(run) + self._chance.randrange(20)
            sent[after:after] = self._count_resent(run)
        return sent

    def _count_resent(self, run: list[TimedRecord]) -> list[TimedRecord]:
        self.mischief.resent_records += len(run)
        self.mischief.resent_prints += sum(record.prints for record in run)
        return run

    def _count_garbage(self, reason: str) -> None:
        self.mischief.garbage[reason] = self.mischief.garbage.get(reason, 0) + 1


class _Message(msgspec.Struct, frozen=True):
    received_ns: int
    raw: bytes
    prints: int
    control: dict[str, Any] | None = None


def _break_print(genuine: Trade, fields: dict[str, str]) -> str:
    price, seconds = format(genuine.price, "f"), genuine.traded_ms // 1000
    whole = {"p": price, "s": f'"{genuine.symbol}"', "t": str(genuine.traded_ms), "v": "100"}
    broken = {key: text.format(p=price, seconds=seconds) for key, text in fields.items()}
    return "{" + ",".join(f'"{key}":{text}' for key, text in (whole | broken).items()) + "}"


def _number(session: str, messages: list[_Message], cause: str) -> Iterator[TimedRecord]:
    """Give the records of a session: opened, its messages under strictly increasing times, closed."""
    head = envelope_head(FEED, session)
    received_ns = messages[0].received_ns - 1
    opened = {"type": "session_opened", "source": "a made-up market"}
    yield TimedRecord(received_ns, format_control(Stamp(FEED, session, 0, received_ns), opened), 0)
    for seq, message in enumerate(messages, 1):
        received_ns = max(received_ns + 1, message.received_ns)
        if message.control:
            value = format_control(Stamp(FEED, session, seq, received_ns), message.control)
        else:
            value = head % (seq, received_ns) + frame_body(message.raw)
        yield TimedRecord(received_ns, value, message.prints)
    closed = {"type": "session_closed", "cause": cause}
    yield TimedRecord(received_ns + 1, format_control(Stamp(FEED, session, len(messages) + 1, received_ns + 1), closed), 0)
