"""The exchange's REST, as the vendor's: the same paths, keys, plans, limits and errors, over the day that it tells.

    /quote  /stock/symbol  /stock/market-status  /stock/market-holiday     on every plan
    /stock/candle  /stock/tick  /stock/split                               on the premium plan

Takes      GET requests below `PREFIX`; the key in the header `X-Finnhub-Token`, or as the parameter `token`
Gives      JSON; an error is `{"error": "…"}` with 401, 403, 404, 422 or 429
Time       limits run on the machine's clock, what there is to tell on the market's
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from email.utils import formatdate
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.prints import Print
from ticklake.feed.exchange.rest_prices import MAX_TICKS, RESOLUTIONS, ZONE, DayPrices

PREFIX: Final = "/api/v1/"
KEY_HEADER: Final = "X-Finnhub-Token"
MARKET: Final = "US"
PREMIUM: Final = frozenset({"stock/candle", "stock/tick", "stock/split"})

LIMIT_REACHED: Final = "API limit reached. Please try again later. Remaining Limit: 0"
NO_ACCESS: Final = "You don't have access to this resource."
BAD_KEY: Final = "Invalid API key"
NO_PATH: Final = "There is nothing at this path."

KEPT_REQUESTS: Final = 1_000

Holidays = Mapping[date, tuple[str, str]]
"""Days that are not like others: what is celebrated, and the hours of trading, such as 09:30-13:00, if any."""

HOLIDAYS: Final[Holidays] = {
    date(2025, 9, 1): ("Labor Day", ""),
    date(2025, 11, 27): ("Thanksgiving Day", ""),
    date(2025, 11, 28): ("Thanksgiving Day", "09:30-13:00"),
    date(2025, 12, 24): ("Christmas", "09:30-13:00"),
    date(2025, 12, 25): ("Christmas", ""),
    date(2026, 1, 1): ("New Year's Day", ""),
}

PRE_OPEN: Final = time(4)
REGULAR: Final = (time(9, 30), time(16))
POST_HOURS: Final = timedelta(hours=4)
SATURDAY: Final = 5
NS_PER_MS: Final = 1_000_000
NS_PER_SECOND: Final = 1_000_000_000

_encode = msgspec.json.Encoder(decimal_format="number").encode


def is_rest(request: Request) -> bool:
    """Whether a request is for REST, and not for a socket."""
    return request.path.startswith(PREFIX) and not request.headers.get_all("Upgrade")


class RestPlan(msgspec.Struct, frozen=True):
    """What is granted to each of the keys."""

    keys: tuple[str, ...]
    is_premium: bool = False
    requests_per_minute: int = 60
    requests_per_second: int = 30


class _Refusal(Exception):
    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Rest:
    """The desk that answers what is asked once, not subscribed to."""

    def __init__(
        self, prints: Iterable[Print], *, symbols: Iterable[str], seed: int, plan: RestPlan, clock: Clock, market_clock: Clock
    ) -> None:
        self._prints = prints
        self._stocks = [symbol for symbol in symbols if ":" not in symbol]
        self._seed = seed
        self._plan = plan
        self._clock = clock
        self._market_clock = market_clock
        self.holidays = HOLIDAYS
        """Those around the made-up Tuesday, unless others are set."""
        self._granted_ns: dict[str, deque[int]] = {}
        self._paths: dict[str, Callable[[_Asked], Any]] = {
            "quote": self._quote,
            "stock/symbol": self._symbols,
            "stock/market-status": self._status,
            "stock/market-holiday": self._holidays,
            "stock/candle": self._candles,
            "stock/tick": self._ticks,
            "stock/split": self._splits,
        }
        self.asked: deque[str] = deque(maxlen=KEPT_REQUESTS)
        """Path and parameters of the newest requests, as they came."""

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        self.asked.append(request.path)
        target = urlsplit(request.path)
        asked = _Asked({name: values[-1] for name, values in parse_qs(target.query).items()})
        try:
            self._admit([*request.headers.get_all(KEY_HEADER), *parse_qs(target.query).get("token", [])])
            path = target.path.removeprefix(PREFIX)
            if path not in self._paths:
                raise _Refusal(HTTPStatus.NOT_FOUND, NO_PATH)
            if path in PREMIUM and not self._plan.is_premium:
                raise _Refusal(HTTPStatus.FORBIDDEN, NO_ACCESS)
            return self._respond(HTTPStatus.OK, self._paths[path](asked))
        except _Refusal as refusal:
            return self._respond(refusal.status, {"error": str(refusal)})

    def _admit(self, keys: list[str]) -> None:
        """Count the request, if its key is known and has one left."""
        key = keys[0] if keys else ""
        if key not in self._plan.keys:
            raise _Refusal(HTTPStatus.UNAUTHORIZED, BAD_KEY)
        now_ns = self._clock.monotonic_ns()
        granted = self._granted_ns.setdefault(key, deque())
        while granted and now_ns - granted[0] >= 60 * NS_PER_SECOND:
            granted.popleft()
        of_second = sum(now_ns - each < NS_PER_SECOND for each in granted)
        if len(granted) >= self._plan.requests_per_minute or of_second >= self._plan.requests_per_second:
            raise _Refusal(HTTPStatus.TOO_MANY_REQUESTS, LIMIT_REACHED)
        granted.append(now_ns)

    def _respond(self, status: HTTPStatus, answer: Any) -> Response:
        body = _encode(answer)
        headers = Headers(
            [
                ("Date", formatdate(self._clock.now_ns() / NS_PER_SECOND, usegmt=True)),
                ("Connection", "close"),
                ("Content-Length", str(len(body))),
                ("Content-Type", "application/json; charset=utf-8"),
            ]
        )
        return Response(status.value, status.phrase, headers, body)

    @cached_property
    def _prices(self) -> DayPrices:
        """What the day says; looked at when somebody asks for the first time."""
        return DayPrices(self._prints, stocks=self._stocks, seed=self._seed)

    @property
    def _now_ms(self) -> int:
        return self._market_clock.now_ns() // NS_PER_MS

    def _quote(self, asked: "_Asked") -> Any:
        return self._prices.quote(asked.text("symbol"), self._now_ms)

    def _symbols(self, asked: "_Asked") -> Any:
        return [
            {
                "currency": "USD",
                "description": f"{symbol} OF A MADE-UP MARKET",
                "displaySymbol": symbol,
                "figi": f"BBG{number:09d}",
                "mic": "XNAS",
                "symbol": symbol,
                "type": "Common Stock",
            }
            for number, symbol in enumerate(self._stocks)
            if asked.text("exchange") == MARKET
        ]

    def _status(self, asked: "_Asked") -> Any:
        now = datetime.fromtimestamp(self._now_ms / 1000, ZONE)
        holiday, hours = self.holidays.get(now.date(), (None, None))
        session = None if hours == "" or now.weekday() >= SATURDAY else _name_session(now.replace(tzinfo=None), hours)
        return {
            "exchange": asked.market(),
            "holiday": holiday,
            "isOpen": session == "regular",
            "session": session,
            "timezone": ZONE.key,
            "t": self._now_ms // 1000,
        }

    def _holidays(self, asked: "_Asked") -> Any:
        days = [
            {"eventName": name, "atDate": each.isoformat(), "tradingHour": hours} for each, (name, hours) in sorted(self.holidays.items())
        ]
        return {"data": days, "exchange": asked.market(), "timezone": ZONE.key}

    def _candles(self, asked: "_Asked") -> Any:
        resolution = asked.text("resolution")
        if resolution not in RESOLUTIONS:
            raise _unreadable("resolution")
        symbol, first_s, last_s = asked.text("symbol"), asked.number("from"), asked.number("to")
        return self._prices.candles(symbol, resolution, first_s=first_s, last_s=last_s, now_ms=self._now_ms)

    def _ticks(self, asked: "_Asked") -> Any:
        if asked.text("format", "json") != "json":
            raise _unreadable("format")
        skip, limit = asked.number("skip", 0), asked.number("limit", MAX_TICKS)
        return self._prices.ticks(asked.text("symbol"), asked.date("date"), skip=skip, limit=limit, now_ms=self._now_ms)

    def _splits(self, asked: "_Asked") -> Any:
        return self._prices.splits(asked.text("symbol"), asked.date("from"), asked.date("to"))


class _Asked:
    """The parameters of one request."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self._parameters = parameters

    def text(self, name: str, default: str | None = None) -> str:
        found = self._parameters.get(name, default)
        if found is None:
            raise _unreadable(name)
        return found

    def number(self, name: str, default: int | None = None) -> int:
        found = self.text(name, None if default is None else str(default))
        if not (found.isascii() and found.isdigit()):
            raise _unreadable(name)
        return int(found)

    def date(self, name: str) -> date:
        try:
            return date.fromisoformat(self.text(name))
        except ValueError:
            raise _unreadable(name) from None

    def market(self) -> str:
        if self.text("exchange") != MARKET:
            raise _unreadable("exchange")
        return MARKET


def _unreadable(name: str) -> _Refusal:
    return _Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, f"Invalid parameter: {name}")


def _name_session(local: datetime, hours: str | None) -> str | None:
    """Name the session of a moment of a day on which there is trading, as the vendor names it."""
    opens, closes = (time.fromisoformat(text) for text in hours.split("-")) if hours else REGULAR
    if not PRE_OPEN <= local.time() < (datetime.combine(local.date(), closes) + POST_HOURS).time():
        return None
    if local.time() < opens:
        return "pre-market"
    return "regular" if local.time() < closes else "post-market"
