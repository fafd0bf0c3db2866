"""Bars counted by hand, against those that the auditor counts from trades."""

from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from tests.rig import utc_ms
from ticklake.audit.calendar import Calendars
from ticklake.audit.prints import UNITS, Print
from ticklake.audit.recount import Bar, TradingDay, count_bars, is_continuous, see_day, split_days
from ticklake.audit.seeds import Lens, read_seeds
from ticklake.warehouse.transform import find_project

SEEDS: Final = read_seeds(find_project() / "seeds")
LENSES: Final = {lens.name: lens for lens in SEEDS.lenses}
GRACE_NS: Final = 60_000_000_000
DAY: Final = "2025-11-18"  # a Tuesday in winter: New York is open from 14:30 to 21:00 UTC
COLUMNS: Final = ("open", "high", "low", "close", "volume", "trade_count", "priced_volume", "notional", "revision")


def trade(clock: str, price: float, size: int, *codes: str, after_seconds: float = 0.0, seq: int = 0, symbol: str = "AAPL") -> Print:
    """Give a trade of the day, received some seconds after it was made."""
    traded_ms = utc_ms(f"{DAY} {clock}")
    received_ns = traded_ms * 1_000_000 + round(after_seconds * 1e9)
    units = round(price * 100) * UNITS // 100, size * UNITS
    return Print(traded_ms, received_ns, "a/1", seq, 0, "demo", symbol, *units, codes, "", "object", 0, "")


def days(*trades: Print, symbol: str = "AAPL") -> list[TradingDay]:
    """Give trades by trading day."""
    return split_days(symbol, trades, Calendars(SEEDS.exchanges).of(symbol))


def count(lens: str, interval: str, *trades: Print, symbol: str = "AAPL") -> dict[str, tuple[Any, ...]]:
    """Give the columns of the bars of one day, by their start; prices as numbers."""
    (day,) = days(*trades, symbol=symbol)
    return {to_clock(bar.start_ms): columns_of(bar) for bar in count_bars(day, LENSES[lens], grace_ns=GRACE_NS)[interval].values()}


