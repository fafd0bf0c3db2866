"""History out of the vendor's REST into the log: feeds of their own, never mixed with the live one.

    plan     which days of which symbols, as questions: a day's tape has pages, candles span runs of days
    ask      one question; a tape is asked on until its last page, each from the last moment of the one before:
             prints that equal each other share a moment, and so one page at least holds all of a kind
    keep     each answer as a session: opened with the question, the answer as it came, closed

Takes      trading days that are over
Gives      records of `finnhub_tick`, `finnhub_candle`, `finnhub_split`, one commit an answer
Time       `received_ns` is the clock's, strictly increasing over the whole run
Guarantee  a session's name is made of question and answer: the same answer, asked twice, has the same session and
           the same records in it but for their times, and the warehouse takes it once. What was kept is durable
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, NamedTuple

import msgspec

from ticklake.contracts.frame import Stamp, format_control, format_frame
from ticklake.contracts.ports import Clock, LogWriter
from ticklake.errors import AnswerInvalid
from ticklake.feed.finnhub.answers import TickPage
from ticklake.feed.ports import Vendor
from ticklake.logs import ANSWER_LOGGED, log_event

TICK_FEED: Final = "finnhub_tick"
CANDLE_FEED: Final = "finnhub_candle"
SPLIT_FEED: Final = "finnhub_split"

PAGE_TICKS: Final = 2_000
"""A page of ticks, each with four codes, stays far under the size of a frame."""

CANDLES_AT_ONCE: Final = 7 * 24 * 60
"""The same for candles: a week of minutes, were there one in each."""

RESOLUTIONS: Final = {"1": 60, "5": 300, "15": 900, "30": 1_800, "60": 3_600, "D": 86_400}
RECORDS_AN_ANSWER: Final = 3

_encode = msgspec.json.Encoder(order="sorted").encode
_read_page = msgspec.json.Decoder(TickPage).decode


class SymbolDay(NamedTuple):
    """A trading day of a symbol, from its first second to the one after its last."""

    symbol: str
    trading_date: date
    start_s: int
    end_s: int
    follows: bool
    """It is the symbol's next trading day after the one before it: what spans both asks for no other."""


class Question(msgspec.Struct, frozen=True):
    """One request."""

    feed: str
    path: str
    parameters: dict[str, str | int]
    """Part of the session's name: the same question has the same ones, of the same types."""

    def next_page(self, ticks: int) -> "Question":
        """Give the question for the page that begins so many ticks behind this one's beginning."""
        skip = int(self.parameters["skip"]) + ticks
        return msgspec.structs.replace(self, parameters={**self.parameters, "skip": skip})


class Backfilled(msgspec.Struct):
    """What was asked, and made durable."""

    requests: int = 0
    records: int = 0
    ticks: int = 0
    size_bytes: int = 0
    """Of the answers."""


def plan_ticks(days: Iterable[SymbolDay]) -> list[Question]:
    """Ask for each day's tape, for its first page: how many follow is known with the answer."""
    return [
        Question(
            TICK_FEED,
            "/stock/tick",
            {"symbol": day.symbol, "date": day.trading_date.isoformat(), "skip": 0, "limit": PAGE_TICKS},
        )
        for day in days
    ]


def plan_candles(days: Iterable[SymbolDay], resolution: str) -> list[Question]:
    """Ask for candles of runs of days; a daily candle starts at midnight UTC of its date."""
    return [
        Question(CANDLE_FEED, "/stock/candle", {"symbol": symbol, "resolution": resolution, "from": first_s, "to": end_s - 1})
        for symbol, first_s, end_s in _runs(days, resolution)
    ]


def plan_splits(symbols: Iterable[str], first_date: date, last_date: date) -> list[Question]:
    """Ask for the splits of each symbol between two dates, both included."""
    return [
        Question(SPLIT_FEED, "/stock/split", {"symbol": symbol, "from": first_date.isoformat(), "to": last_date.isoformat()})
        for symbol in symbols
    ]


