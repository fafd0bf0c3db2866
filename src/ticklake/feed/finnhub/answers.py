"""What Finnhub's REST answers, as far as we read it; what else stands there is passed over.

Units      prices in the currency of the listing, read from the digits; `t` seconds since 1970 UTC
"""

from decimal import Decimal

import msgspec


class Quote(msgspec.Struct, frozen=True):
    """A price, and the day around it. All zero for a symbol that the vendor does not know."""

    current: Decimal = msgspec.field(name="c")
    high: Decimal = msgspec.field(name="h")
    low: Decimal = msgspec.field(name="l")
    open: Decimal = msgspec.field(name="o")
    previous_close: Decimal = msgspec.field(name="pc")
    seconds: int = msgspec.field(name="t")
    change: Decimal | None = msgspec.field(name="d", default=None)
    change_percent: Decimal | None = msgspec.field(name="dp", default=None)

    @property
    def is_known(self) -> bool:
        """Whether the vendor knows the symbol."""
        return self.seconds != 0


class Listed(msgspec.Struct, frozen=True, rename="camel"):
    """One symbol of an exchange."""

    symbol: str
    description: str = ""
    display_symbol: str = ""
    type: str = ""
    mic: str = ""
    currency: str = ""
    figi: str = ""


class MarketStatus(msgspec.Struct, frozen=True, rename="camel"):
    """Whether an exchange is open."""

    exchange: str
    is_open: bool
    session: str | None = None
    """`pre-market`, `regular`, `post-market`, or none."""
    holiday: str | None = None
    timezone: str = ""
    seconds: int = msgspec.field(name="t", default=0)


class Holiday(msgspec.Struct, frozen=True, rename="camel"):
    """A day that is not like others."""

    at_date: str
    event_name: str = ""
    trading_hour: str = ""
    """Empty where it is closed, `09:30-13:00` where it closes early."""


class Holidays(msgspec.Struct, frozen=True):
    """The days of an exchange that are not like others."""

    exchange: str
    data: list[Holiday] = []
    timezone: str = ""


class Split(msgspec.Struct, frozen=True, rename="camel"):
    """From this date on `to_factor` shares are what `from_factor` were."""

    symbol: str
    date: str
    from_factor: Decimal
    to_factor: Decimal


class TickPage(msgspec.Struct, frozen=True):
    """How much of a day's tape a page holds, and when it was traded; the tape itself is for the log."""

    count: int
    total: int
    times: list[int | float] | None = msgspec.field(name="t", default=None)

    def whole_ticks(self) -> int:
        """Give how many ticks lie before the page's last moment, of which the next page may hold more; all, if there is but one."""
        times = self.times or []
        before = len(times)
        while before and times[before - 1] == times[-1]:
            before -= 1
        return before if before and len(times) == self.count else self.count
