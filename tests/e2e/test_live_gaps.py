"""Whatever the exchange made and nobody holds lies in a recorded gap with its cause, and gaps are hardly longer than what was lost.

A morning on simulated time, with the limits that users have: hangs are noticed after ninety seconds, not after 0.4.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pytest

from tests.live_rig import KEY
from tests.rig import DEPTH, build, find_unbalanced, land, open_lake
from tests.simulated_time import SimulatedClock, run_simulated
from ticklake.cli.lake import Lake
from ticklake.feed.exchange.quirks import ALL_KINDS, Quirks
from ticklake.feed.exchange.serve import Exchange, Plan
from ticklake.feed.exchange.tape import Tape, make_tape
from ticklake.feed.exchange.truth import Connection, Told
from ticklake.feed.finnhub.client import FinnhubClient, Limits
from ticklake.feed.recorder import Recorder

pytestmark = [pytest.mark.deep, pytest.mark.no_cover]  # hours of trading

LIMITS: Final = Limits()
NS: Final = 1_000_000_000
HOUR_MS: Final = 3_600_000
OPEN_HOURS: Final = 5.4
"""From the tape's first moment: a little before the bell."""

KNOWN_FRAMES: Final = 40
JUDGED_SECONDS: Final = 400
"""So many messages tell a symbol's rate, and in so many seconds the busy ones are found silent, whatever came before."""

BREAKS: Final = msgspec.structs.replace(
    ALL_KINDS,
    drop=0.006,
    close=0.006,
    hang=0.003,
    oversize=0.006,
    truncate=0.006,
    deaf=0.1,
    refuse=0.1,
    mute=0.0,
    huge=0.0,
    overlap=0.0,
    swap=0.0,
)
"""What breaks connections and frames. Not `swap`: the truth says when a frame was due, and one that waits for the next arrives later."""

CAUSES: Final = {
    "drop": "connection_lost",
    "close": "closed_by_server",
    "hang": "silence",
    "oversize": "frame_too_large",
    "left": "stopped",
}
"""What the collector records of how the exchange ended a connection; a hang's own end is that the collector left."""


class Gap(NamedTuple):
    """One of silver.feed_gaps."""

    from_ns: int
    to_ns: int
    cause: str


def live(lake: Lake, quirks: Quirks, *, hours: float) -> Told:
    """Collect some hours of a simulated day through to silver; give the truth."""

    async def collect(clock: SimulatedClock) -> Told:
        exchange = Exchange(5, plan=Plan(KEY), clock=clock, speed=1.0, quirks=quirks, tape=cut_tape(quirks, hours))
        log = lake.open_log_writer()
        recorder = Recorder(log, feed="finnhub", collector="a", clock=exchange.market_clock)
        async with exchange.open("127.0.0.1", 0) as port:
            client = FinnhubClient(
                recorder,
                url=f"ws://127.0.0.1:{port}",
                key=KEY,
                symbols=exchange.symbols,
                clock=exchange.market_clock,
                limits=LIMITS,
                chance=random.Random(1),
                is_trading=lambda _symbol, _now_ns: True,
            )
            collecting, telling = asyncio.ensure_future(client.collect()), asyncio.ensure_future(exchange.finished.wait())
            await asyncio.wait([collecting, telling], return_when=asyncio.FIRST_COMPLETED)
            client.stop()
            await collecting
        log.close()
        return exchange.told

    told: Told = run_simulated(collect)
    land(lake)
    build(lake)
    return told


def cut_tape(quirks: Quirks, hours: float) -> Tape:
    """Give the busiest hours of a made-up day."""
    tape = make_tape(5, prints=60_000, quirks=quirks)
    first_ms = tape.first_ms + round(OPEN_HOURS * HOUR_MS)
    frames = [frame for frame in tape.frames if 0 <= frame[0].received_ms - first_ms < hours * HOUR_MS]
    return msgspec.structs.replace(tape, frames=frames, first_ms=first_ms)


def read_gaps(lake: Lake) -> dict[str, list[Gap]]:
    """Give each symbol's gaps."""
    gaps: dict[str, list[Gap]] = {}
    sql = "select symbol, from_ns, coalesce(to_ns, 9223372036854775807), cause from silver.feed_gaps order by symbol, from_ns"
    for symbol, *gap in lake.query(sql).rows:
        gaps.setdefault(symbol, []).append(Gap(*gap))
    return gaps


def find_lost(lake: Lake, told: Told) -> list[int]:
    """Give the trades that the warehouse does not hold, neither as a trade nor, spoilt, in quarantine."""
    held = Counter(lake.query("select symbol, traded_ms, price, size, conditions from silver.prints where verdict = 'trade'").rows)
    lost = []
    for number in sorted(range(len(told.trades)), key=lambda number: not told.delivered[number]):  # those that arrived take theirs first
        if held[told.trades[number]] > 0:
            held[told.trades[number]] -= 1
        elif "time_in_seconds" not in told.spoilt.get(number, {}).values():
            lost.append(number)
    in_seconds = [number for number, reasons in told.spoilt.items() if "time_in_seconds" in reasons.values()]
    quarantined = lake.query("select count(*) from silver.prints where reason = 'time_in_seconds'").rows[0][0]
    assert quarantined >= len(in_seconds)  # one in a frame that came three times is there three times
    return lost


