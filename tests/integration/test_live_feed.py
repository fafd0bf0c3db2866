"""The client and the recorder against an exchange on loopback: what was delivered is recorded, and no more is tried than is wise."""

import asyncio
import itertools
import json
import random
import re
import signal
import socket
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.integration.conftest import assert_said, run_cli
from tests.rig import build, find_unbalanced, land, open_lake, start_ticklake, verify_lake
from ticklake.cli.lake import Lake
from ticklake.errors import DiskFull, KeyRefused, LogCorrupt
from ticklake.feed.exchange import Exchange, Plan, Quirks
from ticklake.feed.finnhub.client import FinnhubClient, Limits
from ticklake.feed.recorder import Recorder
from ticklake.locks import hold_stage

SIMULATE = ("simulate", "--port", "0", "--prints", "2000", "--until-told")
KEY = "canary-5f1d"
QUICK = Limits(silence_seconds=0.4, least_wait_seconds=0.01, most_wait_seconds=0.05, heartbeat_seconds=0.05, close_seconds=0.2)


def make_exchange(lake: Lake, *, prints: int = 6_000, slots: int = 50, refusals: int = 0, **options: Any) -> Exchange:
    """Give an exchange that tells its day as fast as it is listened to."""
    return Exchange(3, prints=prints, plan=Plan(KEY, slots, refusals), clock=lake.clock, **options)


async def collect_day(
    lake: Lake, exchange: Exchange, *, key: str = KEY, symbols: list[str] | None = None, limits: Limits = QUICK, log: Any = None
) -> FinnhubClient:
    """Collect from an exchange to the end of its day; give the client."""
    recorder = Recorder(log or lake.open_log_writer(), feed="finnhub", collector="rig", clock=lake.clock)
    async with exchange.open("127.0.0.1", 0) as port:
        client = FinnhubClient(
            recorder,
            url=f"ws://127.0.0.1:{port}",
            key=key,
            symbols=symbols or exchange.symbols,
            clock=lake.clock,
            limits=limits,
            chance=random.Random(1),
        )
        collecting = asyncio.create_task(client.collect())
        telling = asyncio.create_task(exchange.finished.wait())
        async with asyncio.timeout(120):
            await asyncio.wait([collecting, telling], return_when=asyncio.FIRST_COMPLETED)
            client.stop()
            telling.cancel()
            await collecting
    return client


def run_day(lake: Lake, exchange: Exchange, **options: Any) -> FinnhubClient:
    """The same, from outside of any loop."""
    with hold_stage(lake.home.locks, "log"):
        return asyncio.run(collect_day(lake, exchange, **options))


def read_records(lake: Lake) -> list[dict[str, Any]]:
    """Give what the log holds."""
    return [msgspec.json.decode(record.value) for record in lake.log.read(0, 0, max_records=1_000_000)]


def controls(lake: Lake, control_type: str) -> list[dict[str, Any]]:
    """Give the control records of a type."""
    return [record["control"] for record in read_records(lake) if record.get("control", {}).get("type") == control_type]


def test_trades_are_what_was_delivered_intact_whatever_the_exchange_does(lake: Lake) -> None:
    quirks = Quirks(garbage=0.02, unknown=0.02, oversize=0.003, close=0.004, drop=0.004, hang=0.002)
    exchange = make_exchange(lake, quirks=quirks, prints=12_000)
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
    run_day(lake, exchange, limits=msgspec.structs.replace(QUICK, slots=2))
    (subscribed,) = controls(lake, "subscribed")
    assert (subscribed["symbols"], subscribed["without_slot"]) == (exchange.symbols[:2], exchange.symbols[2:])
    assert not [record for record in read_records(lake) if (record.get("frame") or {}).get("type") == "error"]


def test_an_exchange_says_which_wishes_it_cannot_grant(lake: Lake) -> None:
    exchange = make_exchange(lake, prints=1_000, slots=2)
    run_day(lake, exchange, symbols=["FX:EURUSD", *exchange.symbols])
    errors = [record["frame"]["msg"] for record in read_records(lake) if (record.get("frame") or {}).get("type") == "error"]
    assert Counter(errors) == {"Invalid symbol FX:EURUSD": 1, "Subscribing to too many symbols": len(exchange.symbols) - 2}
    refused = {(symbol, each["cause"]) for each in controls(lake, "unsubscribed") for symbol in each["symbols"]}
    assert refused == {("FX:EURUSD", "invalid_symbol"), *((symbol, "no_slot") for symbol in exchange.symbols[2:])}
    (subscribed,) = controls(lake, "subscribed")
    assert subscribed["symbols"] == exchange.symbols[:2]
    assert set(subscribed["without_slot"]) == set(exchange.symbols[2:])


