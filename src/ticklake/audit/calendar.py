"""When a print was traded, by the exchange's clock: its trading date and market session.

Time       a bucket is five minutes since 1970 UTC; its session is that of its start
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from ticklake.audit.seeds import Exchange

BUCKET_MS: Final = 300_000
SATURDAY: Final = 5


class Day(NamedTuple):
    """A trading day's hours: milliseconds since 1970 UTC."""

    pre_open_ms: int
    open_ms: int
    close_ms: int
    post_close_ms: int


class Calendar:
    """The days of one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._zone = ZoneInfo(exchange.time_zone)
        self.day = cache(self._day)
        self.place = cache(self._place)

    def _day(self, trading_date: date) -> Day | None:
        """Give a day's hours; None where the exchange was closed."""
        exchange = self._exchange
        hours = exchange.exceptions.get(trading_date, exchange.hours)
        if trading_date.weekday() >= SATURDAY or hours is None:
            return None
        close = datetime.combine(trading_date, hours.close_time)
        return Day(
            pre_open_ms=self._to_ms(datetime.combine(trading_date, exchange.pre_open_time)),
            open_ms=self._to_ms(datetime.combine(trading_date, hours.open_time)),
            close_ms=self._to_ms(close),
            post_close_ms=self._to_ms(close + exchange.post_market),
        )

    def _place(self, bucket: int) -> tuple[date, str]:
        """Give a bucket's trading date and its session: pre, regular, post or closed."""
        start_ms = bucket * BUCKET_MS
        trading_date = datetime.fromtimestamp(start_ms / 1000, self._zone).date()
        day = self.day(trading_date)
        if day is None or not day.pre_open_ms <= start_ms < day.post_close_ms:
            return trading_date, "closed"
        if start_ms < day.open_ms:
            return trading_date, "pre"
        return trading_date, "regular" if start_ms < day.close_ms else "post"

    def day_bounds_ms(self, trading_date: date) -> tuple[int, int]:
        """Give a trading date's first millisecond and the one after its last: midnight to midnight of the zone."""
        midnights = (datetime.combine(each, time()) for each in (trading_date, trading_date + timedelta(days=1)))
        start_ms, end_ms = (self._to_ms(midnight) for midnight in midnights)
        return start_ms, end_ms

    def _to_ms(self, local: datetime) -> int:
        return round(local.replace(tzinfo=self._zone).timestamp() * 1000)


class Calendars:
    """The days of all exchanges."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._by_suffix = {exchange.symbol_suffix: Calendar(exchange) for exchange in exchanges}

    def of(self, symbol: str) -> Calendar:
        """Give the calendar of a symbol's exchange."""
        _, dot, suffix = symbol.rpartition(".")
        return self._by_suffix.get(dot + suffix, self._by_suffix[""])


def utc_moment(milliseconds: float) -> datetime:
    """Give a moment in UTC, without a zone, as the warehouse has them."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)


def utc_ms(moment: datetime) -> int:
    """Give the milliseconds since 1970 of a moment in UTC without a zone."""
    return round(moment.replace(tzinfo=UTC).timestamp() * 1000)


def utc_date(bucket: int) -> date:
    """Give the date of a bucket in UTC, the trading date of what trades round the clock."""
    return datetime.fromtimestamp(bucket * BUCKET_MS / 1000, UTC).date()


def utc_bounds_ms(trading_date: date) -> tuple[int, int]:
    """Give a UTC date's first millisecond and the one after its last."""
    start_ms = round(datetime.combine(trading_date, time(), UTC).timestamp() * 1000)
    return start_ms, start_ms + 86_400_000