def hangs_of(told: Told) -> dict[int, int]:
    """Give since when connections hang, by their number."""
    return {each.connection: each.told_ns for each in told.quirks if each.quirk == "hang"}


def end_of(connection: Connection, hangs: dict[int, int]) -> int:
    """Give the moment after which a connection is told nothing."""
    return min(connection.to_ns or 1 << 63, hangs.get(connection.number, 1 << 63))


def test_what_nobody_holds_lies_in_a_gap_with_its_cause_and_gaps_are_hardly_longer_than_what_was_lost(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    told = live(lake, BREAKS, hours=0.5 * DEPTH)
    gaps, hangs, lost = read_gaps(lake), hangs_of(told), find_lost(lake, told)
    assert {"drop", "close", "hang", "oversize", "truncate"} <= told.played.keys()
    assert len(lost) > 20

    for number in lost:
        told_ns = told.told_ns[number]
        inside = [gap for gap in gaps[told.trades[number].symbol] if gap.from_ns <= told_ns <= gap.to_ns]
        assert inside, f"{told.trades[number]} told at {told_ns} is in no gap"
        if number in told.spoilt:
            assert "unreadable_frame" in {gap.cause for gap in inside}
        else:
            ended = max((each for each in told.connections if end_of(each, hangs) <= told_ns), key=lambda each: each.number)
            before = [each for each in told.connections if each.number <= ended.number and end_of(each, hangs) >= inside[0].from_ns - NS]
            causes = {CAUSES["hang" if each.number in hangs else each.ended] for each in before}
            out_of_nowhere = {each.connection for each in told.quirks if each.quirk == "error"}
            causes |= {"no_slot", "invalid_symbol"} if out_of_nowhere & {each.number for each in before} else set()
            assert {gap.cause for gap in inside} & causes

    between = [gap for of_symbol in gaps.values() for gap in of_symbol if gap.cause in CAUSES.values() and gap.to_ns < 1 << 62]
    losses = [measure_loss(gap, told, hangs) for gap in between]
    for gap, loss_ns in zip(between, losses, strict=True):
        assert gap.to_ns - gap.from_ns <= 1.05 * loss_ns + LIMITS.silence_seconds * NS
    assert sum(gap.to_ns - gap.from_ns for gap in between) <= 1.05 * sum(losses) + LIMITS.silence_seconds * NS
    assert find_unbalanced(lake) == []


def test_an_error_out_of_nowhere_costs_a_symbol_no_more_than_until_its_next_print(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    told = live(lake, Quirks(error=0.5), hours=0.2 * DEPTH)
    assert (len(told.connections), find_lost(lake, told)) == (1, [])
    heard: dict[str, list[int]] = {}
    for symbol, received_ns in lake.query("select symbol, received_ns from silver.trades order by received_ns").rows:
        heard.setdefault(symbol, []).append(received_ns)
    refusals = [
        (symbol, gap) for symbol, of_symbol in read_gaps(lake).items() for gap in of_symbol if gap.cause in {"no_slot", "invalid_symbol"}
    ]
    assert {gap.cause for _, gap in refusals} == {"no_slot", "invalid_symbol"}
    for symbol, gap in refusals:
        later = [received_ns for received_ns in heard.get(symbol, []) if received_ns >= gap.from_ns]
        if later:
            assert later[0] == gap.to_ns + 2, symbol  # the gap's last moment, the record that it is subscribed, the print
    healed = sum(gap.to_ns < 1 << 62 for _, gap in refusals)
    assert healed > told.played["error"] / 2


def measure_loss(gap: Gap, told: Told, hangs: dict[int, int]) -> int:
    """Give for how long, in a gap, no connection was told anything."""
    spans = [(each.from_ns, end_of(each, hangs)) for each in told.connections]
    covered = sum(max(0, min(gap.to_ns, to_ns) - max(gap.from_ns, from_ns)) for from_ns, to_ns in spans)
    return gap.to_ns - gap.from_ns - covered


def test_a_symbol_that_falls_silent_alone_is_asked_for_again_and_what_it_missed_is_a_gap(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "lake")
    told = live(lake, Quirks(mute=0.01), hours=0.5 * DEPTH)
    gaps, lost = read_gaps(lake), find_lost(lake, told)
    silences = find_silences(told)
    assert {told.trades[number].symbol for number in lost} <= {symbol for symbol, *_ in silences}
    judged = 0
    for symbol, from_ns, is_known in silences:
        first = [number for number in lost if told.trades[number].symbol == symbol and told.told_ns[number] >= from_ns]
        if not is_known or not first or told.told_ns[-1] - from_ns < JUDGED_SECONDS * NS:
            continue  # nobody can tell by its rate that it is silent, or not yet
        judged += 1
        told_ns = told.told_ns[first[0]]
        assert [gap.cause for gap in gaps[symbol] if gap.from_ns <= told_ns <= gap.to_ns] == ["symbol_silent"]
    assert judged >= 3


def find_silences(told: Told) -> list[tuple[str, int, bool]]:
    """Give who was muted and when, and whether it had been heard often enough before for its rate to be known."""
    found = []
    for each in told.quirks:
        if each.quirk == "mute":
            heard = {told.told_ns[n] for n, trade in enumerate(told.trades) if trade.symbol == each.note and told.told_ns[n] < each.told_ns}
            found.append((each.note, each.told_ns, len(heard) > KNOWN_FRAMES))
    return found
