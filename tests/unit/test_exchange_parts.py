"""The exchange's parts by themselves: quirks as people write them, tapes out of recordings, the clock, the truth as a file."""

import io
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.unit.fakes import FakeClock
from ticklake.errors import RecordingInvalid
from ticklake.feed.exchange.market_clock import MarketClock
from ticklake.feed.exchange.prints import Print, Trade
from ticklake.feed.exchange.quirks import ALL_KINDS, Quirks, describe_quirks, read_quirks
from ticklake.feed.exchange.tape import make_tape, read_tape
from ticklake.feed.exchange.trouble import Dice
from ticklake.feed.exchange.truth import Connection, Halt, Played, Told, write_truth
from ticklake.feed.recording import Recording

ROWS = """s,t,p,v,c
AAPL,1763476200123,267.4500,100,8;41
AAPL,1763476200123,267.4500,100,8;41
BINANCE:BTCUSDT,1763476200100,92960.83,0.00000012,
this is no trade
MSFT,1763476201000,-1,100,
MSFT,1763476201000,493.123456789,100,
MSFT,1763476201500,493.10,0,12
"""


def record(folder: Path, text: str, name: str = "tape.csv") -> Recording:
    path = folder / name
    path.write_text(text)
    return Recording(path)


def test_quirks_are_read_as_people_write_them() -> None:
    assert read_quirks([]) == Quirks()
    assert read_quirks(["drop=0.5", "close_minutes=180"]) == Quirks(drop=0.5, close_minutes=180)
    assert read_quirks(["all", "repeat=0"]) == msgspec.structs.replace(ALL_KINDS, repeat=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sulk=1", "no such quirk"),
        ("drop", "0 to 1"),
        ("drop=often", "0 to 1"),
        ("drop=1.5", "0 to 1"),
        ("drop=-0.1", "0 to 1"),
        ("drop=nan", "0 to 1"),
        ("close_minutes=inf", "100,000"),
    ],
)
def test_a_quirk_that_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_quirks([text])


def test_every_quirk_says_what_it_is_and_is_part_of_all() -> None:
    told = dict(describe_quirks())
    assert list(told) == list(Quirks.__struct_fields__)
    assert all(told.values())
    assert all(getattr(ALL_KINDS, name) > 0 for name in told)
    assert msgspec.convert(msgspec.to_builtins(ALL_KINDS), Quirks) == ALL_KINDS


def test_dice_fall_as_often_as_they_should_whatever_was_asked_before() -> None:
    dice = Dice("3/1/1", Quirks(drop=0.1, hang=1.0), ["drop", "hang", "close"])
    drawn = [dice.draw(number) for number in range(4_000)]
    assert 300 < sum("drop" in each for each in drawn) < 500
    assert all("hang" in each and "close" not in each for each in drawn)
    assert dice.draw(17) == drawn[17]
    assert drawn != [Dice("3/1/2", Quirks(drop=0.1, hang=1.0), ["drop", "hang"]).draw(number) for number in range(4_000)]


def test_turning_one_oddity_on_changes_nothing_of_another() -> None:
    def late(quirks: Quirks) -> list[Trade]:
        tape = make_tape(3, prints=1_000, quirks=quirks)
        return [each.trade for frame in tape.frames for each in frame if "late" in each.oddities]

    assert sorted(late(Quirks(late=0.05))) == sorted(late(Quirks(late=0.05, shuffle=1)))
    assert len(late(Quirks(late=0.05, zero=0.5))) == len(late(Quirks(late=0.05))) > 20


def test_a_recording_is_told_to_the_digit_without_what_is_no_trade(tmp_path: Path) -> None:
    tape = read_tape([record(tmp_path, ROWS)], quirks=Quirks(), seed=1)
    told = [each for frame in tape.frames for each in frame]
    assert [each.trade for each in told] == [
        Trade("AAPL", 1763476200123, Decimal("267.4500"), Decimal(100), "8,41"),
        Trade("AAPL", 1763476200123, Decimal("267.4500"), Decimal(100), "8,41"),
        Trade("BINANCE:BTCUSDT", 1763476200100, Decimal("92960.83"), Decimal("0.00000012"), ""),
        Trade("MSFT", 1763476201500, Decimal("493.10"), Decimal(0), "12"),
    ]
    assert [each.received_ms for each in told] == [1763476200123, 1763476200123, 1763476200123, 1763476201500]
    assert '"p":267.4500,' in told[0].text
    assert '"v":0.00000012}' in told[2].text
    assert (tape.symbols, tape.rows, tape.first_ms) == (["AAPL", "BINANCE:BTCUSDT", "MSFT"], 4, 1763476200123)


