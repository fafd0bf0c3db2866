"""History out of the vendor's REST: what the live feed missed, or was before it."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from ticklake.cli.output import print_json, progress
from ticklake.cli.path import JSON

if TYPE_CHECKING:
    from ticklake.audit.calendar import Calendar, Calendars, Day
    from ticklake.cli.lake import Lake
    from ticklake.feed.finnhub.backfill import Backfilled, Question, SymbolDay

DAY: Final = click.DateTime(formats=["%Y-%m-%d"])
SOURCES: Final = ("ticks", "candles", "splits")
RESOLUTIONS: Final = ("1", "5", "15", "30", "60", "D")
NAMED: Final = 5
GAPS: Final = """
    select symbol, from_ns // 1000000 as from_ms, to_ns // 1000000 as to_ms
    from silver.feed_gaps
    where feed = 'finnhub' and (len($symbols) = 0 or list_contains($symbols, symbol))
    order by symbol, from_ns
"""

Interval = tuple[int, int | None]


@click.command()
@click.argument("symbols", nargs=-1, metavar="SYMBOL…")
@click.option("--from", "from_day", type=DAY, metavar="DATE", help="The first trading day.")
@click.option("--to", "to_day", type=DAY, metavar="DATE", help="The last one, included.  [default: the last one that is over]")
@click.option("--gaps", is_flag=True, help="Only days on which the live feed had a gap; of all symbols, if none is named.")
@click.option("--source", type=click.Choice(SOURCES), default="ticks", help="What to ask for.", show_default=True)
@click.option("--resolution", type=click.Choice(RESOLUTIONS), default="1", help="Minutes of a candle, or D.", show_default=True)
@click.option("--url", help="The vendor's REST, if not the setting feed.rest_url: a simulator's, to try it out.")
@click.option("--dry-run", is_flag=True, help="Only say what would be asked: nothing is, and nothing is written.")
@JSON
@click.pass_obj
def backfill(
    home: Path | None,
    symbols: tuple[str, ...],
    from_day: datetime | None,
    to_day: datetime | None,
    gaps: bool,
    source: str,
    resolution: str,
    url: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Ask the vendor for history, and append its answers to the log as feeds of their own.

    Ticks are the full tape of days that are over, with venues; candles are the vendor's bars. Both, and splits, need
    a premium plan; the key stands in TICKLAKE_FEED__KEY. Ctrl-C loses nothing, and what is asked again is not doubled.
    """
    from ticklake.cli.lake import Lake

    lake = Lake.at(home)
    first, last = from_day.date() if from_day else None, to_day.date() if to_day else None
    _check_wish(symbols, first, last, source=source, gaps=gaps)
    questions = _plan(lake, list(dict.fromkeys(symbols)), first, last, source=source, gaps=gaps, resolution=resolution)
    if not questions and not as_json:
        click.echo("there is nothing to ask for: no trading day that is over, or no gap in one")
        return
    if dry_run:
        _tell_plan(questions, lake.settings.feed.requests_per_minute, source=source, as_json=as_json)
        return
    done = _ask(lake.open(), questions, url or lake.settings.feed.rest_url)
    if as_json:
        print_json(msgspec.to_builtins(done))
        return
    found = f"{done.ticks:,} ticks" if source == "ticks" else f"{source} of {done.size_bytes:,} bytes"
    click.echo(f"asked {done.requests:,} requests and logged {found} in {done.records:,} records; next: ticklake land")


def _check_wish(symbols: Sequence[str], first: date | None, last: date | None, *, source: str, gaps: bool) -> None:
    """Raises UsageError for what makes no sense, before anything is looked at."""
    if gaps and source == "splits":
        raise click.UsageError("splits are of no gap: ask for them by symbol and dates")
    if not gaps and not symbols:
        raise click.UsageError("name symbols: ticklake backfill AAPL --from 2025-11-17; or --gaps for what the live feed missed")
    if not gaps and first is None:
        raise click.UsageError("say from which day on: --from 2025-11-17")
    if first and last and last < first:
        raise click.UsageError(f"--to {last} is before --from {first}")
    if pairs := [symbol for symbol in symbols if ":" in symbol]:
        raise click.UsageError(f"{', '.join(pairs)}: the vendor has the history of stocks alone")


def _plan(
    lake: "Lake", symbols: list[str], first: date | None, last: date | None, *, source: str, gaps: bool, resolution: str
) -> "list[Question]":
    from ticklake.audit.calendar import Calendars
    from ticklake.audit.seeds import read_seeds
    from ticklake.feed.finnhub.backfill import plan_candles, plan_splits, plan_ticks

    now_ms = lake.clock.now_ns() // 1_000_000
    calendars = Calendars(read_seeds(lake.seeds).exchanges)
    if source == "splits":
        assert first is not None  # noqa: S101 — for the type checker: `_check_wish` saw to it
        return plan_splits(symbols, first, last or _today(calendars, "", now_ms))
    if gaps:
        days = list(_days_with_gaps(lake, calendars, symbols, first, last, now_ms))
    else:
        assert first is not None  # noqa: S101 — the same
        _refuse_today(calendars, symbols, last or first, now_ms)
        days = [
            day
            for symbol in symbols
            for day in _list_days(symbol, calendars.of(symbol), first, last or _yesterday(calendars, symbol, now_ms), lambda _day: True)
        ]
    return plan_ticks(days) if source == "ticks" else plan_candles(days, resolution)


