"""The made-up day has the shape of a real one: its hours, its bursts, its shares, its auctions and halts."""

from collections import Counter
from collections.abc import Iterable
from statistics import fmean, pvariance

import pytest

from ticklake.feed.exchange.hours import A_TUESDAY, MINUTE_MS, Hours
from ticklake.feed.exchange.listings import LISTINGS, list_symbols
from ticklake.feed.exchange.prints import Print
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.tape import Tape, make_tape
from ticklake.feed.exchange.walk import LATE_MS, trade_market

PRINTS = 60_000
HALF_DAY = Hours(
    A_TUESDAY.first_ms,
    A_TUESDAY.open_ms,
    A_TUESDAY.open_ms + 210 * MINUTE_MS,
    A_TUESDAY.open_ms + 450 * MINUTE_MS,
)
COIN = "BINANCE:BTCUSDT"


def prints_of(tape: Tape) -> list[Print]:
    return [each for frame in tape.frames for each in frame]


def stocks(prints: Iterable[Print]) -> list[Print]:
    return [each for each in prints if ":" not in each.trade.symbol]


def count_a_minute(prints: list[Print], from_ms: int, minutes: int) -> float:
    return sum(from_ms <= each.trade.traded_ms < from_ms + minutes * MINUTE_MS for each in prints) / minutes


@pytest.fixture(scope="module")
def tape() -> Tape:
    return make_tape(5, prints=PRINTS, quirks=Quirks())


@pytest.fixture(scope="module")
def prints(tape: Tape) -> list[Print]:
    return prints_of(tape)


def test_the_same_seed_gives_the_same_day_and_another_one_another(tape: Tape) -> None:
    small = make_tape(5, prints=1_000, quirks=Quirks())
    assert small == make_tape(5, prints=1_000, quirks=Quirks())
    assert small.frames != make_tape(6, prints=1_000, quirks=Quirks()).frames
    assert tape.first_ms == A_TUESDAY.first_ms


def test_a_day_has_as_many_prints_as_it_was_asked_for(prints: list[Print]) -> None:
    assert abs(len(prints) - PRINTS) < 50


def test_frames_come_in_the_order_of_receipt(prints: list[Print]) -> None:
    received = [each.received_ms for each in prints]
    assert received == sorted(received)
    assert all(each.received_ms > each.trade.traded_ms for each in prints)


def test_trading_is_a_u_over_the_session_and_little_outside_of_it(prints: list[Print]) -> None:
    shares = stocks(prints)
    opening = count_a_minute(shares, A_TUESDAY.open_ms, 30)
    middle = count_a_minute(shares, A_TUESDAY.open_ms + 150 * MINUTE_MS, 90)
    closing = count_a_minute(shares, A_TUESDAY.close_ms - 30 * MINUTE_MS, 30)
    before = count_a_minute(shares, A_TUESDAY.first_ms, 330)
    after = count_a_minute(shares, A_TUESDAY.close_ms + MINUTE_MS, 239)
    assert min(opening, closing) > 1.8 * middle
    assert 0 < max(before, after) < 0.25 * middle


