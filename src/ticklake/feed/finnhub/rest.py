"""Finnhub's REST: one question at a time, under one budget, the key in a header and nowhere else.

    spend    a token of the budget, which may mean to wait
    ask      within the time limits; read no more than may be answered
    judge    401, 403 and what the vendor cannot do are final; a 429 closes the budget for a minute; all else is tried again

Takes      the address, the key, the budget that all share who ask with the key
Gives      small answers typed; the tape and candles as the bytes that came; `ask` gives the bytes of any, for the log
Units      `from` and `to` of candles are seconds since 1970 UTC, both included
Raises     SettingsInvalid, KeyRefused, PlanRefused, RequestRefused, AnswerInvalid; VendorUnavailable (retryable)
"""

import logging
import random
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx
import msgspec

from ticklake.contracts.frame import MAX_FRAME_BYTES
from ticklake.contracts.ports import Clock
from ticklake.errors import AnswerInvalid, KeyRefused, PlanRefused, RequestRefused, SettingsInvalid, VendorUnavailable
from ticklake.feed.finnhub.answers import Holidays, Listed, MarketStatus, Quote, Split
from ticklake.feed.finnhub.budget import Budget
from ticklake.feed.recorder import jittered
from ticklake.logs import VENDOR_UNAVAILABLE, silence_logger, warn_event

Parameters = Mapping[str, str | int]

KEY_HEADER: Final = "X-Finnhub-Token"
MAX_LIST_BYTES: Final = 64 << 20
"""All symbols of the US are 30,000."""
SAID_CHARACTERS: Final = 200

OK: Final = 200
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
TOO_MANY_REQUESTS: Final = 429
SERVER_ERROR: Final = 500
PASSING: Final = frozenset({408, 425, TOO_MANY_REQUESTS})
"""Refusals that may pass, beside all errors of the server's own."""
ALWAYS: Final[Mapping[str, Parameters]] = {"/stock/tick": {"format": "json"}}
"""What a path wants to be told each time, and what says nothing about the answer."""

SECRET_CHARACTERS: Final = 8
"""A shorter key is no secret, and may stand anywhere by chance."""
LONGEST_WAIT: Final = re.compile("[0-9]{1,4}")
"""What a 429 may ask for, in seconds; more is not believed."""
NS_PER_SECOND: Final = 1_000_000_000

Answer = TypeVar("Answer")

for _library in ("httpx", "httpcore"):  # they would tell addresses and what is asked to whoever listens
    silence_logger(logging.getLogger(_library))


class Patience(msgspec.Struct, frozen=True):
    """How long and how often an answer is hoped for, in seconds but for the attempts."""

    attempts: int = 6
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    """Between two pieces of an answer."""
    answer_seconds: float = 180.0
    """For the whole of it."""
    least_wait_seconds: float = 0.5
    most_wait_seconds: float = 30.0
    refusal_wait_seconds: float = 60.0
    """The minute's turn: the wait after a 429, and a jitter of a tenth."""


class _Said(msgspec.Struct):
    error: str = ""


