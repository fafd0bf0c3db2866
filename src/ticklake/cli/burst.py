"""An exchange in a process of its own that plays a morning's burst, and the truth of it, read back.

Time       from five minutes before the opening bell on, `SPEED` times as fast; what was told carries this machine's own
           time, which every process of it shares
Raises     LoopbackRefused where no program may listen on 127.0.0.1
"""

import asyncio
import contextlib
import itertools
import os
import select
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from ticklake.audit.truth import TrueTrade, Unheard
from ticklake.cli.children import Child, Children
from ticklake.cli.day import HOST, refused
from ticklake.contracts.ports import Clock
from ticklake.feed.exchange.hours import A_TUESDAY
from ticklake.feed.exchange.listings import LISTINGS
from ticklake.feed.exchange.quirks import Quirks
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.exchange.tape import make_tape
from ticklake.feed.exchange.truth import write_truth

KEY: Final = "simulated"
SYMBOLS: Final = tuple(listing.symbol for listing in LISTINGS)
SPEED: Final = 600.0
EARLY_MS: Final = 5 * 60_000
START_SECONDS: Final = 30.0
UNDER_WAY_NS: Final = 3_000_000_000
"""How long a message may take from one process to the other, one that was stopped meanwhile included."""

QUIRKS: Final = Quirks(twin=0.02, zero=0.002, garbage=0.002, oversize=0.001, drop=0.001, hang=0.001)


class Line(msgspec.Struct):
    """A line of the truth: a trade, or something else."""

    kind: str
    symbol: str = ""
    traded_ms: int = 0
    price: str = "0"
    size: str = "0"
    conditions: str = ""
    told_clock_ns: int = 0
    delivered: list[int] = []
    ended: str = ""


def serve_burst(children: Children, clock: Clock, seed: int, prints: int, truth: Path) -> tuple[int, Child]:
    """Start the exchange; give its port and its process, which writes the truth when it is told to end."""
    reading, writing = os.pipe()

    def work() -> None:
        whole = make_tape(seed, prints=prints, quirks=QUIRKS)
        first_ms = A_TUESDAY.open_ms - EARLY_MS
        frames = [frame for frame in whole.frames if frame[0].received_ms >= first_ms]
        tape = msgspec.structs.replace(whole, frames=frames, first_ms=first_ms)
        exchange = Exchange(seed, plan=Plan(KEY), clock=clock, speed=SPEED, quirks=QUIRKS, tape=tape)
        asyncio.run(_serve(exchange, writing))
        aside = truth.with_suffix(".aside")
        with aside.open("wb") as file:
            write_truth(exchange.told, file)
        aside.rename(truth)

    child = children.start("exchange", work)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        is_ready = select.select([pipe], [], [], START_SECONDS)[0]
        said = pipe.read() if is_ready else b"it does not start"
    if not said.isdigit():
        child.kill()
        raise refused(said.decode() or "the exchange does not start")
    return int(said), child


async def _serve(exchange: Exchange, port_to: int) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with contextlib.AsyncExitStack() as stack:
        try:
            port = await stack.enter_async_context(exchange.open(HOST, 0))
        except OSError as error:
            os.write(port_to, str(error.strerror or error).encode())
            raise
        os.write(port_to, str(port).encode())
        os.close(port_to)
        await stopping.wait()


class Burst:
    """What was told, read back from the truth."""

    def __init__(self, truth: Path) -> None:
        decode = msgspec.json.Decoder(Line).decode
        lines = [decode(line) for line in truth.read_bytes().splitlines()]
        self.trades = [(_to_trade(line), line) for line in lines if line.kind == "trade"]
        self.ended = Counter(line.ended for line in lines if line.kind == "connection")
        """How connections ended: by a quirk, or left by the listener."""

    def count(self) -> Counter[TrueTrade]:
        """Give the trades that there were."""
        return Counter(trade for trade, _ in self.trades)

    def find_unheard(self, found: Counter[TrueTrade]) -> Iterator[Unheard]:
        """Give what is not among the found; of equal trades first those that nobody answered for."""
        missing = self.count() - found
        for trade, line in sorted(self.trades, key=lambda each: bool(each[1].delivered)):
            if missing[trade] > 0:
                missing[trade] -= 1
                yield Unheard(trade.symbol, line.told_clock_ns, line.told_clock_ns + UNDER_WAY_NS)

    def longest_loss_ms(self, kills_ns: Sequence[int], found: Counter[TrueTrade]) -> float:
        """Give how long before a kill the first trade was told of those that went down with it; 0 if none did."""
        told = sorted((line.told_clock_ns, trade in found) for trade, line in self.trades)
        losses = [0]
        for kill_ns in kills_ns:
            before = list(itertools.takewhile(lambda each: not each[1], reversed([each for each in told if each[0] <= kill_ns])))
            losses += [kill_ns - told_ns for told_ns, _ in before[-1:]]
        return max(losses) / 1e6


def _to_trade(line: Line) -> TrueTrade:
    return TrueTrade(line.symbol, line.traded_ms, Decimal(line.price), Decimal(line.size), line.conditions)