def _list_days(symbol: str, calendar: "Calendar", first: date, last: date, is_wanted: "Callable[[Day], bool]") -> "Iterator[SymbolDay]":
    """Give the wanted days out of those on which the symbol's exchange was open."""
    from ticklake.feed.finnhub.backfill import SymbolDay

    follows = False
    for number in range((last - first).days + 1):
        trading_date = first + timedelta(days=number)
        day = calendar.day(trading_date)
        if day is None:
            continue
        if not is_wanted(day):
            follows = False
            continue
        start_ms, end_ms = calendar.day_bounds_ms(trading_date)
        yield SymbolDay(symbol, trading_date, start_ms // 1000, end_ms // 1000, follows)
        follows = True


def _days_with_gaps(
    lake: "Lake", calendars: "Calendars", symbols: list[str], first: date | None, last: date | None, now_ms: int
) -> "Iterator[SymbolDay]":
    """Give the days that are over, and that have a gap of a symbol while its exchange was open, pre and post market included."""
    intervals: dict[str, list[Interval]] = {}
    for symbol, from_ms, to_ms in lake.query(GAPS, {"symbols": symbols}).rows:
        intervals.setdefault(symbol, []).append((from_ms, to_ms))
    if pairs := [symbol for symbol in intervals if ":" in symbol]:
        click.echo(f"warning: {', '.join(pairs)}: the vendor has the history of stocks alone", err=True)
    for symbol, of_symbol in intervals.items():
        if symbol in pairs:
            continue
        calendar = calendars.of(symbol)
        earliest = _date_at(calendar, of_symbol[0][0])
        newest = _yesterday(calendars, symbol, now_ms)
        is_wanted = partial(_touches, intervals=of_symbol)
        yield from _list_days(symbol, calendar, max(first or earliest, earliest), min(last or newest, newest), is_wanted)


def _touches(day: "Day", intervals: Iterable[Interval]) -> bool:
    """Whether one of the intervals, without an end or not, lies partly in a day's hours."""
    return any(from_ms < day.post_close_ms and (to_ms is None or to_ms >= day.pre_open_ms) for from_ms, to_ms in intervals)


def _refuse_today(calendars: "Calendars", symbols: Iterable[str], last: date, now_ms: int) -> None:
    for symbol in symbols:
        if last >= (today := _today(calendars, symbol, now_ms)):
            raise click.UsageError(
                f"{max(today, last)} is not over where {symbol} trades: the vendor tells a day's history after its end; up to"
                f" --to {_yesterday(calendars, symbol, now_ms)}"
            )


def _today(calendars: "Calendars", symbol: str, now_ms: int) -> date:
    return _date_at(calendars.of(symbol), now_ms)


def _date_at(calendar: "Calendar", moment_ms: int) -> date:
    from ticklake.audit.calendar import BUCKET_MS

    return calendar.place(moment_ms // BUCKET_MS)[0]


def _yesterday(calendars: "Calendars", symbol: str, now_ms: int) -> date:
    return _today(calendars, symbol, now_ms) - timedelta(days=1)


def _ask(lake: "Lake", questions: "list[Question]", url: str) -> "Backfilled":
    from ticklake.errors import SettingsInvalid
    from ticklake.feed.finnhub.backfill import Backfill
    from ticklake.feed.finnhub.budget import Budget
    from ticklake.feed.finnhub.rest import FinnhubRest
    from ticklake.locks import hold_stage
    from ticklake.settings import REST_URL

    settings = lake.settings.feed
    key = settings.key.get_secret_value()
    if not key:
        raise SettingsInvalid("there is no key for the vendor", hint="set it: export TICKLAKE_FEED__KEY=…; without one: ticklake simulate")
    if not re.fullmatch(REST_URL, url):
        raise SettingsInvalid(
            "what --url names is no address of REST", hint="such as https://finnhub.io/api/v1 or http://127.0.0.1:8765/api/v1"
        )
    budget = Budget(lake.clock, requests_per_minute=settings.requests_per_minute)
    with (
        hold_stage(lake.home.locks, "log"),
        FinnhubRest(url=url, key=key, budget=budget, clock=lake.clock) as vendor,
        progress("backfill", unit="requests", total=len(questions)) as show,
    ):
        log = lake.open_log_writer()
        try:
            return Backfill(vendor, log, collector=settings.collector, clock=lake.clock).run(questions, on_answer=show)
        finally:
            log.close()


def _tell_plan(questions: "list[Question]", per_minute: int, *, source: str, as_json: bool) -> None:
    minutes = max(0, len(questions) - 1) // per_minute
    if as_json:
        asked: list[dict[str, Any]] = [{"path": each.path, "parameters": each.parameters} for each in questions]
        print_json({"requests_at_least": len(questions), "minutes_at_least": minutes, "is_exact": source != "ticks", "questions": asked})
        return
    counts = Counter(str(each.parameters["symbol"]) for each in questions)
    names = [f"{symbol} {count:,}" for symbol, count in counts.most_common(NAMED)] + ["…"] * (len(counts) > NAMED)
    at_least = "at least " if source == "ticks" else ""
    click.echo(f"would ask {at_least}{len(questions):,} requests: {', '.join(names)}")
    if source == "ticks":
        click.echo(f"a day has one for each {questions[0].parameters['limit']:,} ticks: how many that are is known once it is asked for")
    waiting = f"{at_least}{minutes:,} minutes" if minutes else "no waiting" if source != "ticks" else "no waiting for these"
    click.echo(f"at {per_minute:,} requests a minute: {waiting}")
