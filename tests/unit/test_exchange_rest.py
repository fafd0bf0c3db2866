"""What the exchange's REST says in the middle of a day, and about days of other kinds."""

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from websockets.datastructures import Headers
from websockets.http11 import Request

from tests.rig import utc_ms
from tests.unit.fakes import FakeClock
from ticklake.feed.exchange.prints import Print
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.rest import KEY_HEADER, Rest, RestPlan
from ticklake.feed.exchange.rest_prices import DayPrices, make_candles
from ticklake.feed.exchange.tape import make_tape

TAPE = make_tape(5, prints=2_400, quirks=Quirks())
SYMBOLS = TAPE.symbols
PRINTS = [each for frame in TAPE.frames for each in frame]
KEY = "k"


def ask(path: str, moment: str, **parameters: str) -> Any:
    """Give what is answered at a moment of the market."""
    market_clock = FakeClock(utc_ms(moment) * 1_000_000)
    rest = Rest(iter(PRINTS), symbols=SYMBOLS, seed=5, plan=RestPlan((KEY,), is_premium=True), clock=FakeClock(), market_clock=market_clock)
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    answer = rest.answer(Request(f"/api/v1/{path}?{query}", Headers({KEY_HEADER: KEY})))
    assert answer.status_code == 200, answer.body
    return msgspec.json.Decoder(float_hook=Decimal).decode(answer.body)


def test_a_quote_knows_what_was_told_by_now_and_no_more() -> None:
    prices, moments = DayPrices(iter(PRINTS), stocks=SYMBOLS, seed=5), range(TAPE.first_ms, TAPE.first_ms + 16 * 3_600_000, 1_700_000)
    seen = 0
    for now_ms in moments:
        told = [each.trade for each in PRINTS if each.received_ms <= now_ms and each.trade.symbol == "NVDA"]
        quote = prices.quote("NVDA", now_ms)
        if not told:
            assert quote["c"] == quote["pc"] == Decimal("181.36")
            continue
        newest = max(each.traded_ms for each in told)
        known = [each.price for each in told]
        assert (quote["o"], quote["h"], quote["l"]) == (told[0].price, max(known), min(known))
        assert quote["c"] == [each.price for each in told if each.traded_ms == newest][-1]
        assert (quote["d"], quote["t"]) == (quote["c"] - quote["pc"], newest // 1000)
        seen += 1
    assert 0 < seen < len(moments)


@pytest.mark.parametrize(
    ("moment", "session", "is_open", "holiday"),
    [
        ("2025-11-18 08:59", None, False, None),
        ("2025-11-18 09:00", "pre-market", False, None),
        ("2025-11-18 14:29", "pre-market", False, None),
        ("2025-11-18 14:30", "regular", True, None),
        ("2025-11-18 20:59", "regular", True, None),
        ("2025-11-18 21:00", "post-market", False, None),
        ("2025-11-19 01:00", None, False, None),
        ("2025-11-22 16:00", None, False, None),
        ("2025-11-27 16:00", None, False, "Thanksgiving Day"),
        ("2025-11-28 17:59", "regular", True, "Thanksgiving Day"),
        ("2025-11-28 18:00", "post-market", False, "Thanksgiving Day"),
        ("2025-11-28 22:00", None, False, "Thanksgiving Day"),
        ("2025-09-02 13:30", "regular", True, None),
    ],
)
def test_the_status_follows_the_market_by_its_own_clock(moment: str, session: str | None, is_open: bool, holiday: str | None) -> None:
    status = ask("stock/market-status", moment, exchange="US")
    assert (status["session"], status["isOpen"], status["holiday"]) == (session, is_open, holiday)
    assert status["t"] == utc_ms(moment) // 1000


def test_the_tape_comes_with_the_last_print_of_the_day_and_not_before() -> None:
    last_ms = max(each.trade.traded_ms for each in PRINTS if ":" not in each.trade.symbol)
    prices = DayPrices(iter(PRINTS), stocks=[symbol for symbol in SYMBOLS if ":" not in symbol], seed=5)
    day = date(2025, 11, 18)
    before, after = (prices.ticks("AAPL", day, skip=0, limit=9, now_ms=now_ms)["total"] for now_ms in (last_ms - 1, last_ms))
    assert (before, after) == (0, sum(each.trade.symbol == "AAPL" for each in PRINTS))


def test_pairs_have_no_tape_here_and_are_not_listed() -> None:
    assert "BINANCE:BTCUSDT" not in {each["symbol"] for each in ask("stock/symbol", "2025-11-18 15:00", exchange="US")}
    assert ask("stock/tick", "2025-11-20 15:00", symbol="BINANCE:BTCUSDT", date="2025-11-18")["total"] == 0
    assert ask("stock/symbol", "2025-11-18 15:00", exchange="L") == []


def test_candles_by_hand() -> None:
    def tell(traded_ms: int, price: str, size: str, conditions: str = "") -> Any:
        return PRINTS[0].trade._replace(traded_ms=traded_ms, price=Decimal(price), size=Decimal(size), conditions=conditions)

    start = utc_ms("2025-11-18 15:00")
    tape = [
        tell(start, "10", "5"),
        tell(start + 30_000, "12", "1"),
        tell(start + 59_999, "9", "2"),
        tell(start + 59_999, "99", "9999", "16"),
        tell(start + 60_000, "11", "0"),
    ]
    assert [list(candle) for candle in make_candles(tape, "1")] == [
        [start // 1000, 10, 12, 9, 9, 8],
        [start // 1000 + 60, 11, 11, 11, 11, 0],
    ]
    (day,) = make_candles(tape, "D")
    assert list(day) == [utc_ms("2025-11-18 00:00") // 1000, 10, 12, 9, 11, 8]


def test_the_same_seed_gives_the_same_answers_and_another_one_others() -> None:
    def tell(seed: int, prints: list[Print]) -> Any:
        prices = DayPrices(iter(prints), stocks=["AAPL"], seed=seed)
        return [
            prices.splits("AAPL", date(2000, 1, 1), date(2030, 1, 1)),
            prices.ticks("AAPL", date(2025, 11, 18), skip=0, limit=9_999, now_ms=1 << 60)["x"],
        ]

    assert tell(5, PRINTS) == tell(5, PRINTS)
    assert tell(5, PRINTS) != tell(6, PRINTS)
