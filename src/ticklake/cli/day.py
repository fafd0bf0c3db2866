"""A made-up day at an exchange of our own, recorded by the real client over loopback, and what is true of it.

    tell      half of the day, by an exchange that plays its tricks at small rates
    collect   what `ticklake collect` is: a client, a recorder and the log; but time is the market's
    confess   what the exchange knows of what it told, as the auditor takes it

Time       as fast as it is listened to; the recorder's clock is the market's, so that what is received late is late
Guarantee  the same seed gives the same trades, and the same quirks behind the same frames of a connection
Raises     LoopbackRefused where no program may listen on 127.0.0.1
"""

import asyncio
import contextlib
import itertools
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from ticklake.audit.truth import TrueTrade, Truth, Unheard
from ticklake.errors import LoopbackRefused
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.exchange.tape import make_tape
from ticklake.feed.exchange.truth import Played, Told
from ticklake.feed.finnhub.client import FinnhubClient, Limits
from ticklake.feed.recorder import Recorder

if TYPE_CHECKING:
    from ticklake.cli.lake import Lake

HOST: Final = "127.0.0.1"
FEED: Final = "demo"
"""What is made up is never taken for the vendor's."""

COLLECTOR: Final = "demo"
HALVES: Final = 2
SHOW_SECONDS: Final = 0.1

QUIRKS: Final = Quirks(
    late=0.003,
    twin=0.02,
    zero=0.002,
    uncoded=0.05,
    unknown_code=0.0005,
    repeat=0.003,
    seconds=0.0006,
    truncate=0.0006,
    garbage=0.003,
    unknown=0.001,
    oversize=0.0001,
    close=0.0001,
    drop=0.0001,
    hang=0.0001,
    refuse=0.2,
)
"""What goes wrong: everything but disorder, since the open of a minute is the first to arrive of those of one millisecond."""

LIMITS: Final = Limits(
    silence_seconds=0.5,
    handshake_seconds=2.0,
    close_seconds=0.5,
    least_wait_seconds=0.02,
    most_wait_seconds=0.2,
    refusal_wait_seconds=0.1,
    heartbeat_seconds=0.1,
)
"""A day that takes seconds has no patience."""

WINDOW: Final = 4
UNDER_WAY: Final = 32
"""Messages that the exchange waits to be answered, and behind how many more of them each has certainly arrived."""
MOST_ATTEMPTS: Final = 40
IN_SECONDS: Final = "time_in_seconds"
COPIES: Final = 2
"""A repeated frame comes so many times more."""


