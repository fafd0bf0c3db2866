"""The client against an exchange on loopback: what was delivered is recorded, and no more is tried than is wise."""

import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.conftest import assert_said, run_cli
from tests.live_rig import KEY, controls, make_exchange, read_records, run_day
from tests.rig import build, find_unbalanced, land, verify_lake
from ticklake.cli.lake import Lake
from ticklake.cli.notices import give_notice
from ticklake.errors import KeyRefused
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.finnhub.client import Limits


def test_trades_are_what_was_delivered_intact_whatever_the_exchange_does(lake: Lake) -> None:
    quirks = Quirks(garbage=0.02, unknown=0.02, oversize=0.003, close=0.004, drop=0.004, hang=0.002)
    exchange = make_exchange(lake, quirks=quirks, prints=10_000)
    client = run_day(lake, exchange)
    land(lake)
    build(lake)

    reached = Counter((each.symbol, each.traded_ms, each.price, each.size, each.conditions) for each in exchange.told.reached())
    trades = Counter(lake.query("select symbol, traded_ms, price, size, conditions from silver.trades").rows)
    assert trades == reached
    assert 0 < len(exchange.told.trades) - reached.total() < len(exchange.told.trades) / 2  # some reached nobody
    assert exchange.told.played.keys() == {"garbage", "unknown", "oversize", "close", "drop", "hang"}
    assert client.connections > 3
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds

    causes = Counter(dict(lake.query("select cause, count(*) from silver.feed_sessions group by cause").rows))
    played = exchange.told.played
    assert causes["frame_too_large"] == played["oversize"]
    assert causes["silence"] == played["hang"]
    assert causes["closed_by_server"] == played["close"]
    assert causes["connection_lost"] == played["drop"]
    assert causes["stopped"] == 1


def test_a_message_that_came_three_times_is_flagged(lake: Lake) -> None:
    exchange = make_exchange(lake, prints=1_000, quirks=Quirks(repeat=0.2))
    run_day(lake, exchange)
    land(lake)
    build(lake)
    repeated = lake.query("select count(*) from (select distinct seq from silver.prints where is_suspected_repeat)").rows[0][0]
    assert repeated >= 2 * exchange.told.played["repeat"] > 0


def test_sessions_are_opened_subscribed_kept_alive_and_closed(lake: Lake) -> None:
    run_day(lake, make_exchange(lake, prints=1_000, speed=50_000_000.0))
    records = read_records(lake)
    assert [record["seq"] for record in records] == list(range(len(records)))
    assert all(before["received_ns"] < after["received_ns"] for before, after in itertools.pairwise(records))
    assert {record["session"] for record in records} == {records[0]["session"]}
    assert records[0]["session"].startswith("rig/")
    assert records[0]["session"][18] == "7"  # a UUID of version 7
    (subscribed,) = controls(lake, "subscribed")
    assert subscribed["symbols"] == make_exchange(lake, prints=100).symbols
    assert records[-1]["control"]["cause"] == "stopped"


def test_a_hang_is_noticed_and_a_heartbeat_comes_while_a_connection_stands(lake: Lake) -> None:
    client = run_day(lake, make_exchange(lake, prints=1_000, quirks=Quirks(hang=0.01)))
    assert client.connections > 1
    assert controls(lake, "heartbeat")
    assert "silence" in {closed["cause"] for closed in controls(lake, "session_closed")}


def test_a_refused_key_stops_at_once(lake: Lake) -> None:
    exchange = make_exchange(lake, prints=100)
    with pytest.raises(KeyRefused, match="401"):
        run_day(lake, exchange, key="wrong")
    assert exchange.attempts == 1


def test_a_429_is_waited_for_and_tried_again(lake: Lake) -> None:
    exchange = make_exchange(lake, prints=1_000, refusals=3)
    client = run_day(lake, exchange)
    assert (client.attempts, client.connections) == (4, 1)


def test_symbols_beyond_the_slots_are_named_and_the_rest_is_recorded(lake: Lake) -> None:
    exchange = make_exchange(lake, prints=1_000, slots=2)
    run_day(lake, exchange, limits=Limits(slots=2))
    (subscribed,) = controls(lake, "subscribed")
    assert (subscribed["symbols"], subscribed["without_slot"]) == (exchange.symbols[:2], exchange.symbols[2:])
    assert not [record for record in read_records(lake) if (record.get("frame") or {}).get("type") == "error"]


def test_an_exchange_says_which_wishes_it_cannot_grant_and_people_are_told(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    exchange = make_exchange(lake, prints=1_000, slots=2)
    with give_notice():
        run_day(lake, exchange, symbols=["FX:EURUSD", *exchange.symbols])
    told = re.findall(r"^warning: the feed refuses (\S+), of which nothing is recorded", capsys.readouterr().err, re.MULTILINE)
    assert Counter(told) == Counter(["FX:EURUSD", *exchange.symbols[2:]])
    errors = [record["frame"]["msg"] for record in read_records(lake) if (record.get("frame") or {}).get("type") == "error"]
    assert Counter(errors) == {"Invalid symbol FX:EURUSD": 1, "Subscribing to too many symbols": len(exchange.symbols) - 2}
    refused = {(symbol, each["cause"]) for each in controls(lake, "unsubscribed") for symbol in each["symbols"]}
    assert refused == {("FX:EURUSD", "invalid_symbol"), *((symbol, "no_slot") for symbol in exchange.symbols[2:])}
    (subscribed,) = controls(lake, "subscribed")
    assert subscribed["symbols"] == exchange.symbols[:2]
    assert set(subscribed["without_slot"]) == set(exchange.symbols[2:])


def test_the_key_is_told_to_nobody(
    lake: Lake, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    run_day(lake, make_exchange(lake, prints=1_000, quirks=Quirks(drop=0.01)))
    with pytest.raises(KeyRefused) as refused:
        run_day(lake, make_exchange(lake, prints=100), key=KEY + "-wrong")
    told = capsys.readouterr()
    assert KEY not in told.out + told.err + caplog.text + str(refused.value) + refused.value.hint
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["AAPL"], "TICKLAKE_FEED__KEY"),
        (["AAPL", "--url", "http://127.0.0.1:1"], "wss://"),
        ([], "ticklake collect AAPL MSFT"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_connected(
    tmp_path: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if words != ["AAPL"]:
        monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    done = run_cli(tmp_path, "collect", *words)
    assert_said(done, said)
    assert KEY not in done.stderr