class FinnhubRest:
    """Whoever asks the vendor. Threads may share it."""

    def __init__(
        self, *, url: str, key: str, budget: Budget, clock: Clock, patience: Patience | None = None, chance: random.Random | None = None
    ) -> None:
        if not (key and key.isascii() and key.isprintable() and " " not in key):
            raise KeyRefused("the key is empty, or has characters that no key has", hint="set the right one: TICKLAKE_FEED__KEY=…")
        self._key = key
        self._budget = budget
        self._clock = clock
        self._patience = patience or Patience()
        self._chance = chance or random.Random()  # noqa: S311 — jitter, not a secret
        try:
            self._url, self._host = url.rstrip("/"), httpx.URL(url).netloc.decode()
        except httpx.InvalidURL:
            raise SettingsInvalid("the address of the vendor's REST cannot be one", hint="such as https://finnhub.io/api/v1") from None
        limits = httpx.Timeout(self._patience.silence_seconds, connect=self._patience.connect_seconds)
        self._client = httpx.Client(headers={KEY_HEADER: key, "User-Agent": "ticklake"}, timeout=limits, follow_redirects=False)

    def __enter__(self) -> Self:
        """Keep connections from here on."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let go of them."""
        self._client.close()

    def quote(self, symbol: str) -> Quote:
        """Give the price now, and the day's so far."""
        return self._read("/quote", {"symbol": symbol}, Quote)

    def symbols(self, exchange: str = "US") -> list[Listed]:
        """Give all that is listed on an exchange."""
        return self._read("/stock/symbol", {"exchange": exchange}, list[Listed])

    def market_status(self, exchange: str = "US") -> MarketStatus:
        """Give whether an exchange is open."""
        return self._read("/stock/market-status", {"exchange": exchange}, MarketStatus)

    def market_holidays(self, exchange: str = "US") -> Holidays:
        """Give the days on which an exchange is closed, or closes early."""
        return self._read("/stock/market-holiday", {"exchange": exchange}, Holidays)

    def splits(self, symbol: str, first_date: str, last_date: str) -> list[Split]:
        """Give the splits between two dates, both included. Needs the premium plan."""
        return self._read("/stock/split", {"symbol": symbol, "from": first_date, "to": last_date}, list[Split])

    def candles(self, symbol: str, resolution: str, first_s: int, last_s: int) -> bytes:
        """Give candles of 1, 5, 15, 30, 60 minutes, or D. Needs the premium plan."""
        return self.ask("/stock/candle", {"symbol": symbol, "resolution": resolution, "from": first_s, "to": last_s})

    def ticks(self, symbol: str, date: str, *, skip: int, limit: int) -> bytes:
        """Give a page of a day's tape. Needs the premium plan, and a day that is over."""
        return self.ask("/stock/tick", {"symbol": symbol, "date": date, "skip": skip, "limit": limit})

    def ask(self, path: str, parameters: Parameters, *, max_bytes: int = MAX_FRAME_BYTES) -> bytes:
        """Give the JSON of an answer as it came, without white space around it. Patient with what may pass."""
        waited, reason = self._patience.least_wait_seconds, ""
        for attempt in range(self._patience.attempts):
            if attempt and reason != f"status {TOO_MANY_REQUESTS}":
                waited = jittered(
                    waited, least=self._patience.least_wait_seconds, most=self._patience.most_wait_seconds, chance=self._chance
                )
                self._clock.sleep(waited)
            self._budget.spend()
            try:
                status, retry_after, body = self._get(path, parameters, max_bytes)
            except (httpx.RequestError, TimeoutError) as error:
                reason = type(error).__name__
            else:
                if status == OK and _is_json(body):
                    return self._guard(path, body)
                reason = "an answer that is no JSON" if status == OK else f"status {status}"
                self._judge(_name_question(path, parameters), status, body)
                if status == TOO_MANY_REQUESTS:
                    self._budget.close_for(self._turn_seconds(retry_after))
            warn_event(VENDOR_UNAVAILABLE, host=self._host, path=path, reason=reason, attempt=attempt + 1)
        raise VendorUnavailable(
            f"{self._host} did not answer {_name_question(path, parameters)}, asked {self._patience.attempts} times: {reason}",
            hint="run the command again later: what was answered before is in the log, and is not doubled",
        )

    def _get(self, path: str, parameters: Parameters, max_bytes: int) -> tuple[int, str, bytes]:
        """Ask once; give the status, the wait that is asked for, and the answer."""
        started_ns = self._clock.monotonic_ns()
        with self._client.stream("GET", self._url + path, params={**parameters, **ALWAYS.get(path, {})}) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > max_bytes:
                    raise AnswerInvalid(
                        f"the answer of {self._host} to {_name_question(path, parameters)} has more than {max_bytes:,} bytes",
                        hint="ask for less at once: fewer days",
                    )
                if self._clock.monotonic_ns() - started_ns > self._patience.answer_seconds * NS_PER_SECOND:
                    raise TimeoutError
        return response.status_code, response.headers.get("Retry-After", ""), bytes(body).strip()

    def _guard(self, path: str, body: bytes) -> bytes:
        """Give an answer, unless it repeats the key: it would lie in the log for ever."""
        if len(self._key) >= SECRET_CHARACTERS and self._key.encode() in body:
            raise AnswerInvalid(
                f"the answer of {self._host} to {path} holds the key; nothing of it was kept",
                hint="look whether feed.rest_url is the vendor's; if it is not, get another key",
            )
        return body

    def _turn_seconds(self, retry_after: str) -> float:
        asked = float(retry_after) if LONGEST_WAIT.fullmatch(retry_after) else 0.0
        return max(asked, self._patience.refusal_wait_seconds) * self._chance.uniform(1.0, 1.1)

    def _judge(self, asked: str, status: int, body: bytes) -> None:
        """Raise what is final."""
        said = self._words_of(body)
        if status == UNAUTHORIZED:
            raise KeyRefused(
                f"{self._host} refuses the key (401)", hint="set the right one: TICKLAKE_FEED__KEY=…; it is shown on finnhub.io/dashboard"
            )
        if status == FORBIDDEN:
            raise PlanRefused(
                f"the key's plan has no access to {asked} (403): {said}",
                hint="ticks, candles and splits need a premium plan; to try them without one: ticklake simulate --plan premium",
            )
        if status < SERVER_ERROR and status not in {OK, *PASSING}:
            raise RequestRefused(
                f"{self._host} refuses {asked} ({status}): {said}", hint="check the symbols and dates, and the setting feed.rest_url"
            )

    def _words_of(self, body: bytes) -> str:
        """Give what an error says, in one line of printable characters, and never the key."""
        try:
            text = msgspec.json.decode(body, type=_Said).error
        except (msgspec.DecodeError, RecursionError):
            text = body.decode(errors="replace")
        text = text.replace(self._key, "…")[:SAID_CHARACTERS]
        return "".join(letter if letter.isprintable() else " " for letter in text) or "no word why"

    def _read(self, path: str, parameters: Parameters, kind: type[Answer]) -> Answer:
        return read_answer(path, self.ask(path, parameters, max_bytes=MAX_LIST_BYTES), kind)


def read_answer(path: str, body: bytes, kind: type[Answer]) -> Answer:
    """Read an answer. Raises AnswerInvalid."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise AnswerInvalid(
            f"the answer to {path} is not what it should be: {error}", hint="look whether feed.rest_url is the vendor's; else report it"
        ) from error


def _name_question(path: str, parameters: Parameters) -> str:
    """Name a question for people: the path, and of which symbol, if of one."""
    return f"{path} of {parameters['symbol']}" if "symbol" in parameters else path


def _is_json(body: bytes) -> bool:
    try:
        body.decode()
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
