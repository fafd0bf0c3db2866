"""The feed under a burst: the real client, recorder and SQLite log, beside a loop as people write it.

    burst      120,000 trades a second, 20,000 frames a second, from a process of its own over a real WebSocket on loopback
    socket     the same client with the recording left out: what remains is the WebSocket library and the loop of events
    quiet      a realistic market: 10 frames a second, as many trades as were measured over 50 liquid names
    pace       the burst, halved until the peer reads as fast as it is sent; the peer's other numbers are those of that pace

A core is the processor time of all threads of the collecting process over the time in which the market sent. Lost is
counted by the number that each frame carries. Arrival to durable runs from `received_ns`, the moment at which the client
handed the frame over, to the moment after its commit was synced; for the peer, from the begin of its callback.
"""

import signal
import subprocess
import sys
import tempfile
from typing import Final

import msgspec

from bench.collector import USUAL, Collected
from bench.load import PRINTS, Sent
from bench.results import Line, Stage

BURST_FRAMES: Final = 20_000
QUIET_FRAMES: Final = 10
SHORT_SECONDS: Final = 10.0
LATE_SECONDS: Final = 0.5
"""A client that has read everything so soon behind the last frame keeps the pace."""

DURABLE_MS: Final = 50.0
CORE_SHARE: Final = 0.5


class Run(msgspec.Struct, frozen=True):
    """What was sent, and what became of it."""

    sent: Sent
    collected: Collected

    @property
    def missing(self) -> int:
        """Trades that were sent and are not held, or held twice."""
        return (self.sent.frames - self.collected.frames + self.collected.lost + self.collected.doubled) * PRINTS

    @property
    def is_in_time(self) -> bool:
        """Whether the client read as fast as the market meant to send."""
        return self.sent.is_whole and self.sent.read_seconds <= self.sent.seconds_meant + LATE_SECONDS

    @property
    def trades_a_second(self) -> float:
        """The pace."""
        return self.sent.frames * PRINTS / self.sent.seconds_meant

    @property
    def core_share(self) -> float:
        """The share of a core while the market sent, or while the client still read."""
        return self.collected.cpu_seconds / self.sent.read_seconds

    @property
    def trades_a_cpu_second(self) -> float:
        """Trades that a second of the processor takes in."""
        return self.collected.frames * PRINTS / self.collected.cpu_seconds


def run(module: str, *arguments: str, frames_a_second: int, seconds: float) -> Run:
    """Let a process collect what another one sends."""
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
        load = [sys.executable, "-m", "bench.load", str(frames_a_second), str(seconds)]
        with subprocess.Popen(load, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as market:  # noqa: S603 — our own modules
            assert market.stdin is not None  # noqa: S101 — for the type checker
            assert market.stdout is not None  # noqa: S101 — the same
            url = f"ws://127.0.0.1:{int(market.stdout.readline())}"
            command = [sys.executable, "-m", f"bench.{module}", url, folder, *arguments]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as collector:  # noqa: S603 — the same
                sent = msgspec.json.decode(market.stdout.readline(), type=Sent)
                collector.send_signal(signal.SIGTERM)
                market.stdin.close()
                collected = msgspec.json.decode(collector.communicate()[0], type=Collected)
    return Run(sent, collected)


def measure(seconds: float, library: str) -> Stage:
    """Measure the feed for so many seconds a run, over a library for WebSockets."""
    ours = run("collector", "full", library, frames_a_second=BURST_FRAMES, seconds=seconds)
    socket = run("collector", "socket", library, frames_a_second=BURST_FRAMES, seconds=seconds)
    pace = _find_pace("loop", seconds=min(seconds, SHORT_SECONDS))
    peer = run("loop", frames_a_second=pace, seconds=seconds)
    quiet = run("collector", "full", library, frames_a_second=QUIET_FRAMES, seconds=seconds)
    quiet_peer = run("loop", frames_a_second=QUIET_FRAMES, seconds=seconds)
    rates = ours.trades_a_cpu_second, peer.trades_a_cpu_second
    lines = [
        Line("trades a second", *_compare(ours.trades_a_second, peer.trades_a_second), "≥ 120,000", is_held=ours.is_in_time),
        Line("trades lost or doubled", f"{ours.missing:,}", f"{peer.missing:,}", "", "0", is_held=ours.missing == 0),
        Line(
            "of a core, all threads, %",
            f"{100 * ours.core_share:.0f}",
            f"{100 * peer.core_share:.0f}",
            "",
            "≤ 50",
            ours.core_share <= CORE_SHARE,
        ),
        Line("… the socket alone, %", f"{100 * socket.core_share:.0f}"),
        Line("… the recording, %", f"{100 * (ours.core_share - socket.core_share):.0f}"),
        Line("trades a processor second", *_compare(*rates)),
        _durable("arrival to durable, ms", ours, peer),
        _durable("quiet: arrival to durable, ms", quiet, quiet_peer),
        Line("sending to durable, ms", _three(ours.collected.stored_ms), _three(peer.collected.stored_ms)),
        Line(
            "the market behind its schedule at worst, ms",
            f"{ours.sent.latest_seconds * 1000:.0f}",
            f"{peer.sent.latest_seconds * 1000:.0f}",
        ),
        Line("memory at most, MB", f"{ours.collected.memory_bytes / 1e6:.0f}", f"{peer.collected.memory_bytes / 1e6:.0f}"),
    ]
    how = (
        f"{BURST_FRAMES:,} frames of {PRINTS} trades a second for {seconds:g} s, and {QUIET_FRAMES} frames a second where it says quiet;"
        f" the peer at {pace:,} frames a second, the most that it reads in time. Times: median / 99 of 100 / worst. `python -m bench feed`"
    )
    return Stage(
        "feed" if library == USUAL else f"feed, over {library}",
        "`websocket-client`, `json`, an INSERT a trade into SQLite, the same commits",
        how,
        lines,
    )


def _find_pace(module: str, *, seconds: float) -> int:
    """Give the frames a second that a client reads in time: the burst's, or the half of it, and so on."""
    pace = BURST_FRAMES
    while pace > QUIET_FRAMES and not run(module, frames_a_second=pace, seconds=seconds).is_in_time:
        pace //= 2
    return pace


def _compare(ours: float, peer: float) -> tuple[str, str, str]:
    return f"{ours:,.0f}", f"{peer:,.0f}", f"{ours / peer:.1f}"


def _durable(what: str, ours: Run, peer: Run) -> Line:
    worst = ours.collected.durable_ms[1]
    return Line(what, _three(ours.collected.durable_ms), _three(peer.collected.durable_ms), "", "99 of 100 ≤ 50 ms", worst <= DURABLE_MS)


def _three(values: list[float]) -> str:
    return " / ".join(f"{value:.1f}" for value in values)
