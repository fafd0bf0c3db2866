"""A collector and an exchange in one loop, on loopback: a day from its first subscription to its end."""

import asyncio
import random
from typing import Any, Final

import msgspec

from ticklake.cli.lake import Lake
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.finnhub.client import FinnhubClient, Limits
from ticklake.feed.recorder import Recorder
from ticklake.locks import hold_stage

KEY: Final = "canary-5f1d"
QUICK: Final = Limits(silence_seconds=0.4, least_wait_seconds=0.01, most_wait_seconds=0.05, heartbeat_seconds=0.05, close_seconds=0.2)


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
