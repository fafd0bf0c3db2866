"""The REST client against an exchange on loopback, and against a vendor that is not well."""

import logging
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.rest_rig import DAY, KEY, Reply, make_premium, make_rest, serve_exchange, serve_replies
from tests.rig import ROOT, utc_ms
from tests.unit.fakes import FakeClock
from ticklake.audit.seeds import read_seeds
from ticklake.errors import AnswerInvalid, KeyRefused, PlanRefused, RequestRefused, TicklakeError, VendorUnavailable
from ticklake.feed.exchange.prints import Trade
from ticklake.feed.exchange.serve import Exchange
from ticklake.feed.finnhub.rest import FinnhubRest

STATUS = b'{"exchange":"US","holiday":null,"isOpen":true,"session":"regular","timezone":"America/New_York","t":1}'
FROM_S, TO_S = utc_ms(f"{DAY} 00:00") // 1000, utc_ms("2025-11-19 04:59") // 1000


def tape_of(exchange: Exchange, symbol: str) -> list[Trade]:
    return sorted((each for each in exchange.told.trades if each.symbol == symbol), key=lambda trade: trade.traded_ms)


def read(body: bytes) -> dict[str, Any]:
    """Give an answer with its numbers as they stand there."""
    found: dict[str, Any] = msgspec.json.Decoder(float_hook=Decimal).decode(body)
    return found


