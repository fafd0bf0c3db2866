"""Two collectors and an exchange that plays every quirk: trades are exactly what was delivered intact, each repeat is flagged."""

import asyncio
import random
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import pytest

from tests.live_rig import KEY, QUICK
from tests.rig import DEPTH, Rows, build, find_unbalanced, open_lake, verify_lake
from ticklake.cli.lake import Lake
from ticklake.feed.exchange.prints import Trade
from ticklake.feed.exchange.quirks import ALL_KINDS, Quirks
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.exchange.truth import Told
from ticklake.feed.finnhub.client import FinnhubClient
from ticklake.feed.recorder import Recorder
from ticklake.landing.land import Cut, Lander
from ticklake.log.sqlite import PARTITION
from ticklake.warehouse.transform import find_project

pytestmark = [pytest.mark.deep, pytest.mark.no_cover]  # a day of trading

COLLECTORS: Final = ("a", "b")
PRINTS: Final = 1_060_000 if DEPTH > 1 else 20_000
"""More than a million trades, as `make properties` runs it."""

ALONE: Final = (
    "is_suspected_repeat and (session, seq) in (select (session, seq) from silver.prints group by session, seq having count(*) = 1)"
)
ONLY_REPEATS: Final = Quirks(repeat=0.02, twin=0.05)


def collect_day(lake: Lake, exchange: Exchange, keys: dict[str, str]) -> dict[str, FinnhubClient]:
    """Let a collector a key record the exchange's day, each in a log of its own; land all of them in one lake."""
    homes = {collector: lake.home.root / "collectors" / collector for collector in keys}
    clients = asyncio.run(_collect_day({collector: open_lake(home) for collector, home in homes.items()}, exchange, keys))
    for home in homes.values():
        Lander(open_lake(home).log, lake.store, partition=PARTITION, cut=Cut(records=50_000, size_bytes=32 << 20)).land(flush=True)
    return clients


async def _collect_day(lakes: dict[str, Lake], exchange: Exchange, keys: dict[str, str]) -> dict[str, FinnhubClient]:
    clients, logs = {}, {collector: lake.open_log_writer() for collector, lake in lakes.items()}
    async with exchange.open("127.0.0.1", 0) as port:
        for collector, key in keys.items():
            recorder = Recorder(logs[collector], feed="finnhub", collector=collector, clock=exchange.market_clock)
            clients[collector] = FinnhubClient(
                recorder,
                url=f"ws://127.0.0.1:{port}",
                key=key,
                symbols=exchange.symbols,
                clock=lakes[collector].clock,
                limits=msgspec.structs.replace(QUICK, handshake_seconds=0.5),
                chance=random.Random(collector),
            )
        collecting = [asyncio.ensure_future(client.collect()) for client in clients.values()]
        async with asyncio.timeout(900):
            await exchange.finished.wait()
            for client in clients.values():
                client.stop()
            await asyncio.gather(*collecting)
    for log in logs.values():
        log.close()
    return clients


def let_feeds(lake_folder: Path, *, replays: bool = False, drops: bool = False) -> Path:
    """Give a copy of the project in which the live feed is known to do this."""
    project = lake_folder / "project"
    shutil.copytree(find_project(), project, ignore=shutil.ignore_patterns("target", "logs"))
    feeds = project / "seeds" / "feeds.csv"
    header, *rows = feeds.read_text().splitlines()
    names = header.split(",")
    for number, row in enumerate(rows):
        if row.startswith("finnhub,"):
            values = dict(zip(names, row.split(",", len(names) - 1), strict=True))
            values |= {"replays_on_reconnect": str(replays).lower(), "drops_repeats": str(drops).lower()}
            rows[number] = ",".join(values.values())
    feeds.write_text("\n".join([header, *rows]) + "\n")
    return project


def expect_trades(told: Told) -> Counter[Trade]:
    """Give the trades that two collectors can tell: of a kind as many as the connection held that held most."""
    held: dict[int, Counter[Trade]] = {each.number: Counter() for each in told.connections}
    for trade, connections in zip(told.trades, told.delivered, strict=True):
        for number in connections:
            held[number][trade] += 1
    expected: Counter[Trade] = Counter()
    for trades in held.values():
        expected |= trades
    return expected


def read_contents(lake: Lake, condition: str = "verdict = 'trade'") -> Counter[Trade]:
    """Give prints of the warehouse by their content."""
    rows: Rows = lake.query(f"select symbol, traded_ms, price, size, conditions from silver.prints where {condition}").rows  # noqa: S608
    return Counter(Trade(symbol, traded_ms, Decimal(price), Decimal(size), codes) for symbol, traded_ms, price, size, codes in rows)


def test_trades_of_two_collectors_are_exactly_what_was_delivered_intact_whatever_the_exchange_plays(tmp_path: Path) -> None:
    quirks = msgspec.structs.replace(ALL_KINDS, repeat=0.0, huge=0.0, **({} if DEPTH > 1 else {"drop": 0.001, "close": 0.001}))
    lake = open_lake(tmp_path / "lake", project=let_feeds(tmp_path, replays=True))
    keys = {collector: f"{KEY}-{collector}" for collector in COLLECTORS}
    exchange = Exchange(
        11, prints=PRINTS, plan=Plan(keys["a"], keys=(keys["b"],)), clock=lake.clock, quirks=quirks, wait_for=len(COLLECTORS)
    )
    clients = collect_day(lake, exchange, keys)
    build(lake)
    told = exchange.told

    expected, found = expect_trades(told), read_contents(lake)
    assert found == expected
    delivered = Counter(told.reached())
    undecided = delivered - expected
    # what no collector can tell: of identical prints each connection held others; the ledger counts them, and here they are few
    assert undecided.total() < delivered.total() / 5_000
    assert not expected - delivered
    assert all(client.connections >= 3 for client in clients.values())
    assert {"drop", "close", "overlap", "shuffle", "swap", "truncate", "seconds", "twin", "late"} <= told.played.keys()
    assert len({each.key for each in told.connections}) == len(COLLECTORS)
    assert found.total() > PRINTS * 0.9
    assert find_unbalanced(lake) == []
    assert verify_lake(lake).holds


def test_every_repeat_is_flagged_and_where_the_setting_drops_them_only_exact_twins_of_one_print_go_with_them(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    exchange = Exchange(12, prints=4_000 * DEPTH, plan=Plan(KEY), clock=lake.clock, quirks=ONLY_REPEATS)
    collect_day(lake, exchange, {"a": KEY})
    build(lake)
    told = exchange.told
    again = Counter(told.trades[number] for each in told.quirks if each.quirk == "repeat" for number in each.trades)
    repeated = again + again  # sent three times: the first is no repeat

    flagged = read_contents(lake, "is_suspected_repeat")
    assert not repeated - flagged  # every repeat that was played is flagged
    assert read_contents(lake) == Counter(told.reached()) + repeated  # and kept: it may have been genuine
    twins = flagged - repeated
    assert twins.total() < repeated.total() / 2
    assert not twins - read_contents(lake, ALONE)  # frames of one print that equal another one in every byte: nobody can tell

    dropping = open_lake(tmp_path / "lake", project=let_feeds(tmp_path, drops=True))
    build(dropping)
    assert read_contents(dropping) == Counter(told.reached()) - twins
    suspected = dropping.query("select count(*) from silver.prints where reason = 'suspected_repeat'").rows
    assert suspected == [(repeated.total() + twins.total(),)]
    assert find_unbalanced(dropping) == []
    assert verify_lake(dropping).holds