def _runs(days: Iterable[SymbolDay], resolution: str) -> Iterator[tuple[str, int, int]]:
    """Give runs of a symbol's days, closed dates between them included, none of them with too many candles."""
    longest_s = CANDLES_AT_ONCE * RESOLUTIONS[resolution]
    run: tuple[str, int, int] | None = None
    for day in days:
        start_s, end_s = _utc_day(day.trading_date) if resolution == "D" else (day.start_s, day.end_s)
        if run and day.follows and end_s - run[1] <= longest_s:
            start_s = run[1]
        elif run:
            yield run
        run = (day.symbol, start_s, end_s)
    if run:
        yield run


def _utc_day(trading_date: date) -> tuple[int, int]:
    start_s = int(datetime.combine(trading_date, time(), UTC).timestamp())
    return start_s, start_s + RESOLUTIONS["D"]


def name_session(collector: str, question: Question, body: bytes) -> str:
    """Name the session of an answer: the collector, then a UUID out of question and answer."""
    asked = _encode([question.feed, question.path, question.parameters])
    digest = hashlib.sha256(asked + b"\n" + body).digest()
    return f"{collector}/{uuid.UUID(bytes=digest[:16], version=5)}"


class Backfill:
    """Whoever brings history into the log; the caller holds its lock."""

    def __init__(self, vendor: Vendor, log: LogWriter, *, collector: str, clock: Clock) -> None:
        self._vendor = vendor
        self._log = log
        self._collector = collector
        self._clock = clock
        self._received_ns = 0

    def run(self, questions: Sequence[Question], *, on_answer: Callable[[int, int], None] = lambda _done, _total: None) -> Backfilled:
        """Ask everything, in order; tell after each answer how many were asked out of how many that are known of.

        Interrupted anywhere, what was kept is whole; asked again, it adds nothing. Raises what the vendor's client
        and the log raise, and AnswerInvalid.
        """
        done = Backfilled()
        known = len(questions)
        for question in questions:
            page: Question | None = question
            while page:
                following = self._answer(page, done)
                known += following is not None
                on_answer(done.requests, known)
                page = following
        return done

    def _answer(self, question: Question, done: Backfilled) -> Question | None:
        """Ask one question and keep the answer; give the question for the next page, if there is one."""
        asked_ns = self._next_ns()
        body = self._vendor.ask(question.path, question.parameters)
        page = _judge_page(question, body) if question.feed == TICK_FEED else None
        session = name_session(self._collector, question, body)
        opened = {"type": "session_opened", "path": question.path, "parameters": question.parameters}
        records = [
            format_control(Stamp(question.feed, session, 0, asked_ns), opened),
            format_frame(Stamp(question.feed, session, 1, self._next_ns()), body),
            format_control(Stamp(question.feed, session, 2, self._next_ns()), {"type": "session_closed", "cause": "answered"}),
        ]
        self._log.append(records)
        log_event(ANSWER_LOGGED, feed=question.feed, session=session, size_bytes=len(body), **_name_fields(question))
        done.requests += 1
        done.records += len(records)
        done.size_bytes += len(body)
        if page is None:
            return None
        if int(question.parameters["skip"]) + page.count >= page.total:
            done.ticks += page.count
            return None
        done.ticks += page.whole_ticks()
        return question.next_page(page.whole_ticks())

    def _next_ns(self) -> int:
        self._received_ns = max(self._received_ns + 1, self._clock.now_ns())
        return self._received_ns


def _judge_page(question: Question, body: bytes) -> TickPage:
    """Read how much of the tape a page holds. Raises AnswerInvalid where asking on would never end."""
    try:
        page = _read_page(body)
    except msgspec.DecodeError as error:
        raise AnswerInvalid(f"the answer to {question.path} has no count and total: {error}", hint=_REPORT) from error
    if page.count < 0 or (page.count == 0 and int(question.parameters["skip"]) < page.total):
        raise AnswerInvalid(
            f"the answer to {question.path} is a page of {page.count:,} ticks out of {page.total:,},"
            f" behind {question.parameters['skip']:,}: it would be asked for ever",
            hint=_REPORT,
        )
    return page


def _name_fields(question: Question) -> dict[str, Any]:
    return {f"asked_{name}": value for name, value in question.parameters.items()}


_REPORT: Final = "look whether feed.rest_url is the vendor's; run the command again; else report it"