def test_a_full_disk_pauses_the_feed_and_loses_nothing_that_was_kept_with_a_log_that_pretends(lake: Lake) -> None:
    class FullForAWhile:
        """A log that has no room at its third, fourth and fifth append."""

        def __init__(self) -> None:
            self.log = lake.open_log_writer()
            self.appends = 0

        def append(self, records: list[bytes]) -> int:
            self.appends += 1
            if 3 <= self.appends <= 5:
                raise DiskFull("the log cannot grow", hint="free some space")
            return self.log.append(records)

    exchange = make_exchange(lake, prints=3_000, speed=20_000.0)
    client = run_day(lake, exchange, log=FullForAWhile())
    assert "disk_full" in {closed["cause"] for closed in controls(lake, "session_closed")}
    assert client.connections > 1
    numbers: dict[str, list[int]] = {}
    for record in read_records(lake):
        numbers.setdefault(record["session"], []).append(record["seq"])
    assert all(seqs == list(range(len(seqs))) for seqs in numbers.values())


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


def test_collect_records_from_simulate_until_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, home = tmp_path / "truth.ndjson", tmp_path / "home"
    key = {"TICKLAKE_FEED__KEY": KEY}
    with start_ticklake(tmp_path / "exchange", *SIMULATE, "--truth", str(truth), environment=key) as exchange:
        assert exchange.process.stdout is not None
        url = re.search(rb"ws://127.0.0.1:\d+", exchange.process.stdout.readline())
        assert url is not None
        with start_ticklake(home, "collect", "AAPL", "MSFT", "--json", "--url", url[0].decode(), environment=key) as collector:
            collector.wait_for("feed_opened")
            assert exchange.end()[0] == 0
            collector.process.send_signal(signal.SIGINT)
            code, stdout = collector.end()
    assert code == 0, collector.seen
    assert KEY not in stdout + "".join(collector.seen)
    lake = open_lake(home)
    land(lake)
    build(lake)
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    reached = Counter((each["symbol"], each["traded_ms"], Decimal(each["price"])) for each in told if each["delivered"])
    assert Counter(lake.query("select symbol, traded_ms, price from silver.trades").rows) == reached
    assert reached.total() > 100
    monkeypatch.setenv("TICKLAKE_FEED__KEY", KEY)
    assert KEY not in run_cli(home, "config", "show").stdout


def test_a_quirk_that_nobody_knows_is_named(tmp_path: Path) -> None:
    done = run_cli(tmp_path, "simulate", "--quirk", "sulk=0.1")
    assert done.returncode == 2
    assert "sulk=0.1" in done.stderr
    assert "hang" in done.stderr


def test_a_port_that_is_taken_and_a_truth_that_cannot_be_written_are_said_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_cli(tmp_path, "simulate", "--port", port)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"{port} is taken" in done.stderr
    done = run_cli(tmp_path, *SIMULATE, "--truth", str(tmp_path / "nowhere" / "truth.ndjson"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "truth.ndjson" in done.stderr


def test_a_log_that_fails_stops_the_collector_with_a_log_that_pretends(lake: Lake) -> None:
    class Corrupt:
        """A log whose segment is broken."""

        def append(self, _records: list[bytes]) -> int:
            raise LogCorrupt("the log segment cannot be used", hint="ticklake doctor")

    with pytest.raises(LogCorrupt):
        run_day(lake, make_exchange(lake, prints=1_000, speed=1.0), log=Corrupt())


def test_memory_stays_bounded_where_the_disk_is_slower_than_the_feed(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "home")
    recorder = Recorder(lake.open_log_writer(), feed="finnhub", collector="rig", clock=lake.clock)

    async def flood() -> int:
        recorder.open_session()
        kept = 0
        while kept < 200_000:
            try:
                await asyncio.wait_for(recorder.room(), 0.01)
            except TimeoutError:
                return kept
            recorder.frame(b'{"type":"ping"}')
            kept += 1
        return kept

    assert asyncio.run(flood()) < 60_000  # nobody commits: the reader is told to wait