def test_orders_come_in_bursts(prints: list[Print]) -> None:
    """By a steady stream of orders, the variance of their number a second would be its mean."""
    from_ms, seconds = A_TUESDAY.open_ms + 120 * MINUTE_MS, 120 * 60
    orders = {each.trade.traded_ms for each in prints if each.trade.symbol == "NVDA"}
    counts = Counter((at_ms - from_ms) // 1_000 for at_ms in orders if 0 <= at_ms - from_ms < seconds * 1_000)
    a_second = [counts[second] for second in range(seconds)]
    assert pvariance(a_second) > 1.5 * fmean(a_second)


def test_shares_of_many_symbols_fall_off_as_one_over_their_place() -> None:
    listings = list_symbols(400)
    counts = Counter(each.trade.symbol for each in trade_market(5, prints=PRINTS, listings=listings)[0])
    near, far = (fmean(counts[listing.symbol] for listing in listings[place : place + 40]) for place in (20, 200))
    assert 4 < near / far < 8  # 220 / 40 is 5.5
    assert len(counts) == 400


def test_the_first_symbols_are_the_known_ones_and_each_stays_what_it_is() -> None:
    many = list_symbols(500)
    assert many[:6] == list(LISTINGS)
    assert list_symbols(40) == many[:40]
    assert list_symbols(3) == list(LISTINGS[:3])
    assert len({listing.symbol for listing in many}) == 500
    assert sum(listing.is_continuous for listing in many) == 1 + 50
    assert all(listing.price % listing.tick == 0 < listing.price for listing in many)


def test_a_half_day_ends_early_for_shares_and_not_for_coins() -> None:
    told = prints_of(make_tape(5, prints=6_000, quirks=Quirks(), hours=HALF_DAY))
    shares = stocks(told)
    assert max(each.trade.traded_ms for each in shares) < HALF_DAY.end_ms
    assert max(each.trade.traded_ms for each in told) > HALF_DAY.end_ms + 120 * MINUTE_MS
    closing = [each for each in shares if each.trade.conditions in {"16", "36"}]
    assert {each.trade.traded_ms - HALF_DAY.close_ms for each in closing} == {61}
    assert count_a_minute(shares, HALF_DAY.close_ms - 20 * MINUTE_MS, 20) > 3 * count_a_minute(shares, HALF_DAY.close_ms + MINUTE_MS, 60)


def test_on_a_holiday_only_coins_trade() -> None:
    tape = make_tape(5, prints=1_000, quirks=Quirks(), hours=Hours(A_TUESDAY.first_ms))
    assert {each.trade.symbol for each in prints_of(tape)} == {COIN}
    assert (len(prints_of(tape)), tape.halts) == (1_000, [])
    assert tape.symbols == [listing.symbol for listing in LISTINGS]


def test_a_symbol_that_is_halted_does_not_trade_and_then_all_at_once(tape: Tape, prints: list[Print]) -> None:
    (halt,) = tape.halts
    moments = [each.trade.traded_ms for each in prints if each.trade.symbol == halt.symbol]
    assert 5 * MINUTE_MS <= halt.to_ms - halt.from_ms <= 15 * MINUTE_MS
    assert A_TUESDAY.open_ms < halt.from_ms < halt.to_ms < A_TUESDAY.close_ms
    assert not [at_ms for at_ms in moments if halt.from_ms <= at_ms < halt.to_ms]
    assert sum(halt.to_ms <= at_ms < halt.to_ms + 3_000 for at_ms in moments) > 50


def test_many_symbols_have_more_halts() -> None:
    _, halts = trade_market(5, prints=1_000, listings=list_symbols(400))
    assert len(halts) == len({halt.symbol for halt in halts}) == 3


def test_an_auction_opens_and_closes_each_share(prints: list[Print]) -> None:
    for code, at_ms in (("19", A_TUESDAY.open_ms), ("20", A_TUESDAY.open_ms), ("36", A_TUESDAY.close_ms), ("16", A_TUESDAY.close_ms)):
        auctions = [each.trade for each in prints if each.trade.conditions == code]
        assert sorted(trade.symbol for trade in auctions) == ["AAPL", "MSFT", "NVDA", "SPY", "TSLA"]
        assert {trade.traded_ms for trade in auctions} == {at_ms + 61}
        assert all(trade.size % 100 == 0 and trade.size > 1_000 for trade in auctions)


def test_prices_stand_on_ticks_and_move_as_far_as_a_day_does(prints: list[Print]) -> None:
    for listing in LISTINGS:
        prices = [each.trade.price for each in prints if each.trade.symbol == listing.symbol]
        assert all(price * 10_000 % listing.tick == 0 for price in prices)
        assert 0.2 * listing.volatility < (max(prices) - min(prices)) / float(prices[0]).__ceil__() < 6 * listing.volatility


def test_twins_odd_lots_late_prints_and_conditions_have_their_shares(prints: list[Print]) -> None:
    trades = [each.trade for each in stocks(prints)]
    assert 0.1 < 1 - len({*trades}) / len(trades) < 0.4
    assert 0.3 < sum("12" in trade.conditions.split(",") for trade in trades) / len(trades) < 0.5
    assert 0.3 < sum(trade.conditions in {"", "12"} for trade in trades) / len(trades) < 0.6
    late = [each for each in prints if each.received_ms - each.trade.traded_ms >= LATE_MS]
    assert 0.001 < len(late) / len(prints) < 0.006
    assert all("30" in each.trade.conditions.split(",") for each in stocks(late))
    outside = [each.trade for each in stocks(prints) if not A_TUESDAY.open_ms <= each.trade.traded_ms <= A_TUESDAY.close_ms + 61]
    assert all("24" in trade.conditions.split(",") for trade in outside)