def test_the_tape_is_the_whole_day_in_its_order_whatever_the_size_of_a_page() -> None:
    exchange = make_premium()
    with serve_exchange(exchange, to_the_end=True) as url, make_rest(url, per_minute=1_000) as vendor:
        pages = [read(vendor.ticks("AAPL", DAY, skip=skip, limit=100)) for skip in range(0, 600, 100)]
        whole = read(vendor.ticks("AAPL", DAY, skip=0, limit=5_000))
        assert read(vendor.ticks("AAPL", "2025-11-17", skip=0, limit=100))["total"] == 0
        assert read(vendor.ticks("IBM", DAY, skip=0, limit=100))["total"] == 0
    tape = tape_of(exchange, "AAPL")
    assert {page["total"] for page in pages} == {len(tape)}
    assert [page["count"] for page in pages] == [*[100] * (len(tape) // 100), len(tape) % 100, *[0] * (5 - len(tape) // 100)]
    for column in "ptvcx":
        assert whole[column] == [value for page in pages for value in page[column]]
    told = list(zip(whole["t"], map(Decimal, whole["p"]), map(Decimal, whole["v"]), whole["c"], strict=True))
    assert told == [(each.traded_ms, each.price, each.size, each.conditions.split(",") if each.conditions else []) for each in tape]
    assert all(re.fullmatch("[A-Z]", str(letter)) for letter in whole["x"])
    assert len(set(whole["x"])) > 3


def test_candles_are_what_the_tape_says() -> None:
    exchange = make_premium()
    with serve_exchange(exchange, to_the_end=True) as url, make_rest(url, per_minute=1_000) as vendor:
        found = {resolution: read(vendor.candles("MSFT", resolution, FROM_S, TO_S)) for resolution in ("1", "5", "15", "30", "60", "D")}
        half = read(vendor.candles("MSFT", "60", found["60"]["t"][3], found["60"]["t"][5]))
        assert read(vendor.candles("MSFT", "D", TO_S, TO_S + 86_400)) == {"s": "no_data"}
    counted = [each for each in tape_of(exchange, "MSFT") if not {"16", "20"} & set(each.conditions.split(","))]
    for resolution, candles in found.items():
        assert sum(map(Decimal, candles["v"])) == sum(each.size for each in counted)
        assert max(candles["h"]) == max(each.price for each in counted)
        assert min(candles["l"]) == min(each.price for each in counted)
        assert (candles["o"][0], candles["c"][-1]) == (counted[0].price, counted[-1].price)
        seconds = {"D": 86_400}.get(resolution) or int(resolution) * 60
        assert candles["t"] == sorted({each.traded_ms // 1000 // seconds * seconds for each in counted if resolution != "D"} or {FROM_S})
    assert half["t"] == found["60"]["t"][3:6]


def test_a_quote_and_the_lists_tell_of_the_same_day() -> None:
    exchange = make_premium()
    with serve_exchange(exchange, to_the_end=True) as url, make_rest(url, per_minute=1_000) as vendor:
        quote, unknown = vendor.quote("TSLA"), vendor.quote("IBM")
        listed, status, holidays = vendor.symbols(), vendor.market_status(), vendor.market_holidays()
        splits = {each.symbol: vendor.splits(each.symbol, "2000-01-01", "2026-01-01") for each in listed}
        first = splits["AAPL"][0]
        assert vendor.splits("AAPL", first.date, first.date) == [first]
    tape = tape_of(exchange, "TSLA")
    prices = [each.price for each in tape]
    assert (quote.current, quote.high, quote.low) == (prices[-1], max(prices), min(prices))
    assert quote.change == quote.current - quote.previous_close
    assert (quote.is_known, unknown.is_known, unknown.current) == (True, False, Decimal(0))
    assert [each.symbol for each in listed] == [symbol for symbol in exchange.symbols if ":" not in symbol]
    assert (status.exchange, status.timezone) == ("US", "America/New_York")
    assert 0 < sum(map(len, splits.values())) <= 3 * len(listed)
    (xnys,) = [each for each in read_seeds(ROOT / "transform" / "seeds").exchanges if each.name == "XNYS"]
    for holiday in holidays.data:  # the simulator's holidays are the calendar's
        hours = xnys.exceptions[msgspec.convert(holiday.at_date, type=type(next(iter(xnys.exceptions))))]
        assert holiday.trading_hour == ("" if hours is None else f"{hours.open_time:%H:%M}-{hours.close_time:%H:%M}")


def test_of_a_day_that_was_not_told_yet_there_is_no_tape_and_no_candle_and_the_quote_is_yesterdays() -> None:
    with serve_exchange(make_premium()) as url, make_rest(url) as vendor:
        assert read(vendor.ticks("AAPL", DAY, skip=0, limit=100))["total"] == 0
        assert read(vendor.candles("AAPL", "60", FROM_S, TO_S)) == {"s": "no_data"}
        quote = vendor.quote("AAPL")
        assert quote.current == quote.previous_close > 0


def test_a_free_plan_has_no_access_to_what_is_premium_and_is_not_asked_twice() -> None:
    exchange = make_premium(is_premium=False)
    with serve_exchange(exchange) as url, make_rest(url) as vendor:
        for path in ("/stock/tick", "/stock/candle", "/stock/split"):
            with pytest.raises(PlanRefused, match=f"{path}.*You don't have access to this resource") as refused:
                vendor.ask(path, {"symbol": "AAPL"})
            assert "premium" in refused.value.hint
        assert len(exchange.rest.asked) == 3
        assert vendor.quote("AAPL").is_known
        assert vendor.market_status().exchange == "US"
        assert vendor.symbols()
        assert vendor.market_holidays().data


def test_a_bad_key_is_refused_and_not_tried_twice() -> None:
    exchange = make_premium()
    with serve_exchange(exchange) as url, make_rest(url, key="another") as vendor, pytest.raises(KeyRefused, match="401"):
        vendor.quote("AAPL")
    assert len(exchange.rest.asked) == 1


def test_the_exchange_takes_the_key_from_the_address_too_as_the_vendor_does() -> None:
    with serve_exchange(make_premium()) as url, httpx.Client() as browser:
        assert browser.get(f"{url}/quote", params={"symbol": "AAPL", "token": KEY}).status_code == 200
        assert browser.get(f"{url}/quote", params={"symbol": "AAPL"}).json() == {"error": "Invalid API key"}


def test_a_client_that_keeps_to_its_budget_is_never_told_to_wait() -> None:
    clock = FakeClock()
    exchange = make_premium(clock, requests_per_minute=60)
    with serve_exchange(exchange) as url, make_rest(url, clock=clock, per_minute=60) as vendor:
        for _ in range(130):
            vendor.quote("AAPL")
    assert len(exchange.rest.asked) == 130
    assert 120 < sum(clock.diary) < 130


@pytest.mark.parametrize(("granted", "asked"), [(5, 12), (1_000, 40)])
def test_past_the_limit_of_a_minute_or_a_second_a_429_is_waited_for(granted: int, asked: int) -> None:
    clock = FakeClock()
    exchange = make_premium(clock, requests_per_minute=granted)
    with serve_exchange(exchange) as url, make_rest(url, clock=clock, per_minute=10_000, per_second=10_000) as vendor:
        for _ in range(asked):
            assert vendor.quote("AAPL").is_known
    refused = len(exchange.rest.asked) - asked
    assert refused == len(clock.diary) == (asked - 1) // min(granted, 30)
    assert all(60.0 <= seconds <= 66.0 for seconds in clock.diary)


@pytest.mark.parametrize(
    ("path", "parameters", "said"),
    [
        ("/stock/news", {}, "404"),
        ("/quote", {}, "422.*symbol"),
        ("/stock/tick", {"symbol": "AAPL", "date": "yesterday"}, "422.*date"),
        ("/stock/tick", {"symbol": "AAPL", "date": DAY, "skip": "-1"}, "422.*skip"),
        ("/stock/candle", {"symbol": "AAPL", "resolution": "7", "from": 0, "to": 1}, "422.*resolution"),
        ("/stock/market-status", {"exchange": "MOON"}, "422.*exchange"),
    ],
)
def test_what_the_vendor_cannot_answer_is_said_and_not_asked_again(path: str, parameters: dict[str, str | int], said: str) -> None:
    exchange = make_premium()
    with serve_exchange(exchange) as url, make_rest(url) as vendor, pytest.raises(RequestRefused, match=said):
        vendor.ask(path, parameters)
    assert len(exchange.rest.asked) == 1


@pytest.mark.parametrize(
    "reply",
    [(0, b""), (500, b"oops"), (503, b""), (502, b"<html>"), (200, b"<html>busy</html>"), (200, b'{"exchange":"U'), (200, b""), (408, b"")],
    ids=lambda reply: f"{reply[0]} {reply[1].decode()}",
)
def test_what_may_pass_is_tried_again_with_waits_until_it_has_passed(reply: Reply) -> None:
    clock = FakeClock()
    with serve_replies(reply, reply, reply, (200, STATUS)) as (url, vendor), make_rest(url, clock=clock) as rest:
        assert rest.market_status().is_open
    assert len(vendor.requests) == 4
    assert len(clock.diary) == 3
    assert all(0.5 <= seconds <= 30.0 for seconds in clock.diary)


@pytest.mark.parametrize("reply", [(0, b""), (500, b""), (429, b'{"error":"API limit reached."}')], ids=lambda reply: str(reply[0]))
def test_what_does_not_pass_ends_in_an_error_that_may_be_tried_again(reply: Reply) -> None:
    with (
        serve_replies(reply) as (url, vendor),
        make_rest(url, attempts=4) as rest,
        pytest.raises(VendorUnavailable, match="asked 4 times") as failed,
    ):
        rest.market_status()
    assert failed.value.retryable
    assert len(vendor.requests) == 4


@pytest.mark.parametrize(
    ("retry_after", "least"), [("", 60), ("5", 60), ("600", 600), ("9" * 400, 60), ("Fri, 28 Nov 2025 15:00:00 GMT", 60), ("-1", 60)]
)
def test_a_429_is_waited_for_as_long_as_it_asks_and_a_minute_at_least(retry_after: str, least: int) -> None:
    clock = FakeClock()
    with serve_replies((429, b"{}"), (200, STATUS), retry_after=retry_after) as (url, _), make_rest(url, clock=clock) as rest:
        assert rest.market_status().is_open
    (waited,) = clock.diary
    assert least <= waited <= least * 1.1


def test_a_server_that_is_not_there_is_an_error_that_may_be_tried_again() -> None:
    with make_rest("http://127.0.0.1:1/api/v1", attempts=2) as rest, pytest.raises(VendorUnavailable, match="ConnectError"):
        rest.quote("AAPL")


@pytest.mark.parametrize(
    "body",
    [b"[]", b'{"exchange":7}', b'{"exchange":"US"}', b"null", b"[" * 900 + b"]" * 900],
    ids=["list", "number", "half", "null", "deep"],
)
def test_an_answer_in_another_shape_is_said(body: bytes) -> None:
    with serve_replies((200, body)) as (url, _), make_rest(url) as rest, pytest.raises(AnswerInvalid, match="/stock/market-status"):
        rest.market_status()


def test_an_answer_that_is_too_large_for_a_frame_is_not_read_to_its_end() -> None:
    with serve_replies((200, b" " * (3 << 20))) as (url, _), make_rest(url) as rest, pytest.raises(AnswerInvalid, match="1,048,576 bytes"):
        rest.candles("AAPL", "1", 0, 1)


def test_an_answer_that_trickles_for_ever_is_given_up() -> None:
    clock = FakeClock()
    with (
        serve_replies((200, STATUS), on_request=lambda: clock.sleep(200)) as (url, _),
        make_rest(url, clock=clock, attempts=2) as rest,
        pytest.raises(VendorUnavailable, match="TimeoutError"),
    ):
        rest.market_status()


def test_a_redirect_is_not_followed_and_takes_the_key_nowhere() -> None:
    with serve_replies((302, b"")) as (url, vendor), make_rest(url) as rest, pytest.raises(RequestRefused, match="302"):
        rest.market_status()
    assert len(vendor.requests) == 1


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "schlüssel"])
def test_a_key_that_fits_no_header_is_refused_before_anything_is_asked(key: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        FinnhubRest(url="http://127.0.0.1:1", key=key, budget=make_rest("http://127.0.0.1:1")._budget, clock=FakeClock())
    assert not key or key not in refused.value.what + refused.value.hint


def test_the_key_stands_in_a_header_and_is_told_to_nobody(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="ticklake")
    exchange = make_premium(is_premium=False)
    with serve_exchange(exchange) as url, make_rest(url) as vendor:
        vendor.quote("AAPL")
        with pytest.raises(PlanRefused):
            vendor.ticks("AAPL", DAY, skip=0, limit=1)
    said: list[TicklakeError] = []
    echo = b'{"error":"no: ' + KEY.encode() + b' is not welcome"}'
    for status in (200, 400, 401, 403, 500):
        with serve_replies((status, echo)) as (url, server), make_rest(url, attempts=1) as rest:
            with pytest.raises(TicklakeError) as refused:
                rest.quote("AAPL")
            said.append(refused.value)
            assert [headers["X-Finnhub-Token"] for _, headers in server.requests] == [KEY]
            assert KEY not in server.requests[0][0]
    told = capfd.readouterr()
    assert KEY not in told.out + told.err + caplog.text + "".join(exchange.rest.asked)
    assert KEY not in "".join(f"{error}{error.hint}{error.__cause__}{error.__context__}" for error in said)
    assert Counter(type(error).__name__ for error in said) == dict.fromkeys(
        ["AnswerInvalid", "RequestRefused", "KeyRefused", "PlanRefused", "VendorUnavailable"], 1
    )
    assert "…" in said[1].what
    assert not [record for record in caplog.records if record.name.startswith("http")]  # they would tell addresses
    assert not list(tmp_path.iterdir())
