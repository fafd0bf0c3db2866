"""When a symbol is taken for silent: by its own rate, and how seldom by mistake."""

import csv
import gzip
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.live_rig import trade
from tests.rig import utc_ms
from ticklake.feed.finnhub.rates import MAX_SEEN, MEMORY, PATIENCE, Rates

SECOND = 10**9
START = 1_763_560_800 * SECOND


def make_rates(*, floor_seconds: float = 60.0, symbols: Iterable[str] = ("AAPL",)) -> Rates:
    rates = Rates(is_trading=lambda _symbol, _now_ns: True, floor_seconds=floor_seconds)
    rates.observe(symbols, START)
    return rates


def say_something(rates: Rates, second: float) -> None:
    """Let the connection be heard, and no symbol."""
    rates.see(b'{"type":"ping"}', START + round(second * SECOND))


def first_alarm(rates: Rates, *, every: float, last: float, until: float, symbol: str = "AAPL") -> float | None:
    """Hear of a symbol regularly up to a last time, look each second; give when it is taken for silent, in seconds."""
    heard = 0.0
    for second in range(1, int(until)):
        say_something(rates, second)
        while (heard + every) <= min(second, last):
            heard += every
            rates.see(trade(symbol).encode(), START + round(heard * SECOND))
        if rates.silent(START + second * SECOND):
            return second - heard
    return None


@pytest.mark.parametrize(("every", "limit"), [(0.25, 60), (1, 60), (3, 60), (10, 200), (60, 1_200)])
def test_the_limit_is_a_multiple_of_the_symbols_own_gaps_and_no_less_than_the_floor(every: float, limit: float) -> None:
    assert limit == max(60, PATIENCE * max(every, 1))
    assert first_alarm(make_rates(), every=every, last=30 * every + 30, until=10_000) == pytest.approx(limit, abs=2)


def test_a_symbol_that_was_never_heard_of_is_never_taken_for_silent() -> None:
    assert first_alarm(make_rates(), every=1, last=0, until=20_000) is None


def test_a_symbol_is_learnt_before_it_is_judged() -> None:
    assert first_alarm(make_rates(), every=2, last=2 * MEMORY, until=10_000) is None
    assert first_alarm(make_rates(), every=2, last=2 * MEMORY + 2, until=10_000) is not None


def test_what_was_learnt_outlives_the_connection_and_the_pause_between_two_is_no_gap() -> None:
    rates = make_rates()
    assert first_alarm(rates, every=1, last=40, until=41) is None
    rates.forget_all()
    assert rates.silent(START + 5_000 * SECOND) == []
    rates.observe(["AAPL"], START + 5_000 * SECOND)
    say_something(rates, 5_060)
    assert rates.silent(START + 5_060 * SECOND) == []
    say_something(rates, 5_061)
    assert rates.silent(START + 5_061 * SECOND) == [("AAPL", START + 5_000 * SECOND)]


def test_a_symbol_whose_rate_drops_is_learnt_anew_instead_of_asked_for_for_ever() -> None:
    rates = make_rates()
    assert first_alarm(rates, every=1, last=40, until=41) is None
    asked = 0
    for second in range(41, 10_000):
        say_something(rates, second)
        if second % 100 == 0:
            rates.see(trade("AAPL").encode(), START + second * SECOND)
        for symbol, _ in rates.silent(START + second * SECOND):
            asked += 1
            rates.observe([symbol], START + second * SECOND)
    assert 1 <= asked <= 3


@pytest.mark.parametrize(
    "message",
    [
        '{"data":[{"p":1,"s":"AAPL","t":1,"v":1}],"type":"trade"}',
        '{"type": "trade", "data": [{"s" : "AAPL", "p": 1}]}',
        '{"data":[{"s":"MSFT"},{"s":"AAPL"}]}',
    ],
)
def test_a_symbol_is_found_however_the_message_is_spaced(message: str) -> None:
    rates = make_rates()
    for second in range(1, 40):
        rates.see(message.encode(), START + second * SECOND)
        assert rates.silent(START + second * SECOND) == []
    say_something(rates, 100)
    assert rates.silent(START + 100 * SECOND) == [("AAPL", START + 39 * SECOND)]


def test_a_connection_that_hangs_is_no_symbols_silence() -> None:
    rates = make_rates()
    assert first_alarm(rates, every=1, last=40, until=41) is None
    assert [each for second in range(41, 200) for each in rates.silent(START + second * SECOND)] == []
    say_something(rates, 200)
    assert rates.silent(START + 200 * SECOND) == [("AAPL", START + 40 * SECOND)]


def test_names_that_a_server_makes_up_take_no_memory() -> None:
    rates = make_rates()
    for number in range(5 * MAX_SEEN):
        rates.see(b'{"s":"X%d"}' % number, START + number)
        assert len(rates._seen) <= MAX_SEEN
    rates.silent(START + SECOND)
    assert (len(rates._seen), len(rates._pulses)) == (0, 1)


def read_times(tape: Path, symbol: str) -> list[int]:
    """Give the seconds of a symbol's prints of one regular session, from its opening on."""
    opens, closes = utc_ms("2013-10-07 13:30"), utc_ms("2013-10-07 20:00")
    with gzip.open(tape / "trades" / f"{symbol}-2013-10-07.csv.gz", "rt") as file:
        times = sorted(int(row["t"]) for row in csv.DictReader(file))
    return [time_ms - opens for time_ms in times if opens <= time_ms < closes]


@pytest.mark.parametrize("symbol", ["IBM", "AIG"])
@pytest.mark.parametrize("one_in", [1, 100])
def test_a_real_day_raises_no_false_alarm_however_thin_it_is_made_and_without_a_floor(tape: Path, symbol: str, one_in: int) -> None:
    chance = random.Random(one_in)
    times = [time_ms for time_ms in read_times(tape, symbol) if chance.randrange(one_in) == 0]
    rates = make_rates(symbols=[symbol], floor_seconds=1)
    message, heard = trade(symbol).encode(), 0
    for second in range(23_400):
        say_something(rates, second)
        while heard < len(times) and times[heard] < second * 1_000:
            rates.see(message, START + times[heard] * 1_000_000)
            heard += 1
        assert rates.silent(START + second * SECOND) == []
    assert heard > 40