class Day:
    """A day in halves, each told by an exchange that is there for it alone."""

    def __init__(self, seed: int, *, prints: int) -> None:
        self._seed = seed
        whole = make_tape(seed, prints=prints, quirks=QUIRKS)
        middle = len(whole.frames) // HALVES
        parts = whole.frames[:middle], whole.frames[middle:]
        starts = whole.first_ms, parts[1][0][0].received_ms
        self.symbols = whole.symbols
        self.halves = [msgspec.structs.replace(whole, frames=part, first_ms=start) for part, start in zip(parts, starts, strict=True)]
        self.prints = [sum(map(len, half.frames)) for half in self.halves]
        self.told: list[Told] = []
        self.connections = self.attempts = 0

    def collect(self, lake: "Lake", half: int, show: Callable[[int], None]) -> Recorder:
        """Record half of the day; the caller holds the lock of the stage `log`."""
        key = secrets.token_hex(8)
        exchange = Exchange(
            self._seed + half,
            plan=Plan(key),
            clock=lake.clock,
            quirks=QUIRKS,
            tape=self.halves[half],
            window=WINDOW,
        )
        self.told.append(exchange.told)
        log = lake.open_log_writer()
        try:
            recorder = Recorder(log, feed=FEED, collector=COLLECTOR, clock=exchange.market_clock)
            asyncio.run(self._collect(exchange, key, recorder, show))
        finally:
            log.close()
        return recorder

    async def _collect(self, exchange: Exchange, key: str, recorder: Recorder, show: Callable[[int], None]) -> None:
        async with contextlib.AsyncExitStack() as stack:
            try:
                port = await stack.enter_async_context(exchange.open(HOST, 0))
            except OSError as error:
                raise refused(error.strerror or str(error)) from error
            client = FinnhubClient(
                recorder,
                url=f"ws://{HOST}:{port}",
                key=key,
                symbols=exchange.symbols,
                clock=exchange.market_clock,
                limits=LIMITS,
                chance=random.Random(self._seed),  # noqa: S311 — jitter, not a secret
            )
            collecting = asyncio.create_task(client.collect())
            while not (exchange.finished.is_set() or collecting.done()):
                await asyncio.wait([collecting], timeout=SHOW_SECONDS)
                show(len(exchange.told.trades))
                _check_reached(client)
            client.stop()
            await collecting
        self.connections += client.connections
        self.attempts += client.attempts

    def count_played(self) -> Counter[str]:
        """Give how often each quirk was played."""
        return sum((Counter(told.played) for told in self.told), Counter())

    def make_truth(self) -> Truth:
        """Give what is true of what was told by now."""
        received: list[TrueTrade] = []
        repeats: list[TrueTrade] = []
        unheard: list[Unheard] = []
        quarantined: Counter[str] = Counter()
        for told, half in zip(self.told, self.halves, strict=False):
            repeated = {(trade, each.connection) for each in told.quirks if each.quirk == "repeat" for trade in each.trades}
            for number, (trade, until_ns) in enumerate(zip(told.trades, _arrivals(told, map(len, half.frames)), strict=False)):
                copies = sum(COPIES for connection in told.delivered[number] if (number, connection) in repeated)
                if told.delivered[number]:
                    received += [TrueTrade(*trade)] * (1 + copies)
                    repeats += [TrueTrade(*trade)] * copies
                elif IN_SECONDS not in told.spoilt.get(number, {}).values():  # one in seconds is a print that is quarantined
                    unheard.append(Unheard(trade.symbol, told.told_ns[number], until_ns))
            for each in told.quirks:
                if reason := _quarantine(told, each):
                    quarantined[reason] += 1 + COPIES * any((trade, each.connection) in repeated for trade in each.trades)
        return Truth(received, repeats, dict(quarantined), unheard)


def _arrivals(told: Told, sizes: Iterable[int]) -> Iterator[int]:
    """Give, for each trade, when whatever is told after it proves that it was under way no longer."""
    ends = [end - 1 for end in itertools.accumulate(sizes)]
    for frame, (first, last) in enumerate(itertools.pairwise([-1, *ends])):
        until_ns = told.told_ns[min(ends[min(frame + UNDER_WAY, len(ends) - 1)], len(told.told_ns) - 1)]
        yield from itertools.repeat(until_ns, last - first)


def _quarantine(told: Told, played: Played) -> str:
    """Give the reason for which a print or a message of a quirk must be quarantined; empty if there is none."""
    if not played.is_delivered or played.quirk not in {"garbage", "truncate", "seconds"}:
        return ""
    is_cut_too = played.quirk == "seconds" and told.spoilt[played.trades[0]][played.connection] != IN_SECONDS
    return "" if is_cut_too else played.note


def _check_reached(client: FinnhubClient) -> None:
    """Do not try for ever to reach an exchange that is in this process."""
    if not client.connections and client.attempts >= MOST_ATTEMPTS:
        raise refused(f"nothing was reached in {client.attempts} attempts")


def refused(reason: str) -> LoopbackRefused:
    """Give the error for a machine whose programs cannot talk to each other."""
    return LoopbackRefused(
        f"programs of this machine cannot talk to each other on {HOST}: {reason}",
        hint="the demo needs no other network than that: allow it here, or run the demo outside of the sandbox",
    )