def test_recordings_are_told_side_by_side(tmp_path: Path) -> None:
    other = record(tmp_path, "s,t,p,v,c\nSPY,1763476200500,660,7,\nSPY,1763476209000,661,7,\n", "other.csv")
    tape = read_tape([record(tmp_path, ROWS), other], quirks=Quirks(), seed=1)
    assert [each.trade.symbol for frame in tape.frames for each in frame] == ["AAPL", "AAPL", "BINANCE:BTCUSDT", "SPY", "MSFT", "SPY"]


def test_a_recording_without_a_trade_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingInvalid, match="no trade in"):
        read_tape([record(tmp_path, "s,t,p,v,c\nno,trade,at,all,\n")], quirks=Quirks(), seed=1)


def test_a_recording_may_be_made_odd_too(tmp_path: Path) -> None:
    tape = read_tape([record(tmp_path, ROWS)], quirks=Quirks(zero=1, uncoded=1), seed=1)
    assert {(each.trade.size, each.trade.conditions) for frame in tape.frames for each in frame} == {(Decimal(0), "")}


def test_the_markets_clock_runs_at_its_speed_and_never_back() -> None:
    real = FakeClock()
    clock = MarketClock(real, 5_000_000_000, 60.0)
    real.sleep(3)
    assert clock.now_ns() == 5_000_000_000
    clock.start()
    clock.sleep(2)
    assert clock.now_ns() == 125_000_000_000
    assert clock.seconds_until(185_000) == pytest.approx(1.0)
    assert clock.monotonic_ns() == real.monotonic_ns()


def test_at_full_speed_the_markets_clock_is_at_what_is_told() -> None:
    clock = MarketClock(FakeClock(), 5_000_000_000, None)
    clock.start()
    clock.reach(7_000)
    clock.reach(6_000)
    assert clock.now_ns() == 7_000_000_000
    assert clock.seconds_until(10**9) == 0


def test_the_truth_is_a_file_of_lines_each_with_its_kind() -> None:
    told = Told(halts=[Halt("AAPL", 1, 2)])
    prints = [Print(5, number, "", Trade("AAPL", 4, Decimal("1.50"), Decimal(number), "")) for number in range(3)]
    assert told.tell(prints, 50, 60) == range(3)
    told.deliver([0, 1], 1)
    told.deliver([0], 2)
    told.miss([0, 2], 1)
    told.spoil([1], 2, "malformed")
    told.play(Played("truncate", 2, 1, 50, 60, [1], "malformed"))
    told.connections.append(Connection(1, 1, 1, 40, 41, 70, 71, "drop"))
    write_truth(told, file := io.BytesIO())
    lines = [json.loads(line) for line in file.getvalue().splitlines()]

    assert [line["kind"] for line in lines] == ["trade", "trade", "trade", "quirk", "connection", "halt"]
    assert lines[0] == {
        "kind": "trade",
        "id": 0,
        "symbol": "AAPL",
        "traded_ms": 4,
        "price": "1.50",
        "size": "0",
        "conditions": "",
        "told_ns": 50,
        "told_clock_ns": 60,
        "delivered": [1, 2],
    }
    assert (lines[1]["delivered"], lines[1]["spoilt"]) == ([1], {"2": "malformed"})
    assert (lines[2]["delivered"], lines[2]["unanswered"]) == ([], [1])
    assert lines[3]["trades"] == [1]
    assert lines[4]["ended"] == "drop"
    assert (told.played, list(told.reached())) == ({"truncate": 1}, [each.trade for each in prints[:2]])


def test_what_collectors_hold_of_twins_is_the_most_that_one_of_them_heard() -> None:
    told = Told(connections=[Connection(number, key, 1, 0, 0) for number, key in ((1, 1), (2, 2), (3, 1))])
    one, two = (Trade(symbol, 4, Decimal(1), Decimal(1), "") for symbol in ("AAPL", "MSFT"))
    told.tell([Print(5, number, "", trade) for number, trade in enumerate([one, one, one, two, two, two])], 50, 60)
    for number, trades in ((1, [0, 3]), (2, [1, 3, 5]), (3, [1, 0])):
        told.deliver(trades, number)
    assert told.held() == {one: 2, two: 2}  # 0 and 1 by the first key, 3 and 5 by the second