def to_clock(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%H:%M")


def columns_of(bar: Bar) -> tuple[Any, ...]:
    prices = [None if price is None else price / UNITS for price in (bar.open, bar.high, bar.low, bar.close)]
    volumes = (bar.volume / UNITS, bar.trade_count, bar.priced_volume / UNITS, bar.notional / UNITS / UNITS)
    return (*prices, *volumes, bar.revision)


def test_a_minute_five_and_a_day_add_up_the_same_prints() -> None:
    trades = [trade("14:30:10", 10, 100), trade("14:30:20", 12, 200), trade("14:30:59.999", 11, 50), trade("14:31", 9, 1)]

    assert count("sip", "1m", *trades) == {"14:30": (10, 12, 10, 11, 350, 3, 350, 3950, 1), "14:31": (9, 9, 9, 9, 1, 1, 1, 9, 1)}
    assert count("sip", "5m", *trades) == {"14:30": (10, 12, 9, 9, 351, 4, 351, 3959, 1)}
    assert count("sip", "1d", *trades) == {"05:00": (10, 12, 9, 9, 351, 4, 351, 3959, 1)}


def test_the_order_is_that_of_trade_then_of_arrival() -> None:
    trades = [trade("14:30:20", 3, 1), trade("14:30:10", 2, 1, after_seconds=1), trade("14:30:10", 1, 1), trade("14:30:20", 4, 1, seq=1)]
    assert count("sip", "1m", *trades)["14:30"][:4] == (1, 4, 1, 4)


def test_a_price_update_of_size_0_sets_prices_and_adds_nothing() -> None:
    assert count("sip", "1m", trade("14:30", 9, 0)) == {"14:30": (9, 9, 9, 9, 0, 0, 0, 0, 1)}


def test_what_may_set_no_price_adds_volume_to_a_bar_without_prices() -> None:
    odd_lot = trade("14:30", 9, 5, "12")
    for interval, start in (("1m", "14:30"), ("5m", "14:30"), ("1d", "05:00")):
        assert count("sip", interval, odd_lot) == {start: (None, None, None, None, 5, 1, 0, 0, 1)}
    assert count("all_prints", "1m", odd_lot) == {"14:30": (9, 9, 9, 9, 5, 1, 5, 45, 1)}


def test_what_may_do_nothing_makes_no_bar() -> None:
    for interval in ("1m", "5m", "1d"):
        assert count("sip", interval, trade("14:30", 9, 5, "16")) == {}
    assert count("sip", "5m", trade("14:30", 9, 5, "16"), trade("14:31", 8, 0, "12")) == {}


def test_the_least_size_adds_volume_and_what_counts_not_is_passed_over() -> None:
    least = trade("14:30:01", 9, 0)._replace(size=1)
    assert count("sip", "1m", trade("14:30", 8, 5, "16"), least)["14:30"] == (9, 9, 9, 9, 1e-8, 1, 1e-8, 9e-8, 1)


def test_a_minute_without_prices_changes_no_price_of_its_five() -> None:
    trades = [trade("14:30", 9, 5, "12"), trade("14:31", 10, 1), trade("14:32", 11, 1), trade("14:33", 3, 7, "12")]
    assert count("sip", "5m", *trades) == {"14:30": (10, 11, 10, 11, 14, 4, 2, 21, 1)}


def test_first_of_the_day_only() -> None:
    """Sold out of sequence, 30: open and close as the first that may be, through sip."""
    first, later = trade("14:30:01", 10, 1, "30"), trade("14:30:03", 12, 1, "30")
    odd_lot = trade("14:30:00", 20, 1, "12")

    assert count("sip", "1m", odd_lot, first, trade("14:30:02", 11, 1), later)["14:30"][:4] == (10, 12, 10, 11)
    assert count("sip", "1d", odd_lot, first, later)["05:00"][:4] == (10, 12, 10, 10)
    assert count("regular_way", "1m", first, later)["14:30"][:4] == (10, 12, 10, 12)
    odd_lot_between = trade("14:30:02.500", 20, 1, "12")
    for interval, start in (("1m", "14:30"), ("1d", "05:00")):
        assert count("sip", interval, trade("14:30:02", 11, 1), odd_lot_between, later)[start][:4] == (11, 12, 11, 11)
    assert count("sip", "1m", trade("14:29:59", 9, 1), first)["14:30"][:4] == (None, 10, 10, None)


def test_form_t_sets_prices_outside_the_regular_session_and_none_of_the_day() -> None:
    pre, regular, post = (trade(clock, price, 1, "24") for clock, price in (("14:29", 5), ("15:00", 50), ("21:00", 6)))
    ordinary = trade("16:00", 20, 1)

    assert count("sip", "1m", pre, regular, post, ordinary) == {
        "14:29": (5, 5, 5, 5, 1, 1, 1, 5, 1),
        "15:00": (None, None, None, None, 1, 1, 0, 0, 1),
        "16:00": (20, 20, 20, 20, 1, 1, 1, 20, 1),
        "21:00": (6, 6, 6, 6, 1, 1, 1, 6, 1),
    }
    assert count("sip", "1d", pre, regular, post, ordinary) == {"05:00": (20, 20, 20, 20, 4, 4, 1, 20, 1)}


def test_a_form_t_print_is_no_first_of_the_day_for_the_day_and_is_one_for_the_pre_market() -> None:
    trades = [trade("14:29", 5, 1, "24"), trade("14:30", 7, 1, "30")]
    assert count("sip", "1m", *trades)["14:30"][:4] == (None, 7, 7, None)
    assert count("sip", "1d", *trades)["05:00"][:4] == (7, 7, 7, 7)


def test_the_largest_auctions_are_open_and_close_of_the_session() -> None:
    trades = [
        trade("14:24:59.999", 1, 9_000, "19"),
        trade("14:30:05", 10, 1),
        trade("14:30:06", 11, 100, "19"),
        trade("14:31:00", 30, 500, "19", after_seconds=1),
        trade("14:59:59.999", 31, 500, "19"),
        trade("15:00", 2, 9_000, "19"),
        trade("20:59:59", 20, 1),
        trade("20:59:59.999", 3, 9_000, "36"),
        trade("21:00", 19, 100, "36"),
        trade("21:29:59.999", 5, 200, "36"),
        trade("21:30", 4, 9_000, "36"),
    ]
    by_minute, by_five, by_day = (count("regular_way", interval, *trades) for interval in ("1m", "5m", "1d"))

    assert by_minute["14:30"][:4] == (30, 30, 10, 11)
    assert by_minute["14:31"][:4] == (30, 30, 30, 30)
    assert by_minute["20:59"][:4] == (20, 20, 3, 5)
    assert by_minute["21:29"][:4] == (5, 5, 5, 5)
    assert by_five["14:30"][:4] == (30, 30, 10, 30)
    assert by_five["20:55"][:4] == (20, 20, 3, 5)
    assert by_day["05:00"][:4] == (30, 31, 1, 5)
    assert count("sip", "1m", *trades)["14:30"][:4] == (10, 11, 10, 11)


def test_of_equal_auctions_the_earliest_counts() -> None:
    trades = [trade("14:30:05", 10, 1), trade("14:30:06", 11, 100, "19"), trade("14:30:07", 12, 100, "19")]
    trades += [trade("20:59", 20, 1), trade("21:00:06", 21, 100, "36"), trade("21:00:07", 22, 100, "36")]
    assert count("regular_way", "1m", *trades)["14:30"][0] == 11
    assert count("regular_way", "1m", *trades)["20:59"][3] == 21


def test_an_auction_makes_no_minute_that_did_not_trade_and_is_open_of_the_day() -> None:
    trades = [trade("14:31:05", 10, 100, "19"), trade("21:00:05", 12, 100, "36"), trade("15:00", 11, 1)]
    assert set(count("regular_way", "1m", *trades)) == {"14:31", "15:00", "21:00"}
    assert count("regular_way", "1d", *trades)["05:00"][:4] == (10, 12, 10, 12)


def test_an_auction_that_sets_no_price_of_its_own_widens_what_it_opens_and_closes() -> None:
    trades = [trade("14:30", 10, 1), trade("14:31", 30, 9, "12", "19"), trade("20:59", 12, 1), trade("21:00", 2, 9, "12", "36")]
    assert count("regular_way", "1d", *trades)["05:00"][:4] == (30, 30, 2, 2)
    assert count("regular_way", "5m", *trades)["14:30"][:4] == (30, 30, 10, 10)


def test_auctions_widen_the_day_and_lie_in_the_windows_of_a_half_day() -> None:
    (day,) = split_days(
        "AAPL",
        [each._replace(traded_ms=each.traded_ms + 10 * 86_400_000) for each in (trade("17:59", 8, 1), trade("18:00", 9, 10, "36"))],
        Calendars(SEEDS.exchanges).of("AAPL"),
    )
    assert day.trading_date == date(2025, 11, 28)  # the day after Thanksgiving closes at 13:00
    bars = count_bars(day, LENSES["regular_way"], grace_ns=GRACE_NS)
    assert [columns_of(bar)[:4] for bar in bars["1m"].values()] == [(8, 9, 8, 9), (9, 9, 9, 9)]


def test_what_came_after_the_grace_is_a_revision_for_each_minute_in_which_it_came() -> None:
    in_time, late, later, latest = (
        trade("14:30:59", price, 1, after_seconds=seconds) for price, seconds in ((1, 61), (2, 61.001), (3, 62), (4, 181))
    )
    assert count("sip", "1m", in_time)["14:30"][-1] == 1
    assert count("sip", "1m", in_time, late)["14:30"][-1] == 2
    assert count("sip", "1m", in_time, late, later)["14:30"][-1] == 2
    assert count("sip", "1m", in_time, late, later, latest)["14:30"][-1] == 3
    assert count("sip", "5m", in_time, late, later, latest)["14:30"][-1] == 1
    assert count("sip", "5m", trade("14:30:59", 1, 1, after_seconds=400))["14:30"][-1] == 2
    assert count("sip", "1d", trade("14:30:59", 1, 1, after_seconds=100_000))["05:00"][-1] == 2
    assert count("sip", "1m", trade("14:30:59", 1, 1, "16", after_seconds=500), in_time)["14:30"][-1] == 1
    in_two_minutes = [trade("14:30", 1, 1, after_seconds=500), trade("14:31", 1, 1), trade("14:32", 1, 1, after_seconds=500)]
    assert count("sip", "5m", *in_two_minutes)["14:30"][-1] == 3
    assert count("sip", "1d", trade("14:30", 1, 1, after_seconds=100_000), trade("14:31", 1, 1))["05:00"][-1] == 2
    assert count("sip", "1d", trade("14:30", 1, 1), trade("14:31", 1, 1, after_seconds=100_000))["05:00"][-1] == 2


def test_an_auction_that_came_late_is_a_revision_of_the_bars_whose_price_it_is() -> None:
    trades = [trade("14:30:05", 10, 1), trade("14:32:06", 11, 100, "19"), trade("20:59", 20, 1), trade("21:07", 21, 100, "36")]
    assert {start: bar[-1] for start, bar in count("regular_way", "1m", *trades).items()} == {
        "14:30": 2,
        "14:32": 1,
        "20:59": 2,
        "21:07": 1,
    }
    assert {start: bar[-1] for start, bar in count("regular_way", "5m", *trades).items()} == {"14:30": 1, "20:55": 2, "21:05": 1}
    assert count("regular_way", "1d", *trades)["05:00"][-1] == 1


def test_bars_say_when_they_are_final_where_they_lie_and_from_when_to_when_they_traded() -> None:
    (day,) = days(trade("14:31:10", 1, 1), trade("14:30:10", 1, 0), trade("14:32", 1, 9, "16"))
    bars = count_bars(day, LENSES["sip"], grace_ns=GRACE_NS)
    five, one_day = bars["5m"][utc_ms(f"{DAY} 14:30")], bars["1d"][utc_ms(f"{DAY} 05:00")]

    assert list(bars["1m"]) == [utc_ms(f"{DAY} 14:30"), utc_ms(f"{DAY} 14:31")]
    assert bars["1m"][utc_ms(f"{DAY} 14:31")].final_ns == utc_ms(f"{DAY} 14:33") * 1_000_000
    assert five.final_ns == utc_ms(f"{DAY} 14:36") * 1_000_000
    assert one_day.final_ns == utc_ms("2025-11-19 05:01") * 1_000_000
    assert {bar.market_session for bar in (*bars["1m"].values(), five)} == {"regular"}
    for bar in (five, one_day):
        assert (bar.first_traded_ms, bar.last_traded_ms) == (utc_ms(f"{DAY} 14:30:10"), utc_ms(f"{DAY} 14:31:10"))
    minute = bars["1m"][utc_ms(f"{DAY} 14:30")]
    assert minute.first_traded_ms == minute.last_traded_ms == utc_ms(f"{DAY} 14:30:10")


def test_a_pair_trades_round_the_clock_on_utc_days() -> None:
    symbol = "BINANCE:BTCUSDT"
    night, morning = trade("23:59:59", 5, 1, "24", symbol=symbol), trade("00:00", 4, 1, "30", symbol=symbol)
    (day,) = days(night, morning, symbol=symbol)

    assert (day.trading_date, day.hours, day.bounds_ms) == (date(2025, 11, 18), None, (utc_ms(DAY), utc_ms("2025-11-19")))
    assert set(day.sessions.values()) == {"continuous"}
    assert count("sip", "1d", night, morning, symbol=symbol) == {"00:00": (4, 4, 4, 4, 2, 2, 1, 4, 1)}
    assert count("regular_way", "1m", trade("14:30", 4, 1, "19", symbol=symbol), symbol=symbol)["14:30"][0] == 4


def test_trading_days_are_those_of_the_exchange() -> None:
    evening, night, next_day = (trade(clock, 1, 1) for clock in ("04:59:59", "05:00", "23:00"))
    assert [(day.trading_date, len(day.trades)) for day in days(next_day, evening, night)] == [
        (date(2025, 11, 17), 1),
        (date(2025, 11, 18), 2),
    ]


@pytest.mark.parametrize(("symbol", "expected"), [("AAPL", False), ("OANDA:EUR_USD", True)])
def test_a_symbol_that_names_its_venue_trades_round_the_clock(symbol: str, expected: bool) -> None:
    assert is_continuous(symbol) is expected


def test_each_trade_is_seen_with_what_it_may_set() -> None:
    (day,) = days(trade("14:30", 1, 1, "30"), trade("14:31", 1, 0, "12"), trade("14:32", 1, 1))
    seen = see_day(day, LENSES["sip"]).trades
    assert day.symbol == "AAPL"
    assert [each.ruling for each in seen] == [LENSES["sip"].judge(each.trade.conditions) for each in seen]
    assert [(each.sets_last, each.sets_high_low, each.adds_volume, each.counts) for each in seen] == [
        (True, True, True, True),
        (False, False, False, False),
        (True, True, True, True),
    ]


def test_a_lens_judges_the_same_whether_its_rules_are_read_or_written() -> None:
    sip = LENSES["sip"]
    assert Lens("mine", has_auctions=True, unknown=sip.unknown, rules=sip.rules).judge(("19",)).is_opening_auction
